import pytest

from ptft.data import word_corpus as module
from ptft.data.bundled import Encyclopedia, News
from ptft.data.docstrings import load_docstrings
from ptft.data.word_corpus import word_corpus


@pytest.fixture
def small_sources(monkeypatch):
    news = News(("Rain fell. Really? It did in Sydney.",), ("Two words.",), ("", ""))
    encyclopedia = Encyclopedia({"A": ("A is a letter.",), "B": ("So is B!",)}, "")
    monkeypatch.setattr(module, "load_lee", lambda: news)
    monkeypatch.setattr(module, "load_encyclopedia", lambda: encyclopedia)
    monkeypatch.setattr(module, "load_docstrings", lambda: load_docstrings(("tqdm",), workers=1))


def test_bundled_is_news_then_encyclopedia_without_single_words(small_sources):
    assert word_corpus("bundled") == [
        ["rain", "fell"],
        ["it", "did", "in", "sydney"],
        ["two", "words"],
        ["a", "is", "a", "letter"],
        ["so", "is", "b"],
    ]


def test_all_is_docstrings_then_bundled(small_sources):
    docstrings, bundled = word_corpus("docstrings"), word_corpus("bundled")
    assert word_corpus("all") == docstrings + bundled
    assert len(docstrings) > 20
    assert min(map(len, docstrings)) >= 2


def test_unknown_name():
    with pytest.raises(ValueError, match="one of docstrings, bundled, all, got 'lee'"):
        word_corpus("lee")
