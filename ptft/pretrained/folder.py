"""A pretrained model as a folder: weights, config, tokenizer, record, model card, checksums.

`transformers.AutoModel.from_pretrained` opens the same folder.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from ptft.core import DataError, atomic_write, sha256_bytes, sha256_file
from ptft.models.heads import CausalLanguageModel, LanguageModel, MaskedLanguageModel
from ptft.pretrained.interchange import from_transformers, to_transformers
from ptft.text.tokenizer import Tokenizer

ENCODER = Path(__file__).parent / "encoder"
DECODER = Path(__file__).parent / "decoder"
_CHECKED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def save_model(
    folder: str | Path,
    model: LanguageModel,
    tokenizer: Tokenizer,
    record: dict[str, Any],
    card: str,
) -> None:
    """Write a pretrained model.

    Args:
        folder: Created if needed; files in it are replaced one by one, the checksums last.
        model: Its weights and sizes.
        tokenizer: Its vocabulary must be the model's.
        record: How it was made (JSON-able): corpus, settings, curve, losses.
        card: The model card, Markdown.

    Raises:
        ValueError: If the tokenizer has another vocabulary size than the model, or `transformers`
            has no such architecture.
    """
    folder = Path(folder)
    if len(tokenizer) != model.config.vocab_size:
        raise ValueError(
            f"the tokenizer has {len(tokenizer)} tokens, the model {model.config.vocab_size}"
        )
    settings, weights = to_transformers(model)
    ends = {"bos_token": "[CLS]", "eos_token": "[SEP]"} if model.config.causal else {}
    contents = {
        "config.json": _json(settings),
        "model.safetensors": save(weights, {"format": "pt"}),
        "tokenizer.json": tokenizer.backend.to_str(pretty=True).encode(),
        "tokenizer_config.json": _json(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_max_length": model.config.max_len,
                "pad_token": "[PAD]",
                "unk_token": "[UNK]",
                "cls_token": "[CLS]",
                "sep_token": "[SEP]",
                "mask_token": "[MASK]",
                **ends,
            }
        ),
        "record.json": _json(record),
        "README.md": card.encode(),
    }
    contents["checksums.json"] = _json({name: sha256_bytes(contents[name]) for name in _CHECKED})
    for name, content in contents.items():
        with atomic_write(folder / name) as file:
            file.write(content)


def load_masked_model(
    folder: str | Path = ENCODER, dropout: float = 0.0
) -> tuple[MaskedLanguageModel, Tokenizer]:
    """Read the masked language model and the tokenizer of a folder.

    Args:
        folder: By default the course's own encoder.
        dropout: Dropout for training it further.

    Raises:
        DataError: If a file is missing, is not what the checksums say, or holds a decoder.
    """
    model, tokenizer = load_model(folder, dropout)
    if not isinstance(model, MaskedLanguageModel):
        raise DataError(f"{folder} holds a causal language model, expected a masked one")
    return model, tokenizer


def load_causal_model(
    folder: str | Path = DECODER, dropout: float = 0.0
) -> tuple[CausalLanguageModel, Tokenizer]:
    """Read the causal language model and the tokenizer of a folder.

    Args:
        folder: By default the course's own decoder.
        dropout: Dropout for training it further.

    Raises:
        DataError: If a file is missing, is not what the checksums say, or holds an encoder.
    """
    model, tokenizer = load_model(folder, dropout)
    if not isinstance(model, CausalLanguageModel):
        raise DataError(f"{folder} holds a masked language model, expected a causal one")
    return model, tokenizer


def load_model(folder: str | Path, dropout: float = 0.0) -> tuple[LanguageModel, Tokenizer]:
    """Read the language model, of either kind, and the tokenizer of a folder of `save_model`.

    Raises:
        DataError: If a file is missing, or is not what the checksums say.
    """
    folder = Path(folder)
    checksums = _read_json(folder / "checksums.json")
    for name in _CHECKED:
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing")
        if sha256_file(path) != checksums.get(name):
            raise DataError(f"{path} is truncated or was changed: its checksum does not match")
    try:
        weights = load((folder / "model.safetensors").read_bytes())
    except SafetensorError as error:
        raise DataError(f"{folder / 'model.safetensors'}: {error}") from error
    model = from_transformers(_read_json(folder / "config.json"), weights, dropout)
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    if len(tokenizer) != model.config.vocab_size:
        raise DataError(
            f"{folder}: the tokenizer has {len(tokenizer)} tokens, "
            f"the model {model.config.vocab_size}"
        )
    return model.eval(), tokenizer


def load_record(folder: str | Path = ENCODER, name: str = "record") -> dict[str, Any]:
    """Return a record that stands beside a model.

    Args:
        folder: By default the course's own encoder.
        name: `"record"`, how the model was made: corpus, settings, curve, losses; or
            `"label_efficiency"`, how good classifiers that start from it are.

    Raises:
        DataError: If the record is missing or not JSON.
    """
    return _read_json(Path(folder) / f"{name}.json")


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing: not a folder of a pretrained model") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error
