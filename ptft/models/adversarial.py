r"""The two networks of a generative adversarial network, as plain perceptrons.

The training of the pair is in `ptft.training.adversarial`, and takes any two modules of these
shapes, convolutions too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class GanConfig:
    """Sizes of a generator and a discriminator.

    Attributes:
        shape: Of one example: `(1,)` for numbers, `(1, 8, 8)` for small grey images.
        latent_size: Numbers of noise `Z` that the generator turns into one example.
        d_hidden: Width of each hidden layer of both networks.
        n_hidden: Hidden layers of each network.
        bounded: True keeps what is generated in (0, 1) by a sigmoid, for pixels.
    """

    shape: tuple[int, ...]
    latent_size: int
    d_hidden: int = 64
    n_hidden: int = 2
    bounded: bool = False

    def __post_init__(self) -> None:
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"shape must hold one or more sizes of at least 1, got {self.shape}")
        for name in ("latent_size", "d_hidden", "n_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


class Generator(nn.Module):
    r"""Turns noise into examples, $G(z)$ with $z \sim \mathcal N(0, I)$ (Goodfellow et al. 2014).

    Its density cannot be read off; it can only be drawn from.

    Example:
        >>> Generator(GanConfig((1, 8, 8), latent_size=16))(torch.randn(5, 16)).shape
        torch.Size([5, 1, 8, 8])
    """

    def __init__(self, config: GanConfig):
        super().__init__()
        self.config = config
        widths = [config.latent_size, *[config.d_hidden] * config.n_hidden, math.prod(config.shape)]
        self.layers = _perceptron(widths, nn.ReLU())
        self.output = nn.Sigmoid() if config.bounded else nn.Identity()

    def forward(self, z: Tensor) -> Tensor:
        """Map `(B, Z)` to `(B, *shape)`.

        Raises:
            ValueError: If the noise has another size.
        """
        if z.ndim != 2 or z.shape[1] != self.config.latent_size:
            raise ValueError(f"expected noise (B, {self.config.latent_size}), got {tuple(z.shape)}")
        return self.output(self.layers(z)).view(-1, *self.config.shape)

    @torch.no_grad()
    def sample(self, n: int, draws: torch.Generator) -> Tensor:
        """Draw `n` examples `(n, *shape)` with noise from the given generator.

        Raises:
            ValueError: If `n` is below 1.
        """
        if n < 1:
            raise ValueError(f"the number of examples must be at least 1, got {n}")
        weight = next(self.parameters())
        noise = torch.randn(n, self.config.latent_size, generator=draws)  # (n, Z), on the CPU
        return self(noise.to(weight))


class Discriminator(nn.Module):
    r"""Scores examples: one number $s(x)$ each, any real number.

    As a discriminator (Goodfellow et al. 2014) it says $D(x) = \sigma(s(x))$, the probability that
    $x$ is real; as a critic (Arjovsky et al. 2017) the score itself is meant.
    """

    def __init__(self, config: GanConfig):
        super().__init__()
        self.config = config
        widths = [math.prod(config.shape), *[config.d_hidden] * config.n_hidden, 1]
        self.layers = _perceptron(widths, nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, *shape)` to scores `(B,)`.

        Raises:
            ValueError: If the examples have another shape.
        """
        if tuple(x.shape[1:]) != self.config.shape:
            raise ValueError(
                f"expected examples (B, {', '.join(map(str, self.config.shape))}), "
                f"got {tuple(x.shape)}"
            )
        return self.layers(x.flatten(1)).squeeze(1)


def _perceptron(widths: Sequence[int], activation: nn.Module) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), activation]
    return nn.Sequential(*layers[:-1])  # none after the last layer
