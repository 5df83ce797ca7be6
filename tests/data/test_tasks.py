from collections import Counter

import pytest

from ptft.data.dedup import normalised
from ptft.data.docstrings import Corpus, Document, load_docstrings
from ptft.data.prose import Block
from ptft.data.tasks import TASKS, Examples, few_labels, load_task


@pytest.fixture(scope="module")
def tasks():
    corpus = load_docstrings()
    return {name: load_task(name, corpus) for name in TASKS}


def documents_with(*blocks: Block, library: str = "numpy") -> Corpus:
    documents = tuple(
        Document(library, f"{library}.{split}", "f", split, blocks if split == "train" else ())
        for split in ("train", "validation", "test")
    )
    return Corpus(documents, "", 0, 0.0)


@pytest.mark.parametrize("name", TASKS)
def test_size_balance_and_length(tasks, name):
    task = tasks[name]
    assert 10_000 < len(task.train) <= 20_000
    assert 1_000 < len(task.validation) <= 2_000
    assert 1_000 < len(task.test) <= 2_000
    for examples in (task.train, task.validation, task.test):
        counts = Counter(examples.labels)
        assert set(counts) == set(range(len(task.classes)))
        assert max(counts.values()) <= 0.25 * len(examples)
        assert all(5 <= len(text.split()) <= 40 for text in examples.texts)


@pytest.mark.parametrize("name", TASKS)
def test_no_text_twice(tasks, name):
    task = tasks[name]
    texts = [normalised(t) for part in (task.train, task.validation, task.test) for t in part.texts]
    assert len(texts) == len(set(texts))


def test_library_names_are_masked(tasks):
    task = tasks["library"]
    for library in task.classes:
        assert not any(library in text.lower() for text in (*task.train.texts, *task.test.texts))


def test_parameter_type_shows_neither_name_nor_type():
    block = Block("parameters", "size", "int, optional", ("An integer size, or a list of ints.",))
    task = load_task("parameter_type", documents_with(block))
    assert task.train.texts == ("An value it, or a value of values.",)
    assert task.classes[task.train.labels[0]] == "integer"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("int or None, default: 0", "integer"),
        ("float, optional, defaults to 0.1", "float"),
        ("torch.LongTensor of shape (batch_size, sequence_length)", "array"),
        ("{array-like, sparse matrix} of shape (n_samples, n_features)", "array"),
        ("array_like", "array"),
        ("list[int]", "sequence"),
        ("callable", "function"),
        ("str", "string"),
        ("bool, optional (default=False)", "boolean"),
        ("int or str", None),
        ("list or callable", None),
        ("dict", None),
    ],
)
def test_what_counts_as_a_type(written, name):
    block = Block("parameters", "x", written, ("This is what is given to it.",))
    task = load_task("parameter_type", documents_with(block))
    assert [task.classes[label] for label in task.train.labels] == ([name] if name else [])


def test_unknown_task():
    with pytest.raises(ValueError, match="choose one of library, parameter_type, section"):
        load_task("sentiment")


def test_few_labels_are_nested_and_have_every_class(tasks):
    train = tasks["library"].train
    small, large = few_labels(train, 16, seed=3), few_labels(train, 32, seed=3)
    assert large.texts[:16] == small.texts
    assert set(few_labels(train, 10, seed=3).labels) == set(range(10))
    assert few_labels(train, 16, seed=4) != small
    assert Counter(few_labels(train, len(train), seed=0).texts) == Counter(train.texts)
    label_of = dict(zip(train.texts, train.labels, strict=True))
    assert all(label_of[t] == y for t, y in zip(large.texts, large.labels, strict=True))


@pytest.mark.parametrize("n", [0, -1, 4])
def test_few_labels_out_of_range(n):
    with pytest.raises(ValueError, match=f"from 1 to 3, got {n}"):
        few_labels(Examples(("a", "b", "c"), (0, 1, 0)), n, seed=0)


def test_texts_and_labels_must_match():
    with pytest.raises(ValueError, match="2 texts but 1 labels"):
        Examples(("a", "b"), (0,))
