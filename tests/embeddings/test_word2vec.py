import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from ptft.core import DataError
from ptft.core.compute import generator
from ptft.data.exact_windows import pointwise_mutual_information, window_probabilities
from ptft.data.language import exact_language
from ptft.embeddings.huffman import huffman_paths
from ptft.embeddings.windows import WindowBatch, Windows, noise_probabilities
from ptft.embeddings.word2vec import (
    Word2VecConfig,
    WordPredictor,
    full_softmax_loss,
    hierarchical_softmax_loss,
    negative_sampling_loss,
    predictions,
    train_word2vec,
    word_table,
)
from ptft.text.encoded import EncodedCorpus
from ptft.text.words import Vocabulary
from ptft.training.loop import History, NonFiniteLossError

V, D = 13, 6
ARCHITECTURES = ["skip-gram", "cbow"]
WORDS = Vocabulary(tuple(f"w{i:02}" for i in range(V)), tuple(range(3 * V, 0, -3)))
CONFIG = Word2VecConfig(d_model=D, window=2, epochs=2, threshold=0.02, batch_words=64, most=8)


def random_corpus(words=300, size=V, seed=0):
    """Return sentences of 1 to 9 words: one alone has no window."""
    rng = np.random.default_rng(seed)
    tokens = np.minimum(rng.geometric(0.2, words) - 1, size - 1).astype(np.int32)
    numbers = np.repeat(np.arange(words), rng.integers(1, 10, words))[:words]
    return EncodedCorpus(tokens, numbers.astype(np.int32))


CORPUS = random_corpus()


def a_batch(words=40, seed=0):
    return Windows(CORPUS, WORDS, 2, 1.0, words)(0, generator(seed))


def random_model(rows=V, size=V, seed=0):
    torch.manual_seed(seed)
    model = WordPredictor(nn.Embedding(size, D), rows, D)  # dense, so that gradients compare
    model.outputs = nn.Embedding(rows, D)
    return model.double()


def new_model(rows=V):
    return WordPredictor(word_table(V, D), rows, D)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def dot(x, y):
    return sum(a * b for a, b in zip(x, y, strict=True))


def naive_predictions(model, batch, architecture):
    """Yield chunk, ids that the vector is the mean of, that vector, and the word to predict."""
    v = model.inputs.weight.tolist()
    w = (batch.contexts.shape[1] - batch.centres.shape[1]) // 2
    for chunk in range(len(batch.centres)):
        for row, centre in enumerate(batch.centres[chunk].tolist()):
            window = [
                batch.contexts[chunk, column].item()
                for column in range(row, row + 2 * w + 1)
                if batch.inside[chunk, row, column]
            ]
            if architecture == "skip-gram":
                for context in window:
                    yield chunk, [centre], v[centre], context
            elif window:
                mean = [sum(v[word][d] for word in window) / len(window) for d in range(D)]
                yield chunk, window, mean, centre


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_negative_sampling_equals_a_loop_over_pairs_and_so_does_its_gradient(architecture):
    """The slope of a score is sigma(s) - y; chunks share K noise words, each with weight k / K."""
    model, batch, k = random_model(), a_batch(), 3
    u, total, count = model.outputs.weight.tolist(), 0.0, 0
    slopes = [np.zeros((V, D)), np.zeros((V, D))]  # of inputs and outputs
    for chunk, sources, hidden, word in naive_predictions(model, batch, architecture):
        count += 1
        for other, label, weight in [
            (word, 1, 1),
            *((noise, 0, k / batch.noise.shape[1]) for noise in batch.noise[chunk].tolist()),
        ]:
            score = dot(u[other], hidden)
            total -= weight * math.log(sigmoid(score if label else -score))
            slope = weight * (sigmoid(score) - label)
            slopes[1][other] += slope * np.array(hidden)
            for source in sources:
                slopes[0][source] += slope * np.array(u[other]) / len(sources)
    loss, n = negative_sampling_loss(architecture, k)(model, batch)
    loss.backward()
    assert n == count > 30
    assert loss.item() == pytest.approx(total, rel=1e-12)
    for parameter, slope in zip((model.inputs, model.outputs), slopes, strict=True):
        np.testing.assert_allclose(parameter.weight.grad.numpy(), slope, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_full_softmax_equals_a_loop_over_words(architecture):
    model, batch = random_model(), a_batch()
    u, total, count = model.outputs.weight.tolist(), 0.0, 0
    for _, _, hidden, word in naive_predictions(model, batch, architecture):
        count += 1
        norm = sum(math.exp(dot(row, hidden)) for row in u)
        total -= math.log(math.exp(dot(u[word], hidden)) / norm)
    loss, n = full_softmax_loss(architecture)(model, batch)
    assert n == count
    assert loss.item() == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_hierarchical_softmax_equals_a_walk_down_the_tree(architecture):
    model, batch, paths = random_model(V - 1), a_batch(), huffman_paths(WORDS)
    u, total, count = model.outputs.weight.tolist(), 0.0, 0
    for _, _, hidden, word in naive_predictions(model, batch, architecture):
        count += 1
        for node, turn in zip(paths.nodes[word].tolist(), paths.turns[word].tolist(), strict=True):
            if turn:
                total -= math.log(sigmoid(turn * dot(u[node], hidden)))
    loss, n = hierarchical_softmax_loss(architecture, paths)(model, batch)
    assert n == count
    assert loss.item() == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("size", [2, 7, 8])
@pytest.mark.parametrize("objective", ["hierarchical softmax", "full softmax"])
def test_probabilities_of_all_words_sum_to_one(objective, size):
    words = Vocabulary(WORDS.words[:size], WORDS.counts[:size])
    loss, rows = full_softmax_loss("skip-gram"), size
    if objective == "hierarchical softmax":
        loss, rows = hierarchical_softmax_loss("skip-gram", huffman_paths(words)), size - 1
    model, total = random_model(rows, size), 0.0
    for word in range(size):
        centre, inside = torch.tensor([[1]]), torch.tensor([[[True, False, False]]])
        batch = WindowBatch(centre, torch.tensor([[word, 1, 0]]), inside, torch.zeros(1, 1).long())
        total += math.exp(-loss(model, batch)[0].item())
    assert total == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_where_training_starts(architecture):
    batch, paths = a_batch(), huffman_paths(WORDS)
    loss, n = negative_sampling_loss(architecture, 5)(new_model(), batch)
    assert loss.item() / n == pytest.approx(6 * math.log(2), rel=1e-6)
    loss, n = full_softmax_loss(architecture)(new_model(), batch)
    assert loss.item() / n == pytest.approx(math.log(V), rel=1e-6)
    loss, n = hierarchical_softmax_loss(architecture, paths)(new_model(V - 1), batch)
    wanted = predictions(new_model(), batch, architecture)[1]
    words = batch.contexts[:, None].expand_as(wanted)[wanted]
    turns = (paths.turns[words] != 0).sum()
    assert loss.item() == pytest.approx(turns.item() * math.log(2), rel=1e-6)


def test_cbow_predicts_a_centre_from_the_mean_of_its_window():
    model = random_model()
    tokens, sentence = np.array([3, 5, 7, 9, 2]), np.array([0, 0, 0, 1, 2])
    corpus = EncodedCorpus(tokens.astype(np.int32), sentence.astype(np.int32))
    batch = Windows(corpus, WORDS, window=1, threshold=1.0)(0, generator(0))
    hidden, wanted = predictions(model, batch, "cbow")
    v = model.inputs.weight
    torch.testing.assert_close(hidden[0, :3], torch.stack([v[5], (v[3] + v[7]) / 2, v[5]]))
    assert not hidden[0, 3:].any()
    # Words 9 and 2 stand alone: nothing could predict them.
    assert wanted.nonzero().tolist() == [[0, row, row + 1] for row in range(3)]


def test_the_optimum_is_pmi_minus_log_k():
    """Levy and Goldberg 2014, sec. 3.1: there, the gradient of every score is zero.

    The batch has each pair as often as a table says, and each word as often as noise."""
    counts = torch.tensor([[4, 2, 1], [2, 1, 3], [1, 3, 1]])
    as_noise, k = torch.tensor([5, 3, 2]), 5
    contexts = torch.arange(3).repeat_interleave(4)  # (12,), each word four times
    inside = torch.arange(4).repeat(3) < counts.repeat_interleave(4, dim=1)  # (3, 12)
    noise = torch.arange(3).repeat_interleave(as_noise)
    batch = WindowBatch(torch.arange(3)[None], contexts[None], inside[None], noise[None])
    joint, q = counts / counts.sum(), as_noise / as_noise.sum()
    scores = (joint / (joint.sum(1, keepdim=True) * q)).log() - math.log(k)  # (3, 3)
    model = WordPredictor(nn.Embedding(3, 3), 3, 3)
    with torch.no_grad():
        model.inputs.weight.copy_(torch.eye(3))
        model.outputs.weight.copy_(scores.T)
    loss, n = negative_sampling_loss("skip-gram", k)(model, batch)
    loss.backward()
    assert n == counts.sum()
    assert model.outputs.weight.grad.to_dense().abs().max() < 1e-5
    assert model.inputs.weight.grad.abs().max() < 1e-5


def test_training_finds_the_pmi_of_a_language_that_is_known():
    language, window = exact_language(), 2
    ids, _ = language.sample(160, 500, generator(0))
    sentences = [[language.words[i] for i in row] for row in ids.tolist()]
    words = Vocabulary.build(sentences, min_count=1)
    corpus = EncodedCorpus.build(sentences, words)
    config = Word2VecConfig(d_model=64, window=window, threshold=1.0, batch_words=1024, most=16)
    trained = train_word2vec(corpus, words, config)
    place = [language.words.index(word) for word in words.words]
    joint = window_probabilities(language, window)[place][:, place]
    seen = joint * len(corpus) * (window + 1) >= 5
    scores = trained.vectors.matrix @ trained.output_vectors.matrix.T
    # Noise is not drawn by frequency: add what that changes.
    scores = scores + (noise_probabilities(words) / joint.sum(0)).log()
    found = spearmanr(scores[seen], pointwise_mutual_information(joint)[seen])
    assert found.statistic > 0.9  # 0.950 to 0.953 with five seeds
    assert trained.history.rows[-1]["loss"] < 0.9 * trained.history.rows[0]["loss"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("objective", "start"),
    [
        ("negative sampling", 6 * math.log(2)),
        ("hierarchical softmax", 3 * math.log(2)),  # no word of the corpus has fewer turns
        ("full softmax", math.log(V)),
    ],
)
def test_training_learns_and_the_seed_decides_the_vectors(architecture, objective, start):
    """Words 2i and 2i + 1 stand together, so that there is something to learn."""
    first = 2 * np.random.default_rng(0).integers(0, 6, 150)
    tokens = np.stack([first, first + 1], axis=1).flatten().astype(np.int32)
    corpus = EncodedCorpus(tokens, (np.arange(300) // 2).astype(np.int32))
    config = replace(
        CONFIG, architecture=architecture, objective=objective, epochs=20, threshold=1.0, most=20
    )
    one, again = (train_word2vec(corpus, WORDS, config) for _ in range(2))
    assert one.history.last("loss", "train") < 0.5 * start
    assert torch.equal(one.vectors.matrix, again.vectors.matrix)
    other = train_word2vec(corpus, WORDS, replace(config, seed=1))
    assert not torch.equal(one.vectors.matrix, other.vectors.matrix)


def test_each_setting_changes_what_is_learned():
    vectors = train_word2vec(CORPUS, WORDS, CONFIG).vectors.matrix
    for name, value in {
        "window": 3,
        "negatives": 2,
        "threshold": 0.01,
        "epochs": 3,
        "lr": 0.05,
        "batch_words": 32,
        "most": 1,
    }.items():
        other = train_word2vec(CORPUS, WORDS, replace(CONFIG, **{name: value})).vectors.matrix
        assert not torch.equal(vectors, other), name
    assert train_word2vec(CORPUS, WORDS, replace(CONFIG, d_model=7)).vectors.matrix.shape == (V, 7)


def test_updates_are_sums_and_the_learning_rate_falls_to_zero(monkeypatch):
    seen = {}

    def spy(model, loss, batches, optimisers, config, schedule, *rest):
        seen.update(config=config, rates=[schedule(step) for step in range(config.steps + 1)])
        return History([{"split": "train", "loss": 0.0}])

    monkeypatch.setattr("ptft.embeddings.word2vec.train", spy)
    train_word2vec(CORPUS, WORDS, CONFIG)
    assert seen["config"].steps == 2 * 5
    assert not seen["config"].average
    assert seen["rates"] == pytest.approx([1 - i / 10 for i in range(11)])


def test_frequent_words_diverge_in_a_large_batch_unless_they_are_held_back():
    config = replace(CONFIG, threshold=1.0, batch_words=4096, epochs=50)
    corpus = random_corpus(4096)
    assert train_word2vec(corpus, WORDS, config).history.last("loss", "train") < 6 * math.log(2)
    with pytest.raises(NonFiniteLossError, match="the loss became"):
        train_word2vec(corpus, WORDS, replace(config, most=10**9))  # plain gradient descent


def test_a_run_that_ends_above_its_start_is_an_error(monkeypatch):
    rows = [{"split": "train", "loss": 1.6 * (CONFIG.negatives + 1) * math.log(2)}]
    monkeypatch.setattr("ptft.embeddings.word2vec.train", lambda *rest: History(rows))
    with pytest.raises(RuntimeError, match="diverged: its loss ended at"):
        train_word2vec(CORPUS, WORDS, CONFIG)


def test_a_corpus_on_disk_gives_the_same_vectors(tmp_path):
    sentences = [[WORDS.words[i] for i in CORPUS.tokens[n : n + 6]] for n in range(0, 300, 6)]
    results = []
    for path in (None, tmp_path / "corpus"):
        corpus = EncodedCorpus.build(sentences, WORDS, path)
        results.append(train_word2vec(corpus, WORDS, CONFIG).vectors.matrix)
    assert torch.equal(*results)


def test_a_finished_run_is_read_from_its_checkpoint(tmp_path):
    first = train_word2vec(CORPUS, WORDS, CONFIG, checkpoint=tmp_path / "run")
    plain = train_word2vec(CORPUS, WORDS, CONFIG)
    again = train_word2vec(CORPUS, WORDS, CONFIG, checkpoint=tmp_path / "run")
    assert torch.equal(first.vectors.matrix, plain.vectors.matrix)
    assert torch.equal(first.vectors.matrix, again.vectors.matrix)
    assert torch.equal(first.output_vectors.matrix, again.output_vectors.matrix)
    assert again.history.rows == first.history.rows


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path):
    train_word2vec(CORPUS, WORDS, CONFIG, checkpoint=tmp_path / "run", stop_after=7)
    resumed = train_word2vec(CORPUS, WORDS, CONFIG, checkpoint=tmp_path / "run")
    plain = train_word2vec(CORPUS, WORDS, CONFIG)
    assert torch.equal(resumed.vectors.matrix, plain.vectors.matrix)
    assert torch.equal(resumed.output_vectors.matrix, plain.output_vectors.matrix)


@pytest.mark.parametrize("other", [{"window": 3}, {"lr": 0.05}, {"negatives": 2}, {"seed": 5}])
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, other):
    train_word2vec(CORPUS, WORDS, CONFIG, checkpoint=tmp_path / "run")
    with pytest.raises(DataError, match="is of a run with"):
        train_word2vec(CORPUS, WORDS, replace(CONFIG, **other), checkpoint=tmp_path / "run")


def test_a_checkpoint_of_other_words_is_refused(tmp_path):
    train_word2vec(CORPUS, WORDS, CONFIG, checkpoint=tmp_path / "run")
    words = Vocabulary(tuple(f"x{word}" for word in WORDS.words), WORDS.counts)
    with pytest.raises(DataError, match="is of a run with"):
        train_word2vec(CORPUS, words, CONFIG, checkpoint=tmp_path / "run")


def test_vectors_are_those_of_the_model():
    trained = train_word2vec(CORPUS, WORDS, CONFIG)
    assert torch.equal(trained.vectors["w03"], trained.model.inputs.weight[3])
    assert torch.equal(trained.output_vectors["w03"], trained.model.outputs.weight[3])
    tree = train_word2vec(CORPUS, WORDS, replace(CONFIG, objective="hierarchical softmax"))
    assert len(tree.vectors) == V
    with pytest.raises(ValueError, match="vectors of tree nodes, not of words"):
        _ = tree.output_vectors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "glove"}, "architecture must be one of skip-gram, cbow, got 'glove'"),
        ({"objective": "softmax"}, "objective must be one of negative sampling, .*'softmax'"),
        *(
            ({name: 0}, f"{name} must be at least 1, got 0")
            for name in ("d_model", "window", "negatives", "epochs", "batch_words", "most")
        ),
        ({"lr": 0.0}, "lr must be positive, got 0.0"),
        ({"lr": math.nan}, "lr must be positive, got nan"),
        ({"threshold": 0.0}, r"threshold must be in \(0, 1\], got 0.0"),
        ({"threshold": 2.0}, r"threshold must be in \(0, 1\], got 2.0"),
        ({"seed": -1}, "seed must not be negative, got -1"),
    ],
)
def test_impossible_settings(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)


def test_impossible_corpora():
    one = Vocabulary(("w00",), (300,))
    with pytest.raises(ValueError, match=r"nothing to predict with 1 word\(s\)"):
        train_word2vec(CORPUS, one, CONFIG)
    fewer = Vocabulary(WORDS.words[:4], WORDS.counts[:4])
    with pytest.raises(ValueError, match=r"ids must be in \[0, 4\), got 0 to 12"):
        train_word2vec(CORPUS, fewer, CONFIG)
    with pytest.raises(TypeError, match="must be a list of words, got the string 'a rose'"):
        Vocabulary.build(["a rose", "is a rose"])
    with pytest.raises(TypeError, match="must be a list of words, got the string"):
        EncodedCorpus.build(["w00 w01"], WORDS)
