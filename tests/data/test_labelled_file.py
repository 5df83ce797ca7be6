import json

import pytest

from ptft.core import DataError
from ptft.data.labelled_file import Row, read_rows, split_rows

ROWS = [
    Row(i + 2, f"{'good' if i % 3 else 'bad'} text {i}", "yes" if i % 3 else "no")
    for i in range(60)
]


def write(folder, content, name="data.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,label\n"one, two",yes\n"line\nbreak",no\n\nthree,yes\n'),
        ("a.csv", '\ufefftext,label\r\n"one, two",yes\r\n"line\nbreak",no\r\nthree,yes'),
        ("a.csv", 'id;label;text\n1;yes;"one, two"\n2;no;"line\nbreak"\n3;yes;three\n'),
        ("a.tsv", 'label\ttext\nyes\tone, two\nno\t"line\nbreak"\nyes\tthree\n'),
        (
            "a.jsonl",
            "\n".join(
                json.dumps({"text": t, "label": y})
                for t, y in [("one, two", "yes"), ("line\nbreak", "no"), ("three", "yes")]
            ),
        ),
    ],
)
def test_the_same_rows_from_every_format(tmp_path, name, content):
    rows = read_rows(write(tmp_path, content, name))
    assert [(row.text, row.label) for row in rows] == [
        ("one, two", "yes"), ("line\nbreak", "no"), ("three", "yes"),
    ]  # fmt: skip


def test_lines_are_those_of_the_file(tmp_path):
    path = write(tmp_path, 'text,label\n"a\nb\nc",x\nd,y\n\ne,z\n')
    assert [row.line for row in read_rows(path)] == [2, 5, 7]
    path = write(tmp_path, '{"text": "a", "label": 1}\n\n{"text": "b", "label": true}\n', "a.jsonl")
    assert read_rows(path) == [Row(1, "a", "1"), Row(3, "b", "True")]


def test_a_long_document_and_other_columns(tmp_path):
    path = write(tmp_path, f"review,stars\n{'long ' * 60_000},5\n")
    (row,) = read_rows(path, "review", "stars")
    assert len(row.text) == 299_999 and row.label == "5"
    assert read_rows(path, "review", None)[0].label == ""
    latin = write(tmp_path, "text,label\ncafé,x\n", encoding="cp1252")
    assert read_rows(latin, encoding="cp1252")[0].text == "café"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("text,label\n", "has no rows"),
        ("text,class\na,b\n", r"line 2: there is no column 'label'; the columns are 'text', 'cl"),
        ("text,label\na,\nb,x\nd,y\nc,\n", r"2 row\(s\) have no 'label' \(lines 2, 5\)"),
        ("text,label\na,x\n  ,y\n", r"1 row\(s\) have no 'text' \(lines 3\)"),
        ("text,label\na, b,x\n", r"line 2: expected 2 fields, got 3; a text with ','"),
        ('text,label\na,x\n"b,x\n', "line 3: unexpected end of data"),
        (b"text,label\ncaf\xe9,x\n", r"is not utf-8: byte 14 is 0xe9; give the encoding"),
    ],
)  # fmt: skip
def test_a_csv_file_with_something_wrong(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_rows(write(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n', "line 1: there is no column 'label'"),
        ('{"text": "a", "label": null}\n', r"1 row\(s\) have no 'label'"),
        ('{"text": "a", "label"\n', "line 1 is not JSON"),
        ('["a", "b"]\n', "line 1: expected an object"),
    ],
)
def test_json_lines_with_something_wrong(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_rows(write(tmp_path, content, "a.jsonl"))


def test_no_file_and_no_encoding(tmp_path):
    with pytest.raises(DataError, match="is no file"):
        read_rows(tmp_path / "none.csv")
    with pytest.raises(DataError, match="no encoding 'klingon'"):
        read_rows(write(tmp_path, "text,label\na,x\n"), encoding="klingon")


def test_the_split_keeps_the_balance_and_the_seed():
    task, report = split_rows(ROWS, seed=1)
    assert task.classes == ("no", "yes") and report.counts == {"yes": 40, "no": 20}
    assert [len(part) for part in (task.train, task.validation, task.test)] == [48, 6, 6]
    assert [sum(part.labels) for part in (task.train, task.validation, task.test)] == [32, 4, 4]
    assert split_rows(ROWS, seed=1)[0] == task != split_rows(ROWS, seed=2)[0]
    texts = [*task.train.texts, *task.validation.texts, *task.test.texts]
    assert sorted(texts) == sorted(row.text for row in ROWS)


def test_repeats_cannot_straddle_the_split():
    rows = [*ROWS, *(Row(0, row.text.upper() + " ", row.label) for row in ROWS[:10])]
    rows += [Row(0, "torn", "yes"), Row(0, "Torn", "no")]
    task, report = split_rows(rows)
    assert (report.rows, report.repeats, report.contradictions) == (72, 10, 2)
    assert task == split_rows(ROWS)[0]


def test_a_test_file_of_its_own():
    task, _ = split_rows(ROWS[5:], test=ROWS[:8])
    assert sorted(task.test.texts) == sorted(row.text for row in ROWS[:8])
    assert len(task.train) + len(task.validation) == 52  # what is in both is tested, not learned
    with pytest.raises(DataError, match=r"labels that the training file lacks: \['maybe'\]"):
        split_rows(ROWS, test=[Row(2, "new", "maybe")])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[1:3], r"two classes or more, got 1: \['yes'\]"),
        ([], "got 0"),
        ([*ROWS, Row(0, "odd", "rare")], r"3 different texts or more, got \{'rare': 1\}"),
    ],
)
def test_classes_that_cannot_be_learned(rows, message):
    with pytest.raises(DataError, match=message):
        split_rows(rows)
