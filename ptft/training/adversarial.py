r"""Training of two networks against each other: the one place where `train` does not fit.

`train` minimises one loss over one set of parameters. Here the discriminator descends on its own
loss, then the generator on another, which the discriminator's new parameters have changed.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm.auto import tqdm

from ptft.core.compute import reseed
from ptft.training.loop import Evaluate, History, NonFiniteLossError
from ptft.training.schedules import Schedule, constant

GanLoss = Literal["saturating", "non_saturating", "wasserstein"]
Constraint = Literal["none", "clip", "gradient_penalty"]
RealBatch = Callable[[int, torch.Generator], Tensor]


@dataclass(frozen=True)
class AdversarialConfig:
    """Rules of the game.

    Attributes:
        steps: Updates of the generator.
        latent_size: Numbers of noise per example.
        loss: "saturating" and "non_saturating" (Goodfellow et al. 2014, sec. 3), or "wasserstein"
            (Arjovsky et al. 2017).
        constraint: What holds the discriminator's slope down: "clip" its weights after each update,
            or add a "gradient_penalty" to its loss. The Wasserstein loss needs one of them; "none"
            is allowed with it only because what then happens is worth seeing.
        critic_steps: Updates of the discriminator before each of the generator, each on a new
            batch.
        clip: Largest absolute weight with "clip".
        penalty: Weight of the gradient penalty.
        seed: Decides data order, noise and dropout.
        evaluate_every: Steps between evaluations; 0 evaluates only before and after.
        log_every: Steps between rows of the two losses.
    """

    steps: int
    latent_size: int
    loss: GanLoss = "non_saturating"
    constraint: Constraint = "none"
    critic_steps: int = 1
    clip: float = 0.01
    penalty: float = 10.0
    seed: int = 0
    evaluate_every: int = 0
    log_every: int = 10

    def __post_init__(self) -> None:
        _check_loss(self.loss)
        if self.constraint not in get_args(Constraint):
            raise ValueError(
                f"constraint must be one of {', '.join(get_args(Constraint))}, "
                f"got {self.constraint!r}"
            )
        for name in ("steps", "latent_size", "critic_steps", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("seed", "evaluate_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("clip", "penalty"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


def discriminator_loss(real: Tensor, fake: Tensor, loss: GanLoss) -> Tensor:
    r"""Return what the discriminator minimises, given its scores of real and of generated examples.

    $$ -\mathbb E \log D(x) - \mathbb E \log(1 - D(G(z))), \qquad D = \sigma(s) $$

    (Goodfellow et al. 2014, eq. 1) for both log losses, and
    $-(\mathbb E\, s(x) - \mathbb E\, s(G(z)))$ for "wasserstein" (Arjovsky et al. 2017, eq. 2). Two
    expectations over two sets of examples have no single count, so this is a sum of two means.

    Args:
        real: `(B,)` scores of examples of the data.
        fake: `(B',)` scores of generated ones.
        loss: See `AdversarialConfig`.

    Raises:
        ValueError: If the loss is unknown.
    """
    _check_loss(loss)
    if loss == "wasserstein":
        return fake.mean() - real.mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()  # -log D(x), -log(1 - D(G(z)))


def generator_loss(fake: Tensor, loss: GanLoss) -> Tensor:
    r"""Return what the generator minimises, given the scores `(B,)` of its examples.

    $\mathbb E \log(1 - D)$ ("saturating"), $-\mathbb E \log D$ ("non_saturating", Goodfellow et al.
    2014, sec. 3) or $-\mathbb E\, s$ ("wasserstein").

    Raises:
        ValueError: If the loss is unknown.
    """
    _check_loss(loss)
    if loss == "wasserstein":
        return -fake.mean()
    if loss == "saturating":
        return -F.softplus(fake).mean()  # log(1 - D)
    return F.softplus(-fake).mean()  # -log D


def gradient_penalty(
    discriminator: nn.Module, real: Tensor, fake: Tensor, draws: torch.Generator
) -> Tensor:
    r"""Return $\mathbb E (\lVert \nabla_{\hat x} s(\hat x) \rVert - 1)^2$ between the two sets.

    $\hat x = \varepsilon x + (1 - \varepsilon) G(z)$ with $\varepsilon$ uniform (Gulrajani et al.
    2017, eq. 3).

    Args:
        discriminator: Maps `(B, ...)` to scores `(B,)`.
        real: `(B, ...)` examples of the data.
        fake: `(B, ...)` generated ones.
        draws: Where the mixing weights come from.

    Raises:
        ValueError: If the two sets differ in shape.
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"real and generated examples must have one shape, got {tuple(real.shape)} and "
            f"{tuple(fake.shape)}"
        )
    mix = torch.rand(len(real), *[1] * (real.ndim - 1), generator=draws).to(real)  # (B, 1, ...)
    between = (mix * real.detach() + (1 - mix) * fake.detach()).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    norm: Tensor = slope.flatten(1).norm(dim=1)  # (B,)
    return (norm - 1).square().mean()


def train_adversarial(
    generator: nn.Module,
    discriminator: nn.Module,
    real_batch: RealBatch,
    optimisers: tuple[Optimizer, Optimizer],
    config: AdversarialConfig,
    schedule: Schedule = constant,
    evaluate: Evaluate | None = None,
) -> History:
    """Train a generator and a discriminator in turns (Goodfellow et al. 2014, Algorithm 1).

    Every step draws from a generator seeded by `(config.seed, step)`, so the same seed gives the
    same history, and evaluation cannot disturb training.

    Args:
        generator: Maps noise `(B, latent_size)` to examples.
        discriminator: Maps examples to scores `(B,)`.
        real_batch: Makes a batch of real examples, drawing from the given generator only; the
            number counts the discriminator's updates.
        optimisers: The generator's, and the discriminator's.
        config: See `AdversarialConfig`.
        schedule: Scales the learning rates of both, see `ptft.training.schedules`.
        evaluate: Called with the generator before the first and after the last step, and every
            `config.evaluate_every` steps, in evaluation mode; returns metrics.

    Returns:
        Rows of the split "train" with `generator_loss` and `discriminator_loss`, the latter without
        the penalty and before its last update, and of the split "validation" with the metrics.

    Raises:
        NonFiniteLossError: If one of the losses is not finite.
        ValueError: If the generator's examples are not shaped like the real ones, or the scores
            are not `(B,)`.
    """
    of_generator, of_discriminator = optimisers
    device = next(generator.parameters()).device
    history, clock = History(), 0.0
    groups = [group for optimiser in optimisers for group in optimiser.param_groups]
    base_lrs = [group["lr"] for group in groups]

    def log(step: int, split: str, values: dict[str, float]) -> None:
        history.rows.append({"step": step, "seconds": clock, "split": split, **values})

    def run_evaluation(step: int) -> None:
        if evaluate is not None:
            training = generator.training
            generator.eval()
            with torch.no_grad():
                log(step, "validation", evaluate(generator))
            generator.train(training)

    def fakes(n: int, draws: torch.Generator) -> Tensor:
        return generator(torch.randn(n, config.latent_size, generator=draws).to(device))

    run_evaluation(0)
    generator.train()
    discriminator.train()
    for step in tqdm(range(config.steps), leave=False):
        began = time.perf_counter()
        seed = config.seed * 1_000_003 + step
        draws = torch.Generator().manual_seed(seed)
        reseed(seed)  # dropout
        for group, lr in zip(groups, base_lrs, strict=True):
            group["lr"] = lr * schedule(step)
        for i in range(config.critic_steps):
            real = real_batch(step * config.critic_steps + i, draws).to(device)
            with torch.no_grad():
                fake = fakes(len(real), draws)
            if fake.shape != real.shape:
                raise ValueError(
                    f"the generator makes {tuple(fake.shape)}, real examples are "
                    f"{tuple(real.shape)}"
                )
            loss_d = discriminator_loss(
                _scores(discriminator, real), _scores(discriminator, fake), config.loss
            )
            total = loss_d
            if config.constraint == "gradient_penalty":
                total = loss_d + config.penalty * gradient_penalty(discriminator, real, fake, draws)
            _update(of_discriminator, total, "discriminator", step)
            if config.constraint == "clip":
                _clip_weights(discriminator, config.clip)

        loss_g = generator_loss(_scores(discriminator, fakes(len(real), draws)), config.loss)
        _update(of_generator, loss_g, "generator", step)

        clock += time.perf_counter() - began
        done = step + 1
        if done % config.log_every == 0 or done == config.steps:
            losses = {"generator_loss": loss_g.item(), "discriminator_loss": loss_d.item()}
            log(done, "train", losses)
        if done == config.steps or (config.evaluate_every and done % config.evaluate_every == 0):
            run_evaluation(done)
    return history


def _scores(discriminator: nn.Module, x: Tensor) -> Tensor:
    scores = discriminator(x)
    if scores.shape != (len(x),):
        raise ValueError(f"expected scores ({len(x)},), got {tuple(scores.shape)}")
    return scores


def _update(optimiser: Optimizer, loss: Tensor, whose: str, step: int) -> None:
    if not math.isfinite(value := loss.item()):
        raise NonFiniteLossError(f"the {whose}'s loss became {value} at step {step}")
    optimiser.zero_grad(set_to_none=True)
    own = [p for group in optimiser.param_groups for p in group["params"] if p.requires_grad]
    loss.backward(inputs=own)  # through the other player, but not into it
    optimiser.step()


@torch.no_grad()
def _clip_weights(discriminator: nn.Module, bound: float) -> None:
    """Keep each weight in [-bound, bound] (Arjovsky et al. 2017, Algorithm 1)."""
    for parameter in discriminator.parameters():
        parameter.clamp_(-bound, bound)


def _check_loss(loss: str) -> None:
    if loss not in get_args(GanLoss):
        raise ValueError(f"loss must be one of {', '.join(get_args(GanLoss))}, got {loss!r}")
