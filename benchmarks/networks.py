"""Networks before Transformers beside what people would use instead: one thread, as ratios.

    python benchmarks/networks.py digits --mnist folder --rounds 3    # beside pytorch/examples
    python benchmarks/networks.py recurrent --rounds 5    # packed LSTM beside a loop over time
    python benchmarks/networks.py beams --rounds 3        # beam search beside a loop

`--mnist` is a folder with MNIST's files `*-images-idx3-ubyte.gz` and their labels; every fifth
image is for the score. Settings are chosen with `--tuning`, which splits the other four fifths and
does not look at that one. "CPU seconds" are those of one thread spent on training, or on the step
or search that is named, and on nothing else: libraries are loaded, kernels prepared and scores
taken off the clock, for all. Ratios are taken round by round: median, least and largest.
"""

import argparse

import beams
import digits_contest
import recurrent


def main() -> None:
    """Run one part of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    for module in (digits_contest, recurrent, beams):
        module.add_arguments(parts)
    options = parser.parse_args()
    options.run(parser, options)


if __name__ == "__main__":
    main()
