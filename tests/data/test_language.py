"""The exact language: its tables are distributions, its samples follow them, its grammar holds."""

import math

import pytest
import torch

from ptft.core.compute import generator
from ptft.data import grammar
from ptft.data.hidden_markov import (
    FIRST_WORD_ID,
    SPECIAL_TOKENS,
    HiddenMarkovModel,
    stationary_distribution,
)
from ptft.data.language import LONGEST_SENTENCE, exact_language
from ptft.text import tokenizer

LANGUAGE = exact_language()


def slot(name: str) -> int:
    return LANGUAGE.slots.index(name)


def test_tables_are_distributions() -> None:
    for table in (LANGUAGE.transition, LANGUAGE.emission):
        torch.testing.assert_close(table.sum(1), torch.ones(len(table), dtype=torch.float64))
        assert (table >= 0).all()
    assert not LANGUAGE.emission[:, :FIRST_WORD_ID].any()
    assert LANGUAGE.emission[:, FIRST_WORD_ID:].any(0).all()  # each word can be said


def test_initial_distribution_is_stationary() -> None:
    torch.testing.assert_close(LANGUAGE.initial @ LANGUAGE.transition, LANGUAGE.initial)
    assert LANGUAGE.initial.min() > 0
    assert math.isclose(LANGUAGE.initial.sum().item(), 1.0)


def test_stationary_distribution_of_a_chain_solved_by_hand() -> None:
    # 0 -> 1 with probability .2, 1 -> 0 with .3: balance gives pi = (.6, .4).
    chain = torch.tensor([[0.8, 0.2], [0.3, 0.7]], dtype=torch.float64)
    expected = torch.tensor([0.6, 0.4], dtype=torch.float64)
    torch.testing.assert_close(stationary_distribution(chain), expected)


def test_sentences_start_where_the_grammar_says() -> None:
    start = LANGUAGE.sentence_start
    by_slot = {
        name: start[LANGUAGE.slot_of == slot(name)].sum().item()
        for name in grammar.GRAMMAR["start"]
    }
    assert by_slot == pytest.approx(grammar.GRAMMAR["start"])
    for label_of, n in ((LANGUAGE.topic_of, 4), (LANGUAGE.sentiment_of, 2)):  # by symmetry
        shares = [start[label_of == label].sum().item() for label in range(n)]
        assert shares == pytest.approx([1 / n] * n)


def test_special_tokens_are_those_of_the_tokenizer() -> None:
    assert LANGUAGE.words[:FIRST_WORD_ID] == SPECIAL_TOKENS == tuple(tokenizer.SPECIAL_TOKENS)


def test_some_words_belong_to_two_topics() -> None:
    nouns = [set(words.split()) for words in grammar.NOUNS.values()]
    shared = {word for i, a in enumerate(nouns) for b in nouns[i + 1 :] for word in a & b}
    assert shared == {"wave", "net", "scale", "pitch"}


def test_spelling() -> None:
    assert [grammar.with_s(word) for word in ("boat", "watch", "pitch", "play", "trophy")] == [
        "boats", "watches", "pitches", "plays", "trophies",
    ]  # fmt: skip


def test_sampled_frequencies_match_the_stationary_distribution() -> None:
    """First states are independent draws, so each frequency is binomial.

    Over S + V two-sided checks at 5 standard deviations the false-alarm rate is about
    389 * 6e-7 = 2e-4 (and the seed is fixed).
    """
    n = 200_000
    sample = LANGUAGE.sample(n, 1, generator(0))
    for drawn, p in (
        (sample.states, LANGUAGE.initial),
        (sample.ids, LANGUAGE.initial @ LANGUAGE.emission),
    ):
        frequency = torch.bincount(drawn.flatten(), minlength=len(p)) / n
        tolerance = 5 * (p * (1 - p) / n).sqrt() + 1 / n
        assert ((frequency - p).abs() <= tolerance).all()


def test_sampled_transitions_match_the_table() -> None:
    """The same bound as above; most transitions are impossible and must not occur."""
    states = LANGUAGE.sample(100_000, 2, generator(1)).states
    n_states = len(LANGUAGE.initial)
    counts = torch.bincount(states[:, 0] * n_states + states[:, 1], minlength=n_states**2)
    frequency = counts.view(n_states, n_states) / len(states)
    p = LANGUAGE.initial[:, None] * LANGUAGE.transition
    assert not frequency[p == 0].any()
    assert ((frequency - p).abs() <= 6 * (p * (1 - p) / len(states)).sqrt() + 3 / len(states)).all()


def test_samples_repeat_for_a_seed_only() -> None:
    first, again, other = (LANGUAGE.sample(3, 20, generator(seed)).ids for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24])
def test_extreme_draws_stay_possible(monkeypatch: pytest.MonkeyPatch, uniform: float) -> None:
    """The least and the greatest float32 of torch.rand pick words and moves that can occur."""
    monkeypatch.setattr(torch, "rand", lambda n, **_: torch.full((n,), uniform))
    ids, states = LANGUAGE.sample(2, 10, generator(0))
    assert (LANGUAGE.emission[states, ids] > 0).all()
    assert (LANGUAGE.transition[states[:, :-1], states[:, 1:]] > 0).all()


def test_sample_from_a_given_start() -> None:
    sample = LANGUAGE.sample(500, 3, generator(2), start=LANGUAGE.sentence_start)
    first_slots = LANGUAGE.slot_of[sample.states[:, 0]].unique()
    assert first_slots.tolist() == sorted((slot("determiner"), slot("first_name")))


def test_a_sentence_is_never_longer_than_the_longest() -> None:
    def longest(name: str) -> int:  # words from this slot to the full stop
        return 1 if name == "stop" else 1 + max(longest(then) for then in grammar.GRAMMAR[name])

    assert longest("start") - 1 == LONGEST_SENTENCE


def test_sentences_are_single_and_padded() -> None:
    sample = LANGUAGE.sentences(200, generator(7))
    for ids, real in zip(sample.ids, sample.attend, strict=True):
        words = LANGUAGE.decode(ids).split()
        end = words.index(".")
        assert real.tolist() == [t <= end for t in range(LONGEST_SENTENCE)]
        assert set(words[end + 1 :]) <= {"[PAD]"}
    assert sample.sequences()[0] == sample.ids[0][sample.attend[0]].tolist()
    assert (LANGUAGE.emission[sample.states, sample.ids][sample.attend] > 0).all()
    one_topic = LANGUAGE.topic_of[sample.states] == LANGUAGE.topic_of[sample.states[:, :1]]
    assert one_topic[sample.attend].all()


def test_every_verb_agrees_with_its_subject() -> None:
    """Read off the words alone: what follows the subject's noun or name has its number."""
    ids, states = LANGUAGE.sample(300, 100, generator(3))
    singular_nouns = {word for words in grammar.NOUNS.values() for word in words.split()}
    people = {*grammar.FIRST_NAMES.split(), *grammar.LAST_NAMES.split()}
    base_verbs = {word for words in grammar.VERBS.values() for word in words.split()}
    base_verbs |= set(grammar.ANY_VERBS.split())
    subjects = [slot("noun"), slot("first_name"), slot("last_name")]
    checked = separated = 0
    for text, path in zip(ids, LANGUAGE.slot_of[states], strict=True):
        words = LANGUAGE.decode(text).split()
        subject_at = None
        for t, (word, where) in enumerate(zip(words, path.tolist(), strict=True)):
            if where in subjects:
                subject_at = t
            elif where == slot("verb") and subject_at is not None:
                is_singular = words[subject_at] in singular_nouns | people
                assert (word not in base_verbs) == is_singular, words[subject_at : t + 1]
                checked += 1
                separated += t > subject_at + 1
    assert checked > 2000
    assert separated > 300  # with another noun in between


def test_entity_tags_form_spans() -> None:
    states = LANGUAGE.sample(300, 100, generator(4)).states
    tags = LANGUAGE.entity_tag_of[states]
    names = LANGUAGE.entity_tags
    for inside, begin in (("I-PER", "B-PER"), ("I-LOC", "B-LOC")):
        rows, t = (tags[:, 1:] == names.index(inside)).nonzero(as_tuple=True)
        assert len(rows) > 100
        assert (tags[rows, t] == names.index(begin)).all()  # t is the position before


def test_encode_and_decode_are_inverse() -> None:
    text = "Boris Kato measures every small engineer near North Ashford because it was fine ."
    assert LANGUAGE.decode(LANGUAGE.encode(text)) == text


@pytest.mark.parametrize("text", ["", "  ", "the zebra measures"])
def test_encode_refuses_what_it_cannot(text: str) -> None:
    with pytest.raises(ValueError, match=r"zebra|empty"):
        LANGUAGE.encode(text)


@pytest.mark.parametrize(
    "ids",
    [
        torch.tensor([5.0]),
        torch.tensor([], dtype=torch.long),
        torch.tensor([-1]),
        torch.tensor([len(LANGUAGE.words)]),
        torch.tensor([[5]]),
    ],
)
def test_decode_refuses_bad_ids(ids: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"ids must be|shape"):
        LANGUAGE.decode(ids)


@pytest.mark.parametrize(("n", "length"), [(0, 5), (5, 0)])
def test_sample_refuses_nothing(n: int, length: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        LANGUAGE.sample(n, length, generator(0))


def test_model_refuses_bad_tables() -> None:
    words = (*SPECIAL_TOKENS, "a", "b")
    initial = torch.tensor([0.5, 0.5], dtype=torch.float64)
    move = torch.full((2, 2), 0.5, dtype=torch.float64)
    say = torch.zeros(2, 7, dtype=torch.float64)
    say[:, 5:] = 0.5
    HiddenMarkovModel(words, initial, move, say)
    special = say.clone()
    special[0, 4], special[0, 5] = 0.5, 0.0
    with pytest.raises(ValueError, match="special"):
        HiddenMarkovModel(words, initial, move, special)
    with pytest.raises(ValueError, match="distribution"):
        HiddenMarkovModel(words, initial, move * 0.9, say)
    with pytest.raises(ValueError, match="float64 of shape"):
        HiddenMarkovModel(words, initial, move.float(), say)
    with pytest.raises(ValueError, match="begin with"):
        HiddenMarkovModel(words[1:], initial, move, say[:, 1:])
