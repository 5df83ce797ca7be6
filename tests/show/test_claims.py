"""Claims: well formed, enforced, and carried by the executed notebook."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from ptft.show.claims import (
    CLAIMS_MIME,
    Claim,
    ClaimError,
    Claims,
    check_notebook_claims,
    claims_from_notebook,
)

GOOD: dict[str, Any] = {"measured": 0.2, "low": 0.1, "high": 0.3, "limit": "ln V", "unit": "nats"}
SETUP = 'from ptft.show.claims import Claims\nclaims = Claims("tiny")'
RECORD = 'claims.record("start", "It starts at ln V", measured=2.0, low={low}, limit="V < 8")'


def one_claim(**changes: Any) -> Claim:
    return Claim("an-id", "A statement", **(GOOD | changes))


def executed(*cells: str, allow_errors: bool = False) -> nbformat.NotebookNode:
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(nb, timeout=60, kernel_name="python3", allow_errors=allow_errors).execute()
    return nb


def notebook(*sources: str, records: tuple[Any, ...] = ()) -> nbformat.NotebookNode:
    """A notebook as if executed, without paying for a kernel."""
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    nb.cells[-1].outputs = [
        nbformat.v4.new_output("display_data", metadata={CLAIMS_MIME: record}) for record in records
    ]
    return nb


@pytest.mark.parametrize(
    ("measured", "low", "high", "holds"),
    [
        (0.1, 0.1, 0.3, True),
        (0.3, 0.1, 0.3, True),
        (np.nextafter(0.1, 0), 0.1, 0.3, False),
        (np.nextafter(0.3, 1), 0.1, 0.3, False),
        (0.1, 0.1, None, True),
        (0.0, 0.1, None, False),
        (0.3, None, 0.3, True),
        (0.4, None, 0.3, False),
        (0.2, 0.2, 0.2, True),
    ],
)
def test_the_band_includes_its_edges_and_nothing_beyond(
    measured: float, low: float | None, high: float | None, holds: bool
) -> None:
    assert one_claim(measured=measured, low=low, high=high).holds is holds


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measured": float("nan")}, "measured must be finite"),
        ({"measured": float("inf")}, "measured must be finite"),
        ({"low": -float("inf")}, "low must be finite"),
        ({"low": 0.4}, "low 0.4 is above high 0.3"),
        ({"low": None, "high": None}, "give low, high or both"),
        ({"limit": " "}, "limit is empty"),
    ],
)
def test_a_malformed_claim_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        one_claim(**changes)


@pytest.mark.parametrize("measured", [None, True, "0.2", [0.2]])
def test_a_measurement_is_a_number(measured: object) -> None:
    with pytest.raises(TypeError, match="measured must be a real number"):
        one_claim(measured=measured)


@pytest.mark.parametrize("name", ["", "../up", "Two Words"])
def test_names_can_be_file_names(name: str) -> None:
    with pytest.raises(ValueError, match="chapter must match"):
        Claims(name)
    with pytest.raises(ValueError, match="claim id must match"):
        Claims("tiny").record(name, "A statement", **GOOD)


def test_numpy_numbers_become_plain_ones() -> None:
    claim = one_claim(measured=np.float32(0.25), low=np.int64(0))
    assert type(claim.measured) is float
    assert type(claim.low) is float


def test_an_id_cannot_be_recorded_twice() -> None:
    claims = Claims("tiny")
    claims.record("an-id", "A statement", **GOOD)
    with pytest.raises(ValueError, match="'an-id' is already recorded in 'tiny'"):
        claims.record("an-id", "Another statement", **GOOD)


def test_nothing_follows_the_table() -> None:
    claims = Claims("tiny")
    with pytest.raises(RuntimeError, match="recorded no claim"):
        claims.table()
    claims.record("an-id", "A statement", **GOOD)
    claims.table()
    with pytest.raises(RuntimeError, match="'late' comes after the claims table"):
        claims.record("late", "A statement", **GOOD)
    with pytest.raises(RuntimeError, match="shown already"):
        claims.table()


def test_a_false_claim_is_shown_and_written_and_then_raises_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PTFT_CLAIMS_DIR", str(tmp_path / "claims"))
    claims = Claims("tiny")
    claims.record("true-one", "It holds", **GOOD)
    claims.record("too-low", "It is | high", **GOOD | {"measured": 0.05})
    claims.record("too-high", "It is low", **GOOD | {"measured": 0.30000001, "low": None})
    with pytest.raises(ClaimError) as error:
        claims.table()
    message = str(error.value)
    assert "2 claim(s) of 'tiny' do not hold" in message
    assert "too-low: measured 0.05 nats, claimed 0.1 to 0.3" in message
    assert "too-high: measured 0.30000001 nats, claimed at most 0.3" in message
    assert "true-one" not in message

    shown = capsys.readouterr().out.splitlines()
    assert shown[2] == "| It holds | ln V | 0.2 nats | 0.1 to 0.3 | yes |"
    assert shown[3] == r"| It is \| high | ln V | 0.05 nats | 0.1 to 0.3 | NO |"

    (file,) = (tmp_path / "claims").iterdir()
    record = json.loads(file.read_text("utf-8"))
    assert file.name == "tiny.json"
    assert [claim["holds"] for claim in record["claims"]] == [True, False, False]
    true_one = {key: value for key, value in record["claims"][0].items() if key != "holds"}
    assert Claim(**true_one) == Claim("true-one", "It holds", **GOOD)


def test_the_record_travels_with_the_executed_notebook(tmp_path: Path) -> None:
    nb = executed(SETUP, RECORD.format(low=1.5) + "\nclaims.table()")
    path = tmp_path / "tiny.ipynb"
    nbformat.write(nb, path)
    record = check_notebook_claims(json.loads(path.read_text("utf-8")))
    assert record == claims_from_notebook(nbformat.read(path, as_version=4))
    assert record is not None
    assert record["chapter"] == "tiny"
    assert record["claims"][0]["measured"] == 2.0
    (output,) = nb.cells[1].outputs
    assert set(output.data) == {"text/html", "text/markdown", "text/plain"}
    assert ">It starts at ln V<br><small>V &lt; 8</small>" in output.data["text/html"]


def test_a_false_claim_fails_the_notebook_after_showing_the_table() -> None:
    cells = (SETUP, RECORD.format(low=2.5), "claims.table()")
    with pytest.raises(CellExecutionError, match=r"start: measured 2\.0"):
        executed(*cells)
    nb = executed(*cells, allow_errors=True)
    assert [output.output_type for output in nb.cells[-1].outputs] == ["display_data", "error"]
    with pytest.raises(ClaimError, match="'tiny' do not hold: start"):
        check_notebook_claims(nb)


def test_unreported_claims_are_found() -> None:
    with pytest.raises(ClaimError, match="left unreported"):
        check_notebook_claims(notebook(SETUP, RECORD.format(low=1)))
    with pytest.raises(ClaimError, match="left unreported"):
        check_notebook_claims(notebook("import ptft.show.claims as c\nx = c.Claims(name)"))
    reported = {"chapter": "tiny", "claims": []}
    with pytest.raises(ClaimError, match="created 2 time"):
        check_notebook_claims(notebook(SETUP, SETUP, records=(reported,)))


def test_a_notebook_without_claims_has_nothing_to_report() -> None:
    nb = notebook("x = 1  # no claim here", "# Claims('tiny') comes later")
    assert check_notebook_claims(nb) is None


def test_reading_claims_needs_no_heavy_import() -> None:
    heavy = {"IPython", "matplotlib", "numpy", "pandas", "torch"}
    code = f"import sys, ptft.show.claims; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_two_tables_are_refused() -> None:
    record = {"chapter": "tiny", "claims": []}
    with pytest.raises(ClaimError, match="here are tables for: tiny, tiny"):
        claims_from_notebook(notebook(SETUP, records=(record, record)))
