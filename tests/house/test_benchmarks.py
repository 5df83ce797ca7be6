"""The benchmark measures what it says, and its C file format is read right."""

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contest import quality, ratios, spend
from embeddings import CONTENDERS, RECORD, main, read_counts, read_vocabulary, tables


def test_a_command_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    busy = "x = 0\nfor i in range(3_000_000): x += i\nprint(x)"
    seconds, memory, errors = spend([sys.executable, "-c", busy], tmp_path)
    assert (tmp_path / "out").read_text() == "4499998500000\n"
    assert 0.02 < seconds < 30
    assert 1 < memory < 150  # not that of this process, which has torch in it
    assert errors == ""


def test_memory_is_that_of_the_command(tmp_path: Path) -> None:
    _, small, _ = spend([sys.executable, "-c", "pass"], tmp_path)
    _, large, _ = spend([sys.executable, "-c", "x = b'x' * 200_000_000"], tmp_path)
    assert 150 < large - small < 300


def test_a_failing_command_is_an_error_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such luck"):
        spend([sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path)


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios([1.0, 3.0, 8.0], [2.0, 2.0, 2.0]) == "1.50 [0.50, 4.00]"


def test_every_reference_is_run_too() -> None:
    programs = {"glove.c", "cooccur + shuffle"}
    assert {one.reference for one in CONTENDERS.values()} <= {*CONTENDERS, *programs}


def test_the_file_of_cooccur_is_read(tmp_path: Path) -> None:
    np.array([(1, 3, 2.5), (3, 1, 2.5)], dtype=RECORD).tofile(tmp_path / "counts.bin")
    counts = read_counts(tmp_path / "counts.bin", 3)
    assert counts.toarray().tolist() == [[0, 0, 2.5], [0, 0, 0], [2.5, 0, 0]]
    (tmp_path / "vocab.txt").write_text("the 7\nof 5\n", "utf-8")
    assert read_vocabulary(tmp_path).counts == (7, 5)


def test_tables_compare_with_the_reference() -> None:
    rows = pd.DataFrame(
        {"contender": name, "seconds": s, "process": s + 3, "memory": 9.0, "cost": math.nan}
        | dict.fromkeys(("WordSim-353", "SimLex-999", "semantic", "syntactic", "analogies"), s)
        for name, seconds in (("CBOW, gensim", (2.0, 2.0)), ("CBOW, ptft", (1.0, 3.0)))
        for s in seconds
    )
    cost, scores = tables(rows, words=1000)
    assert cost.loc["CBOW, ptft", "ratio of seconds"] == "1.00 [0.50, 1.50]"
    assert cost.loc["CBOW, gensim", "words/s"] == 2000  # rounded to thousands
    assert scores.loc["CBOW, gensim", "analogies"] == "2 [2, 2], n = 2"


def test_no_vectors_have_no_scores(tmp_path: Path) -> None:
    assert quality(tmp_path / "none.txt") == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["wordvec"], "families are word2vec, fasttext, glove"),
        (["glove"], "--glove-build must be a folder"),
        (["word2vec", "--rounds", "1"], "--rounds must be at least 2"),
    ],
)
def test_bad_arguments_are_refused(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["embeddings.py", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert message in capsys.readouterr().err
