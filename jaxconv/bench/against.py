"""Compare the speed of this checkout of jaxconv with that of an older or newer one.

Each case is timed in four processes that take turns: two have this checkout, two have the other.
The quicker process of each pair counts, and the difference within a pair is the noise, because two
processes with the same code can differ in speed for as long as they run. The time is that of
forward + backward of an op, or of a step of a network, compiled with default options.
"""

import ast
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jaxconv
from jaxconv._core.types import Json
from jaxconv.bench import summary
from jaxconv.bench.cases import Case as Op
from jaxconv.bench.contestants import Timing, take_turns
from jaxconv.bench.convolution import Convolution
from jaxconv.bench.sections import Case

_HERE = Path(jaxconv.__file__).parents[1]
_CHILD = Path(__file__).with_name("child.py")
_TABLES = {"networks": "NETWORKS", "functions": "FUNCTIONS", "catalogue": "OPS"}

HEADINGS = ("ms", "old", "new", "old / new", "noise", "compile s, old → new", "MB, old → new")


class ComparisonError(Exception):
    """Raised if the other checkout does not exist or a process fails."""


class Row(NamedTuple):
    """The result of one case.

    Attributes:
        name: the name of the case.
        timings: the timings of "old", "old again", "new" and "new again"; {} if a process
            failed.
        failure: the error of the process that failed; "" if none did.
    """

    name: str
    timings: dict[str, Timing]
    failure: str = ""

    def quicker(self, which: str) -> Timing:
        """Return the timing of the quicker process with the "old" or the "new" checkout."""
        return min(self._both(which), key=lambda timing: timing.median_ms)

    @property
    def noise(self) -> float:
        """The relative difference between two processes with the same checkout; the larger one."""
        return max(
            max(times) / min(times) - 1
            for which in ("old", "new")
            for times in [[timing.median_ms for timing in self._both(which)]]
        )

    def _both(self, which: str) -> tuple[Timing, Timing]:
        return self.timings[which], self.timings[f"{which} again"]


@contextlib.contextmanager
def checkout(text: str) -> Iterator[Path]:
    """Give the folder of the other checkout: `text` itself, or the commit of this name unpacked.

    Raises:
        ComparisonError: `text` is neither a folder with jaxconv nor a commit.
    """
    folder = Path(text)
    if (folder / "jaxconv" / "__init__.py").is_file():
        yield folder.resolve()
        return
    archive = ["git", "-C", str(_HERE), "archive", "--format=tar", text, "--", "jaxconv"]
    done = subprocess.run(archive, capture_output=True, check=False)
    if done.returncode:
        raise ComparisonError(f"{text!r} is neither a folder with jaxconv in it nor a commit")
    with (
        tempfile.TemporaryDirectory() as made,
        tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar,
    ):
        tar.extractall(made, filter="data")
        yield Path(made).resolve()


def compare(case: Case, other: Path, rounds: int, device: str | None) -> Row:
    """Time one case in both checkouts, in turns."""
    question = described(case) | {"device": device}
    folders = {"old": other, "new": _HERE, "old again": other, "new again": _HERE}
    try:
        with contextlib.ExitStack() as stack:
            children = {who: stack.enter_context(_Child(folder)) for who, folder in folders.items()}
            # One after the other, because compilations at the same time slow each other down.
            timings = {who: child.ask(question) for who, child in children.items()}
            take_turns([(children[who], timing) for who, timing in timings.items()], rounds)
    except ComparisonError as error:
        return Row(case.name, {}, str(error))
    return Row(case.name, timings)


def described(case: Case) -> Json:
    """Describe the case in Python's built-in types, as `child.py` expects it."""
    subject = case.subject
    if isinstance(subject, Convolution):
        return {
            "op": "conv_general_dilated", "shapes": subject.shapes, "options": subject.arguments,
            "labels": 0,
        }  # fmt: skip
    if isinstance(subject, Op):
        return {
            "op": subject.op, "shapes": subject.shapes, "options": subject.options,
            "labels": subject.labels,
        }  # fmt: skip
    table = _TABLES[case.section]
    return {"module": f"jaxconv.bench.{case.section}", "table": table, "name": case.name}


class _Child:
    """A process that imports one checkout and runs for as long as its `with` statement."""

    def __init__(self, folder: Path):
        self._folder = folder

    def __enter__(self) -> "_Child":
        path = os.pathsep.join(filter(None, (str(self._folder), os.environ.get("PYTHONPATH"))))
        environment = {
            "TF_CPP_MIN_LOG_LEVEL": "2", "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            **os.environ, "PYTHONPATH": path,
        }  # fmt: skip
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_CHILD)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            env=environment, cwd=self._folder,
        )  # fmt: skip
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()  # closes its stdin, which ends the process
        self._errors.close()

    def ask(self, question: Json) -> Timing:
        """Let the process compile a case; return a timing with the costs of compilation."""
        about = self._answer(repr(question))
        if Path(about["package"]).parents[1] != self._folder:
            raise ComparisonError(f"python takes jaxconv from {about['package']}, not from there")
        return Timing(about["compile_s"], about["temporary_bytes"])

    def seconds_a_call(self) -> float:
        """Return the seconds of one call, as the process itself measures it."""
        return float(self._answer(""))

    def _answer(self, question: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(question + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines() or ["the process ended"]
            which = "this checkout" if self._folder == _HERE else "the other checkout"
            raise ComparisonError(f"{which}: {said[-1]}")
        return ast.literal_eval(answer)


def cells(row: Row) -> list[str]:
    """Return a row of the table."""
    if row.failure:
        return [row.name, *["–"] * 5, row.failure]
    old, new = row.quicker("old"), row.quicker("new")
    return [
        row.name,
        summary.digits(old.median_ms),
        summary.digits(new.median_ms),
        f"{old.median_ms / new.median_ms:.2f}",
        f"{row.noise:.0%}",
        f"{old.compile_s:.2f} → {new.compile_s:.2f}",
        f"{_megabytes(old)} → {_megabytes(new)}",
    ]


def _megabytes(timing: Timing) -> str:
    return "–" if timing.temporary_bytes is None else summary.digits(timing.temporary_bytes / 1e6)


def conclusion(rows: Iterable[Row]) -> str:
    """Summarize how much faster the new checkout is, and list the cases that are slower."""
    measured = [row for row in rows if not row.failure]
    if not measured:
        return "Nothing was compared."
    usual = statistics.median(row.noise for row in measured)
    compared = [
        summary.Compared(
            row.name,
            row.quicker("new").median_ms,
            row.quicker("old").median_ms,
            max(row.noise, usual),
        )
        for row in measured
    ]
    return summary.conclusion(compared, "new", "old")
