"""Floor 5: numbers from a trained model."""
