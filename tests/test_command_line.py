"""`python -m ptft`, mostly in this process: what it prints, writes and refuses."""

import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ptft.cli import pretrain
from ptft.cli.main import COMMANDS, main
from ptft.core import sha256_file
from ptft.pretrained import load_causal_model, load_masked_model
from ptft.text.tokenizer import Tokenizer

SMALL = "--steps 6 --d-model 16 --heads 2 --layers 1 --length 16 --batch-size 4".split()  # noqa: SIM905
PARAGRAPHS = [
    f"The {a} {b} café number {i}\nreads {c} books — ✓."
    for i, (a, b, c) in enumerate(
        (a, b, c) for a in ("red", "old", "new") for b in ("big", "far") for c in range(30)
    )
]


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("\n\n".join(PARAGRAPHS) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    """A decoder of the exact language that has hardly learnt."""
    folder = tmp_path_factory.mktemp("cli") / "decoder"
    assert main(["pretrain", "--out", str(folder), *SMALL]) == 0
    return folder


def ptft(capsys, *arguments):
    """Run a command; return its code and what it wrote."""
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_without_arguments_it_learns_the_exact_language(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = ptft(capsys, "pretrain", *SMALL)
    assert (code, out) == (0, "")
    assert re.search(r"step +6 of 6  loss \d\.\d+ nats per token  exact limit 1\.\d+  gap", err)
    record = json.loads((tmp_path / "runs/pretrain/record.json").read_text())
    last = [row for row in record["history"] if row["split"] == "validation"][-1]
    assert last["loss"] == record["loss"] > last["limit"]
    assert f"evaluate --model {Path('runs/pretrain')} --data exact" in err


def test_transformers_opens_the_folder(decoder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = load_causal_model(decoder)
    theirs = AutoModelForCausalLM.from_pretrained(decoder).eval()
    ids = torch.tensor([tokenizer.encode("Boris Kato measures")])
    assert (
        AutoTokenizer.from_pretrained(decoder)("Boris Kato measures").input_ids == ids[0].tolist()
    )
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, model(ids), rtol=0, atol=1e-5)


def test_generate(decoder, capsys, monkeypatch):
    command = ["generate", "--model", decoder, "--tokens", 5]
    code, text, _ = ptft(capsys, *command, "Boris Kato measures", "--seed", 1, "--top-k", 20)
    assert code == 0
    assert text.startswith("Boris Kato measures ")
    assert text.endswith("\n")
    _, again, _ = ptft(capsys, *command, "Boris Kato measures", "--seed", 1, "--top-k", 20)
    _, other, _ = ptft(capsys, *command, "Boris Kato measures", "--seed", 2, "--top-k", 20)
    assert again == text != other
    _, greedy, _ = ptft(capsys, *command, "--greedy", "Boris")
    monkeypatch.setattr("sys.stdin", io.StringIO("Boris\n"))
    assert ptft(capsys, *command, "--greedy")[1] == greedy


def test_evaluate_on_the_exact_language(decoder, capsys):
    code, out, _ = ptft(capsys, "evaluate", "--model", decoder, "--data", "exact")
    assert code == 0
    losses = {row[:22].strip(): float(row[22:36]) for row in out.splitlines()[2:-1]}
    assert list(losses) == ["unigram", "bigram", "this model", "exact limit"]
    gap = float(re.search(r"gap to the limit: (\S+)", out)[1])
    assert gap == pytest.approx(losses["this model"] - losses["exact limit"], abs=2e-4)
    assert losses["exact limit"] < losses["bigram"] < losses["unigram"]


def test_a_text_of_ones_own(book, tmp_path, capsys):
    folder = tmp_path / "run"
    arguments = ["pretrain", "--data", book, "--out", folder, "--vocab-size", 300, *SMALL]
    code, _, err = ptft(capsys, *arguments, "--steps", 200, "--batch-size", 16)
    assert code == 0
    assert "tokens for training" in err
    assert "perplexity" in err
    _, tokenizer = load_causal_model(folder)
    train = np.load(folder / "run" / "train.npy")
    ids = tokenizer.encode(PARAGRAPHS[0])
    assert train[: len(ids)].tolist() == ids
    assert tokenizer.decode(ids) == PARAGRAPHS[0]
    code, out, _ = ptft(capsys, "evaluate", "--model", folder, "--data", book)
    assert code == 0
    held_out = [p for p in PARAGRAPHS if p not in tokenizer.decode(train)]
    assert 10 <= len(held_out) <= 20
    size = sum(len(p.encode()) for p in held_out)
    tokens = sum(len(tokenizer.encode(p)) - 1 for p in held_out)
    assert f"{len(held_out)} documents, {tokens:,} tokens scored, {size:,} bytes" in out
    rows = {row[:22].strip(): row[22:].split() for row in out.splitlines()[3:]}
    assert list(rows) == ["unigram", "Kneser-Ney, order 5", "this model"]
    for loss, perplexity, bits in rows.values():
        assert float(perplexity) == pytest.approx(math.exp(float(loss)), abs=0.1)
        assert float(bits) == pytest.approx(float(loss) * tokens / size / math.log(2), abs=2e-3)
    assert float(rows["this model"][0]) < float(rows["unigram"][0])
    code, out, _ = ptft(capsys, "generate", "--model", folder, "The old", "--seed", 0)
    assert code == 0
    assert out.startswith("The old")


def test_an_encoder(book, tmp_path, capsys):
    folder = tmp_path / "run"
    arguments = ["pretrain", "--objective", "masked", "--data", book, "--vocab-size", 120]
    assert ptft(capsys, *arguments, "--out", folder, *SMALL)[0] == 0
    load_masked_model(folder)
    code, out, _ = ptft(capsys, "evaluate", "--model", folder, "--data", book)
    assert code == 0
    assert [row[:22].strip() for row in out.splitlines()[3:]] == ["unigram", "this model"]
    code, _, err = ptft(capsys, "generate", "--model", folder, "The")
    assert code == 2
    assert "holds a masked language model, expected a causal one" in err
    arguments = ["pretrain", "--objective", "masked", "--out", tmp_path / "exact", *SMALL]
    assert ptft(capsys, *arguments)[0] == 0
    code, out, _ = ptft(capsys, "evaluate", "--model", tmp_path / "exact", "--data", "exact")
    assert code == 0
    assert "gap to the limit" in out


def test_a_stopped_run_goes_on(tmp_path, capsys, monkeypatch):
    ptft(capsys, "pretrain", "--out", tmp_path / "whole", *SMALL)

    def stop(*arguments):
        stop.calls += 1
        if stop.calls == 4:
            raise KeyboardInterrupt
        return mean_loss(*arguments)

    stop.calls, mean_loss = 0, pretrain.mean_loss
    monkeypatch.setattr(pretrain, "mean_loss", stop)
    command = ["pretrain", "--out", tmp_path / "run", *SMALL]
    code, _, err = ptft(capsys, *command)
    checkpoint = tmp_path / "run" / "run" / "checkpoint.safetensors"
    assert code == 130
    assert f"the same command goes on from {checkpoint}" in err
    assert not (tmp_path / "run" / "config.json").exists()
    code, _, err = ptft(capsys, *command)
    assert code == 0
    assert f"going on from {checkpoint}" in err
    whole, resumed = (
        [
            (row["step"], row["loss"])
            for row in json.loads((tmp_path / name / "record.json").read_text())["history"]
        ]
        for name in ("whole", "run")
    )
    assert resumed == whole
    code, _, err = ptft(capsys, *command, "--seed", 1)
    assert code == 2
    assert "holds another run (seed 0; this is seed 1): choose another --out" in err


def test_minutes_become_steps_once(tmp_path, capsys):
    command = ["pretrain", "--out", tmp_path / "run", *SMALL[2:], "--minutes", "0.002"]
    code, _, err = ptft(capsys, *command)
    assert code == 0
    steps = json.loads((tmp_path / "run" / "run" / "steps.json").read_text())
    assert f"step {steps:5} of {steps}  loss" in err
    assert ptft(capsys, *command)[0] == 0  # finished already: saved again


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pretrain", "--steps", "0"], "--steps must be positive, got 0"),
        (["pretrain", "--batch-size", "0"], "--batch-size must be positive, got 0"),
        (["pretrain", "--minutes", "-1"], "--minutes must be positive, got -1.0"),
        (["pretrain", "--minutes", "1", "--steps", "5"], "give --steps or --minutes, not both"),
        (["pretrain", "--heads", "3"], "d_model / n_heads must be a whole, even number"),
        (["pretrain", "--layers", "0"], "n_layers must be a positive whole number, got 0"),
        (["pretrain", "--seed", "-1"], "seed must not be negative, got -1"),
        (["pretrain", "--parallel", "ddp"], "needs several processes: start them by `torchrun"),
        (["pretrain", "--data", "no.txt"], "no.txt is no file; a data set of the course is"),
        (["pretrain", "--data", "empty.txt"], "empty.txt is empty"),
        (["pretrain", "--data", "latin.txt"], "latin.txt is not UTF-8 text"),
        (["pretrain", "--data", "short.txt"], "has no paragraph that begins in its last tenth"),
        (["pretrain", "--data", "two.txt"], "one window needs 64 tokens"),
        (["generate", "--model", "none", "a"], "none/checksums.json is missing"),
        (["generate", "--model", "decoder", "Boris", "--tokens", "99"], "reads at most 16 tokens"),
        (["generate", "--model", "decoder", "nonsense"], "words that the model does not know"),
        (["generate", "--model", "decoder", "Boris", "--tokens", "0"], "n must be at least 1"),
        (["generate", "--model", "decoder", "Boris", "--top-p", "2"], "top_p must be in (0, 1]"),
        (["evaluate", "--model", "decoder", "--length", "17"], "in [3, 16], the model's context"),
        (["evaluate", "--model", "decoder", "--data", "no.txt"], "no.txt is no file"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, capsys, monkeypatch, decoder, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").touch()
    (tmp_path / "latin.txt").write_bytes("café\n\n".encode("latin-1") * 30)
    (tmp_path / "short.txt").write_text("one paragraph")
    (tmp_path / "two.txt").write_text("a long first paragraph\n\nb\n")
    arguments = [str(decoder) if a == "decoder" else a for a in arguments]
    if "two.txt" in arguments:
        arguments += ["--vocab-size", "270"]
    code, out, err = ptft(capsys, *arguments)
    assert (code, out) == (2, "")
    line = err.splitlines()[-1]
    assert line.startswith(f"ptft {arguments[0]}: ")
    assert message in line


def test_damaged_files(book, tmp_path, capsys):
    folder = tmp_path / "run"
    command = ["pretrain", "--data", book, "--out", folder, "--vocab-size", 300, *SMALL]
    assert ptft(capsys, *command)[0] == 0
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    for damaged in (content[:-10], content[:-1] + bytes([content[-1] ^ 1])):
        weights.write_bytes(damaged)
        code, _, err = ptft(capsys, "generate", "--model", folder, "The")
        assert code == 2
        assert "truncated or was changed" in err
    weights.write_bytes(content)
    Tokenizer.train_byte_pairs(PARAGRAPHS, 290).save(folder / "tokenizer.json")
    checksums = json.loads((folder / "checksums.json").read_text())
    checksums["tokenizer.json"] = sha256_file(folder / "tokenizer.json")
    (folder / "checksums.json").write_text(json.dumps(checksums))
    code, _, err = ptft(capsys, "evaluate", "--model", folder, "--data", book)
    assert code == 2
    assert "the tokenizer has 290 tokens, the model 300" in err
    np.save(folder / "run" / "train.npy", np.zeros(500, np.float32))
    code, _, err = ptft(capsys, *command)
    assert code == 2
    assert "is no token file: expected int32" in err


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert "examples:" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main([command, "--depth", "3"])


def test_two_processes_from_the_command_line(tmp_path, decoder):
    """Also that `python -m ptft` is there, and that FSDP2 ends in the same folder."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "ptft", "pretrain", "--parallel", "fsdp", "--out", str(tmp_path), *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "2 process(es)" in done.stderr
    loss, alone = (json.loads((f / "record.json").read_text())["loss"] for f in (tmp_path, decoder))
    assert loss == pytest.approx(alone, abs=1e-3)
    assert isinstance(load_causal_model(tmp_path)[0], torch.nn.Module)
