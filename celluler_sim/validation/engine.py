"""Feed every case of a file to the check of its area, and say which passed."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from celluler_sim.validation.cases import Case, read_cases
from celluler_sim.validation.compare import differences
from celluler_sim.validation.registry import Question, Unsupported, check_for

Status = Literal["passed", "failed", "unsupported"]


@dataclass(frozen=True)
class Result:
    """What became of one case."""

    id: str
    area: str
    status: Status
    detail: str = ""  # the figures that differ, or what is not supported

    def __str__(self) -> str:
        return f"{self.status:<11} {self.area}/{self.id}{': ' if self.detail else ''}{self.detail}"


@dataclass(frozen=True)
class Report:
    """What became of every case of a file."""

    results: tuple[Result, ...]

    def count(self, status: Status) -> int:
        """Return how many cases have this status."""
        return Counter(result.status for result in self.results)[status]

    @property
    def exit_code(self) -> int:
        """1 if any case failed, else 0."""
        return int(self.count("failed") > 0)

    @property
    def closing_line(self) -> str:
        """The last line of a printed report."""
        return ", ".join(f"{self.count(status)} {status}" for status in ("passed", "failed", "unsupported"))


def validate(path: str | Path) -> Report:
    """Answer every case of a file with the project's own mechanisms.

    Raises
    ------
    ScenarioError
        If the file or a case in it is malformed.
    """
    return Report(tuple(_judge(case) for case in read_cases(path)))


def _judge(case: Case) -> Result:
    """Return what becomes of one case; a check that raises has failed it, and the others go on."""

    def result(status: Status, detail: str = "") -> Result:
        return Result(case.id, case.area, status, " ".join(detail.split()))

    if (check := check_for(case.area)) is None:
        return result("unsupported", "no mechanism answers this area")
    try:
        answers = check(Question(case.inputs, frozenset(case.expected)))
        found = differences(case.expected, answers, case.tolerance)
    except Unsupported as reason:
        return result("unsupported", str(reason))
    except Exception as error:  # noqa: BLE001 - any mechanism may be wired here, and one case must not stop the rest
        return result("failed", f"expected an answer, got {type(error).__name__}: {error}")
    if not found:
        return result("passed")
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return result("failed", f"{found[0]}{more}, tolerance {case.tolerance}")


def print_report(report: Report, stream: TextIO | None = None) -> None:
    """Write one line per case and the closing line, to standard output unless told otherwise."""
    out = stream or sys.stdout
    out.writelines(f"{result}\n" for result in report.results)
    out.write(f"{report.closing_line}\n")
