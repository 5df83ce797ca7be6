"""Word vectors beside the programs that people would use instead: one corpus, one thread.

    python benchmarks/embeddings.py --rounds 5                              # against gensim
    git clone https://github.com/stanfordnlp/GloVe && make -C GloVe
    python benchmarks/embeddings.py glove --glove-build GloVe/build         # against glove.c

Contenders run in turns, each in a process of its own. "seconds" is the CPU time of the work: for a
Python contender from the corpus file to having vectors, for a C program the whole process. "ratio"
is to the contender named beside it, round by round: median, least and largest. "cost" is what
glove.c prints, the mean weighted squared error, halved; its own is a running mean over its last
pass. Both sides of GloVe fit the same file of counts.
"""

import argparse
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from contest import Fit, Measurement, quality, ratios, run_worker, spend, work
from scipy.sparse import coo_array, csr_array

from ptft.core import atomic_write
from ptft.data.word_corpus import Name, word_corpus
from ptft.embeddings.cooccurrence import count_cooccurrences
from ptft.embeddings.fasttext import FastTextConfig, train_fasttext
from ptft.embeddings.glove import GloVeConfig, train_glove
from ptft.embeddings.least_squares import LeastSquaresConfig, train_least_squares
from ptft.embeddings.ppmi import PPMIConfig, train_ppmi
from ptft.embeddings.word2vec import Architecture, Word2VecConfig, train_word2vec
from ptft.evaluation.metrics import mean_interval
from ptft.text.encoded import EncodedCorpus
from ptft.text.word_vectors import WordVectors
from ptft.text.words import Vocabulary

MIN_COUNT, EPOCHS, BUCKETS = 5, 5, 200_000
CBOW_LR = {"ptft": 0.1, "gensim": 0.05}  # gensim does not divide the gradient by the window
# demo.sh of GloVe's authors, but one thread
D_MODEL, WINDOW, X_MAX, ITERATIONS = 50, 15, 10.0, 15
RECORD = np.dtype([("word", "<i4"), ("context", "<i4"), ("count", "<f8")])  # of cooccurrence.bin


@dataclass(frozen=True)
class Contender:
    """How to fit, what to compare with, and how often the corpus is read."""

    fit: Fit
    reference: str
    passes: int = EPOCHS


def read_sentences(folder: Path) -> list[list[str]]:
    """Read the corpus that all contenders share."""
    return [line.split() for line in (folder / "corpus.txt").read_text("utf-8").splitlines()]


def encode(folder: Path) -> tuple[EncodedCorpus, Vocabulary]:
    """Read the corpus file as ids."""
    sentences = read_sentences(folder)
    vocabulary = Vocabulary.build(sentences, MIN_COUNT)
    return EncodedCorpus.build(sentences, vocabulary), vocabulary


def _word2vec(architecture: Architecture) -> Fit:
    def fit(folder: Path, seed: int) -> tuple[float, WordVectors]:
        lr = CBOW_LR["ptft"] if architecture == "cbow" else 0.025
        config = Word2VecConfig(architecture, epochs=EPOCHS, lr=lr, seed=seed)
        return np.nan, train_word2vec(*encode(folder), config).vectors

    return fit


def _fasttext(folder: Path, seed: int) -> tuple[float, WordVectors]:
    config = FastTextConfig(epochs=EPOCHS, buckets=BUCKETS, seed=seed)
    return np.nan, train_fasttext(*encode(folder), config).vectors


def _gensim(class_name: str, sg: int) -> Fit:
    def fit(folder: Path, seed: int) -> tuple[float, WordVectors]:
        import gensim.models
        import torch

        settings = {"bucket": BUCKETS} if class_name == "FastText" else {}
        vectors = getattr(gensim.models, class_name)(
            read_sentences(folder),
            vector_size=100,
            window=5,
            min_count=MIN_COUNT,
            sg=sg,
            alpha=0.025 if sg else CBOW_LR["gensim"],
            negative=5,
            sample=1e-3,
            epochs=EPOCHS,
            workers=1,
            seed=seed,
            **settings,
        ).wv
        return np.nan, WordVectors(vectors.index_to_key, torch.from_numpy(vectors.vectors))

    return fit


def _ppmi(folder: Path, seed: int) -> tuple[float, WordVectors]:
    corpus, vocabulary = encode(folder)
    counts = count_cooccurrences(corpus, len(vocabulary), window=5, weighting="linear")
    return np.nan, train_ppmi(counts, vocabulary, PPMIConfig(d_model=100, seed=seed)).vectors


def read_vocabulary(folder: Path) -> Vocabulary:
    """Read the file of vocab_count."""
    rows = [line.split(" ") for line in (folder / "vocab.txt").read_text("utf-8").splitlines()]
    return Vocabulary(tuple(word for word, _ in rows), tuple(int(count) for _, count in rows))


def read_counts(path: Path, vocab_size: int) -> csr_array:
    """Read the file of cooccur, a program of the GloVe repository; its ids start at 1."""
    records = np.fromfile(path, dtype=RECORD)
    pairs = (records["word"] - 1, records["context"] - 1)
    values = records["count"].astype(np.float32)
    return coo_array((values, pairs), shape=(vocab_size, vocab_size)).tocsr()


def _counting(folder: Path, seed: int) -> tuple[float, None]:
    vocabulary = read_vocabulary(folder)
    lines = (folder / "corpus.txt").open(encoding="utf-8")
    corpus = EncodedCorpus.build(map(str.split, lines), vocabulary, folder / "corpus.npy")
    counts = count_cooccurrences(corpus, len(vocabulary), WINDOW)
    difference = abs(counts - read_counts(folder / "counts.bin", len(vocabulary))).max()
    return float(difference), None  # shown as the cost: both count alike


def _least_squares(sweeps: int) -> Fit:
    def fit(folder: Path, seed: int) -> tuple[float, WordVectors]:
        vocabulary = read_vocabulary(folder)
        counts = read_counts(folder / "counts.bin", len(vocabulary))
        config = LeastSquaresConfig(D_MODEL, X_MAX, sweeps=sweeps, seed=seed)
        fitted = train_least_squares(counts, vocabulary, config)
        return fitted.costs[-1], fitted.vectors

    return fit


def _adagrad(folder: Path, seed: int) -> tuple[float, WordVectors]:
    vocabulary = read_vocabulary(folder)
    counts = read_counts(folder / "counts.bin", len(vocabulary))
    config = GloVeConfig(D_MODEL, X_MAX, epochs=ITERATIONS, seed=seed)
    fitted = train_glove(counts, vocabulary, config)
    return fitted.costs[-1], fitted.vectors


FAMILIES: dict[str, dict[str, Contender]] = {
    "word2vec": {
        "skip-gram, gensim": Contender(_gensim("Word2Vec", sg=1), "skip-gram, gensim"),
        "skip-gram, ptft": Contender(_word2vec("skip-gram"), "skip-gram, gensim"),
        "PPMI + SVD, ptft": Contender(_ppmi, "skip-gram, gensim", passes=1),
        "CBOW, gensim": Contender(_gensim("Word2Vec", sg=0), "CBOW, gensim"),
        "CBOW, ptft": Contender(_word2vec("cbow"), "CBOW, gensim"),
    },
    "fasttext": {
        "FastText, gensim": Contender(_gensim("FastText", sg=1), "FastText, gensim"),
        "FastText, ptft": Contender(_fasttext, "FastText, gensim"),
    },
    "glove": {
        "counting, ptft": Contender(_counting, "cooccur + shuffle", passes=1),
        "least squares, 2 sweeps": Contender(_least_squares(2), "glove.c", passes=2),
        "least squares, 3 sweeps": Contender(_least_squares(3), "glove.c", passes=3),
        "AdaGrad, 15 epochs": Contender(_adagrad, "glove.c", passes=ITERATIONS),
    },
}
CONTENDERS = {name: one for family in FAMILIES.values() for name, one in family.items()}


def write_corpus(name: Name, folder: Path) -> int:
    """Write the file that all contenders read; return its number of words."""
    sentences = word_corpus(name)
    with atomic_write(folder / "corpus.txt", "w") as file:
        file.writelines(" ".join(sentence) + "\n" for sentence in sentences)
    return sum(map(len, sentences))


def run_glove_c(build: Path, folder: Path, seed: int) -> list[Measurement]:
    """Run the authors' programs with the settings of demo.sh, and read the cost printed last."""
    quiet = ["-verbose", "0"]
    count = [str(build / "vocab_count"), "-min-count", str(MIN_COUNT), *quiet]
    spend(count, folder, "corpus.txt", "vocab.txt")
    cooccur = [str(build / "cooccur"), "-memory", "4.0", "-vocab-file", "vocab.txt", *quiet]
    cooccur += ["-window-size", str(WINDOW)]
    first, peak, _ = spend(cooccur, folder, "corpus.txt", "counts.bin")
    shuffle = [str(build / "shuffle"), "-memory", "4.0", *quiet]
    second, other, _ = spend(shuffle, folder, "counts.bin", "shuffled.bin")
    vectors = folder / f"glove_c_{seed}"
    glove = [str(build / "glove"), "-save-file", str(vectors), "-input-file", "shuffled.bin"]
    glove += ["-vocab-file", "vocab.txt", "-vector-size", str(D_MODEL), "-x-max", str(X_MAX)]
    glove += ["-iter", str(ITERATIONS), "-threads", "1", "-binary", "0", "-seed", str(seed + 1)]
    third, memory, errors = spend([*glove, "-verbose", "1"], folder)
    cost = float(errors.rpartition("cost:")[2].split()[0])
    both = first + second
    return [
        Measurement("cooccur + shuffle", both, both, max(peak, other), np.nan, Path()),
        Measurement("glove.c", third, third, memory, cost, vectors.with_suffix(".txt")),
    ]


def compare(names: list[str], build: Path | None, rounds: int, folder: Path) -> pd.DataFrame:
    """Run the contenders in turns; return one row per run."""
    rows = []
    for seed in range(rounds):
        runs = run_glove_c(build, folder, seed) if build is not None else []
        runs += [run_worker(__file__, name, folder, seed) for name in names]
        rows += [asdict(run) | {"seed": seed} | quality(run.vectors) for run in runs]
        print(f"round {seed + 1} of {rounds} done", file=sys.stderr)
    return pd.DataFrame(rows).drop(columns="vectors")


def tables(rows: pd.DataFrame, words: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what each contender took, and how good its vectors are (95 % over the rounds)."""
    groups = {str(name): group for name, group in rows.groupby("contender", sort=False)}
    cost, scores = [], []
    for name, group in groups.items():
        one = CONTENDERS.get(name)
        reference = one.reference if one else name
        took = group[["seconds", "process", "memory", "cost"]].median()
        words_per_second = words * (one.passes if one else ITERATIONS) / took["seconds"]
        ratio = ratios(list(group["seconds"]), list(groups[reference]["seconds"]))
        cost.append({"contender": name, "words/s": round(words_per_second, -3), **took.round(4),
                     "ratio of seconds": ratio, "to": reference})  # fmt: skip
        for score in ("WordSim-353", "SimLex-999", "semantic", "syntactic", "analogies"):
            values = group[score].dropna().tolist() if score in group else []
            text = str(mean_interval(values)) if len(values) > 1 else ""
            scores.append({"contender": name, "score": score, "mean and interval": text})
    by_score = pd.DataFrame(scores).pivot(
        index="contender", columns="score", values="mean and interval"
    )
    return pd.DataFrame(cost).set_index("contender"), by_score.loc[list(groups)]


def main() -> None:
    """Compare, or be one contender."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("family", nargs="*", help=f"some of {', '.join(FAMILIES)}; all by default")
    parser.add_argument("--corpus", default="bundled", choices=["bundled", "docstrings", "all"])
    parser.add_argument("--rounds", type=int, default=3, help="at least 2")
    parser.add_argument("--glove-build", type=Path, help="folder of the compiled GloVe programs")
    parser.add_argument("--worker", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, CONTENDERS[options.worker].fit, options.folder, options.seed)
        return
    build = options.glove_build
    wanted = options.family or [name for name in FAMILIES if name != "glove" or build is not None]
    if unknown := set(wanted) - set(FAMILIES):
        parser.error(f"families are {', '.join(FAMILIES)}, got {', '.join(sorted(unknown))}")
    if "glove" in wanted and (build is None or not (build / "glove").is_file()):
        parser.error(f"--glove-build must be a folder with the program glove, got {build}")
    if options.rounds < 2:
        parser.error(f"--rounds must be at least 2, got {options.rounds}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = write_corpus(options.corpus, folder)
        names = [one for family in wanted for one in FAMILIES[family]]
        programs = build.resolve() if "glove" in wanted else None
        rows = compare(names, programs, options.rounds, folder)
    print(f"{options.corpus}: {words:,} words; medians of {options.rounds} rounds; MiB")
    for table in tables(rows, words):
        print(table.to_string(), end="\n\n")


if __name__ == "__main__":
    main()
