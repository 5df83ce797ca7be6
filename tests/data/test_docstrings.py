import errno
import gzip
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ptft.core import DataError
from ptft.data import dedup, harvest
from ptft.data.docstrings import DEFAULT_LIBRARIES, SPLITS, Corpus, load_docstrings, split_of

MODULE = '''"""Module number {i} of a package that is made for a test."""


class Thing:
    """A thing that is to be found in module {name}.

    This sentence is the same in every module.
    """

    def act(self):
        """Do what the thing of {name} is there to do."""
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of 40 modules on the path, and an empty cache; returns its name."""
    root = tmp_path / "site" / "madeup"
    (root / "tests").mkdir(parents=True)
    (root / "__init__.py").write_text('raise RuntimeError("imported")\n')
    (root / "tests" / "test_it.py").write_text('"""Nobody is to read the text of a test."""\n')
    (root / "modular_it.py").write_text('"""Nobody is to read the text of this one."""\n')
    (root / "broken.py").write_text('"""Nobody can parse the rest of this."""\ndef (\n')
    text = "It is a very long text. " * 10
    (root / "added.py").write_text(
        f'import f\nadd_docstr(f, """Return what was added.\n\n{text}""")\n'
    )
    for i in range(40):
        name = "".join(chr(ord("a") + int(digit)) for digit in f"{i:02d}")
        (root / f"m{i:02d}.py").write_text(MODULE.format(i=i, name=name))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PTFT_CACHE", str(tmp_path / "cache"))
    return "madeup"


def cache_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache").iterdir()
    return path


def test_harvests_without_importing(package):
    corpus = load_docstrings((package,), workers=1)
    names = {(document.module, document.name) for document in corpus.documents}
    assert ("madeup.m00", "Thing") in names
    assert ("madeup.m00", "Thing.act") in names
    assert ("madeup.added", "") in names
    assert not {"madeup.broken", "madeup.modular_it", "madeup.tests.test_it"} & {
        m for m, _ in names
    }
    assert package not in sys.modules


def test_same_corpus_with_any_number_of_workers(package, tmp_path, monkeypatch):
    monkeypatch.setattr(harvest, "_FILES_PER_PART", 7)
    one = load_docstrings((package,), workers=1)
    cache_file(tmp_path).unlink()
    three = load_docstrings((package,), workers=3)
    assert three.documents == one.documents
    assert three.sha256 == one.sha256


def test_second_load_reads_the_cache(package, monkeypatch):
    first = load_docstrings((package,))
    monkeypatch.setattr(harvest, "harvest", None)
    assert load_docstrings((package,)) == first


def test_changed_library_is_harvested_again(package, tmp_path):
    first = load_docstrings((package,))
    (tmp_path / "site" / "madeup" / "m00.py").write_text('"""The text of this module is new."""\n')
    second = load_docstrings((package,))
    assert second.sha256 != first.sha256
    assert any("The text of this module is new." in d.sentences for d in second.documents)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def tamper(path: Path) -> None:
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content.replace(b"there to do", b"there to be", 1)))


def not_gzip(path: Path) -> None:
    path.write_bytes(b"no such thing")


def no_header(path: Path) -> None:
    path.write_bytes(gzip.compress(b"7\n"))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, tamper, not_gzip, no_header, empty])
def test_damaged_cache_is_made_again(package, tmp_path, damage):
    first = load_docstrings((package,))
    path = cache_file(tmp_path)
    content = path.read_bytes()
    damage(path)
    second = load_docstrings((package,))
    assert (second.documents, second.sha256) == (first.documents, first.sha256)
    assert (
        gzip.decompress(path.read_bytes()).partition(b"\n")[2]
        == (gzip.decompress(content).partition(b"\n")[2])
    )


def test_failure_in_the_middle_leaves_no_file(package, tmp_path, monkeypatch):
    def fails(sentence):
        raise KeyboardInterrupt

    monkeypatch.setattr(dedup, "normalised", fails)
    with pytest.raises(KeyboardInterrupt):
        load_docstrings((package,))
    assert not list((tmp_path / "cache").iterdir())


def test_killed_harvest_leaves_no_file(package, tmp_path):
    env = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    code = "from ptft.data.docstrings import load_docstrings; load_docstrings(('madeup', 'sympy'))"
    process = subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.DEVNULL)
    while not (tmp_path / "cache").exists() and process.poll() is None:
        time.sleep(0.01)  # the cache folder is made right before the harvest
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list((tmp_path / "cache").iterdir())
    assert load_docstrings((package,)).documents


def test_full_disk_leaves_no_file(package, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        load_docstrings((package,))
    assert not list((tmp_path / "cache").iterdir())


def test_failing_worker_is_an_error(package, monkeypatch, capfd):
    monkeypatch.setattr(
        harvest, "library_files", lambda library: [harvest.SourceFile("a", "a", "/")]
    )
    with pytest.raises(subprocess.CalledProcessError):
        load_docstrings((package,))
    assert "IsADirectoryError" in capfd.readouterr().err


def test_bad_arguments(package, tmp_path):
    with pytest.raises(ValueError, match="'nowhere' is not installed"):
        load_docstrings((package, "nowhere"))
    with pytest.raises(ValueError, match=r"'a\.b' is not installed"):
        load_docstrings(("a.b",))
    with pytest.raises(TypeError, match="the string 'numpy'"):
        load_docstrings("numpy")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        load_docstrings((package,), workers=0)
    for module in (tmp_path / "site" / "madeup").rglob("*.py"):
        module.write_text("")
    with pytest.raises(DataError, match="no prose in the docstrings of madeup"):
        load_docstrings((package,))


def test_single_file_library():
    (file,) = harvest.library_files("threadpoolctl")
    assert file.module == "threadpoolctl"


def test_splits_are_eighty_ten_ten_and_fixed():
    splits = [split_of(f"library.module{i}") for i in range(10_000)]
    assert [splits.count(split) / 10_000 for split in SPLITS] == pytest.approx(
        [0.8, 0.1, 0.1], abs=0.02
    )
    assert [split_of(name) for name in ("numpy.lib", "torch.nn", "sympy")] == [
        split_of(name) for name in ("numpy.lib", "torch.nn", "sympy")
    ]


def test_shingles_mask_names():
    one, other = "the output of the BertModel is a", "the output of the GPT2Model is a"
    assert list(dedup.shingles(one)) == list(dedup.shingles(other))
    assert len(list(dedup.shingles("a b c d e f g h i j"))) == 3


def test_near_duplicates_share_half_of_their_shingles():
    train = ["the quick fox jumps over the lazy dog and runs away from the farm at night"]
    near = "the quick fox jumps over the lazy dog and runs away from us"
    far = "the quick fox sleeps all day long and runs away from the farm at night"
    assert dedup.near_duplicates(train, [near, far]) == {near}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """The default corpus, from the reader's cache if it is there."""
    return load_docstrings()


def test_default_corpus_is_large_and_clean(corpus):
    rows = {row["part"]: row for row in corpus.report()}
    assert set(rows) == {*DEFAULT_LIBRARIES, *SPLITS, "total"}
    total = rows["total"]
    assert 1_000_000 < total["words"] < 4_000_000
    assert 15_000 < total["vocabulary"] < 60_000
    assert sum(rows[library]["documents"] for library in DEFAULT_LIBRARIES) == total["documents"]
    assert min(rows[library]["sentences"] for library in DEFAULT_LIBRARIES) > 1_000
    assert 0.7 < rows["train"]["words"] / total["words"] < 0.9
    text = corpus.documents[0].text
    assert text.splitlines()[0].startswith(corpus.documents[0].sentences[0])
    marked = [
        document for document in corpus.documents if re.search(r"[`\\]|>>>|::", document.text)
    ]
    assert len(marked) < 0.005 * len(corpus.documents)  # authors forget a backtick here and there


def test_nothing_held_out_is_in_training(corpus):
    modules = {split: {document.module for document in corpus.split(split)} for split in SPLITS}
    sentences = {
        split: {dedup.normalised(s) for d in corpus.split(split) for s in d.sentences}
        for split in SPLITS
    }
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not modules[one] & modules[other]
        assert not sentences[one] & sentences[other]
    every = [dedup.normalised(s) for document in corpus.documents for s in document.sentences]
    assert len(every) == len(set(every))
    assert corpus.near_duplicates > 0
    with pytest.raises(ValueError, match="one of train, validation, test, got 'dev'"):
        corpus.split("dev")
