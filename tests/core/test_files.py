import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ptft.core import atomic_write, cache_dir, sha256_bytes, sha256_file


def test_the_cache_is_where_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.setenv("PTFT_CACHE", str(tmp_path / "here"))
    assert cache_dir() == tmp_path / "here"
    assert cache_dir().is_dir()


@pytest.mark.parametrize(("mode", "content"), [("w", "grüße"), ("wb", b"\x00\xff")])
def test_what_is_written_is_there(tmp_path, mode, content):
    path = tmp_path / "new folder" / "file"
    with atomic_write(path, mode) as file:
        file.write(content)
    assert (path.read_text("utf-8") if mode == "w" else path.read_bytes()) == content
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), atomic_write(path, "w") as file:
        file.write("new")
        raise KeyError("in the middle")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), atomic_write(tmp_path / "file") as file:
        file.write(b"half")
    assert list(tmp_path.iterdir()) == []


def test_kill_9_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import os, signal\n"
        "from ptft.core import atomic_write\n"
        f"with atomic_write({str(path)!r}, 'w') as file:\n"
        "    file.write('new' * 100_000); file.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert path.read_text() == "old"


def test_other_modes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'wb' or 'w', got 'a'"), atomic_write(tmp_path / "x", "a"):
        pass


def test_hashes_agree(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert sha256_file(path) == sha256_bytes(b"abc")
    assert sha256_bytes(b"abc").startswith("ba7816bf")


def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path):
    ordinary, ours = tmp_path / "a", tmp_path / "b"
    ordinary.write_text("")
    with atomic_write(ours, "w") as file:
        file.write("")
    assert ours.stat().st_mode == ordinary.stat().st_mode
