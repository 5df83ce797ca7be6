from dataclasses import replace

import pytest
import torch

from ptft.models.config import TransformerConfig
from ptft.models.heads import CausalLanguageModel, MaskedLanguageModel, SequenceClassifier
from ptft.models.transformer import Transformer

CONFIG = TransformerConfig(vocab_size=40, d_model=16, n_heads=2, n_layers=2, d_ff=24, max_len=12)


def spread(model):
    """Give every weight a random value: the zeros of a fresh model would hide mistakes."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture
def ids():
    return torch.randint(5, 40, (3, 10), generator=torch.Generator().manual_seed(1))


def test_shapes(ids):
    everywhere = torch.ones_like(ids, dtype=torch.bool)
    assert Transformer(CONFIG)(ids).shape == (3, 10, 16)
    assert MaskedLanguageModel(CONFIG)(ids, None, everywhere).shape == (30, 40)
    assert CausalLanguageModel(replace(CONFIG, causal=True))(ids).shape == (3, 10, 40)
    assert SequenceClassifier(Transformer(CONFIG), 4)(ids).shape == (3, 4)


@pytest.mark.parametrize("causal", [False, True])
def test_a_padded_slot_changes_nothing(ids, causal):
    trunk = spread(Transformer(replace(CONFIG, causal=causal)))
    attend = torch.ones_like(ids, dtype=torch.bool)
    attend[:, 7:] = False
    other = ids.clone()
    other[:, 7:] = 9
    assert torch.equal(trunk(ids, attend)[:, :7], trunk(other, attend)[:, :7])
    model = SequenceClassifier(trunk, 3)
    assert torch.equal(model(ids, attend), model(other, attend))
    torch.testing.assert_close(model(ids, attend), model(ids[:, :7]))


def test_a_decoder_does_not_see_the_future_and_an_encoder_does(ids):
    other = ids.clone()
    other[:, -1] = 9
    decoder, encoder = (spread(Transformer(replace(CONFIG, causal=c))) for c in (True, False))
    assert torch.equal(decoder(ids)[:, :-1], decoder(other)[:, :-1])
    assert not torch.allclose(encoder(ids)[:, 0], encoder(other)[:, 0])


def test_order_matters(ids):
    trunk = spread(Transformer(CONFIG))
    assert not torch.allclose(trunk(ids).mean(1), trunk(ids.flip(1)).mean(1), atol=1e-3)


def test_an_untrained_block_is_the_identity(ids):
    trunk = Transformer(CONFIG)
    expected = trunk.final_norm(trunk.embedding_norm(trunk.embedding(ids)))
    torch.testing.assert_close(trunk(ids), expected)


def test_masked_logits_are_those_of_the_selected_positions(ids):
    model = spread(MaskedLanguageModel(CONFIG))
    everywhere = torch.ones_like(ids, dtype=torch.bool)
    selected = torch.rand(ids.shape) < 0.3
    selected[0, 0] = True
    full = model(ids, None, everywhere).view(3, 10, 40)
    torch.testing.assert_close(model(ids, None, selected), full[selected])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_heads": 3}, "16 / 3"),
        ({"n_heads": 16}, "16 / 16"),
        ({"vocab_size": 0}, "vocab_size must be a positive whole number, got 0"),
        ({"d_ff": 1.5}, "d_ff must be a positive whole number, got 1.5"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_impossible_configs(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)


def test_bad_input(ids):
    trunk = Transformer(CONFIG)
    with pytest.raises(TypeError, match=r"int64 or int32, got torch\.float32"):
        trunk(ids.float())
    with pytest.raises(ValueError, match=r"shape \(B, T\)"):
        trunk(ids[0])
    with pytest.raises(ValueError, match="not be empty"):
        trunk(ids[:, :0])
    with pytest.raises(ValueError, match="at most 12 tokens, got 20"):
        trunk(ids.repeat(1, 2))
    with pytest.raises(ValueError, match=r"\[0, 40\), got values from 40 to 40"):
        trunk(torch.full_like(ids, 40))
    with pytest.raises(ValueError, match="from -1"):
        trunk(torch.full_like(ids, -1))
    with pytest.raises(TypeError, match="attend must be bool"):
        trunk(ids, torch.ones_like(ids))
    with pytest.raises(ValueError, match="shape of ids"):
        trunk(ids, torch.ones(3, 9, dtype=torch.bool))
    with pytest.raises(ValueError, match="row of padding"):
        trunk(ids, torch.zeros_like(ids, dtype=torch.bool))


def test_models_refuse_the_wrong_direction_and_too_few_classes():
    with pytest.raises(ValueError, match="causal must be False"):
        MaskedLanguageModel(replace(CONFIG, causal=True))
    with pytest.raises(ValueError, match="causal must be True"):
        CausalLanguageModel(CONFIG)
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        SequenceClassifier(Transformer(CONFIG), 1)
