"""What a classifier is worth on held-out texts, beside what is there without it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, f1_score
from sklearn.pipeline import Pipeline, make_pipeline

from ptft.data.tasks import LabelledTask
from ptft.evaluation.metrics import Interval, bootstrap_interval


@dataclass(frozen=True)
class ClassificationReport:
    """Scores of one classifier on one test set of n texts and C classes.

    Attributes:
        classes: C names.
        accuracy: Share of right answers; the interval is over test texts (bootstrap).
        macro_f1: Mean of the F1 of the classes: a rare class counts as much as a frequent one.
        confusion: (C, C) counts, a row for each true class, a column for each answer.
        baselines: Accuracy, with interval, of what the classifier should beat.
    """

    classes: tuple[str, ...]
    accuracy: Interval
    macro_f1: float
    confusion: np.ndarray
    baselines: dict[str, Interval]

    def __str__(self) -> str:
        """Return the report as a few lines of text."""
        width = max(map(len, (*self.classes, *self.baselines, "true class")))
        rows = [("this model", self.accuracy), *self.baselines.items()]
        lines = [f"{self.accuracy.n} held-out texts; accuracy with its 95 % interval", ""]
        lines += [f"{name:{width}}  {i.mean:.3f} [{i.low:.3f}, {i.high:.3f}]" for name, i in rows]
        lines += [f"{'macro-F1':{width}}  {self.macro_f1:.3f}", ""]
        cell = max(6, *(len(name[:12]) for name in self.classes)) + 1
        lines += [f"{'true class':{width}} " + "".join(f"{n[:12]:>{cell}}" for n in self.classes)]
        lines += [
            f"{name:{width}} " + "".join(f"{n:{cell}}" for n in counts)
            for name, counts in zip(self.classes, self.confusion, strict=True)
        ]
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """Return the report as values that JSON has."""
        return {
            "classes": list(self.classes),
            "accuracy": vars(self.accuracy),
            "macro_f1": self.macro_f1,
            "confusion": self.confusion.tolist(),
            "baselines": {name: vars(interval) for name, interval in self.baselines.items()},
        }


def classification_report(
    task: LabelledTask, predicted: Sequence[int], baselines: bool = True
) -> ClassificationReport:
    """Score the answers to a task's test texts.

    Args:
        task: Its test split is scored; the baselines are fitted on its other splits.
        predicted: The class of each test text.
        baselines: Whether to fit the majority class, and logistic regression over TF-IDF.

    Raises:
        ValueError: If there are not as many answers as test texts, or fewer than two.
    """
    truth = np.array(task.test.labels)
    answers = np.array(predicted)
    if answers.shape != truth.shape:
        raise ValueError(f"expected {len(truth)} answers, one for each text, got {answers.shape}")
    others = {}
    if baselines:
        majority = Counter(task.train.labels).most_common(1)[0][0]
        others["majority class"] = bootstrap_interval(truth == majority, seed=0)
        by_words = tuned_tfidf(task).predict(task.test.texts)
        others["TF-IDF, logistic regression"] = bootstrap_interval(truth == by_words, seed=0)
    every = range(len(task.classes))
    return ClassificationReport(
        task.classes,
        bootstrap_interval(truth == answers, seed=0),
        float(f1_score(truth, answers, labels=every, average="macro", zero_division=0.0)),
        confusion_matrix(truth, answers, labels=every),
        others,
    )


def tfidf_classifier(c: float) -> Pipeline:
    """Return logistic regression over TF-IDF of words and pairs of words.

    Args:
        c: Inverse strength of the regularisation.
    """
    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=c, max_iter=1000),
    )


def tuned_tfidf(task: LabelledTask, choices: Sequence[float] = (1, 10, 100)) -> Pipeline:
    """Return the `tfidf_classifier` whose regularisation the validation split prefers."""
    fitted = [tfidf_classifier(c).fit(task.train.texts, task.train.labels) for c in choices]
    return max(fitted, key=lambda m: m.score(task.validation.texts, task.validation.labels))
