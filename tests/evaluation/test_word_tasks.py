import math

import pytest
import torch
from gensim.models import KeyedVectors
from scipy.stats import spearmanr

from ptft.core.compute import generator
from ptft.data.bundled import Analogies, WordSimilarity
from ptft.evaluation import word_tasks
from ptft.evaluation.word_tasks import SimilarityScore, analogy_score, similarity_score
from ptft.text.word_vectors import WordVectors

WORDS = [f"w{i}" for i in range(40)]


def vectors(words=WORDS, seed=0):
    return WordVectors(words, torch.randn(len(words), 6, generator=generator(seed)))


def as_gensim(ours):
    theirs = KeyedVectors(ours.matrix.shape[1])
    theirs.add_vectors(list(ours.words), ours.matrix.numpy())
    return theirs


def random_words(n, size, seed):
    """Rows of words, some upper case; every seventh row has an unknown word."""
    ids = torch.randint(0, len(WORDS), (n, size), generator=generator(seed)).tolist()
    rows = [[f"{'wW'[i % 2]}{j}" for j in row] for i, row in enumerate(ids)]
    for row in rows[::7]:
        row[-1] = "unknown"
    return rows


def pairs(n=100, seed=1):
    rows = random_words(n, 2, seed)
    return WordSimilarity(
        "random", tuple((a, b, float(i * i % 17)) for i, (a, b) in enumerate(rows)), ""
    )


def analogies():
    rows = [tuple(row) for row in random_words(700, 4, seed=2)]
    # Random vectors solve nothing: let every second answer be that of the vectors.
    for i in range(1, len(rows), 2):
        a, b, c, d = (word.lower() for word in rows[i])
        if "unknown" not in (a, b, c, d):
            rows[i] = (a, b, c, vectors().analogy(a, b, c)[0][0])
    return Analogies({"capital": tuple(rows[:300]), "gram1": tuple(rows[300:]), "empty": ()}, "")


def test_similarity_equals_scipy_and_gensim(tmp_path):
    task, ours = pairs(), vectors()
    score = similarity_score(ours, task)
    known = [pair for pair in task.pairs if pair[1] != "unknown"]
    cosines = [ours.similarity(a.lower(), b.lower()) for a, b, _ in known]
    assert (score.used, score.total) == (len(known), 100)
    assert score.rho == pytest.approx(spearmanr(cosines, [x for _, _, x in known]).statistic)
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{a}\t{b}\t{x}\n" for a, b, x in task.pairs))
    _, spearman, oov = as_gensim(ours).evaluate_word_pairs(path)
    assert score.rho == pytest.approx(spearman.statistic)
    assert 100 * (1 - score.used / score.total) == pytest.approx(oov)


def test_perfect_and_reversed_order():
    angles = torch.tensor([0.0, 0.3, 0.9, 1.4, 2.0])
    line = WordVectors(list("abcde"), torch.stack([angles.cos(), angles.sin()], 1))
    task = WordSimilarity("line", tuple(("a", b, 9.0 - i) for i, b in enumerate("bcde")), "")
    assert similarity_score(line, task).rho == pytest.approx(1)
    flipped = WordSimilarity("line", tuple((a, b, -x) for a, b, x in task.pairs), "")
    assert similarity_score(line, flipped).rho == pytest.approx(-1)


def test_the_interval_has_the_stated_width():
    interval = SimilarityScore(0.5, 103, 353).interval
    half = 1.96 * 1.03 / 10
    assert interval.mean == 0.5 and interval.n == 103
    assert math.atanh(interval.high) == pytest.approx(math.atanh(0.5) + half)
    assert math.atanh(interval.low) == pytest.approx(math.atanh(0.5) - half)


@pytest.mark.parametrize(("rho", "used"), [(1.0, 20), (-1.0, 20), (0.5, 3), (1.0, 3)])
def test_the_interval_has_the_score_in_it(rho, used):
    interval = SimilarityScore(rho, used, 20).interval
    assert -1 <= interval.low <= rho <= interval.high <= 1
    assert (interval.high - interval.low == 2) == (used == 3)


def test_the_interval_covers():
    """95 % of samples of correlated normal pairs have the true Spearman correlation in theirs."""
    rng = generator(0)
    n, correlation = 60, 0.5
    truth = 6 / math.pi * math.asin(correlation / 2)  # of the normal distribution
    hits = 0
    for _ in range(400):
        x, noise = torch.randn(2, n, generator=rng)
        y = correlation * x + math.sqrt(1 - correlation**2) * noise
        interval = SimilarityScore(float(spearmanr(x, y).statistic), n, n).interval
        hits += interval.low <= truth <= interval.high
    assert 0.92 <= hits / 400 <= 0.98


def test_too_few_or_equal_pairs():
    with pytest.raises(ValueError, match="at least 3 pairs with both words known, got 2 of 3"):
        task = WordSimilarity("random", (("w1", "w2", 1.0), ("w1", "w3", 2), ("w1", "x", 3)), "")
        similarity_score(vectors(), task)
    with pytest.raises(ValueError, match="must differ to have ranks"):
        similarity_score(WordVectors(WORDS, torch.zeros(40, 6)), pairs())


@pytest.mark.parametrize("restrict", [30_000, 35, 12])
@pytest.mark.parametrize("block", [7, 256])
def test_analogies_equal_gensim(tmp_path, monkeypatch, restrict, block):
    monkeypatch.setattr(word_tasks, "_BLOCK", block)
    task, ours = analogies(), vectors()
    path = tmp_path / "questions.txt"
    with path.open("w") as file:
        for name, rows in task.sections.items():
            file.write(f": {name}\n" + "".join(" ".join(row) + "\n" for row in rows))
    accuracy, sections = as_gensim(ours).evaluate_word_analogies(path, restrict_vocab=restrict)
    score = analogy_score(ours, task, restrict)
    counts = {s["section"]: (len(s["correct"]), len(s["incorrect"])) for s in sections}
    assert score.accuracy == accuracy
    assert 0 < accuracy < 1
    for name, (right, used, total) in score.sections.items():
        assert (right, used - right) == counts[name]
        assert total == len(task.sections[name])
    assert score.total == 700
    assert score.used == sum(counts["Total accuracy"])


def test_analogies_of_words_in_several_cases_equal_gensim(tmp_path):
    ours = vectors([f"{'wW'[i % 2]}{i // 2}" for i in range(80)], seed=5)  # w0, W0, w1, W1 ...
    rows = [row for row in analogies().sections["capital"] if "unknown" not in row]
    answers = [ours.analogy(*(w.lower() for w in row[:3]))[0][0].lower() for row in rows]
    rows = [(*row[:3], answer) for row, answer in zip(rows, answers, strict=True)]
    path = tmp_path / "questions.txt"
    path.write_text(": a\n" + "".join(" ".join(row) + "\n" for row in rows))
    accuracy, _ = as_gensim(ours).evaluate_word_analogies(path)
    assert analogy_score(ours, Analogies({"a": tuple(rows)}, "")).accuracy == accuracy
    assert 0.5 < accuracy < 1  # some answers are a question word in the other case


def test_semantic_and_syntactic():
    score = analogy_score(vectors(), analogies())
    right, used, _ = score.sections["capital"]
    assert score.semantic == right / used
    right, used, _ = score.sections["gram1"]
    assert score.syntactic == right / used
    only = analogy_score(vectors(), Analogies({"gram1": analogies().sections["gram1"]}, ""))
    assert math.isnan(only.semantic) and only.accuracy == only.syntactic


def test_bad_analogies():
    with pytest.raises(ValueError, match="none of the 1 questions has four known words"):
        analogy_score(vectors(), Analogies({"a": (("w1", "w2", "w3", "x"),)}, ""))
    with pytest.raises(ValueError, match="restrict must be at least 1, got 0"):
        analogy_score(vectors(), analogies(), restrict=0)
