"""Claims: what a chapter says it measured, shown as a table and enforced.

The last code cell of a chapter calls `Claims.table`. The reader sees the table; the record of it
stays in the executed notebook, where the house tools find it; a claim that does not hold fails the
notebook, and with it the build.
"""

import html
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path
from typing import Any, cast

from ptft.core import atomic_write

# The key of the record in the metadata of the table's output. It is not one of the output's data
# types because Sphinx would warn about a type that it cannot render, and a warning fails the build.
CLAIMS_MIME = "application/vnd.ptft.claims+json"

_CREATION = re.compile(r"^(?!\s*#).*\bClaims\(", re.MULTILINE)


class ClaimError(AssertionError):
    """A claim does not hold, or was not reported exactly once."""


@dataclass(frozen=True)
class Claim:
    """One statement that holds when low <= measured <= high.

    Attributes:
        id: Short name, unique in its chapter: lower-case letters, digits and hyphens.
        statement: What is claimed, in one plain sentence.
        measured: The number that this run gave.
        low: Lower edge of the band, or None for no lower edge.
        high: Upper edge of the band, or None for no upper edge.
        limit: The theoretical limit or the source that the number is compared with.
        unit: Unit of `measured`, `low` and `high`; empty for a plain number.

    Raises:
        TypeError: If a number is not one (a bool is not).
        ValueError: If a text is missing, a number is not finite, or the band is empty or open on
            both sides.
    """

    id: str
    statement: str
    measured: float
    low: float | None
    high: float | None
    limit: str
    unit: str = ""

    def __post_init__(self) -> None:
        _check_name("claim id", self.id, "[a-z0-9][a-z0-9-]*")
        for field in ("statement", "limit"):
            if not getattr(self, field).strip():
                raise ValueError(f"claim {self.id!r}: {field} is empty")
        if self.low is None and self.high is None:
            raise ValueError(f"claim {self.id!r}: give low, high or both")
        for field in ("measured", "low", "high"):
            value = getattr(self, field)
            if value is not None or field == "measured":
                # A plain float, so that a NumPy number can be written as JSON.
                object.__setattr__(self, field, _finite(f"claim {self.id!r}: {field}", value))
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"claim {self.id!r}: low {self.low} is above high {self.high}")

    @property
    def holds(self) -> bool:
        """Whether the measured value lies in the band, edges included."""
        above = self.low is None or self.low <= self.measured
        below = self.high is None or self.measured <= self.high
        return above and below


class Claims:
    """The claims of one chapter, in the order in which they were measured.

    Example:
        >>> claims = Claims("why_pretrain")
        >>> claims.record("uniform-start", "An untrained model guesses uniformly",
        ...               measured=6.91, low=6.8, high=7.0, limit="ln V", unit="nats")
        >>> claims.table()
    """

    def __init__(self, chapter: str) -> None:
        _check_name("chapter", chapter, "[a-z0-9_]+")
        self.chapter = chapter
        self._claims: dict[str, Claim] = {}
        self._reported = False

    def record(
        self,
        id: str,
        statement: str,
        *,
        measured: float,
        low: float | None = None,
        high: float | None = None,
        limit: str,
        unit: str = "",
    ) -> None:
        """Add a claim; `Claim` explains the arguments. A false one is reported by `table`.

        Raises:
            TypeError: If a number is not one.
            ValueError: If the id is taken, or the claim is not well formed.
            RuntimeError: If the table has been shown.
        """
        if self._reported:
            raise RuntimeError(f"claim {id!r} comes after the claims table of {self.chapter!r}")
        if id in self._claims:
            raise ValueError(f"claim {id!r} is already recorded in {self.chapter!r}")
        self._claims[id] = Claim(id, statement, measured, low, high, limit, unit)

    def table(self) -> None:
        """Show the table, then fail if a claim does not hold.

        The record is also written to `$PTFT_CLAIMS_DIR/<chapter>.json` if that variable is set.

        Raises:
            ClaimError: If a claim does not hold; the message names every such claim.
            RuntimeError: If there is no claim, or the table has been shown.
        """
        if self._reported:
            raise RuntimeError(f"the claims table of {self.chapter!r} has been shown already")
        if not self._claims:
            raise RuntimeError(f"chapter {self.chapter!r} has recorded no claim")
        from IPython.display import display  # here, so that tools can read claims without IPython

        self._reported = True
        report = _Report(self.chapter, tuple(self._claims.values()))
        display(report)
        if folder := os.environ.get("PTFT_CLAIMS_DIR"):
            with atomic_write(Path(folder) / f"{self.chapter}.json", "w") as file:
                json.dump(report.record(), file, indent=1, ensure_ascii=False)
        if failed := [claim for claim in report.claims if not claim.holds]:
            raise ClaimError(_failures(self.chapter, failed))


def claims_from_notebook(nb: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the claims that an executed notebook reports.

    Args:
        nb: The notebook, as `nbformat` or `json` reads it.

    Returns:
        `{"chapter": ..., "claims": [{"id": ..., "holds": ..., ...}]}`, or None without a table.

    Raises:
        ClaimError: If the notebook shows more than one table.
    """
    outputs = [out for cell in _code_cells(nb) for out in cell.get("outputs", [])]
    records = [out.get("metadata", {}).get(CLAIMS_MIME) for out in outputs]
    found = [record for record in records if record is not None]
    if len(found) > 1:
        names = ", ".join(record["chapter"] for record in found)
        raise ClaimError(f"a notebook reports its claims once, but here are tables for: {names}")
    return found[0] if found else None


def check_notebook_claims(nb: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what `claims_from_notebook` does, after checking that it is complete and true.

    Raises:
        ClaimError: If the notebook creates `Claims` without showing their table, shows more than
            one, or reports a claim that does not hold.
    """
    record = claims_from_notebook(nb)
    created = sum(len(_CREATION.findall(_source(cell))) for cell in _code_cells(nb))
    if created > (record is not None):
        raise ClaimError(
            f"Claims are created {created} time(s) but left unreported: "
            "create them once, and end the chapter with claims.table()"
        )
    if record is not None:
        failed = [claim["id"] for claim in record["claims"] if not claim["holds"]]
        if failed:
            raise ClaimError(f"claims of {record['chapter']!r} do not hold: {', '.join(failed)}")
    return record


@dataclass(frozen=True)
class _Report:
    """The table, as IPython displays it."""

    chapter: str
    claims: tuple[Claim, ...]

    def record(self) -> dict[str, Any]:
        claims = [asdict(claim) | {"holds": claim.holds} for claim in self.claims]
        return {"chapter": self.chapter, "claims": claims}

    def __repr__(self) -> str:
        """Return a Markdown table, which is also readable as plain text."""
        rows = [("Claim", "Limit or source", "Measured", "Band", "Holds"), ("---",) * 5]
        rows += [(c.statement, c.limit, _measured(c), _band(c), _verdict(c)) for c in self.claims]
        return "\n".join(
            "| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in row) + " |"
            for row in rows
        )

    def html(self) -> str:
        # Three columns fit on a phone. No colour: the page's theme keeps the table readable in
        # the dark; "dataframe" is the class by which it knows tables that a cell has made.
        head = _row("th", ("Claim", "limit or source"), ("Measured", "band"), ("Holds", ""))
        rows = "".join(
            _row("td", (c.statement, c.limit), (_measured(c), _band(c)), (_verdict(c), ""))
            for c in self.claims
        )
        return (
            '<table class="dataframe ptft-claims">'
            f"<thead>{head}</thead><tbody>{rows}</tbody></table>"
        )

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"text/html": self.html(), "text/markdown": repr(self), "text/plain": repr(self)}
        return data, {CLAIMS_MIME: self.record()}


def _row(tag: str, *cells: tuple[str, str]) -> str:
    return "<tr>{}</tr>".format(
        "".join(
            f'<{tag} style="text-align: left">{html.escape(text)}'
            f"<br><small>{html.escape(small)}</small></{tag}>"
            for text, small in cells
        )
    )


def _check_name(what: str, name: str, pattern: str) -> None:
    if not re.fullmatch(pattern, name):
        raise ValueError(f"{what} must match {pattern}, got {name!r}")


def _finite(what: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{what} must be a real number, got {value!r} ({type(value).__name__})")
    if not math.isfinite(value):
        raise ValueError(f"{what} must be finite, got {value!r}")
    return float(value)


def _short(value: float) -> str:
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def _measured(claim: Claim, number: Callable[[float], str] = _short) -> str:
    return f"{number(claim.measured)} {claim.unit}".rstrip()


def _band(claim: Claim, number: Callable[[float], str] = _short) -> str:
    if claim.low is None:
        return f"at most {number(cast(float, claim.high))}"
    if claim.high is None:
        return f"at least {number(claim.low)}"
    return f"{number(claim.low)} to {number(claim.high)}"


def _verdict(claim: Claim) -> str:
    return "yes" if claim.holds else "NO"


def _failures(chapter: str, failed: list[Claim]) -> str:
    # All digits, because a value just outside its band rounds to the edge of it.
    lines = [
        f"  {claim.id}: measured {_measured(claim, repr)}, claimed {_band(claim, repr)}"
        f" ({claim.statement})"
        for claim in failed
    ]
    return "\n".join([f"{len(failed)} claim(s) of {chapter!r} do not hold:", *lines])


def _code_cells(nb: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [cell for cell in nb["cells"] if cell["cell_type"] == "code"]


def _source(cell: Mapping[str, Any]) -> str:
    source = cell["source"]  # one string, or in a file read by `json` a list of lines
    return source if isinstance(source, str) else "".join(source)
