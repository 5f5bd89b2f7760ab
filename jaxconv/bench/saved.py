"""Measurements as data: one file for each machine and version of JAX.

A file holds sections ("ops", "networks", "geometries", …), and a section holds cases. Each case
names the run that measured it by its date. A later run replaces the cases that it measures and
leaves the others as they are. A run without any remaining case is dropped.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from jaxconv._core.files import write_text
from jaxconv._core.types import Json
from jaxconv.bench.contestants import Result, Timing
from jaxconv.bench.floors import Ceilings
from jaxconv.bench.machine import Machine, Run


class Measured(NamedTuple):
    """The result of a case, and the date of its run."""

    date: str
    result: Result


@dataclass
class Saved:
    """The content of one file.

    Attributes:
        machine: the machine on which everything was measured.
        runs: the runs, by date.
        sections: the measured cases, by section and name.
    """

    machine: Machine
    runs: dict[str, Run] = field(default_factory=dict)
    sections: dict[str, dict[str, Measured]] = field(default_factory=dict)

    @property
    def jax(self) -> str:
        """The version of JAX."""
        return next(iter(self.runs.values())).versions["JAX"]

    def results(self, section: str) -> dict[str, Result]:
        """Return the results of all cases of a section; {} if it was not measured."""
        return {name: case.result for name, case in self.sections.get(section, {}).items()}

    def add(self, run: Run, section: str, name: str, result: Result) -> None:
        """Add a case; it replaces an older one of this name."""
        self.runs[run.date] = run
        self.sections.setdefault(section, {})[name] = Measured(run.date, result)
        used = {case.date for cases in self.sections.values() for case in cases.values()}
        self.runs = {date: known for date, known in self.runs.items() if date in used}


def file_name(machine: Machine, run: Run) -> str:
    """Return the file name for a run; runs with more examples than usual have separate files."""
    batches = "" if run.batches == 1 else f"-batches{run.batches}"
    return f"{machine.slug}-jax{run.versions['JAX']}{batches}.json"


def save(folder: Path, machine: Machine, run: Run, section: str, name: str, result: Result) -> Path:
    """Add one case to its file, and create the file if necessary.

    Raises:
        ValueError: the existing file holds no measurements.
    """
    path = folder / file_name(machine, run)
    saved = read(path) if path.exists() else Saved(machine)
    saved.add(run, section, name, result)
    write_text(path, _text(saved))
    return path


def read_all(folder: Path) -> list[Saved]:
    """Read all JSON files of a folder, in the order of their names.

    Raises:
        ValueError: one of them holds no measurements.
    """
    return [read(path) for path in sorted(folder.glob("*.json"))]


def read(path: Path) -> Saved:
    """Read one file.

    Raises:
        ValueError: it holds no measurements.
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


def _measured(case: Json) -> Measured:
    timings = {
        direction: {who: Timing(**timing) for who, timing in timings.items()}
        for direction, timings in case["timings"].items()
    }
    return Measured(case["run"], Result(timings, case["floor_ms"], case["residual_bytes"]))


def _text(saved: Saved) -> str:
    """Return JSON with one line per run and case, so that a later run changes few lines."""
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


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _run(run: Run) -> Json:
    ceilings = {name: _short(value) for name, value in run.ceilings._asdict().items()}
    return run._asdict() | {"ceilings": ceilings}


def _case(case: Measured) -> Json:
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


def _timing(timing: Timing) -> Json:
    """Return a timing as plain data, with five numbers (see `Timing.summary`) for all rounds."""
    return {
        "seconds": [_short(second) for second in timing.summary()],
        "compile_s": None if timing.compile_s is None else _short(timing.compile_s),
        "temporary_bytes": timing.temporary_bytes,
        "program": timing.program,
    }


def _short(value: float) -> float:
    """Round to four digits, since no measurement is more exact."""
    return float(f"{value:.4g}")
