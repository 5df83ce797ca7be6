import os

os.environ["KERAS_BACKEND"] = "torch"  # before keras is imported

from dataclasses import replace

import pytest
import torch
from torch import nn

from ptft.evaluation.predictions import predict_classes
from ptft.models.text_cnn import TextCNN, TextCNNConfig
from ptft.text.batches import LabelledBatch, pad
from ptft.training.finetuning import fine_tune
from ptft.training.fitting import FitConfig
from ptft.training.losses import class_loss

CONFIG = TextCNNConfig(vocab_size=12, n_classes=3, d_model=4, widths=(2, 3), filters=5)
CHANNELS = "random", "frozen", "tuned", "both"


def build(channels="random", **changes):
    torch.manual_seed(0)
    config = replace(CONFIG, channels=channels, **changes)
    vectors = None if channels == "random" else torch.randn(config.vocab_size, config.d_model)
    model = TextCNN(config, vectors)
    nn.init.normal_(model.classifier.weight)  # it starts at zero, which would hide everything
    return model.eval()


def by_hand(model, sentence):
    """One sentence, one filter and one window at a time."""
    x = torch.cat([table.weight[sentence] for table in model.embeddings], dim=1)  # (T, D)
    z = []
    for width, layer in zip(model.config.widths, model.convolutions, strict=True):
        rows = torch.cat((x, torch.zeros(max(width - len(x), 0), x.shape[1])))
        for w, b in zip(layer.weight, layer.bias, strict=True):
            windows = range(len(rows) - width + 1)
            z.append(max((rows[t : t + width] * w.T).sum() + b for t in windows).clamp(min=0))
    return model.classifier(torch.stack(z))


@pytest.mark.parametrize("channels", CHANNELS)
def test_it_equals_one_window_at_a_time(channels):
    model = build(channels)
    sentences = [[1, 2, 3, 4, 5, 6], [7], [8, 0], [0, 0, 0]]
    logits = model(*pad(sentences))
    expected = torch.stack([by_hand(model, sentence) for sentence in sentences])
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("channels", CHANNELS)
def test_padding_cannot_change_a_logit(channels):
    model = build(channels)
    model.convolutions[0].bias.data.fill_(5.0)  # a window of zeros would win
    sentences = [[1, 2, 3, 4, 5, 6, 7, 8], [9], [1, 2], [0, 3, 0]]
    ids, attend = pad(sentences)
    logits = model(ids, attend)
    other = ids.where(attend, -100)  # not even a word in the padded slots
    longer, more = (torch.cat((t, t.new_zeros(4, 5)), dim=1) for t in (ids, attend))
    assert torch.equal(model(other, attend), logits)
    assert torch.equal(model(longer, more), logits)
    for sentence, row in zip(sentences, logits, strict=True):
        torch.testing.assert_close(model(torch.tensor([sentence]))[0], row)


def test_padding_gets_no_gradient():
    model = build()
    ids, attend = pad([[1, 2, 3, 4], [5]])
    class_loss(model, LabelledBatch(ids, attend, torch.tensor([0, 1])))[0].backward()
    gradient = model.embeddings[0].weight.grad
    assert gradient[0].abs().sum() == 0  # id 0 is in padded slots only
    assert gradient[5].abs().sum() > 0


def test_places_are_those_of_the_first_word_of_the_window():
    model = build()
    ids, attend = pad([[1, 2, 3, 4, 5], [1, 2]])
    two, three = model.activations(ids, attend)
    assert two.shape == (2, 5, 4) and three.shape == (2, 5, 3)
    assert (two[1, :, 1:] == 0).all() and (three[1, :, 1:] == 0).all()
    table = model.embeddings[0].weight
    layer = model.convolutions[0]
    third = torch.einsum("hd,fdh->f", table[[3, 4]], layer.weight) + layer.bias
    torch.testing.assert_close(two[0, :, 2], third.clamp(min=0))


def test_order_matters_unless_filters_are_one_word_wide():
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    narrow, wide = build(widths=(1,)), build()
    torch.testing.assert_close(narrow(ids), narrow(ids.flip(1)))
    assert not torch.allclose(wide(ids), wide(ids.flip(1)))


@pytest.mark.parametrize(
    ("channels", "trained", "moves"),
    [
        ("random", [True], [True]),
        ("frozen", [False], [False]),
        ("tuned", [True], [True]),
        ("both", [False, True], [False, True]),
    ],
)
def test_only_the_tables_that_may_move_do(channels, trained, moves):
    model = build(channels)
    assert [table.weight.requires_grad for table in model.embeddings] == trained
    before = [table.weight.clone() for table in model.embeddings]
    fine_tune(model, [[1, 2, 3], [4, 5]], [0, 1], FitConfig(lr=0.1, steps=2, batch_size=2))
    changed = [not torch.equal(a, t.weight) for a, t in zip(before, model.embeddings, strict=True)]
    assert changed == moves


def test_given_vectors_are_copied():
    vectors = torch.randn(12, 4)
    model = TextCNN(replace(CONFIG, channels="both"), vectors)
    frozen, tuned = (table.weight for table in model.embeddings)
    assert torch.equal(frozen, vectors) and torch.equal(tuned, vectors)
    assert len({frozen.data_ptr(), tuned.data_ptr(), vectors.data_ptr()}) == 3


def test_it_learns_an_order_that_no_bag_can_see():
    pairs = [[a, b] for a in range(1, 6) for b in range(6, 11)]
    texts = pairs + [pair[::-1] for pair in pairs]
    labels = [0] * len(pairs) + [1] * len(pairs)
    torch.manual_seed(0)
    model = TextCNN(replace(CONFIG, n_classes=2, widths=(2,), filters=16, dropout=0.0))
    fine_tune(model, texts, labels, FitConfig(lr=0.03, steps=60))
    assert (predict_classes(model, texts) == torch.tensor(labels)).all()


def test_a_keras_twin_gives_the_same_logits():
    import keras
    from keras import layers

    model = build()
    x = keras.Input((6,), dtype="int64")
    rows = layers.Embedding(12, 4)(x)
    features = [layers.Conv1D(5, width, activation="relu")(rows) for width in (2, 3)]
    z = layers.Concatenate()([layers.GlobalMaxPooling1D()(c) for c in features])
    twin = keras.Model(x, layers.Dense(3)(z))
    weights = [model.embeddings[0].weight]
    for layer in model.convolutions:
        weights += [layer.weight.permute(2, 1, 0), layer.bias]  # (h, D, filters)
    weights += [model.classifier.weight.T, model.classifier.bias]
    twin.set_weights([weight.detach().numpy() for weight in weights])
    assert twin.count_params() == sum(p.numel() for p in model.parameters())
    ids = torch.randint(0, 12, (7, 6), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(twin(ids), model(ids), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 0}, "vocab_size must be at least 1, got 0"),
        ({"d_model": -1}, "d_model must be at least 1, got -1"),
        ({"filters": 0}, "filters must be at least 1"),
        ({"n_classes": 1}, "at least 2 classes, got 1"),
        ({"widths": ()}, "widths must be distinct and at least 1"),
        ({"widths": (0, 3)}, "widths must be distinct and at least 1"),
        ({"widths": (3, 3)}, "widths must be distinct and at least 1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"channels": "static"}, "one of random, frozen, tuned, both, got 'static'"),
    ],
)
def test_a_bad_config_says_so(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **changes)


@pytest.mark.parametrize(
    ("channels", "vectors", "message"),
    [
        ("random", torch.zeros(12, 4), "needs no vectors, got some"),
        ("frozen", None, r"needs vectors of shape \(12, 4\), got none"),
        ("both", torch.zeros(4, 12), r"shape \(12, 4\), got \(4, 12\)"),
        ("tuned", torch.full((12, 4), torch.nan), "expected finite vectors"),
    ],
)
def test_wrong_vectors_say_so(channels, vectors, message):
    with pytest.raises(ValueError, match=message):
        TextCNN(replace(CONFIG, channels=channels), vectors)


ONES = torch.ones(2, 4, dtype=torch.long)
REAL = torch.ones(2, 4, dtype=torch.bool)


@pytest.mark.parametrize(
    ("ids", "attend", "message"),
    [
        (ONES[0], None, r"ids must be \(B, T\) with at least one token, got \(4,\)"),
        (ONES, REAL[:, :3], r"bool of shape \(2, 4\), got torch.bool \(2, 3\)"),
        (ONES, torch.zeros_like(REAL), "a text is empty or padded elsewhere"),
        (ONES * 12, REAL, r"ids must be in \[0, 12\), got 12 to 12"),
    ],
)
def test_it_asks_for_ids_and_a_mask(ids, attend, message):
    with pytest.raises(ValueError, match=message):
        build()(ids, attend)


def test_an_unknown_label_and_an_empty_text_say_so():
    model, config = build(), FitConfig(lr=0.1, steps=1)
    with pytest.raises(ValueError, match=r"labels must be in \[0, 3\), got 3 to 3"):
        fine_tune(model, [[1, 2]], [3], config)
    with pytest.raises(ValueError, match="non-empty"):
        fine_tune(model, [[]], [0], config)
