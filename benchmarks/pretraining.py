"""Pretraining beside what people would use instead: one thread, in turns, as ratios.

    python benchmarks/pretraining.py characters --text input.txt --rounds 3
    python benchmarks/pretraining.py ablation --text input.txt --rounds 3
    python benchmarks/pretraining.py masked --rounds 3        # beside transformers' Trainer
    python benchmarks/pretraining.py limits --rounds 5        # beside the exact limit
    python benchmarks/pretraining.py generation --rounds 5    # beside transformers' generate
    python benchmarks/pretraining.py peak                     # beside the processor

`--text` is a path or an address; nanoGPT's text is data/tinyshakespeare/input.txt of
github.com/karpathy/char-rnn. "CPU seconds" are those of one thread spent on learning, counting
n-grams included, and on nothing else. Contenders run in turns, each in a process of its own; ratios
are taken round by round: median, least and largest. The loss is over the whole validation split,
the same for all. The ablation never sees that split: it learns and is scored within the training
text.
"""

import argparse

import ablation
import characters
import generation
import limits
import masked
import peak


def main() -> None:
    """Run one part of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    for module in (characters, ablation, masked, limits, generation, peak):
        module.add_arguments(parts)
    options = parser.parse_args()
    options.run(parser, options)


if __name__ == "__main__":
    main()
