"""The exact limits against brute force: enumerate all hidden paths, all texts, all corruptions."""

import math
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from torch import Tensor

from ptft.core.compute import generator
from ptft.data.hidden_markov import (
    FIRST_WORD_ID,
    MASK_ID,
    SPECIAL_TOKENS,
    HiddenMarkovModel,
    stationary_distribution,
)
from ptft.data.language import exact_language
from ptft.data.limits import (
    bayes_accuracy,
    bigram_entropy,
    entropy_rate_bounds,
    factor_worth,
    label_posteriors,
    masked_log_probs,
    next_token_log_probs,
    state_posteriors,
    unigram_entropy,
)

LANGUAGE = exact_language()
SCHEMES = [(0.8, 0.1, 0.1), (1.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.6, 0.0, 0.4)]


def random_model(n_states: int = 3, n_words: int = 3, seed: int = 0) -> HiddenMarkovModel:
    """Make a model with random tables, some entries zero."""
    random = generator(seed)

    def rows(n: int, columns: int) -> Tensor:
        table = torch.rand(n, columns, generator=random, dtype=torch.float64)
        table[:, 0] += 0.1
        table[0, -1] = 0.0
        return table / table.sum(1, keepdim=True)

    move, say = rows(n_states, n_states), rows(n_states, n_words)
    words = (*SPECIAL_TOKENS, *(f"w{i}" for i in range(n_words)))
    say = torch.cat((torch.zeros(n_states, FIRST_WORD_ID, dtype=torch.float64), say), dim=1)
    return HiddenMarkovModel(words, stationary_distribution(move), move, say)


def enumerate_all(model: HiddenMarkovModel, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return all texts (N, T), all hidden paths (P, T) and `p(text, path)` (N, P) by definition."""
    words = range(FIRST_WORD_ID, len(model.words))
    texts = torch.tensor(list(product(words, repeat=length)))
    paths = torch.tensor(list(product(range(len(model.initial)), repeat=length)))
    p_path = model.initial[paths[:, 0]] * model.transition[paths[:, :-1], paths[:, 1:]].prod(1)
    p_text = model.emission[paths[None], texts[:, None]].prod(-1)  # (N, P), given the path
    return texts, paths, p_path * p_text


def test_next_token_against_all_paths() -> None:
    model = random_model()
    for length in range(1, 6):
        texts, _, joint = enumerate_all(model, length)
        probability = joint.sum(1)
        assert probability.sum().item() == pytest.approx(1.0)
        possible = probability > 0
        computed = next_token_log_probs(model, texts[possible]).sum(1)
        torch.testing.assert_close(computed, probability[possible].log(), rtol=0, atol=1e-9)


def test_next_token_with_a_known_start_per_text() -> None:
    model = random_model()
    ids, states = model.sample(10, 4, generator(2))
    known = torch.eye(3, dtype=torch.float64)[states[:, 0]]
    together = next_token_log_probs(model, ids, known)
    for i in range(10):
        alone = next_token_log_probs(model, ids[i : i + 1], known[i])
        torch.testing.assert_close(alone[0], together[i])
    first = model.emission[states[:, 0], ids[:, 0]].log()
    torch.testing.assert_close(together[:, 0], first)


def test_state_posteriors_against_all_paths() -> None:
    model = random_model()
    ids = model.sample(6, 4, generator(3)).ids
    ids[:, 1] = MASK_ID  # nothing known there
    texts, paths, joint = enumerate_all(model, 4)
    for row, posterior in zip(ids, state_posteriors(model, ids), strict=True):
        fits = ((texts == row) | (row == MASK_ID)).all(1)
        p_path = joint[fits].sum(0)  # (P,)
        membership = torch.nn.functional.one_hot(paths).double()  # (P, T, S)
        expected = torch.einsum("p,pts->ts", p_path, membership) / p_path.sum()
        torch.testing.assert_close(posterior, expected, rtol=0, atol=1e-9)


def corruption_probability(
    texts: Tensor,
    corrupted: Tensor,
    selected: Tensor,
    rate: float,
    scheme: tuple[float, float, float],
    n_words: int,
) -> Tensor:
    """Return `p(corrupted, selected | text)` for texts (N, T), by the definition of the channel."""
    p_mask, p_random, p_keep = scheme
    same = (texts == corrupted).double()
    hidden = (corrupted == MASK_ID).double()
    chosen = rate * (hidden * p_mask + (1 - hidden) * (p_random / n_words + p_keep * same))
    return torch.where(selected, chosen, (1 - rate) * same).prod(1)  # (N,)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_masked_against_all_originals_and_selections(
    scheme: tuple[float, float, float], rate: float
) -> None:
    """Bayes' rule by enumeration: 3 words at 4 positions, 81 originals, 16 selections."""
    model, length = random_model(), 4
    n_words = len(model.words) - FIRST_WORD_ID
    texts, _, joint = enumerate_all(model, length)
    selections = torch.tensor(list(product((False, True), repeat=length)))
    random = generator(4)
    original = model.sample(12, length, random).ids
    selected = torch.rand(original.shape, generator=random) < 0.5
    fate = torch.rand(original.shape, generator=random)
    drawn = torch.randint(FIRST_WORD_ID, len(model.words), original.shape, generator=random)
    corrupted = torch.where(selected & (fate < scheme[0]), MASK_ID, original)
    is_random = selected & (fate >= scheme[0]) & (fate < scheme[0] + scheme[1])
    corrupted = torch.where(is_random, drawn, corrupted)

    expected = []
    for row, t in selected.nonzero().tolist():
        y = corrupted[row]
        posterior = torch.zeros(len(texts), dtype=torch.float64)
        for selection in selections[selections[:, t]]:  # t is scored, the others are not known
            channel = corruption_probability(texts, y, selection, rate, scheme, n_words)
            posterior += joint.sum(1) * channel
        right = texts[:, t] == original[row, t]
        expected.append((posterior[right].sum() / posterior.sum()).log())
    computed = masked_log_probs(model, corrupted, selected, original, rate, scheme)
    torch.testing.assert_close(computed, torch.stack(expected), rtol=0, atol=1e-9)


def test_entropies_against_enumeration() -> None:
    model = random_model()
    block = [0.0]
    for length in range(1, 6):
        p = enumerate_all(model, length)[2].sum(1)
        block.append(-torch.special.xlogy(p, p).sum().item())
    conditional = [after - before for before, after in pairwise(block)]  # H(X_t | X_1 ... X_{t-1})
    assert unigram_entropy(model) == pytest.approx(conditional[0])
    assert bigram_entropy(model) == pytest.approx(conditional[1])
    # This model forgets fast: H(X_5 | X_1 ... X_4) is the entropy rate to three decimals.
    bounds = entropy_rate_bounds(model, generator(5), n=1000, length=60)
    assert conditional[3] - conditional[4] < 1e-3
    for bound, error in ((bounds.lower, bounds.lower_error), (bounds.upper, bounds.upper_error)):
        assert abs(bound - conditional[4]) < 1e-3 + 4 * error


def test_limits_of_the_language_are_ordered() -> None:
    bounds = entropy_rate_bounds(LANGUAGE, generator(6), n=100, length=128)
    assert bounds.lower <= bounds.upper + 1e-6
    assert bounds.upper + 4 * bounds.upper_error < bigram_entropy(LANGUAGE)
    assert bigram_entropy(LANGUAGE) < unigram_entropy(LANGUAGE)
    assert unigram_entropy(LANGUAGE) < math.log(len(LANGUAGE.words) - FIRST_WORD_ID)
    short = entropy_rate_bounds(LANGUAGE, generator(6), n=500, length=4)
    # The sandwich closes with the length, from above and not beyond chance from below.
    assert short.lower < bounds.lower + 4 * short.lower_error
    assert short.upper > bounds.upper + 4 * short.upper_error


def test_more_hidden_means_less_known() -> None:
    """On the same texts and positions, the limit rises with the share of masked context."""
    random = generator(7)
    ids = LANGUAGE.sample(100, 48, random).ids
    noise = torch.rand(ids.shape, generator=random)
    target = noise < 0.1
    losses = []
    for rate in (0.1, 0.4, 0.8):
        corrupted = torch.where(noise < rate, MASK_ID, ids)
        log_probs = masked_log_probs(LANGUAGE, corrupted, noise < rate, ids, rate, (1.0, 0.0, 0.0))
        losses.append(-log_probs[target[noise < rate]].mean().item())
    assert losses[0] < losses[1] < losses[2] < unigram_entropy(LANGUAGE)


def test_everything_masked_leaves_the_stationary_distribution() -> None:
    ids = LANGUAGE.sample(5, 9, generator(8)).ids
    hidden = torch.full_like(ids, MASK_ID)
    log_probs = masked_log_probs(LANGUAGE, hidden, torch.ones_like(ids, dtype=torch.bool), ids, 1.0)
    unigram = (LANGUAGE.initial @ LANGUAGE.emission).log()
    torch.testing.assert_close(log_probs, unigram[ids].flatten())


def test_bayes_accuracy_is_what_the_best_guess_reaches() -> None:
    """Within 4 standard errors of the accuracy of guessing the most probable label."""
    n = 1000
    ids, states = LANGUAGE.sample(n, 16, generator(9))
    for label_of in (LANGUAGE.topic_of, LANGUAGE.sentiment_of):
        ceiling, _ = bayes_accuracy(LANGUAGE, ids, label_of)
        posterior = label_posteriors(state_posteriors(LANGUAGE, ids), label_of)
        torch.testing.assert_close(posterior.sum(-1), torch.ones(n, 16, dtype=torch.float64))
        reached = (posterior[:, -1].argmax(-1) == label_of[states[:, -1]]).double().mean().item()
        assert abs(reached - ceiling) < 4 * (ceiling * (1 - ceiling) / n) ** 0.5


def test_bayes_accuracy_knows_where_a_text_starts() -> None:
    model = random_model()
    ids, states = model.sample(20, 3, generator(3))
    known = torch.eye(3, dtype=torch.float64)[states[:, 0]]
    assert bayes_accuracy(model, ids, torch.arange(3), position=0, start=known) == (1.0, 0.0)


def test_worth_of_nothing_and_of_everything() -> None:
    """A reader who keeps the state loses nothing; one who keeps no label has word frequencies."""
    model = random_model()
    ids = model.sample(20, 4, generator(4)).ids
    assert factor_worth(model, ids, torch.arange(3)[None]) == pytest.approx(0.0, abs=1e-12)
    frequency = (model.initial @ model.emission)[ids]  # (20, 4)
    saved = next_token_log_probs(model, ids) - frequency.log()
    expected = saved[:, 1:].mean().item()
    assert factor_worth(model, ids, torch.zeros(1, 3)) == pytest.approx(expected)


def test_forgetting_more_costs_more() -> None:
    """Number is worth something; forgetting topic as well costs more than number alone."""
    ids = LANGUAGE.sample(20, 32, generator(5)).ids
    rest = torch.stack((LANGUAGE.sentiment_of, LANGUAGE.slot_of))
    number = factor_worth(LANGUAGE, ids, torch.cat((rest, LANGUAGE.topic_of[None])))
    assert 0.01 < number < factor_worth(LANGUAGE, ids, rest)


@pytest.mark.parametrize("others", [torch.zeros(3), torch.zeros(2, 4)])
def test_worth_refuses_labels_that_do_not_fit(others: Tensor) -> None:
    with pytest.raises(ValueError, match=r"others must be \(F, 3\)"):
        factor_worth(random_model(), torch.tensor([[5, 6]]), others)


def test_impossible_text_is_named() -> None:
    ids = LANGUAGE.encode("every boat steers the net .").repeat(2, 1)
    ids[1] = LANGUAGE.encode("every boat steer the net .")
    with pytest.raises(ValueError, match="text 1: position 2"):
        next_token_log_probs(LANGUAGE, ids)
    with pytest.raises(ValueError, match="text 1: position 2"):
        state_posteriors(LANGUAGE, ids)


@pytest.mark.parametrize(
    "ids",
    [
        torch.zeros(0, 3, dtype=torch.long),
        torch.tensor([5, 6]),
        torch.tensor([[5, 10_000]]),
        torch.tensor([[-1]]),
        torch.tensor([[5.0]]),
    ],
)
def test_bad_ids_are_refused(ids: Tensor) -> None:
    for function in (next_token_log_probs, state_posteriors):
        with pytest.raises(ValueError, match="ids must"):
            function(LANGUAGE, ids)


def test_bad_corruption_is_refused() -> None:
    ids = LANGUAGE.sample(2, 6, generator(10)).ids
    selected = torch.zeros_like(ids, dtype=torch.bool)
    selected[:, 2] = True
    corrupted = torch.where(selected, MASK_ID, ids)
    good: dict[str, Any] = {
        "corrupted": corrupted,
        "selected": selected,
        "original": ids,
        "rate": 0.15,
    }
    cls = torch.where(selected, SPECIAL_TOKENS.index("[CLS]"), ids)
    bad: dict[str, dict[str, Any]] = {
        "one shape": {"corrupted": corrupted[:1]},
        "bool": {"selected": selected.long()},
        "original may hold real words only": {"original": corrupted},
        "no other special": {"corrupted": cls},
        "not selected": {"selected": ~selected},
        "rate must be": {"rate": 0.0},
        "scheme must be": {"scheme": (0.8, 0.1, 0.2)},
    }
    for message, change in bad.items():
        with pytest.raises(ValueError, match=message):
            masked_log_probs(LANGUAGE, **{**good, **change})


def test_entropy_bounds_refuse_too_little() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        entropy_rate_bounds(LANGUAGE, generator(0), n=1)


def test_labels_and_starts_of_the_wrong_size_are_refused() -> None:
    ids = LANGUAGE.sample(3, 4, generator(11)).ids
    with pytest.raises(ValueError, match="start must have shape"):
        next_token_log_probs(LANGUAGE, ids, LANGUAGE.initial[1:])
    with pytest.raises(ValueError, match="one label for each"):
        label_posteriors(state_posteriors(LANGUAGE, ids), LANGUAGE.topic_of[1:])
    with pytest.raises(ValueError, match="at least 2 texts"):
        bayes_accuracy(LANGUAGE, ids[:1], LANGUAGE.topic_of)
