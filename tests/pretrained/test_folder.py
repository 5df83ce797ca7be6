import json
import shutil

import pytest
import torch
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer
from transformers.utils import logging

from ptft.core import DataError
from ptft.models.config import TransformerConfig
from ptft.models.heads import MaskedLanguageModel, SequenceClassifier
from ptft.pretrained import load_masked_model, load_record, save_model
from ptft.pretrained.interchange import from_transformers, to_transformers
from ptft.text.tokenizer import Tokenizer

KINDS = ("full_attention", "sliding_attention")
TEXTS = ["The tensor holds the weights of the layer."] * 5
logging.disable_progress_bar()


def spread(model, seed=0):
    torch.manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer.train(TEXTS, 60)
    config = TransformerConfig(len(tokenizer), d_model=16, n_heads=2, n_layers=2, d_ff=20)
    save_model(folder, spread(MaskedLanguageModel(config)), tokenizer, {"a": 1}, "# Card")
    return folder


def batch(vocab_size, length=9):
    ids = torch.randint(0, vocab_size, (3, length))
    attend = torch.ones_like(ids, dtype=torch.bool)
    attend[1, length // 2 :] = False
    return ids, attend


def test_a_saved_folder_opens_with_the_auto_classes(folder):
    model, tokenizer = load_masked_model(folder)
    theirs = AutoModelForMaskedLM.from_pretrained(folder).eval()
    their_tokenizer = AutoTokenizer.from_pretrained(folder)
    assert their_tokenizer(TEXTS[0])["input_ids"] == tokenizer.encode(TEXTS[0])
    assert their_tokenizer.mask_token == "[MASK]"
    ids, attend = batch(len(tokenizer))
    with torch.no_grad():
        expected = theirs(ids, attention_mask=attend.long()).logits[attend]
        torch.testing.assert_close(model(ids, attend, attend), expected, rtol=0, atol=1e-5)
        trunk = AutoModel.from_pretrained(folder).eval()(ids, attention_mask=attend.long())
        torch.testing.assert_close(
            model.trunk(ids, attend)[attend], trunk.last_hidden_state[attend], rtol=0, atol=1e-5
        )
    assert load_record(folder) == {"a": 1}


def test_a_classifier_starts_from_trunk_and_head(folder):
    model, _ = load_masked_model(folder)
    classifier = SequenceClassifier.from_pretrained(model, 3)
    assert torch.equal(classifier.trunk.embedding.weight, model.trunk.embedding.weight)
    assert torch.equal(classifier.head.dense.weight, model.head.dense.weight)
    with torch.no_grad():
        classifier.trunk.embedding.weight.zero_()
    assert model.trunk.embedding.weight.abs().sum() > 0


def flip_last_byte(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-10]), "truncated or was changed"),
        (flip_last_byte, "truncated or was changed"),
        (lambda path: path.unlink(), "is missing"),
    ],
)
def test_damage_is_a_clear_error(folder, tmp_path, name, damage, message):
    copy = shutil.copytree(folder, tmp_path / "copy")
    damage(copy / name)
    with pytest.raises(DataError, match=message):
        load_masked_model(copy)


def test_what_is_no_model_folder(tmp_path):
    with pytest.raises(DataError, match="not a folder of a pretrained model"):
        load_masked_model(tmp_path)
    (tmp_path / "checksums.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        load_masked_model(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "bert"}, "weights missing: cls.predictions.bias"),
        ({"model_type": "t5"}, "model_type must be one of modernbert, bert, .* got 't5'"),
        ({"tie_word_embeddings": False}, "no tie_word_embeddings = False"),
        ({"local_attention": 64}, "no local_attention = 64"),
        (
            {"rope_parameters": {k: {"rope_theta": i + 5.0} for i, k in enumerate(KINDS)}},
            "no rope_parameters",
        ),
        ({"num_hidden_layers": 1}, "weights left over: model.layers.1.attn.Wo.weight"),
        ({"num_attention_heads": 3}, "config.json: d_model / n_heads must be a whole"),
        ({"hidden_size": 32}, "should have shape"),
        ({"num_hidden_layers": 3}, "weights missing: model.layers.2"),
    ],
)
def test_foreign_architectures_are_refused(folder, change, message):
    model, _ = load_masked_model(folder)
    values, weights = to_transformers(model)
    with pytest.raises(DataError, match=message):
        from_transformers(values | change, weights)
    del values["vocab_size"]
    with pytest.raises(DataError, match="lacks 'vocab_size'"):
        from_transformers(values, weights)


def test_a_tokenizer_of_another_size_is_refused(folder, tmp_path):
    model, _ = load_masked_model(folder)
    other = Tokenizer.train(["one two three four five six seven"] * 3, 30)
    with pytest.raises(ValueError, match=f"{len(other)} tokens, the model"):
        save_model(tmp_path, model, other, {}, "")
    assert list(tmp_path.iterdir()) == []


def test_nothing_unpickles(folder):
    assert not [p for p in folder.iterdir() if p.suffix in {".bin", ".pt", ".pkl", ".pth"}]
    assert json.loads((folder / "config.json").read_text())["model_type"] == "modernbert"
