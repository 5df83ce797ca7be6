"""The classifier learns words and bigrams, is the mean that it says, and refuses bad input."""

import math

import pytest
import torch

from ptft.embeddings.bag_classifier import (
    BagClassifier,
    BagClassifierConfig,
    bag_batch,
    bag_loss,
    bags,
    train_bag_classifier,
)
from ptft.text.word_vectors import WordVectors
from ptft.text.words import Vocabulary

GOOD, BAD = ["good", "but", "not", "bad"], ["bad", "but", "not", "good"]  # one bag of words
TEXTS, LABELS = [GOOD, BAD] * 20, [0, 1] * 20
VOCABULARY = Vocabulary.build(TEXTS)
CONFIG = BagClassifierConfig(buckets=1000, epochs=20)


def test_bigrams_tell_apart_what_words_cannot() -> None:
    model, history = train_bag_classifier(TEXTS, LABELS, VOCABULARY, 2, CONFIG)
    assert model.predict([GOOD, BAD]).tolist() == [0, 1]
    assert history.frame("train")["loss"].iloc[-1] < 0.2
    without = BagClassifierConfig(buckets=0, epochs=20)
    words_only, _ = train_bag_classifier(TEXTS, LABELS, VOCABULARY, 2, without)
    torch.testing.assert_close(scores(words_only, GOOD), scores(words_only, BAD))


def scores(model: BagClassifier, text: list[str]) -> torch.Tensor:
    rows = torch.tensor(model.rows_of(text))
    return model(rows, torch.tensor([0]))


def test_scores_are_those_of_the_mean_vector() -> None:
    torch.manual_seed(0)
    model = BagClassifier(VOCABULARY, 3, CONFIG)
    torch.nn.init.normal_(model.output.weight)
    rows = model.rows_of(GOOD)
    a, b = VOCABULARY.encode(GOOD)[:2]
    assert len(rows) == 4 + 3
    assert rows[4] == len(VOCABULARY) + (a * 116_049_371 + b) % 1000
    expected = model.output.weight @ model.table.weight[rows].mean(dim=0)
    torch.testing.assert_close(scores(model, GOOD)[0], expected)


def test_the_loss_is_a_sum_and_starts_at_the_uniform_guess() -> None:
    model = BagClassifier(VOCABULARY, 3, CONFIG)
    loss, count = bag_loss(model, bag_batch(bags(model, [GOOD, BAD, []]), [0, 1, 2]))
    assert count == 3
    assert loss.item() == pytest.approx(3 * math.log(3))
    assert model.predict([["unknown"], []]).tolist() == [0, 0]


def test_pretrained_vectors_are_the_start() -> None:
    vectors = WordVectors(["good", "elsewhere"], torch.ones(2, 10))
    still = BagClassifierConfig(buckets=0, lr=1e-9)
    model, _ = train_bag_classifier(TEXTS, LABELS, VOCABULARY, 2, still, vectors)
    torch.testing.assert_close(model.table.weight[VOCABULARY.ids["good"]], torch.ones(10))
    assert model.table.weight[VOCABULARY.ids["bad"]].abs().max() <= 0.1
    long = WordVectors(["good"], torch.ones(1, 11))
    with pytest.raises(ValueError, match="d_model = 10, got 11"):
        train_bag_classifier(TEXTS, LABELS, VOCABULARY, 2, still, long)


def test_the_same_seed_gives_the_same_model() -> None:
    first, second = (train_bag_classifier(TEXTS, LABELS, VOCABULARY, 2, CONFIG)[0] for _ in "ab")
    assert torch.equal(first.table.weight, second.table.weight)


def test_bad_input_is_refused() -> None:
    def fit(texts: object, labels: list[int], n_classes: int = 2) -> None:
        train_bag_classifier(texts, labels, VOCABULARY, n_classes, CONFIG)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="a sentence must be a list of words"):
        fit(["good but not bad"], [0])
    with pytest.raises(TypeError, match="texts must be lists of words, got a string"):
        fit("good", [0, 1, 0, 1])
    with pytest.raises(ValueError, match="got 2 texts, but 1 labels"):
        fit([GOOD, BAD], [0])
    with pytest.raises(ValueError, match="got none"):
        fit([], [])
    with pytest.raises(ValueError, match=r"labels must be in \[0, 2\), got 0 to 2"):
        fit([GOOD, BAD], [0, 2])
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        fit([GOOD], [0], 1)
    for setting, message in (
        ({"buckets": -1}, "must not be negative"),
        ({"lr": 0.0}, "lr must be positive"),
        ({"epochs": 0}, "epochs must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            BagClassifierConfig(**setting)  # type: ignore[arg-type]
