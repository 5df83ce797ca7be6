"""Batches of images, for the losses of `ptft.training.losses`."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ImageBatch:
    """Images `(B, C, H, W)` and one class per image `(B,)`."""

    images: Tensor
    labels: Tensor

    @property
    def inputs(self) -> tuple[Tensor]:
        """What the model is called with."""
        return (self.images,)


@dataclass(frozen=True)
class ReconstructionBatch:
    """What an autoencoder reads, and what it is to write, of one shape `(B, ...)`.

    The two are equal for a plain autoencoder; for a denoising one `inputs` is corrupted.
    """

    inputs: Tensor
    targets: Tensor
