"""`python -m ptft finetune` and `predict`, in this process."""

import json
import socket

import huggingface_hub
import pytest
import torch
import transformers

from ptft.cli.main import main
from ptft.core.compute import seed_everything
from ptft.evaluation.predictions import predict_scores
from ptft.models.config import MODERNBERT, TransformerConfig
from ptft.models.heads import MaskedLanguageModel
from ptft.pretrained import save_model
from ptft.pretrained.classifier import load_classifier
from ptft.text.tokenizer import Tokenizer
from ptft.training import loop

WORDS = {"good": ["fine", "lovely", "great"], "bad": ["awful", "poor", "dull"]}
ROWS = [
    (f"a {word} {thing} number {i}", label)
    for label, words in WORDS.items()
    for word in words
    for thing in ("film", "book")
    for i in range(10)
]
FAST = ("--epochs", "3", "--lr", "0.01", "--length", "16")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """An encoder that has not learnt yet, with a tokenizer of these texts."""
    folder = tmp_path_factory.mktemp("finetune") / "encoder"
    tokenizer = Tokenizer.train([text for text, _ in ROWS], 120)
    seed_everything(0)
    config = TransformerConfig(len(tokenizer), 32, 2, 1, 64, 32, style=MODERNBERT)
    save_model(folder, MaskedLanguageModel(config), tokenizer, {}, "# A test")
    return folder


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "reviews.csv", ROWS)


def write(path, rows):
    path.write_text("text,label\n" + "".join(f"{t},{y}\n" for t, y in rows), "utf-8")
    return path


def ptft(capsys, *arguments):
    """Run a command; return its code and what it wrote."""
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


@pytest.fixture(scope="module")
def trained(encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetune")
    file = write(folder / "reviews.csv", ROWS)
    out = folder / "out"
    command = ["finetune", "--data", file, "--model", encoder, "--out", out, *FAST]
    assert main([str(argument) for argument in command]) == 0
    return out


def test_it_says_what_it_found_and_what_it_is_worth(encoder, data, tmp_path, capsys):
    write(data, [*ROWS, ROWS[0], ("torn", "good"), ("torn", "bad")])
    code, out, err = ptft(capsys, "finetune", "--data", data, "--model", encoder,
                          "--out", tmp_path / "out", *FAST)  # fmt: skip
    assert code == 0
    for found in (
        "123 rows", "1 repeat an earlier text", "2 have a text with several labels",
        "60   50.0%  bad", "96 to train on, 12 to watch, 12 held out", "0.0% of the tokens are unk",
        "validation accuracy", "python -m ptft predict --model",
    ):  # fmt: skip
        assert found in err
    assert "12 held-out texts" in out and "majority class" in out and "macro-F1" in out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["accuracy"]["mean"] > report["baselines"]["majority class"]["mean"]
    assert sum(map(sum, report["confusion"])) == 12
    assert report["settings"]["epochs"] == 3.0


def test_transformers_opens_the_folder(trained):
    pipeline = transformers.pipeline("text-classification", str(trained))
    ours = load_classifier(trained)
    for text, label in (ROWS[0], ROWS[-1]):
        (answer,) = pipeline(text)
        assert answer["label"] == label
    assert ours.classes == ("bad", "good") and ours.max_len == 16


def test_predict_texts_and_files(trained, tmp_path, capsys):
    code, out, _ = ptft(capsys, "predict", "--model", trained, "a great film", "a dull book")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [line["label"] for line in lines] == ["good", "bad"]
    assert all(0.5 <= line["probability"] <= 1 for line in lines)
    file, answers = tmp_path / "new.jsonl", tmp_path / "answers.jsonl"
    file.write_text('{"body": "a lovely book"}\n')
    code, out, err = ptft(capsys, "predict", "--model", trained, "--data", file, "--text", "body",
                          "--out", answers)  # fmt: skip
    assert (code, out) == (0, "") and "1 texts, written to" in err
    assert json.loads(answers.read_text())["label"] == "good"


def test_a_stopped_run_goes_on(encoder, data, tmp_path, capsys, monkeypatch):
    command = ["finetune", "--data", data, "--model", encoder, *FAST]
    assert ptft(capsys, *command, "--out", tmp_path / "whole")[0] == 0
    update, calls = loop._update, 0

    def stop_after_eight(*arguments):
        nonlocal calls
        calls += 1
        if calls > 8:
            raise KeyboardInterrupt
        return update(*arguments)

    monkeypatch.setattr(loop, "_update", stop_after_eight)
    code, _, err = ptft(capsys, *command, "--out", tmp_path / "parts")
    assert code == 130 and "the same command goes on from" in err
    monkeypatch.undo()
    code, _, err = ptft(capsys, *command, "--out", tmp_path / "parts")
    assert code == 0 and "going on from" in err
    whole, parts = (tmp_path / n / "model.safetensors" for n in ("whole", "parts"))
    assert whole.read_bytes() == parts.read_bytes()
    write(data, ROWS[:-1])
    code, _, err = ptft(capsys, *command, "--out", tmp_path / "parts")
    assert code == 2 and "is of a run with" in err


def test_a_test_file_and_a_long_document(encoder, data, tmp_path, capsys):
    test = write(tmp_path / "test.csv", [("great " * 20_000, "good"), ("a dull thing", "bad")])
    code, out, err = ptft(capsys, "finetune", "--data", data, "--test", test, "--model", encoder,
                          "--out", tmp_path / "out", *FAST)  # fmt: skip
    assert code == 0 and "2 held-out texts" in out
    write(test, [("a great thing", "superb")])
    code, _, err = ptft(capsys, "finetune", "--data", data, "--test", test, "--model", encoder)
    assert code == 2 and "labels that the training file lacks: ['superb']" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "none.csv"], "none.csv is no file"),
        (["--epochs", "0"], "--epochs must be positive, got 0.0"),
        (["--lr", "-1"], "--lr must be positive, got -1.0"),
        (["--label", "stars"], "there is no column 'stars'; the columns are 'text', 'label'"),
        (["--length", "500"], "reads from 3 to 32 tokens, got a length of 500"),
        (["--model", "./nowhere"], "nowhere is no folder"),
        (["--model", "some/model"], "HF_HUB_OFFLINE forbids to fetch it"),
        (["--model", "no-tokenizer"], "has no tokenizer to be read"),
        (["--model", "no-words"], "has no words: its files are missing or empty"),
        (["--model", "other-words"], "other-words does not know"),
    ],
)
def test_bad_input_is_one_clear_line(
    encoder, data, tmp_path, capsys, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    damage(encoder, tmp_path)
    code, out, err = ptft(capsys, "finetune", "--data", data, "--model", encoder, *arguments)
    assert (code, out) == (2, "")
    line = err.splitlines()[-1]
    assert line.startswith("ptft finetune: ") and message in line
    assert not (tmp_path / "runs").exists()


def damage(encoder, folder):
    """Write copies of an encoder whose tokenizers are missing, empty, or of another language."""
    tokenizers = {"no-tokenizer": None, "no-words": [], "other-words": ["ж", "щ"]}
    for name, words in tokenizers.items():
        (folder / name).mkdir()
        for file in encoder.iterdir():
            if "token" not in file.name:
                (folder / name / file.name).write_bytes(file.read_bytes())
        if words is not None:
            settings = json.loads((encoder / "tokenizer.json").read_text())
            vocabulary = list(settings["model"]["vocab"])[:5] + words
            settings["model"]["vocab"] = {word: i for i, word in enumerate(vocabulary)}
            (folder / name / "tokenizer.json").write_text(json.dumps(settings))
            config = (encoder / "tokenizer_config.json").read_text()
            (folder / name / "tokenizer_config.json").write_text(config)


def test_without_a_network_a_name_is_refused_at_once(encoder, data, capsys, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)

    def unreachable(address, timeout):
        assert address == ("huggingface.co", 443) and timeout <= 5
        raise OSError("no route to host")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    code, _, err = ptft(capsys, "finetune", "--data", data, "--model", "no-such-model-here")
    assert code == 2 and "the hub cannot be reached: no route to host" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give texts, or a file with --data"),
        (["a", "--data", "b.csv"], "give texts, or a file with --data"),
        ([" "], "a text is empty"),
        (["a", "--model", "nowhere"], "nowhere holds no model"),
        (["a", "--model", "encoder"], "expected a text classifier"),
    ],
)
def test_predict_refuses(trained, encoder, capsys, arguments, message):
    arguments = [str(encoder) if a == "encoder" else a for a in arguments]
    code, out, err = ptft(capsys, "predict", "--model", trained, *arguments)
    assert (code, out) == (2, "") and message in err


def test_a_decoder_without_a_padding_token(trained, tmp_path):
    config = transformers.GPT2Config(
        vocab_size=len(load_classifier(trained).tokenizer), n_embd=16, n_layer=1, n_head=2,
        n_positions=24, num_labels=2,
    )  # fmt: skip
    seed_everything(0)
    transformers.GPT2ForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(trained)
    tokenizer.pad_token, tokenizer.eos_token, tokenizer.model_max_length = None, "[SEP]", 10**30
    tokenizer.save_pretrained(tmp_path)
    classifier = load_classifier(tmp_path)
    assert classifier.max_len == 24
    texts = ["a great film", "a dull and awful book number 7"]
    together = predict_scores(classifier, classifier.encode(texts))
    alone = torch.cat([predict_scores(classifier, classifier.encode([text])) for text in texts])
    torch.testing.assert_close(together, alone)
