import pytest
import torch

from ptft.data.tasks import Examples, LabelledTask
from ptft.evaluation.label_efficiency import encoder_accuracy, steps_for, tfidf_accuracy
from ptft.evaluation.predictions import predict_classes
from ptft.models.config import TransformerConfig
from ptft.models.heads import MaskedLanguageModel, SequenceClassifier
from ptft.models.transformer import Transformer
from ptft.text.tokenizer import Tokenizer

FRUIT = ["a ripe apple", "the sweet plum", "a sour lemon", "the green pear", "one juicy melon"]
TOOLS = ["a heavy hammer", "the long saw", "a steel wrench", "the sharp chisel", "one old drill"]
TEXTS = tuple(f"{start} {text}" for start in ("here is", "look at") for text in FRUIT + TOOLS)
EXAMPLES = Examples(TEXTS, tuple([0] * 5 + [1] * 5) * 2)
TASK = LabelledTask("toy", "Fruit or tool?", ("fruit", "tool"), EXAMPLES, EXAMPLES, EXAMPLES)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(TEXTS * 5, 120)


@pytest.fixture(scope="module")
def config(tokenizer):
    return TransformerConfig(len(tokenizer), d_model=16, n_heads=2, n_layers=1, d_ff=16, max_len=32)


def test_predictions_do_not_depend_on_the_batch(tokenizer, config):
    torch.manual_seed(0)
    model = SequenceClassifier(Transformer(config), 3).train()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    sequences = tokenizer.encode_all([text * (i % 3 + 1) for i, text in enumerate(TEXTS)])
    at_once = predict_classes(model, sequences)
    one_by_one = torch.cat([predict_classes(model, [s], batch_size=1) for s in sequences])
    assert torch.equal(at_once, one_by_one)
    assert len(at_once.unique()) > 1
    assert model.training


def test_each_way_learns_an_easy_task_and_is_reproducible(tokenizer, config):
    arguments = (tokenizer, TASK, TASK.test, 16, 1e-2)
    for start in (config, MaskedLanguageModel(config)):
        accuracy = encoder_accuracy(start, *arguments, seed=0)
        assert accuracy > 0.8
        assert encoder_accuracy(start, *arguments, seed=0) == accuracy
    assert tfidf_accuracy(TASK, TASK.test, 16, c=10, seed=0) > 0.8


def test_the_pretrained_model_is_not_changed(tokenizer, config):
    model = MaskedLanguageModel(config)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    encoder_accuracy(model, tokenizer, TASK, TASK.test, 4, 1e-2, seed=0)
    assert all(torch.equal(before[n], tensor) for n, tensor in model.state_dict().items())


def test_more_labels_get_more_steps():
    assert [steps_for(n) for n in (8, 64, 65, 256, 1024)] == [60, 60, 120, 120, 240]
