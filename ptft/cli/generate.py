"""`python -m ptft generate`."""

import argparse
import sys

import torch

from ptft.core.compute import generator
from ptft.models.generation import Sampling, stream
from ptft.pretrained import load_causal_model
from ptft.text.tokenizer import SEP, UNK

MOST = 100  # tokens, if not said otherwise


def generate(args: argparse.Namespace) -> None:
    """Write the prompt and its continuation to standard output, token by token.

    Raises:
        DataError: If the folder holds no decoder, or a damaged one.
        ValueError: If the prompt has unknown words, or text and continuation exceed the context.
    """
    sampling = None if args.greedy else Sampling(args.temperature, args.top_k, args.top_p)
    model, tokenizer = load_causal_model(args.model)
    prompt = args.prompt
    if prompt is None:
        prompt = "" if sys.stdin.isatty() else sys.stdin.read().rstrip("\n")
    ids = tokenizer.encode(prompt)
    if not ids:
        raise ValueError("this model cannot start from nothing: give a prompt")
    if UNK in ids:
        raise ValueError(f"the prompt has words that the model does not know: {prompt!r}")
    room = model.config.max_len - len(ids)
    n = max(1, min(MOST, room)) if args.tokens is None else args.tokens
    draws = None if args.seed is None else generator(args.seed)
    written = ""
    for token in stream(model, torch.tensor([ids]), n, sampling, draws):
        if token == SEP:
            break
        ids.append(int(token))
        text = tokenizer.decode(ids)
        if not text.endswith("\ufffd"):  # else the bytes of its last letter are not all there
            sys.stdout.write(text[len(written) :])
            sys.stdout.flush()
            written = text
    print(tokenizer.decode(ids)[len(written) :])
