"""How good a classifier is at a given number of labels: three ways to get one."""

from collections.abc import Sequence

from ptft.core.compute import seed_everything
from ptft.data.tasks import Examples, LabelledTask, few_labels
from ptft.evaluation.predictions import predict_classes
from ptft.evaluation.report import tfidf_classifier
from ptft.models.config import TransformerConfig
from ptft.models.heads import MaskedLanguageModel, SequenceClassifier
from ptft.models.transformer import Transformer
from ptft.text.tokenizer import Tokenizer
from ptft.training.finetuning import fine_tune
from ptft.training.fitting import FitConfig

MAX_TOKENS = 32  # of a text; what is longer is cut off, for every encoder alike


def steps_for(n_labels: int) -> int:
    """Return the length of a fine-tuning run: longer with more labels, the same for every arm."""
    return 60 if n_labels <= 64 else 120 if n_labels <= 256 else 240


def encoder_accuracy(
    start: MaskedLanguageModel | TransformerConfig,
    tokenizer: Tokenizer,
    task: LabelledTask,
    scored: Examples,
    n_labels: int,
    lr: float,
    seed: int,
) -> float:
    """Fine-tune an encoder on `n_labels` training examples and score it on others.

    Args:
        start: A pretrained model, which is copied, or the config of one to start from scratch.
        tokenizer: Of the model.
        task: Its training examples are drawn from.
        scored: Held-out examples: validation to choose settings, test to report.
        n_labels: Number of training labels.
        lr: Peak learning rate.
        seed: Decides which labels are drawn, the new weights and the order.

    Returns:
        Accuracy on `scored`.
    """
    examples = few_labels(task.train, n_labels, seed)
    seed_everything(seed)
    if isinstance(start, TransformerConfig):
        model = SequenceClassifier(Transformer(start), len(task.classes))
    else:
        model = SequenceClassifier.from_pretrained(start, len(task.classes))
    config = FitConfig(lr=lr, steps=steps_for(n_labels), seed=seed)
    fine_tune(model, _encode(tokenizer, examples), examples.labels, config)
    return _accuracy(predict_classes(model, _encode(tokenizer, scored)).tolist(), scored)


def tfidf_accuracy(
    task: LabelledTask, scored: Examples, n_labels: int, c: float, seed: int
) -> float:
    """Do the same with TF-IDF of words and pairs of words, and logistic regression.

    Args:
        task: Its training examples are drawn from, the same as for `encoder_accuracy`.
        scored: Held-out examples.
        n_labels: Number of training labels.
        c: Inverse strength of the regularisation.
        seed: Decides which labels are drawn.

    Returns:
        Accuracy on `scored`.
    """
    examples = few_labels(task.train, n_labels, seed)
    model = tfidf_classifier(c).fit(examples.texts, examples.labels)
    return _accuracy(list(model.predict(scored.texts)), scored)


def _encode(tokenizer: Tokenizer, examples: Examples) -> list[list[int]]:
    return [ids[:MAX_TOKENS] for ids in tokenizer.encode_all(examples.texts)]


def _accuracy(predicted: Sequence[int], scored: Examples) -> float:
    right = sum(int(p == y) for p, y in zip(predicted, scored.labels, strict=True))
    return right / len(scored)
