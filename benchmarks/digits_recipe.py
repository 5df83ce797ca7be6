"""Our recipe for digits: a small network of the course, trained by the course's loop."""

from dataclasses import dataclass

import torch
from digits_peers import normalised
from torch import Tensor, nn

from ptft.core.compute import seed_everything
from ptft.data.digits import Digits
from ptft.data.image_batches import ImageBatch
from ptft.models.convolution import ConvolutionalClassifier, ConvolutionConfig
from ptft.training.fitting import FitConfig, fit
from ptft.training.losses import class_loss


@dataclass(frozen=True)
class Recipe:
    """How ours is trained.

    Attributes:
        model: Sizes of the network.
        passes: How often it sees each image; need not be whole.
        batch_size: Images per update.
        lr: Highest learning rate of AdamW.
        shift: Images are moved at random by up to so many pixels, down and across.
    """

    model: ConvolutionConfig
    passes: float
    batch_size: int = 64
    lr: float = 0.01
    shift: int = 0


def fit_digits(recipe: Recipe, train: Digits, seed: int) -> nn.Module:
    """Train a network on digits by a recipe."""
    seed_everything(seed)
    network = ConvolutionalClassifier(recipe.model).to(
        memory_format=torch.channels_last  # type: ignore[call-overload]
    )
    images, labels = normalised(train)
    size, s = recipe.model.size, recipe.shift
    margin = (images.shape[-1] - size) // 2
    crops = images.unfold(2, size, 1).unfold(3, size, 1)  # (N, 1, 7, 7, 22, 22), a view

    def batch_of(rows: Tensor, draws: torch.Generator) -> ImageBatch:
        down, across = margin - s + torch.randint(2 * s + 1, (2, len(rows)), generator=draws)
        return ImageBatch(crops[rows, :, down, across], labels[rows])  # (B, 1, 22, 22)

    # On a CPU the fused step is several times faster, which counts in a network so small.
    optimiser = torch.optim.AdamW(network.parameters(), recipe.lr, betas=(0.9, 0.98), fused=True)
    steps = round(recipe.passes * len(train) / recipe.batch_size)
    config = FitConfig(recipe.lr, steps, recipe.batch_size, seed=seed)
    fit(network, class_loss, batch_of, len(train), config, [optimiser])
    return nn.Sequential(nn.ZeroPad2d(-margin), network).eval()  # padding below 0 crops


SIZES = ConvolutionConfig(
    size=22, widths=(8, 16), hidden=64, kernel=5, padding=2, pooling="stride", norm=True
)
SHORT = Recipe(SIZES, passes=1.25, lr=0.02)
LONG = Recipe(SIZES, passes=8, shift=1)
