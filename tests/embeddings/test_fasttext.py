"""fastText learns from spelling, answers for unseen words, and refuses strings."""

import pytest
import torch
from gensim.models.fasttext import FastTextKeyedVectors

from ptft.embeddings.fasttext import FastTextConfig, TrainedSubwords, train_fasttext
from ptft.text.encoded import EncodedCorpus
from ptft.text.words import Vocabulary

SENTENCES = [
    *(["the", verb, "dog", "runs", "fast"] for verb in ("barking", "biting", "sleeping")),
    *(["the", noun, "costs", "two", "euros"] for noun in ("apples", "lemons", "melons")),
] * 20


@pytest.fixture(scope="module")
def trained() -> TrainedSubwords:
    vocabulary = Vocabulary.build(SENTENCES)
    corpus = EncodedCorpus.build(SENTENCES, vocabulary)
    config = FastTextConfig(d_model=16, epochs=20, threshold=1.0, batch_words=64)
    return train_fasttext(corpus, vocabulary, config)


def test_the_loss_falls(trained: TrainedSubwords) -> None:
    losses = trained.history.frame("train")["loss"]
    start = 6 * torch.tensor(2.0).log()  # six decisions, each uncertain
    assert losses.iloc[-1] < 0.8 * start


def test_unseen_words_join_their_ending(trained: TrainedSubwords) -> None:
    assert trained.neighbours("jumping", 1)[0][0] in ("barking", "biting", "sleeping")
    assert trained.neighbours("watermelons", 1)[0][0] == "melons"


def test_a_known_word_has_the_vector_of_its_row(trained: TrainedSubwords) -> None:
    torch.testing.assert_close(trained.vector("dog"), trained.vectors["dog"])
    assert trained.neighbours("dog", 3) == trained.vectors.neighbours("dog", 3)


def test_a_word_without_a_known_ngram_is_refused(trained: TrainedSubwords) -> None:
    with pytest.raises(KeyError, match="no vector for ''"):
        trained.vector("")
    with pytest.raises(ValueError, match="n must be at least 1"):
        trained.neighbours("jumping", 0)


def test_gensim_with_our_rows_gives_our_vectors(trained: TrainedSubwords) -> None:
    words = trained.vocabulary.words
    theirs = FastTextKeyedVectors(16, 3, 6, bucket := 500)
    ours = train_like(trained, bucket)
    rows = torch.zeros(len(words) + bucket, 16)
    rows[: len(words)] = ours.table.weight[: len(words)].detach()
    rows[len(words) + ours.table.used] = ours.table.weight[len(words) :].detach()
    theirs.add_vectors(words, torch.zeros(len(words), 16).numpy())
    theirs.init_post_load(rows.numpy())
    torch.testing.assert_close(torch.from_numpy(theirs.vectors), ours.vectors.matrix)
    for word in ("jumping", "watermelons", "größer"):
        torch.testing.assert_close(torch.from_numpy(theirs[word]), ours.vector(word))


def train_like(trained: TrainedSubwords, buckets: int) -> TrainedSubwords:
    corpus = EncodedCorpus.build(SENTENCES, trained.vocabulary)
    config = FastTextConfig(d_model=16, epochs=1, threshold=1.0, buckets=buckets)
    return train_fasttext(corpus, trained.vocabulary, config)


def test_the_same_seed_gives_the_same_vectors(trained: TrainedSubwords) -> None:
    first, second = train_like(trained, 100), train_like(trained, 100)
    assert torch.equal(first.vectors.matrix, second.vectors.matrix)


def test_raw_strings_are_refused() -> None:
    # gensim's FastText takes them, and learns about letters without a word.
    with pytest.raises(TypeError, match="must be a list of words"):
        Vocabulary.build(["the king rules", "the queen rules"])
    vocabulary = Vocabulary.build(SENTENCES)
    with pytest.raises(TypeError, match="must be a list of words"):
        EncodedCorpus.build(["the dog runs"], vocabulary)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"buckets": 0}, "buckets must be at least 1, got 0"),
        ({"min_n": 6, "max_n": 3}, "min_n = 6 and max_n = 3"),
        ({"min_n": 0}, "min_n = 0"),
        ({"epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_bad_settings_are_refused(setting: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FastTextConfig(**setting)  # type: ignore[arg-type]
