"""A recurrent network as a language model: each word from a state that has read all before it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptft.models.generation import Sampling, next_token_probs
from ptft.models.inputs import check_attend, check_ids
from ptft.models.recurrent import LAYERS, Kind

State = Tensor | tuple[Tensor, Tensor]  # (L, B, H), of an LSTM twice: h and c


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes of a recurrent language model.

    Attributes:
        vocab_size: Number of token ids `V`.
        d_model: Width `D` of the embeddings.
        hidden: Width `H` of the state of a layer.
        n_layers: Number of recurrent layers `L`.
        kind: Cell: "elman" (tanh), "gru" or "lstm".
        dropout: On embeddings, between layers and on the last states; none through time (Zaremba
            et al. 2014, sec. 3.1).
        tied: Score a token by its own embedding (Press & Wolf 2017, sec. 3); takes
            `d_model == hidden`.

    Raises:
        ValueError: If a size is below one, `kind` is unknown, `dropout` is not in [0, 1), or `tied`
            widths differ.
    """

    vocab_size: int
    d_model: int
    hidden: int
    n_layers: int = 1
    kind: Kind = "lstm"
    dropout: float = 0.0
    tied: bool = False

    def __post_init__(self) -> None:
        sizes = {name: getattr(self, name) for name in ("vocab_size", "d_model", "hidden")}
        for name, size in {**sizes, "n_layers": self.n_layers}.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        if self.kind not in LAYERS:
            raise ValueError(f"kind must be one of {', '.join(LAYERS)}, got {self.kind!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.tied and self.d_model != self.hidden:
            raise ValueError(
                "tied weights take one width for embeddings and states, "
                f"got d_model {self.d_model} and hidden {self.hidden}"
            )


class RecurrentLanguageModel(nn.Module):
    r"""Predicts each token from those before it, by a state that is carried along.

    $$h_t = f(E_{x_t}, h_{t-1}), \qquad p(x_{t+1} \mid x_{\le t}) = \mathrm{softmax}(W h_t + b)$$

    Mikolov et al. 2010, sec. 2, with embeddings, and with a gated cell if `kind` says so. The state
    of step `t` has read token `t`, so its scores are for token `t + 1`.
    """

    def __init__(self, config: RecurrentConfig):
        super().__init__()
        self.config = config
        V, D, H = config.vocab_size, config.d_model, config.hidden
        between = config.dropout if config.n_layers > 1 else 0.0  # torch warns otherwise
        self.embedding = nn.Embedding(V, D)
        self.layers = LAYERS[config.kind](D, H, config.n_layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(H, V)
        nn.init.normal_(self.embedding.weight, std=D**-0.5 if config.tied else 1.0)
        nn.init.normal_(self.output.weight, std=H**-0.5 / 4)  # first guess: nearly uniform
        nn.init.zeros_(self.output.bias)
        for name, parameter in self.layers.named_parameters():
            if "weight_hh" in name:
                for gate in parameter.data.split(H):  # (H, H) each
                    nn.init.orthogonal_(gate)
            elif "bias" in name:
                nn.init.zeros_(parameter)
                if config.kind == "lstm" and "bias_ih" in name:
                    nn.init.ones_(parameter.data[H : 2 * H])  # remember first: Jozefowicz 2015
        if config.tied:
            self.output.weight = self.embedding.weight

    def forward(self, ids: Tensor, attend: Tensor | None = None) -> Tensor:
        """Score every token as the successor of each prefix, from an empty state.

        Args:
            ids: `(B, T)` token ids.
            attend: `(B, T)` bool, True on real tokens, or None. Padding stands on the right, where
                no real token reads it; the logits there mean nothing.

        Returns:
            `(B, T, V)` logits; those at position `t` are for token `t + 1`.

        Raises:
            TypeError: If ids are not integers.
            ValueError: If there is no token, a shape is wrong, an id is outside the vocabulary, or
                `attend` has a gap or starts with padding.
        """
        if attend is not None:
            check_attend(ids, attend)
        return self.step(ids)[0]

    def step(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read on from a state.

        Args:
            ids: `(B, T)` the next tokens, one or more.
            state: What the call before returned, or None at the start of a text. To cut the
                gradient there (truncated backpropagation through time), see `detach`.

        Returns:
            `(B, T, V)` logits, and the state after the last token.

        Raises:
            TypeError, ValueError: As `forward`, or if the state is of another batch size or kind.
        """
        check_ids(ids, self.config.vocab_size)
        if state is not None:
            self._check_state(state, len(ids))
        x = self.dropout(self.embedding(ids))  # (B, T, D)
        h, state = self.layers(x, state)  # (B, T, H)
        return self.output(self.dropout(h)), state

    def _check_state(self, state: State, batch_size: int) -> None:
        parts = (state,) if isinstance(state, Tensor) else tuple(state)
        wanted = (self.config.n_layers, batch_size, self.config.hidden)
        n = 2 if self.config.kind == "lstm" else 1
        shapes = [tuple(part.shape) for part in parts]
        if shapes != [wanted] * n:
            raise ValueError(f"expected a state of {n} x {wanted}, got {shapes}")


def detach(state: State) -> State:
    """Return the state as a constant: no gradient flows to what was read before."""
    if isinstance(state, Tensor):
        return state.detach()
    return state[0].detach(), state[1].detach()


@torch.no_grad()
def write(
    model: RecurrentLanguageModel,
    prompt: Tensor,
    n: int,
    sampling: Sampling | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Continue each prompt by `n` tokens; a token costs the same however long the text is.

    Args:
        model: Is put into evaluation mode.
        prompt: `(B, T)` token ids, T at least 1, without padding.
        n: Number of new tokens.
        sampling: How a token is drawn; None takes the likeliest.
        generator: Source of randomness; torch's own if None.

    Returns:
        `(B, T + n)` token ids.

    Raises:
        TypeError, ValueError: If `n` is below 1, or the prompt is not as `forward` takes it.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    model.eval()
    text, new, state = [prompt], prompt, None
    for _ in range(n):
        logits, state = model.step(new, state)
        if sampling is None:
            new = logits[:, -1].argmax(-1, keepdim=True)  # (B, 1)
        else:
            probs = next_token_probs(logits[:, -1], sampling).cpu()  # (B, V)
            new = torch.multinomial(probs, 1, generator=generator).to(prompt.device)
        text.append(new)
    return torch.cat(text, dim=1)
