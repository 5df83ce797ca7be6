"""Autoencoders, what they corrupt, and a classifier on the encoder."""

import itertools
import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Activation = Literal["linear", "relu", "sigmoid", "tanh"]
_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


@dataclass(frozen=True)
class AutoencoderConfig:
    """Shape of an `Autoencoder`.

    Attributes:
        shape: Of one input without the batch: `(64,)` for a vector, `(1, 8, 8)` for an image.
        code_size: Numbers in the code. Fewer than the input has: a bottleneck; as many or more:
            over-complete, which needs noise or a penalty (Vincent et al. 2008, sec. 2).
        widths: Of the hidden layers between input and code; the decoder has them in reverse.
        activation: Of the hidden layers. "linear" makes both halves affine whatever their depth.
        activate_code: Also after the code, as in a network of one hidden layer. The default, a
            linear code, is that of Hinton & Salakhutdinov 2006.
    """

    shape: tuple[int, ...]
    code_size: int
    widths: tuple[int, ...] = ()
    activation: Activation = "relu"
    activate_code: bool = False

    def __post_init__(self) -> None:
        if not self.shape or min(*self.shape, *self.widths, self.code_size) < 1:
            raise ValueError(
                "expected a shape, and positive numbers in shape, widths and code_size, got "
                f"{self.shape}, {self.widths} and {self.code_size}"
            )
        if self.activation not in get_args(Activation):
            raise ValueError(
                f"activation must be one of {get_args(Activation)}, got {self.activation!r}"
            )

    @property
    def size(self) -> int:
        """How many numbers an input has."""
        return math.prod(self.shape)


class Autoencoder(nn.Module):
    r"""An encoder to a code, and a decoder back, each with parameters of its own.

    $$\hat x = D_{\phi}(z), \qquad z = E_{\theta}(x)$$

    The output is affine: the squared error then is, up to a constant, a Gaussian log-likelihood.
    Train it with `ptft.training.losses.reconstruction_loss`.

    Source: Hinton & Salakhutdinov 2006; Goodfellow et al. 2016, ch. 14.
    """

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        self.config = config
        widths = (config.size, *config.widths, config.code_size)
        self.encoder = _layers(widths, config.activation)
        if config.activate_code:
            self.encoder.append(_ACTIVATIONS[config.activation]())
        self.decoder = _layers(widths[::-1], config.activation)

    def encode(self, x: Tensor) -> Tensor:
        """Map inputs `(B, *shape)` to codes `(B, code_size)`.

        Raises:
            ValueError: If the inputs have another shape than the config says.
        """
        _check_inputs(x, self.config.shape)
        return self.encoder(x.flatten(1))  # (B, code_size)

    def decode(self, codes: Tensor) -> Tensor:
        """Map codes `(B, code_size)` to outputs `(B, *shape)`.

        Raises:
            ValueError: If the codes have another shape.
        """
        if codes.ndim != 2 or codes.shape[1] != self.config.code_size:
            raise ValueError(
                f"expected codes (B, {self.config.code_size}), got {tuple(codes.shape)}"
            )
        return self.decoder(codes).unflatten(1, self.config.shape)  # (B, *shape)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs `(B, *shape)` to their reconstructions, of the same shape."""
        return self.decode(self.encode(x))


class EncoderClassifier(nn.Module):
    """A linear layer on the code: what is fine-tuned after pre-training.

    The autoencoder is taken over, not copied, so fine-tuning changes its encoder. Freeze it with
    `autoencoder.requires_grad_(False)` to train the new layer alone. The decoder is not kept.

    Raises:
        ValueError: If `n_classes` is below 2.
    """

    def __init__(self, autoencoder: Autoencoder, n_classes: int):
        super().__init__()
        if n_classes < 2:
            raise ValueError(f"n_classes must be at least 2, got {n_classes}")
        self.shape = autoencoder.config.shape
        self.encoder = autoencoder.encoder
        self.output = nn.Linear(autoencoder.config.code_size, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs `(B, *shape)` to logits `(B, n_classes)`.

        Raises:
            ValueError: If the inputs have another shape than the autoencoder's.
        """
        _check_inputs(x, self.shape)
        return self.output(self.encoder(x.flatten(1)))  # (B, n_classes)


def add_noise(x: Tensor, std: float, draws: torch.Generator) -> Tensor:
    """Return `x` plus Gaussian noise of standard deviation `std`, in the unit of `x`.

    Source: the corruption of Vincent et al. 2008, sec. 2.3, with another noise than theirs, which
    is that of `drop_values`.

    Raises:
        ValueError: If `std` is negative.
    """
    if std < 0:
        raise ValueError(f"std must not be negative, got {std}")
    return x + std * torch.randn(x.shape, generator=draws)


def drop_values(x: Tensor, share: float, draws: torch.Generator) -> Tensor:
    """Return `x` with each number set to zero with probability `share`, on its own.

    Source: Vincent et al. 2008, sec. 2.3; they zero a fixed number of each input.

    Raises:
        ValueError: If `share` is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise ValueError(f"share must be in [0, 1), got {share}")
    return x * (torch.rand(x.shape, generator=draws) >= share)


def hide_patches(
    images: Tensor, patch: int, share: float, draws: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Set some square patches of each image to zero: the corruption of a masked autoencoder.

    He et al. 2022, sec. 3: the same number of patches in each image, drawn evenly without
    replacement. There the encoder does not get the hidden patches at all; here it reads zeros.

    Args:
        images: `(B, C, H, W)`.
        patch: Side of a patch in pixels; it divides `H` and `W`.
        share: Of the patches; rounded to whole ones, at least one and not all.
        draws: Decides which.

    Returns:
        The corrupted images, and `(B, 1, H, W)` bool, True where a pixel is hidden.

    Raises:
        ValueError: If the shape is another one, the patches do not fit, or none or all are hidden.
    """
    if images.ndim != 4:
        raise ValueError(f"expected images (B, C, H, W), got {tuple(images.shape)}")
    batch, _, height, width = images.shape
    if patch < 1 or height % patch or width % patch:
        raise ValueError(f"patches of side {patch} do not tile an image of {height} by {width}")
    rows, columns = height // patch, width // patch
    n = round(share * rows * columns)
    if not 0 < n < rows * columns:
        raise ValueError(
            f"share must hide at least one of {rows * columns} patches and not all, got {share}"
        )
    order = torch.rand(batch, rows * columns, generator=draws).argsort(1)
    hidden = (order < n).view(batch, 1, rows, columns)  # ranks are a permutation: n are below n
    hidden = hidden.repeat_interleave(patch, 2).repeat_interleave(patch, 3)  # (B, 1, H, W)
    return images * ~hidden, hidden


def _layers(widths: tuple[int, ...], activation: str) -> nn.Sequential:
    """Return affine layers from each width to the next, with the activation between them."""
    layers: list[nn.Module] = []
    for d_in, d_out in itertools.pairwise(widths):
        layers += [nn.Linear(d_in, d_out), _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def _check_inputs(x: Tensor, shape: tuple[int, ...]) -> None:
    if x.ndim < 1 or x.shape[1:] != shape:
        expected = ", ".join(map(str, ("B", *shape)))
        raise ValueError(f"expected inputs ({expected}), got {tuple(x.shape)}")
