"""`python -m ptft predict`: the class of each text, by a classifier of `finetune`."""

import argparse
import json
from pathlib import Path

from ptft.cli.sources import say
from ptft.core import atomic_write
from ptft.core.compute import default_device, set_threads
from ptft.data.labelled_file import read_rows
from ptft.evaluation.predictions import predict_scores
from ptft.pretrained.classifier import load_classifier


def predict(args: argparse.Namespace) -> None:
    """Print, or write, an object a line: text, label, probability.

    Raises:
        DataError: If the folder holds no classifier, or the file cannot be read.
        ValueError: If there is no text.
    """
    if (args.data is None) == (not args.texts):
        raise ValueError("give texts, or a file with --data")
    set_threads(args.threads)
    classifier = load_classifier(args.model).to(default_device())
    texts = args.texts
    if args.data is not None:
        texts = [row.text for row in read_rows(args.data, args.text, None, args.encoding)]
    if not all(text.strip() for text in texts):
        raise ValueError("a text is empty")
    scores = predict_scores(classifier, classifier.encode(texts)).softmax(dim=-1)  # (n, C)
    best, answers = scores.max(dim=-1)
    lines = [
        json.dumps({"text": text, "label": classifier.classes[i], "probability": round(p, 4)},
                   ensure_ascii=False)
        for text, i, p in zip(texts, answers.tolist(), best.tolist(), strict=True)
    ]  # fmt: skip
    if args.out is None:
        print("\n".join(lines))
        return
    with atomic_write(args.out, "w") as file:
        file.write("\n".join(lines) + "\n")
    say(f"{len(lines):,} texts, written to {Path(args.out)}")
