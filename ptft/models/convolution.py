"""Convolution and pooling by definition, and networks of them that classify images."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pooling = Literal["max", "average", "stride"]
Block = Literal["plain", "residual", "inception"]


def output_size(n: int, k: int, stride: int = 1, padding: int = 0) -> int:
    r"""Return how many windows of `k` pixels fit into a line of `n`, for convolution and pooling.

    $$\lfloor (n + 2p - k) / s \rfloor + 1$$

    Source: Dumoulin & Visin 2016, sec. 2.4 and ch. 3.

    Raises:
        ValueError: If a number is out of range, or the window is larger than the padded line.
    """
    if min(n, k, stride) < 1 or padding < 0:
        numbers = f"{n}, {k}, {stride} and {padding}"
        raise ValueError(f"size, kernel, stride must be positive, padding not negative: {numbers}")
    if k > n + 2 * padding:
        raise ValueError(f"a kernel of {k} does not fit into {n} pixels with padding {padding}")
    return (n + 2 * padding - k) // stride + 1


def convolve(
    images: Tensor, kernels: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    r"""Slide kernels over images: a cross-correlation, which networks call convolution.

    $$y_{oij} = b_o + \sum_{c,u,v} w_{ocuv} \, x_{c,\, si+u-p,\, sj+v-p}$$

    Source: Goodfellow et al. 2016, sec. 9.1, eq. 9.6 (there with one channel).

    Args:
        images: `(B, C, H, W)`.
        kernels: `(O, C, K, L)`.
        bias: `(O)`, or None for zeros.
        stride: Step of the window in pixels.
        padding: Zeros on each of the four sides.

    Returns:
        `(B, O, H', W')`, see `output_size`.

    Raises:
        ValueError: If a shape is another one, the channels differ, or a kernel does not fit.
    """
    if kernels.ndim != 4:
        raise ValueError(f"kernels must be (O, C, K, L), got {tuple(kernels.shape)}")
    if bias is not None and bias.shape != kernels.shape[:1]:
        raise ValueError(f"bias must be ({kernels.shape[0]},), got {tuple(bias.shape)}")
    _check_images(images, channels=kernels.shape[1])
    for n, k in zip(images.shape[2:], kernels.shape[2:], strict=True):
        output_size(n, k, stride, padding)  # whether the kernel fits
    images = F.pad(images, (padding,) * 4)
    windows = images.unfold(2, kernels.shape[2], stride).unfold(3, kernels.shape[3], stride)
    y = torch.einsum("bcijuv,ocuv->boij", windows, kernels)  # (B, O, H', W')
    return y if bias is None else y + bias[:, None, None]


def max_pool(images: Tensor, k: int, stride: int | None = None) -> Tensor:
    r"""Keep the largest value of each window: $y_{cij} = \max_{u,v} x_{c,\, si+u,\, sj+v}$.

    Maps `(B, C, H, W)` to `(B, C, H', W')`, see `output_size`. The window has a side of `k` pixels
    and steps by `stride`; None takes `k`, so that windows do not overlap.

    Raises:
        ValueError: If `images` has another shape, or the window does not fit.
    """
    return _windows(images, k, stride).amax(dim=(-2, -1))


def average_pool(images: Tensor, k: int, stride: int | None = None) -> Tensor:
    r"""Take the mean of each window: $y_{cij} = k^{-2} \sum_{u,v} x_{c,\, si+u,\, sj+v}$.

    Arguments, result and errors are those of `max_pool`.
    """
    return _windows(images, k, stride).mean(dim=(-2, -1))


class ResidualBlock(nn.Module):
    r"""Two convolutions that learn a change of their input, $y = \max(0, F(x) + x)$.

    He et al. 2016, sec. 3.2, eq. 1, and, where the shape changes, eq. 2: $x$ then goes through a
    1x1 convolution of the same stride (option B of sec. 3.3).

    Args:
        channels: Of the input `(B, C, H, W)`.
        out_channels: Of the output; None keeps `channels`.
        stride: Of the first convolution.
        shortcut: False leaves `x` out: the plain block to compare with.
        norm: Batch normalisation after each convolution, as in the paper.

    Raises:
        ValueError: If a number is below 1.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int | None = None,
        stride: int = 1,
        shortcut: bool = True,
        norm: bool = True,
    ):
        super().__init__()
        out = channels if out_channels is None else out_channels
        self.first = _convolution(channels, out, 3, stride, padding=1, norm=norm)
        self.second = _convolution(out, out, 3, padding=1, norm=norm)
        self.shortcut: nn.Module | None = nn.Identity() if shortcut else None
        if shortcut and (out != channels or stride > 1):
            self.shortcut = _convolution(channels, out, 1, stride, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, C', H', W')`; `H' = H` if the stride is 1."""
        y = self.second(F.relu(self.first(x)))  # (B, C', H', W')
        return F.relu(y if self.shortcut is None else y + self.shortcut(x))


class InceptionBlock(nn.Module):
    """Windows of three sizes and a pooling side by side, their channels joined.

    Szegedy et al. 2015, fig. 2b: 1x1 convolutions make the input thin before the 3x3 and the 5x5,
    and follow the pooling. The shares of the channels are those of "inception (3a)" in table 1.

    Args:
        channels: Of the input.
        out_channels: Of the output, a multiple of 16.
        norm: Batch normalisation after each convolution; the paper has none.

    Raises:
        ValueError: If `channels` is below 1, or `out_channels` no multiple of 16.
    """

    def __init__(self, channels: int, out_channels: int, norm: bool = False):
        super().__init__()
        if out_channels < 1 or out_channels % 16:
            raise ValueError(f"out_channels must be a multiple of 16, got {out_channels}")
        part = out_channels // 16

        def convolution(c_in: int, c_out: int, k: int) -> nn.Sequential:
            return _convolution(c_in, c_out, k, 1, k // 2, norm).append(nn.ReLU())

        self.ones = convolution(channels, 4 * part, 1)
        self.threes = convolution(channels, 6 * part, 1).extend(convolution(6 * part, 8 * part, 3))
        self.fives = convolution(channels, part, 1).extend(convolution(part, 2 * part, 5))
        self.pooled = convolution(channels, 2 * part, 1).insert(0, nn.MaxPool2d(3, 1, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, C', H, W)`."""
        branches = (self.ones, self.threes, self.fives, self.pooled)
        return torch.cat([branch(x) for branch in branches], dim=1)


@dataclass(frozen=True)
class ConvolutionConfig:
    """Shape of a `ConvolutionalClassifier`; the default reads 28 by 28 pixels as 28-26-13-11-5.

    Attributes:
        channels: Of the images: 1 for grey, 3 for colour.
        size: Side of the square images in pixels.
        widths: Channels of each stage.
        hidden: Units of the dense layer.
        n_classes: Number of logits.
        kernel: Side of each stage's convolution.
        padding: Zeros around each stage's convolution.
        pooling: What halves the size of a stage; "stride" does it by the convolution itself.
        global_pooling: Take the mean of each last map instead of all its pixels.
        block: What follows a stage's convolution, `depth` times, at the same shape.
        depth: Blocks of each stage.
        norm: Batch normalisation after each convolution.
    """

    channels: int = 1
    size: int = 28
    widths: tuple[int, ...] = (32, 64)
    hidden: int = 128
    n_classes: int = 10
    kernel: int = 3
    padding: int = 0
    pooling: Pooling = "max"
    global_pooling: bool = False
    block: Block = "plain"
    depth: int = 0
    norm: bool = False

    def __post_init__(self) -> None:
        numbers = (self.channels, *self.widths, self.hidden)
        if not self.widths or min(numbers) < 1 or self.n_classes < 2 or self.depth < 0:
            raise ValueError(f"expected positive sizes, 2 classes or more, depth >= 0, got {self}")
        for name, kind in (("pooling", Pooling), ("block", Block)):
            if (value := getattr(self, name)) not in get_args(kind):
                raise ValueError(f"{name} must be one of {get_args(kind)}, got {value!r}")
        self.sizes()  # whether the image is large enough

    def sizes(self) -> tuple[int, ...]:
        """Return the side of the image, and after each convolution and each pooling.

        Raises:
            ValueError: If a window does not fit any more.
        """
        sizes = [self.size]
        for _ in self.widths:
            sizes.append(output_size(sizes[-1], self.kernel, self.stride, self.padding))
            if self.pooling != "stride":
                sizes.append(output_size(sizes[-1], 2, stride=2))
        return tuple(sizes)

    @property
    def stride(self) -> int:
        """Step of each stage's convolution."""
        return 2 if self.pooling == "stride" else 1

    @property
    def features(self) -> int:
        """How many numbers the dense layer reads."""
        return self.widths[-1] * (1 if self.global_pooling else self.sizes()[-1] ** 2)


class ConvolutionalClassifier(nn.Module):
    """Stages of convolution, ReLU and pooling, then two dense layers (LeCun et al. 1998, sec. II).

    Weights start as in He et al. 2015, sec. 2.2. The output is logits: a loss brings its own
    softmax.
    """

    def __init__(self, config: ConvolutionConfig):
        super().__init__()
        self.config = config
        pairs = zip((config.channels, *config.widths), config.widths, strict=False)
        self.stages = nn.Sequential(*(_stage(c_in, width, config) for c_in, width in pairs))
        self.pool = nn.AdaptiveAvgPool2d(1) if config.global_pooling else nn.Identity()
        self.dense = nn.Linear(config.features, config.hidden)
        self.output = nn.Linear(config.hidden, config.n_classes)
        for layer in (self.dense, self.output):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `(B, C, H, W)` to logits `(B, n_classes)`.

        Raises:
            ValueError: If the images have another shape than the config says.
        """
        _check_images(images, self.config.channels, self.config.size)
        maps = self.pool(self.stages(images))  # (B, C', H', W')
        return self.output(F.relu(self.dense(maps.flatten(1))))  # (B, n_classes)


def _stage(channels: int, width: int, config: ConvolutionConfig) -> nn.Sequential:
    c = config
    stage = _convolution(channels, width, c.kernel, c.stride, c.padding, c.norm).append(nn.ReLU())
    for _ in range(c.depth):
        if c.block == "inception":
            stage.append(InceptionBlock(width, width, c.norm))
        else:
            stage.append(ResidualBlock(width, shortcut=c.block == "residual", norm=c.norm))
    if c.pooling != "stride":
        stage.append(nn.MaxPool2d(2) if c.pooling == "max" else nn.AvgPool2d(2))
    return stage


def _convolution(
    c_in: int, c_out: int, k: int, stride: int = 1, padding: int = 0, norm: bool = False
) -> nn.Sequential:
    if min(c_in, c_out, stride) < 1:
        raise ValueError(f"channels and stride must be positive, got {c_in}, {c_out}, {stride}")
    layer = nn.Conv2d(c_in, c_out, k, stride, padding, bias=not norm)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layer, nn.BatchNorm2d(c_out)) if norm else nn.Sequential(layer)


def _windows(images: Tensor, k: int, stride: int | None) -> Tensor:
    """Return all windows `(B, C, H', W', k, k)`, as a view."""
    _check_images(images)
    stride = k if stride is None else stride
    for n in images.shape[2:]:
        output_size(n, k, stride)  # whether the window fits
    return images.unfold(2, k, stride).unfold(3, k, stride)


def _check_images(images: Tensor, channels: int | None = None, size: int | None = None) -> None:
    wanted = (channels, size, size)
    shape = tuple(images.shape)
    fits = all(want in (None, got) for want, got in zip(wanted, shape[1:], strict=False))
    if images.ndim != 4 or not fits:
        expected = [name if n is None else str(n) for name, n in zip("CHW", wanted, strict=True)]
        raise ValueError(f"expected images (B, {', '.join(expected)}), got {shape}")
