import itertools
import math

import pytest
import torch
from torch import nn

from ptft.models.beam_search import beam_search
from ptft.models.sequence_to_sequence import Seq2SeqConfig, SequenceToSequence
from ptft.text.batches import pad

START, END, V = 2, 3, 6


@pytest.fixture(params=[True, False], ids=["attention", "vector"])
def model(request):
    torch.manual_seed(0)
    model = SequenceToSequence(Seq2SeqConfig(12, V, 5, attention=request.param))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.9)  # far from uniform, so that searches differ
    return model.eval()


SOURCES = pad([[5, 6, 7, 8], [9, 10], [11, 4, 5]])


@torch.no_grad()
def naive(model, source, width, max_length):
    """One source, one beginning at a time."""
    memory, state = model.begin(source, None)
    beams = [((), 0.0, state)]
    for t in range(max_length):
        more = []
        for tokens, log_p, state in beams:
            if tokens and tokens[-1] == END:
                more.append((tokens, log_p, state))
                continue
            last = torch.tensor([tokens[-1] if tokens else START])
            logits, after = model.step(last, state, memory)
            log_probs = logits.log_softmax(-1)[0].tolist()
            for token in [END] if t == max_length - 1 else range(V):
                more.append(((*tokens, token), log_p + log_probs[token], after))
        beams = sorted(more, key=lambda beam: -beam[1])[:width]
    return [(tokens[:-1], log_p) for tokens, log_p, _ in beams]


@pytest.mark.parametrize("width", [1, 2, 3, 7])
def test_all_at_once_gives_what_the_loop_gives(model, width):
    source, attend = SOURCES
    found = beam_search(model, source, attend, width, 6, START, END)
    for row, real, ours in zip(source, attend, found, strict=True):
        expected = naive(model, row[real][None], width, 6)
        assert [h.tokens for h in ours] == [tokens for tokens, _ in expected]
        log_probs = torch.tensor([h.log_prob for h in ours])
        torch.testing.assert_close(log_probs, torch.tensor([p for _, p in expected]))
        assert all(h.score == h.log_prob for h in ours)


def test_width_one_is_greedy(model):
    source, attend = SOURCES
    found = beam_search(model, source, attend, 1, 8, START, END)
    with torch.no_grad():
        memory, state = model.begin(source, attend)
        token, written = torch.full((3,), START), []
        for _ in range(8):
            logits, state = model.step(token, state, memory)
            token = logits.argmax(-1)
            written.append(token)
    for row, (best,) in zip(torch.stack(written, 1).tolist(), found, strict=True):
        until = row.index(END) if END in row else 7
        assert list(best.tokens) == row[:until]


def test_a_beam_with_room_for_all_finds_the_likeliest_of_all(model):
    source, attend = SOURCES
    ordinary = [i for i in range(V) if i != END]
    texts = [y for n in range(4) for y in itertools.product(ordinary, repeat=n)]
    target, real = pad([[START, *y, END] for y in texts])
    every = beam_search(model, source, attend, len(texts), 4, START, END)
    for row, keep, found in zip(source, attend, every, strict=True):
        x = row[keep].expand(len(texts), -1)
        with torch.no_grad():
            steps = model(x, None, target[:, :-1]).log_softmax(-1)
        taken = steps.gather(-1, target[:, 1:, None])[..., 0]
        scores = (taken * real[:, 1:]).sum(1)  # (N,)
        assert found[0].tokens == texts[int(scores.argmax())]
        assert {h.tokens for h in found} == set(texts)
        log_probs = dict(zip(texts, scores.tolist(), strict=True))
        assert all(h.log_prob == pytest.approx(log_probs[h.tokens], abs=1e-4) for h in found)


class Table:
    """The next token depends on the last one only; dead ends have probability 0."""

    def __init__(self, p):
        self.log_p = torch.tensor(p).log()

    def begin(self, source, source_attend):
        return (), torch.zeros(len(source), 1)

    def step(self, tokens, state, memory):
        return self.log_p[tokens], state


# start, end, a, b, c
P = [
    [0, 0, 0.6, 0.4, 0],
    [0, 1, 0, 0, 0],
    [0, 0.3, 0, 0.3, 0.4],
    [0, 0.1, 0, 0, 0.9],
    [0, 1, 0, 0, 0],
]
ONE = torch.zeros(1, 1, dtype=torch.long)


def test_greedy_misses_what_width_two_finds():
    greedy, beam = (beam_search(Table(P), ONE, None, K, 5, 0, 1)[0] for K in (1, 2))
    assert greedy[0].tokens == (2, 4)
    assert math.exp(greedy[0].log_prob) == pytest.approx(0.24)
    assert beam[0].tokens == (3, 4)
    assert math.exp(beam[0].log_prob) == pytest.approx(0.36)


def test_a_wide_beam_gives_each_possible_output_once():
    found = beam_search(Table(P), ONE, None, 50, 6, 0, 1)[0]
    outputs = [h.tokens for h in found]
    assert sorted(outputs) == [(2,), (2, 3), (2, 3, 4), (2, 4), (3,), (3, 4)]
    assert sum(math.exp(h.log_prob) for h in found) == pytest.approx(1)


def test_the_length_penalty_is_that_of_the_paper():
    found = beam_search(Table(P), ONE, None, 50, 6, 0, 1, alpha=2.0)[0]
    for h in found:
        n = len(h.tokens) + 1
        assert h.score == pytest.approx(h.log_prob / ((5 + n) ** 2 / 36), rel=1e-5)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    assert [h.log_prob for h in found] != sorted((h.log_prob for h in found), reverse=True)


def test_what_does_not_end_is_ended_at_the_last_position():
    endless = Table([[0, 0.01, 0.99], [0, 1, 0], [0, 0.01, 0.99]])
    (best,) = beam_search(endless, ONE, None, 1, 4, 0, 1)[0]
    assert best.tokens == (2, 2, 2)
    assert math.exp(best.log_prob) == pytest.approx(0.99**3 * 0.01)


def test_bad_input(model):
    source, attend = SOURCES
    with pytest.raises(ValueError, match="width and max_length must be at least 1, got 0 and 5"):
        beam_search(model, source, attend, 0, 5, START, END)
    with pytest.raises(ValueError, match="width and max_length must be at least 1, got 2 and 0"):
        beam_search(model, source, attend, 2, 0, START, END)
    with pytest.raises(ValueError, match="alpha must not be negative"):
        beam_search(model, source, attend, 2, 5, START, END, alpha=-1)
    with pytest.raises(ValueError, match="not empty"):
        beam_search(model, source[:, :0], None, 2, 5, START, END)
    with pytest.raises(ValueError, match="a text is empty"):
        beam_search(model, source, torch.zeros_like(attend), 2, 5, START, END)
    with pytest.raises(ValueError, match=r"end must be a token in \[0, 6\), got 6"):
        beam_search(model, source, attend, 2, 5, START, 6)
