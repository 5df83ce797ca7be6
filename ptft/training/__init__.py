"""Floor 4: losses, optimisers, schedules and the one training loop."""
