"""Floor 0: files, cache and errors. The torch side (seeds, devices) is in `ptft.core.compute`."""

from ptft.core.files import DataError, atomic_write, cache_dir, sha256_bytes, sha256_file

__all__ = ["DataError", "atomic_write", "cache_dir", "sha256_bytes", "sha256_file"]
