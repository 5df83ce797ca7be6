"""A small language that is known exactly: a phrase grammar compiled to a hidden Markov model.

A hidden state is (topic, sentiment, number, slot of the phrase grammar); it says one word and moves
on. So the entropy rate, the best possible masked-token loss and the best accuracy of every label
can be computed exactly (`ptft.data.limits`), and a model can be held against them. The words and
the grammar are in `ptft.data.grammar`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ptft.data import grammar
from ptft.data.hidden_markov import SPECIAL_TOKENS, HiddenMarkovModel, stationary_distribution

LONGEST_SENTENCE = 18  # words, the full stop included; a test checks it against the grammar
_PAD_ID = SPECIAL_TOKENS.index("[PAD]")


class Sentences(NamedTuple):
    """Single sentences, padded on the right, with the hidden states that said them."""

    ids: Tensor  # (n, LONGEST_SENTENCE) int64, [PAD] after the full stop
    attend: Tensor  # (n, LONGEST_SENTENCE) bool, True up to the full stop
    states: Tensor  # (n, LONGEST_SENTENCE) int64, meaningless where `attend` is False

    def sequences(self) -> list[list[int]]:
        """Return the ids of each sentence without its padding."""
        return [ids[real].tolist() for ids, real in zip(self.ids, self.attend, strict=True)]


@dataclass(frozen=True, eq=False)
class ExactLanguage(HiddenMarkovModel):
    """The course's language: a hidden Markov model whose states have names.

    Attributes:
        sentence_start: (S,) float64, distribution of the state of a sentence's first word.
        topic_of, sentiment_of, number_of, slot_of, entity_tag_of: (S,) int64, the label of a state
            as an index into `topics`, `sentiments`, `numbers`, `slots`, `entity_tags`.
    """

    sentence_start: Tensor
    topic_of: Tensor
    sentiment_of: Tensor
    number_of: Tensor
    slot_of: Tensor
    entity_tag_of: Tensor
    topics: tuple[str, ...] = grammar.TOPICS
    sentiments: tuple[str, ...] = grammar.SENTIMENTS
    numbers: tuple[str, ...] = grammar.NUMBERS
    slots: tuple[str, ...] = grammar.SLOTS
    entity_tags: tuple[str, ...] = grammar.ENTITY_TAGS

    def sentences(self, n: int, generator: torch.Generator) -> Sentences:
        """Draw single sentences; `topic_of[states[:, 0]]` is the topic of each, and so on.

        Args:
            n: Number of sentences.
            generator: Source of randomness; the same state gives the same sentences.

        Raises:
            ValueError: If `n` is not positive.
        """
        ids, states = self.sample(n, LONGEST_SENTENCE, generator, start=self.sentence_start)
        is_stop = self.slot_of[states] == self.slots.index("stop")
        first_stop = is_stop.int().argmax(dim=1)  # (n,)
        attend = torch.arange(LONGEST_SENTENCE) <= first_stop[:, None]
        return Sentences(ids.where(attend, _PAD_ID), attend, states)


class _State(NamedTuple):
    topic: str
    sentiment: str
    number: str
    slot: str


@cache
def exact_language() -> ExactLanguage:
    """Compile the grammar; the same object at every call.

    Example:
        >>> language = exact_language()
        >>> language.decode(language.encode("Boris Kato measures every small engineer ."))
        'Boris Kato measures every small engineer .'
    """
    states = [
        _State(topic, sentiment, number, slot)
        for topic, sentiment, slot in product(grammar.TOPICS, grammar.SENTIMENTS, grammar.SLOTS)
        for number in _numbers(slot)
    ]
    says = [grammar.word_probabilities(s.slot, s.topic, s.sentiment, s.number) for s in states]
    words = (*SPECIAL_TOKENS, *sorted({word for row in says for word in row}))
    transition = _table([_next_states(state) for state in states], states)
    stop = torch.tensor([state.slot == "stop" for state in states])
    initial = stationary_distribution(transition)
    return ExactLanguage(
        words=words,
        initial=initial,
        transition=transition,
        emission=_table(says, words),
        sentence_start=(initial * stop / initial[stop].sum()) @ transition,
        topic_of=torch.tensor([grammar.TOPICS.index(s.topic) for s in states]),
        sentiment_of=torch.tensor([grammar.SENTIMENTS.index(s.sentiment) for s in states]),
        number_of=torch.tensor([grammar.NUMBERS.index(s.number) for s in states]),
        slot_of=torch.tensor([grammar.SLOTS.index(s.slot) for s in states]),
        entity_tag_of=torch.tensor(
            [grammar.ENTITY_TAGS.index(grammar.ENTITY_TAG.get(s.slot, "O")) for s in states]
        ),
    )


def _numbers(slot: str) -> tuple[str, ...]:
    """Return the numbers that a state of this slot can have."""
    if slot not in grammar.NUMBERED_SLOTS:
        return ("none",)
    return ("singular",) if slot in grammar.NAME_SLOTS else ("singular", "plural")


def _next_states(state: _State) -> dict[_State, float]:
    """Return the distribution of the state after `state`."""
    if state.slot != "stop":
        return {
            state._replace(
                slot=slot, number=state.number if slot in grammar.NUMBERED_SLOTS else "none"
            ): p
            for slot, p in grammar.GRAMMAR[state.slot].items()
        }
    row = {}
    for topic, sentiment in product(grammar.TOPICS, grammar.SENTIMENTS):
        p_labels = _keep("topic", state.topic, topic, grammar.TOPICS) * _keep(
            "sentiment", state.sentiment, sentiment, grammar.SENTIMENTS
        )
        for slot, p_slot in grammar.GRAMMAR["start"].items():
            for number in _numbers(slot):
                target = _State(topic, sentiment, number, slot)
                row[target] = p_labels * p_slot / len(_numbers(slot))
    return row


def _keep(what: str, now: str, then: str, values: Sequence[str]) -> float:
    """Return the probability that the next sentence has `then` after `now`."""
    stay = grammar.STAY[what]
    return stay if now == then else (1 - stay) / (len(values) - 1)


def _table(rows: Sequence[Mapping[Any, float]], columns: Sequence[Any]) -> Tensor:
    """Return sparse rows as a dense float64 matrix with these columns."""
    index = {column: i for i, column in enumerate(columns)}
    table = torch.zeros(len(rows), len(columns), dtype=torch.float64)
    for i, row in enumerate(rows):
        for column, p in row.items():
            table[i, index[column]] = p
    return table
