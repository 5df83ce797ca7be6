"""What people start from: the MNIST script of the PyTorch examples, re-created, and in Keras."""

import os
import time
from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset

from ptft.core.compute import generator, seed_everything
from ptft.data.digits import Digits
from ptft.evaluation.predictions import predict_images

# Settings of pytorch/examples, mnist/main.py.
BATCH, LR, GAMMA = 64, 1.0, 0.7
MEAN, STD = 0.1307, 0.3081  # of the pixels of MNIST
RHO, EPSILON = 0.9, 1e-6  # torch's Adadelta, which Keras has other defaults for

Point = tuple[float, float]  # accuracy, and the CPU seconds of training spent until then
Batches = Iterable[tuple[Tensor, Tensor]]


def normalised(digits: Digits) -> tuple[Tensor, Tensor]:
    """Return images `(N, 1, 28, 28)` as the networks take them, and labels `(N,)`."""
    images, labels = digits.tensors()
    return (images - MEAN) / STD, labels


class PillowDigits(Dataset[tuple[Tensor, int]]):
    """Digits one at a time, through Pillow, as torchvision's MNIST and its transforms hand them."""

    def __init__(self, digits: Digits):
        self.pixels = torch.from_numpy(digits.images * 255).round().byte()
        self.labels = digits.labels.tolist()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        """Make a picture of bytes, of that a tensor from 0 to 1, and of that a normalised one."""
        picture = Image.fromarray(self.pixels[i].numpy())
        image = torch.from_numpy(np.array(picture))[None].float() / 255  # (1, 28, 28)
        return (image - MEAN) / STD, self.labels[i]


class TensorBatches:
    """Shuffled batches of images that are in memory as the network takes them."""

    def __init__(self, digits: Digits, seed: int):
        self.images, self.labels = normalised(digits)
        self.draws = generator(seed)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through all rows once."""
        for rows in torch.randperm(len(self.labels), generator=self.draws).split(BATCH):
            yield self.images[rows], self.labels[rows]


def script_network() -> nn.Module:
    """Return the network of the script, 1.2 million parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(),
        nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),  # (B, 9216)
        nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    )  # fmt: skip


def run_script(train: Digits, test: Digits, seed: int, epochs: int) -> list[Point]:
    """Train as the script does, each image through Pillow each time."""
    loader = DataLoader(
        PillowDigits(train), BATCH, shuffle=True, num_workers=0, generator=generator(seed)
    )
    return _epochs(loader, test, seed, epochs)


def run_script_in_tensors(train: Digits, test: Digits, seed: int, epochs: int) -> list[Point]:
    """Train as the script does, but on images that are tensors already."""
    return _epochs(TensorBatches(train, seed), test, seed, epochs)


def _epochs(batches: Batches, test: Digits, seed: int, epochs: int) -> list[Point]:
    seed_everything(seed)
    model = script_network()
    optimiser = torch.optim.Adadelta(model.parameters(), lr=LR, rho=RHO, eps=EPSILON)
    schedule = StepLR(optimiser, step_size=1, gamma=GAMMA)
    images, labels = normalised(test)
    points, clock = [], 0.0
    for _ in range(epochs):
        model.train()
        began = time.process_time()
        for x, y in batches:
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimiser.step()
        schedule.step()
        clock += time.process_time() - began
        points.append((accuracy(model, images, labels), clock))
    return points


def run_keras(train: Digits, test: Digits, seed: int, epochs: int) -> list[Point]:
    """Train the network of the script, with its settings, by `fit` of Keras on torch."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    from keras import layers

    keras.config.set_image_data_format("channels_first")  # as torch has it, nothing to transpose
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        layers.Input((1, 28, 28)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2), layers.Dropout(0.25), layers.Flatten(),
        layers.Dense(128, activation="relu"), layers.Dropout(0.5), layers.Dense(10),
    ])  # fmt: skip
    assert model.count_params() == sum(p.numel() for p in script_network().parameters())
    model.compile(
        keras.optimizers.Adadelta(LR, rho=RHO, epsilon=EPSILON),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images, labels = normalised(test)
    points: list[Point] = []

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        """Times the epochs, and scores the model after each."""

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self.began = time.process_time()

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            spent = time.process_time() - self.began + (points[-1][1] if points else 0.0)
            with torch.no_grad():
                logits = torch.cat([model(x, training=False) for x in images.split(256)])
            points.append((float((logits.argmax(1) == labels).float().mean()), spent))

    decay = keras.callbacks.LearningRateScheduler(lambda epoch, _: LR * GAMMA**epoch)
    x, y = (tensor.numpy() for tensor in normalised(train))
    model.fit(x, y, batch_size=BATCH, epochs=epochs, callbacks=[Clock(), decay], verbose=0)
    return points


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of the images whose class is right."""
    return float((predict_images(model, images) == labels).float().mean())
