"""Everything a run needs to go on, in one safetensors file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from ptft.core import DataError, atomic_write, sha256_bytes
from ptft.training.distributed import ALONE, Workers, gathered, split_like, undistributed


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimisers: Sequence[Optimizer],
    record: dict[str, Any],
    workers: Workers = ALONE,
) -> None:
    """Write weights, optimiser state and a JSON `record` to one file, atomically.

    Hyper-parameters of the optimisers are not stored: code sets them, the schedule scales them.
    The file does not depend on the number of processes. All of them call this, the first writes.
    """
    state_dict = undistributed(model).state_dict()
    tensors = {f"model.{name}": tensor for name, tensor in state_dict.items()}
    for i, optimiser in enumerate(optimisers):
        for j, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"optimiser.{i}.{j}.{name}"] = torch.as_tensor(value)
    tensors = {name: gathered(t.detach()).cpu().contiguous() for name, t in tensors.items()}
    if workers.first:
        metadata = {"record": json.dumps(record), "sha256": _digest(tensors)}
        with atomic_write(path) as file:
            file.write(save(tensors, metadata))
    workers.wait()


def load_checkpoint(
    path: str | Path, model: nn.Module, optimisers: Sequence[Optimizer]
) -> dict[str, Any]:
    """Put a file of `save_checkpoint` back into model and optimisers; return its record.

    Raises:
        DataError: If the file is missing, truncated, edited, or belongs to another model.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"no checkpoint at {path}")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise DataError(f"{path} is truncated or no checkpoint: {error}") from error
    if metadata.get("sha256") != _digest(tensors):
        raise DataError(f"{path} was changed after it was written: its checksum does not match")
    weights = {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
    model = undistributed(model)
    own = model.state_dict()
    if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in own.items()}:
        raise DataError(f"{path} holds another model: names or shapes of its weights differ")
    model.load_state_dict({name: split_like(t, own[name]) for name, t in weights.items()})
    for i, optimiser in enumerate(optimisers):
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"optimiser.{i}."):
                _, _, j, key = name.split(".", 3)
                like = parameters[int(j)] if tensor.ndim else None  # not a count of steps
                state.setdefault(int(j), {})[key] = split_like(tensor, like)
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    return json.loads(metadata["record"])


def _digest(tensors: dict[str, Tensor]) -> str:
    digests = []
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        data = tensor.reshape(-1).view(torch.uint8) if tensor.numel() else tensor
        digests.append(f"{name} {tuple(tensor.shape)} {sha256_bytes(data.numpy().tobytes())}")
    return sha256_bytes("\n".join(digests).encode())
