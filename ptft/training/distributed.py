"""One run on several processes: who is there, who takes which rows, and who holds which weights.

Every process makes the same batch from the same seed and takes its share of the rows. So a run does
not depend on their number, and a single process is no special case.
"""

import dataclasses
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

Batch = TypeVar("Batch")


@dataclasses.dataclass(frozen=True)
class Workers:
    """The processes of a run; by default there is only this one.

    Attributes:
        rank: Number of this process, from 0.
        size: How many there are.
        parallel: "ddp" keeps all weights in each process and averages the gradients; "fsdp" splits
            weights, gradients and optimiser state among the processes (Zhao et al. 2023).
    """

    rank: int = 0
    size: int = 1
    parallel: Literal["ddp", "fsdp"] = "ddp"

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise ValueError(f"rank must be in [0, {self.size}), got {self.rank}")
        if self.parallel not in ("ddp", "fsdp"):
            raise ValueError(f"parallel must be 'ddp' or 'fsdp', got {self.parallel!r}")

    @property
    def first(self) -> bool:
        """True in the process that logs and writes files."""
        return self.rank == 0

    def add(self, *numbers: float) -> list[float]:
        """Return the sum of each number over all processes."""
        if self.size == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(sums)
        return sums.tolist()

    def wait(self) -> None:
        """Return once all processes are here."""
        self.add(0)


ALONE = Workers()


class WorkerLostError(RuntimeError):
    """Another process of the run has ended or cannot be reached."""


@contextmanager
def start_workers(parallel: Literal["ddp", "fsdp"] = "ddp") -> Iterator[Workers]:
    """Meet the other processes that `torchrun` started; without it there is only this one.

    Processors talk through gloo, GPUs through NCCL.

    Raises:
        WorkerLostError: If another process ends while this one waits for it.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Workers(parallel=parallel)
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=timedelta(hours=1))
    try:
        yield Workers(dist.get_rank(), size, parallel)
    except RuntimeError as error:
        if "onnection" in str(error) or isinstance(error, dist.DistError):
            raise WorkerLostError(
                f"process {dist.get_rank()} of {size} lost another one: the run has stopped, "
                "the last checkpoint is intact, and the same command goes on from there"
            ) from error
        raise
    finally:
        dist.destroy_process_group()


def distribute(model: nn.Module, workers: Workers) -> nn.Module:
    """Make a model that learns with its copies in the other processes, as `workers.parallel` says.

    With "fsdp" each element of a `ModuleList`, such as a block, is gathered only while it computes
    (FSDP2 of torch). The parameters are new ones: make the optimisers afterwards.
    """
    if workers.size == 1:
        return model
    if workers.parallel == "ddp":
        return DistributedDataParallel(model)
    from torch.distributed.fsdp import fully_shard  # slow to import, and needed here alone

    # Losses change no logits in place, so that a view is as good as a copy.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view", UserWarning)
    mesh = init_device_mesh(next(model.parameters()).device.type, (workers.size,))
    for module in list(model.modules()):
        if isinstance(module, nn.ModuleList):
            for unit in module:
                fully_shard(unit, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def undistributed(model: nn.Module) -> nn.Module:
    """Return the model inside the wrapper of "ddp"; any other as it is."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def shard(batch: Batch, workers: Workers) -> Batch:
    """Return the rows of a batch that this process works on: every `size`-th, from `rank` on.

    Args:
        batch: One of the dataclasses of `ptft.text.batches`: tensors with a row per text, and with
            `selected` (B, T) its `targets` (N,).
        workers: The processes.

    Raises:
        TypeError: If the batch is no dataclass.
        ValueError: If there are fewer rows than processes.
    """
    if workers.size == 1:
        return batch
    if not dataclasses.is_dataclass(batch) or isinstance(batch, type):
        raise TypeError(f"only batches that are dataclasses can be shared, got {type(batch)}")
    tensors = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    B = len(tensors["ids"])
    if workers.size > B:
        raise ValueError(f"a batch of {B} rows cannot be shared by {workers.size} processes")
    if "selected" in tensors:  # targets stand in the order of the selected places
        ids = tensors["ids"].long()
        tensors["targets"] = ids.masked_scatter(tensors["selected"], tensors["targets"])  # (B, T)
    rows = slice(workers.rank, None, workers.size)
    mine = {name: t[rows] if isinstance(t, Tensor) else t for name, t in tensors.items()}
    if "selected" in mine:
        mine["targets"] = mine["targets"][mine["selected"]]  # (N,)
    return dataclasses.replace(batch, **mine)


def gathered(tensor: Tensor) -> Tensor:
    """Return the whole of a tensor of which each process holds a part; all must call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def split_like(tensor: Tensor, pattern: Any) -> Tensor:
    """Keep of a whole tensor what this process holds of `pattern`; no process sends anything."""
    if not isinstance(pattern, DTensor):
        return tensor
    mesh = pattern.device_mesh
    tensor = tensor.to(mesh.device_type)
    return distribute_tensor(tensor, mesh, pattern.placements, src_data_rank=None)
