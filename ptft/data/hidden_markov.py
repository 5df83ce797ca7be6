"""Hidden Markov models over words: sampling, and the forward and backward recursions.

With the predictive distribution `a_t(z) = p(z_t = z | seen before t)` of the state, the likelihood
`l_t(z)` of what is seen at position t and the transition matrix A,

    forward    a_{t+1} = normalise(a_t * l_t) A
    backward   b_t     = normalise(A (l_{t+1} * b_{t+1})),  b_T = 1

so `a_t * b_t` is proportional to `p(z_t | seen at all positions but t)` (Rabiner 1989, "A Tutorial
on Hidden Markov Models", section III). All in float64, for a batch of texts at once.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MASK_ID = SPECIAL_TOKENS.index("[MASK]")
FIRST_WORD_ID = len(SPECIAL_TOKENS)


class Sample(NamedTuple):
    """Sampled text and the hidden states that said it."""

    ids: Tensor  # (n, length)
    states: Tensor  # (n, length)


@dataclass(frozen=True, eq=False)
class HiddenMarkovModel:
    """A stationary hidden Markov model over a vocabulary that begins with the special tokens.

    `p(x, z) = initial[z_1] emission[z_1, x_1] prod_t transition[z_{t-1}, z_t] emission[z_t, x_t]`

    Attributes:
        words: The vocabulary, V strings; ids 0 to 4 are `SPECIAL_TOKENS`, which no state emits.
        initial: (S,) float64, distribution of the state at a random position of an endless text.
        transition: (S, S) float64, `p(next state | state)`.
        emission: (S, V) float64, `p(word | state)`.

    Raises:
        ValueError: If shapes or special tokens are wrong, or rows are not distributions.
    """

    words: tuple[str, ...]
    initial: Tensor
    transition: Tensor
    emission: Tensor

    def __post_init__(self) -> None:
        n_states = len(self.initial)
        if self.words[:FIRST_WORD_ID] != SPECIAL_TOKENS or len(set(self.words)) != len(self.words):
            raise ValueError(f"words must be distinct and begin with {SPECIAL_TOKENS}")
        expected = {
            "initial": (n_states,),
            "transition": (n_states, n_states),
            "emission": (n_states, len(self.words)),
        }
        for name, shape in expected.items():
            table = getattr(self, name)
            if table.shape != shape or table.dtype != torch.float64:
                raise ValueError(
                    f"{name} must be float64 of shape {shape}, "
                    f"got {table.dtype} of shape {tuple(table.shape)}"
                )
            sums = table.sum(-1)
            if (table < 0).any() or not torch.allclose(sums, torch.ones_like(sums)):
                raise ValueError(f"each row of {name} must be a distribution")
        if self.emission[:, :FIRST_WORD_ID].any():
            raise ValueError("no state may emit a special token")

    def sample(
        self, n: int, length: int, generator: torch.Generator, start: Tensor | None = None
    ) -> Sample:
        """Draw texts and their hidden states.

        Args:
            n: Number of texts.
            length: Tokens per text.
            generator: Source of randomness; the same state gives the same texts.
            start: (S,) distribution of the first state; `initial` by default.

        Returns:
            `ids` and `states`, both int64 of shape (n, length).

        Raises:
            ValueError: If `n` or `length` is not positive, or `start` has another shape.
        """
        if n < 1 or length < 1:
            raise ValueError(f"n and length must be at least 1, got n={n} and length={length}")
        start = self.initial if start is None else start
        if start.shape != self.initial.shape:
            raise ValueError(
                f"start must have shape {tuple(self.initial.shape)}, got {tuple(start.shape)}"
            )
        first_row = torch.zeros(n, dtype=torch.long)
        state = _draw(_cumulative(start[None]), first_row, generator)
        states = [state]
        moves = _cumulative(self.transition)
        for _ in range(length - 1):
            state = _draw(moves, state, generator)
            states.append(state)
        path = torch.stack(states, dim=1)  # (n, length)
        ids = _draw(_cumulative(self.emission), path.flatten(), generator).view(n, length)
        return Sample(ids, path)

    def encode(self, text: str) -> Tensor:
        """Return the ids (T,) of words separated by spaces.

        Raises:
            ValueError: If the text is empty or has a word outside the vocabulary.
        """
        index = {word: i for i, word in enumerate(self.words)}
        words = text.split()
        if not words:
            raise ValueError("cannot encode an empty text")
        if unknown := sorted({word for word in words if word not in index}):
            raise ValueError(f"not words of this language: {', '.join(unknown)}")
        return torch.tensor([index[word] for word in words])

    def decode(self, ids: Tensor) -> str:
        """Return the words of one text, `ids` of shape (T,), joined by spaces.

        Raises:
            ValueError: If `ids` has another shape or dtype or an id out of range.
        """
        if ids.ndim != 1:
            raise ValueError(f"decode takes one text of shape (T,), got shape {tuple(ids.shape)}")
        self.check_ids(ids)
        return " ".join(self.words[i] for i in ids.tolist())

    def check_ids(self, ids: Tensor) -> None:
        """Refuse ids that are not integers of the vocabulary.

        Raises:
            ValueError: If `ids` is empty, not int64, or has an id outside 0 to V - 1.
        """
        if ids.dtype != torch.long:
            raise ValueError(f"ids must be int64, got {ids.dtype}")
        if ids.numel() == 0:
            raise ValueError(f"ids must not be empty, got shape {tuple(ids.shape)}")
        if ids.min() < 0 or ids.max() >= len(self.words):
            raise ValueError(
                f"ids must be between 0 and {len(self.words) - 1}, "
                f"got {int(ids.min())} to {int(ids.max())}"
            )


def stationary_distribution(transition: Tensor) -> Tensor:
    """Return the distribution that the chain keeps: `pi = pi transition`, `sum(pi) = 1`.

    Args:
        transition: (S, S) float64, rows sum to one, every state reachable from every other.

    Returns:
        (S,) float64.
    """
    n_states = len(transition)
    # The S balance equations are dependent; the sum condition replaces the last one.
    equations = transition.T - torch.eye(n_states, dtype=transition.dtype)
    equations[-1] = 1.0
    right_side = torch.zeros(n_states, dtype=transition.dtype)
    right_side[-1] = 1.0
    return torch.linalg.solve(equations, right_side)


def forward_pass(
    model: HiddenMarkovModel, likelihood: Tensor, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Filter the states from left to right.

    Args:
        model: The hidden Markov model.
        likelihood: (B, T, S) float64, `l_t(z)` of what is seen at t in state z, up to a factor.
        start: Distribution of the first state, (S,) or one per text (B, S); stationary by default.

    Returns:
        `p(z_t | seen before t)` (B, T, S) and `p(seen at t | seen before t)` (B, T).

    Raises:
        ValueError: If `start` has another shape, or what is seen has probability zero.
    """
    batch, length, n_states = likelihood.shape
    start = model.initial if start is None else start
    if start.shape not in ((n_states,), (batch, n_states)):
        raise ValueError(
            f"start must have shape {(n_states,)} or {(batch, n_states)}, got {tuple(start.shape)}"
        )
    predictive = torch.empty_like(likelihood)
    scale = likelihood.new_empty(batch, length)
    state = start.expand(batch, n_states)
    for t in range(length):
        predictive[:, t] = state
        joint = state * likelihood[:, t]  # (B, S)
        scale[:, t] = joint.sum(1)
        state = (joint / scale[:, t, None]) @ model.transition
    impossible = ~(scale > 0).all(1)  # also catches the NaN after a zero
    if impossible.any():
        text = int(impossible.nonzero()[0])
        position = int((~(scale[text] > 0)).nonzero()[0])
        raise ValueError(f"the language cannot say text {text}: position {position} is impossible")
    return predictive, scale


def given_the_rest(
    model: HiddenMarkovModel, likelihood: Tensor, start: Tensor | None = None
) -> Tensor:
    """Return `p(z_t | seen at all positions but t)` (B, T, S); arguments as in `forward_pass`."""
    result, _ = forward_pass(model, likelihood, start)
    backward = torch.ones_like(likelihood[:, 0])  # (B, S)
    for t in range(likelihood.shape[1] - 2, -1, -1):
        backward = (backward * likelihood[:, t + 1]) @ model.transition.T
        backward /= backward.sum(1, keepdim=True)  # only its direction matters
        result[:, t] *= backward
    return result / result.sum(-1, keepdim=True)


def _cumulative(table: Tensor) -> Tensor:
    """Return the cumulative rows, row i shifted up by i: flattened, they increase throughout."""
    cumulative = table.cumsum(1)
    cumulative = cumulative / cumulative[:, -1:]  # the last entry is exactly 1
    return cumulative + torch.arange(len(table))[:, None]


def _draw(cumulative: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one column from each of the given rows by inverting the cumulative distribution."""
    # A float32 uniform has 24 bits: adding the row number in float64 is exact, none leaves its row.
    uniform = torch.rand(len(rows), generator=generator, dtype=torch.float32)
    found = torch.searchsorted(cumulative.flatten(), uniform.double() + rows, right=True)
    return found - rows * cumulative.shape[1]
