import bz2

import numpy as np
import pytest

from ptft.core import DataError
from ptft.data import bundled


def test_lee():
    news = bundled.load_lee()
    assert 290 <= len(news.background) <= 310
    assert 45 <= len(news.documents) <= 55
    assert min(len(text.split()) for text in news.background) > 20
    assert all(len(digest) == 64 for digest in news.sha256)


@pytest.mark.parametrize(
    ("name", "size", "pair"),
    [("wordsim353", 353, ("tiger", "cat", 7.35)), ("simlex999", 999, ("old", "new", 1.58))],
)
def test_word_similarity(name, size, pair):
    data = bundled.load_word_similarity(name)
    assert len(data.pairs) == size
    assert pair in data.pairs
    assert all(0 <= score <= 10 for _, _, score in data.pairs)


def test_unknown_word_similarity():
    with pytest.raises(ValueError, match="one of wordsim353, simlex999, got 'men'"):
        bundled.load_word_similarity("men")


def test_analogies():
    sections = bundled.load_analogies().sections
    assert len(sections) == 14
    assert ("Athens", "Greece", "Baghdad", "Iraq") in sections["capital-common-countries"]


def test_polarity_is_split_and_deterministic():
    task = bundled.load_polarity()
    parts = (task.train, task.validation, task.test)
    assert [len(part) for part in parts] == [120, 40, 40]
    assert all(0.3 < np.mean(part.labels) < 0.7 for part in parts)
    assert task == bundled.load_polarity(seed=0)
    assert task != bundled.load_polarity(seed=1)
    assert not any(text.startswith("__label__") for part in parts for text in part.texts)


@pytest.fixture(scope="module")
def encyclopedia():
    return bundled.load_encyclopedia()


def test_encyclopedia_has_articles_and_no_redirects(encyclopedia):
    assert 100 <= len(encyclopedia.articles) <= 110
    assert "AccessibleComputing" not in encyclopedia.articles  # a redirect
    assert encyclopedia.articles["Anarchism"][0].startswith("Anarchism is a political philosophy")
    assert 20_000 < len(encyclopedia.sentences) < 30_000
    assert len(encyclopedia.sha256) == 64


def test_encyclopedia_has_prose_without_markup(encyclopedia):
    sentences = encyclopedia.sentences
    assert not any("''" in sentence or "[[" in sentence for sentence in sentences)
    assert sum(sentence.startswith(("=", "*", "#", " ")) for sentence in sentences) < 10
    assert sum("|" in sentence or "{" in sentence for sentence in sentences) < 100
    assert min(len(bundled.words(sentence)) for sentence in sentences) >= 3
    assert np.mean([len(sentence.split()) for sentence in sentences]) > 15


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive", "is damaged"),
        (bz2.compress(b"<mediawiki><page>" * 9)[:-9], "is damaged"),
        (bz2.compress(b"no XML"), "is damaged"),
        (bz2.compress(b"<html></html>"), "is damaged"),
        (bz2.compress(b'<m xmlns="http://www.mediawiki.org/xml/export-0.8/"></m>'), "has no art"),
    ],
)
def test_damaged_encyclopedia(tmp_path, monkeypatch, content, message):
    path = tmp_path / "wiki.bz2"
    path.write_bytes(content)
    monkeypatch.setattr(bundled, "_path", lambda name: path)
    with pytest.raises(DataError, match=message):
        bundled.load_encyclopedia()


@pytest.fixture
def fake_gensim(tmp_path, monkeypatch):
    """An importable `gensim` without data; returns the folder where the data belongs."""
    folder = tmp_path / "gensim" / "test" / "test_data"
    folder.mkdir(parents=True)
    (tmp_path / "gensim" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "gensim", raising=False)
    return folder


def test_missing_file(fake_gensim):
    with pytest.raises(DataError, match=r"lee_background\.cor is missing: install gensim"):
        bundled.load_lee()
    with pytest.raises(DataError, match=r"shortened\.bz2 is missing: install gensim"):
        bundled.load_encyclopedia()


@pytest.mark.parametrize(
    ("load", "file", "content", "message"),
    [
        (bundled.load_analogies, "questions-words.txt", "", "is empty"),
        (bundled.load_analogies, "questions-words.txt", ": family\nboy girl brother", "four words"),
        (bundled.load_analogies, "questions-words.txt", "boy girl brother sister", "four words"),
        (bundled.load_polarity, "pang_lee_polarity.cor", "a fine film .", "a label and a text"),
        (
            lambda: bundled.load_word_similarity("wordsim353"),
            "wordsim353.tsv",
            "# Word 1\nlove\tsex\tmuch",
            "word<tab>word<tab>number",
        ),
    ],
)
def test_odd_file(fake_gensim, load, file, content, message):
    (fake_gensim / file).write_text(content)
    with pytest.raises(DataError, match=message):
        load()
