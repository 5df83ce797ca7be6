import gettext
import importlib.util
import re
import struct
from datetime import date

import pytest
from babel.dates import format_date

from ptft.core import DataError
from ptft.data.parallel import date_lists, load_messages, read_catalogue


def write_catalogue(path, messages):
    """Write a `.mo` file: the header has one entry more than the messages."""
    header = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"
    entries = sorted((k.encode(), v.encode()) for k, v in {"": header, **messages}.items())
    n = len(entries)
    offset, tables, texts = 28 + 16 * n, ([], []), b""
    for column in (0, 1):
        for entry in entries:
            tables[column].append(struct.pack("<2I", len(entry[column]), offset + len(texts)))
            texts += entry[column] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, n, 28, 28 + 8 * n, 0, 0)
    path.write_bytes(head + b"".join(tables[0] + tables[1]) + texts)
    return path


@pytest.fixture(scope="module")
def chinese():
    return load_messages("zh_CN")


@pytest.mark.parametrize("language", ["zh_CN", "fr_FR"])
def test_there_are_thousands_of_messages_in_three_parts(language):
    messages = load_messages(language)
    n = [len(part) for part in (messages.train, messages.validation, messages.test)]
    assert sum(n) > 2500
    assert 0.75 < n[0] / sum(n) < 0.85
    assert min(n[1:]) > 200
    assert messages.raw == sum(n) + messages.near_duplicates + messages.too_long
    assert re.fullmatch("[0-9a-f]{64}", messages.sha256)
    assert len(messages.rewordings) > 10
    assert all(one != other for one, other in messages.rewordings)


def test_no_message_of_training_is_in_test_in_another_guise(chinese):
    def letters(part):
        return {" ".join(re.findall("[a-z]+", re.sub(r"%\w", "", s.lower()))) for s, _ in part}

    train, validation, test = map(letters, (chinese.train, chinese.validation, chinese.test))
    assert not train & test
    assert not train & validation
    assert not validation & test
    assert chinese.near_duplicates > 50


def test_messages_are_clean(chinese):
    pairs = chinese.train + chinese.validation + chinese.test
    assert len({s for s, _ in pairs}) == len(pairs)
    for source, target in pairs:
        assert source != target
        assert source == " ".join(source.split())
        assert len(source.split()) <= 16
        assert len(target) <= 100
    share = sum(bool(re.search("[\u4e00-\u9fff]", t)) for _, t in pairs) / len(pairs)
    assert share > 0.97


def test_the_split_depends_on_the_seed_and_not_on_the_other_messages(chinese):
    assert load_messages("zh_CN").test == chinese.test
    assert load_messages("zh_CN", seed=1).test != chinese.test
    fewer = load_messages("zh_CN", max_words=5)
    assert set(fewer.test) <= set(chinese.test)


def test_a_catalogue_loses_contexts_plurals_and_shortcuts(tmp_path):
    path = write_catalogue(
        tmp_path / "a.mo",
        {
            "menu\x04&Open": "&打开",
            "%d cell\0%d cells": "%d 个单元格\0%d 个单元格",
            "two\n  lines": "两\n行",
            "R & D": "研发",
            "JSON": "JSON",
            "untranslated": "",
        },
    )
    assert sorted(read_catalogue(path)) == [
        ("%d cell", "%d 个单元格"),
        ("Open", "打开"),
        ("R & D", "研发"),
        ("two lines", "两 行"),
    ]
    with path.open("rb") as file:
        assert gettext.GNUTranslations(file).ngettext("%d cell", "%d cells", 2) == "%d 个单元格"


@pytest.mark.parametrize("content", [b"", b"not a catalogue at all", b"\xde\x12\x04\x95\0\0"])
def test_a_damaged_catalogue_is_named(tmp_path, content):
    path = tmp_path / "damaged.mo"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged\.mo is not a message catalogue"):
        read_catalogue(path)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install jupyterlab-language-pack-zh-CN"):
        load_messages("zh_CN")


def test_a_package_without_catalogues_is_named(monkeypatch, tmp_path):
    spec = importlib.util.find_spec("sphinx")
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(DataError, match="no catalogue"):
        load_messages("zh_CN")


@pytest.mark.parametrize("bound", ["max_words", "max_characters"])
def test_bad_arguments_of_messages(bound):
    with pytest.raises(ValueError, match="language must be one of zh_CN, fr_FR, got 'de'"):
        load_messages("de")
    with pytest.raises(ValueError, match="at least 1"):
        load_messages("zh_CN", **{bound: 0})


def test_dates_are_those_of_babel():
    spellings = ("MMM d, y", "MMMM d, y", "d MMMM y", "y-MM-dd")
    found = set()
    for source, target in date_lists(300, seed=0):
        days = target.split("、")
        assert 1 <= len(days) <= 4
        for english, chinese in zip(source.split("; "), days, strict=True):
            day = date(*map(int, re.findall(r"\d+", chinese)))
            assert chinese == format_date(day, "long", locale="zh")
            forms = [format_date(day, form, locale="en") for form in spellings]
            assert english in forms
            found.add((forms.index(english), day.month))
    assert len(found) == 47  # four spellings of twelve months; May is short already


def test_date_lists_follow_seed_and_length():
    assert date_lists(5, 0) == date_lists(9, 0)[:5] != date_lists(5, 1)
    assert all(t.count("、") == 2 for _, t in date_lists(20, 0, 3, 3))


@pytest.mark.parametrize("n, shortest, longest", [(0, 1, 1), (1, 0, 1), (1, 3, 2)])
def test_bad_arguments_of_dates(n, shortest, longest):
    with pytest.raises(ValueError, match="expected n >= 1 and 1 <= shortest <= longest"):
        date_lists(n, 0, shortest, longest)
