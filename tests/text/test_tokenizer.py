import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models

from ptft.core import DataError
from ptft.text.tokenizer import CLS, SEP, SPECIAL_TOKENS, UNK, Tokenizer

TEXTS = ["The tensor holds the weights.", "Weights and biases of the layer."] * 20


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(TEXTS, vocab_size=80)


def test_a_known_text_survives_the_round_trip(tokenizer):
    ids = tokenizer.encode("the weights of the layer")
    assert (ids[0], ids[-1]) == (CLS, SEP)
    assert tokenizer.decode(ids) == "the weights of the layer"
    assert tokenizer.tokens(ids)[0] == "[CLS]"


def test_batches_equal_single_texts(tokenizer):
    assert tokenizer.encode_all(TEXTS[:2]) == [tokenizer.encode(text) for text in TEXTS[:2]]


def test_special_tokens_can_be_left_out(tokenizer):
    assert tokenizer.encode("tensor", add_special_tokens=False) == tokenizer.encode("tensor")[1:-1]


def test_an_unknown_letter_is_unknown(tokenizer):
    assert UNK in tokenizer.encode("Ж")


@given(st.text())
def test_no_text_breaks_it(tokenizer, text):
    ids = tokenizer.encode(text)
    assert all(0 <= i < len(tokenizer) for i in ids)
    tokenizer.decode(ids)


def test_saving_keeps_everything(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert again.encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])
    assert len(again) == len(tokenizer)


def test_training_twice_gives_the_same_vocabulary(tokenizer):
    again = Tokenizer.train(TEXTS, vocab_size=80)
    assert again.backend.get_vocab() == tokenizer.backend.get_vocab()


def test_missing_and_broken_files_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="no tokenizer at"):
        Tokenizer.load(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"version": "1.0", "trunc')
    with pytest.raises(DataError, match="not a tokenizer"):
        Tokenizer.load(tmp_path / "half.json")


def test_bad_input(tokenizer):
    with pytest.raises(TypeError, match="one string"):
        tokenizer.encode_all("text")
    with pytest.raises(TypeError, match="expected text"):
        tokenizer.encode_all([None])
    with pytest.raises(ValueError, match=rf"\[0, {len(tokenizer)}\), got -1"):
        tokenizer.decode([-1])
    with pytest.raises(ValueError, match="without text"):
        Tokenizer.train(["", "  "], vocab_size=80)
    with pytest.raises(ValueError, match="must exceed 5"):
        Tokenizer.train(TEXTS, vocab_size=5)
    with pytest.raises(ValueError, match=r"expected \[PAD\] to have id 0"):
        Tokenizer(Backend(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")))
    assert len(SPECIAL_TOKENS) == 5
