"""Measurements as data: one file for each machine and version of JAX.

A file holds sections ("ops", "networks", "geometries", …), a section holds cases, and a case keeps
the name of the run that measured it: its date. A later run replaces the cases that it measures and
leaves the others as they are; a run that no case is of any more is dropped.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from jaxconv._core.files import write_text
from jaxconv.bench.contestants import Result, Timing
from jaxconv.bench.floors import Ceilings
from jaxconv.bench.machine import Machine, Run


class Measured(NamedTuple):
    """What was measured of a case, and the date of the run."""

    date: str
    result: Result


@dataclass
class Saved:
    """The content of one file.

    Attributes:
        machine: that all of it was measured on.
        runs: by date.
        sections: of cases, by name.
    """

    machine: Machine
    runs: dict[str, Run] = field(default_factory=dict)
    sections: dict[str, dict[str, Measured]] = field(default_factory=dict)

    @property
    def jax(self) -> str:
        """The version of JAX."""
        return next(iter(self.runs.values())).versions["JAX"]

    def results(self, section: str) -> dict[str, Result]:
        """Of all cases of a section; {} if it was not measured."""
        return {name: case.result for name, case in self.sections.get(section, {}).items()}

    def add(self, run: Run, section: str, name: str, result: Result) -> None:
        """Put a case in, in the place of an older one of this name."""
        self.runs[run.date] = run
        self.sections.setdefault(section, {})[name] = Measured(run.date, result)
        used = {case.date for cases in self.sections.values() for case in cases.values()}
        self.runs = {date: known for date, known in self.runs.items() if date in used}


def file_name(machine: Machine, run: Run) -> str:
    """Where the run belongs; runs on more examples than usual have files of their own."""
    batches = "" if run.batches == 1 else f"-batches{run.batches}"
    return f"{machine.slug}-jax{run.versions['JAX']}{batches}.json"


def save(folder: Path, machine: Machine, run: Run, section: str, name: str, result: Result) -> Path:
    """Put one case into its file, which is made if there is none.

    Raises:
        ValueError: the file that is there is none of these.
    """
    path = folder / file_name(machine, run)
    saved = read(path) if path.exists() else Saved(machine)
    saved.add(run, section, name, result)
    write_text(path, _text(saved))
    return path


def read_all(folder: Path) -> list[Saved]:
    """All files of a folder, by name.

    Raises:
        ValueError: one of them is none of these.
    """
    return [read(path) for path in sorted(folder.glob("*.json"))]


def read(path: Path) -> Saved:
    """One file.

    Raises:
        ValueError: it is none of these.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        runs = {
            date: Run(**run | {"ceilings": Ceilings(**run["ceilings"])})
            for date, run in document["runs"].items()
        }
        sections = {
            section: {name: _measured(case) for name, case in cases.items()}
            for section, cases in document["sections"].items()
        }
        return Saved(Machine(**document["machine"]), runs, sections)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no measurements: {error!r}") from error


def _measured(case: dict[str, Any]) -> Measured:
    timings = {
        direction: {who: Timing(**timing) for who, timing in timings.items()}
        for direction, timings in case["timings"].items()
    }
    return Measured(case["run"], Result(timings, case["floor_ms"], case["residual_bytes"]))


def _text(saved: Saved) -> str:
    """JSON with a line for each run and each case, so that a later run changes few lines."""
    runs = _object(((date, _line(_run(run))) for date, run in saved.runs.items()), "    ")
    sections = (
        (section, _object(((name, _line(_case(case))) for name, case in cases.items()), "      "))
        for section, cases in saved.sections.items()
    )
    whole = {
        "machine": _line(saved.machine._asdict()),
        "runs": runs,
        "sections": _object(sections, "    "),
    }
    return _object(whole.items(), "  ") + "\n"


def _object(items: Iterable[tuple[str, str]], indent: str) -> str:
    lines = (f"{indent}{json.dumps(name, ensure_ascii=False)}: {text}" for name, text in items)
    return "{\n" + ",\n".join(lines) + f"\n{indent[2:]}}}"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _run(run: Run) -> dict[str, Any]:
    ceilings = {name: _short(value) for name, value in run.ceilings._asdict().items()}
    return run._asdict() | {"ceilings": ceilings}


def _case(case: Measured) -> dict[str, Any]:
    result = case.result
    return {
        "run": case.date,
        "floor_ms": {direction: _short(ms) for direction, ms in result.floor_ms.items()},
        "residual_bytes": result.residual_bytes,
        "timings": {
            direction: {who: _timing(timing) for who, timing in timings.items()}
            for direction, timings in result.timings.items()
        },
    }


def _timing(timing: Timing) -> dict[str, Any]:
    """With five numbers for all rounds, of which the median is the one in the middle."""
    return {
        "seconds": [_short(second) for second in timing.summary()],
        "compile_s": None if timing.compile_s is None else _short(timing.compile_s),
        "temporary_bytes": timing.temporary_bytes,
        "program": timing.program,
    }


def _short(value: float) -> float:
    """Four digits of it: no measurement is more exact."""
    return float(f"{value:.4g}")
