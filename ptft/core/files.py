"""Where files live and how they are written: completely, or not at all."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


class DataError(RuntimeError):
    """Data or a checkpoint is missing, truncated or not what its record says."""


def cache_dir() -> Path:
    """Return the folder for everything that can be made again.

    It is `$PTFT_CACHE` if set, else `~/.cache/ptft`. The folder is created.
    """
    path = Path(os.environ.get("PTFT_CACHE") or Path.home() / ".cache" / "ptft").expanduser()
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def atomic_write(path: str | Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file for writing that appears at `path` only once it is complete.

    The data goes to a temporary file in the same folder, is flushed to the disk and then renamed,
    which POSIX makes atomic. After an exception, a full disk or `kill -9`, `path` is what it was.

    Args:
        path: The final file.
        mode: `"wb"` or `"w"` (UTF-8).

    Raises:
        ValueError: If `mode` is neither.
        OSError: If the disk is full or the folder is not writable; no half file is left.
    """
    if mode not in ("wb", "w"):
        raise ValueError(f"mode must be 'wb' or 'w', got {mode!r}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, mode, encoding="utf-8" if mode == "w" else None) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; give the result the permissions that open() would have given.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
