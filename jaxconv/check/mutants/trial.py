"""Check every mutant of an op: which are caught, by which oracle, and with which diagnosis."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import jax
from jax import Array

from jaxconv._core.types import Function, Json
from jaxconv.check.arrays import Arrays
from jaxconv.check.catalogue import CATALOGUE, Record
from jaxconv.check.catalogue.cases import telling
from jaxconv.check.compiling import quickly_compiled
from jaxconv.check.judge import try_gradient
from jaxconv.check.mutants.changes import mistakes
from jaxconv.check.mutants.edits import Edit, edited, edits, spread, steps_of
from jaxconv.check.mutants.scene import Scene, all_close
from jaxconv.check.mutants.terms import tells
from jaxconv.check.report import Report

SAMPLES = 3
"""The number of samples; an edit that changes the gradient of none counts as no mistake."""

EDITS = 12
"""The number of edits per op that are checked, those that crash not counted."""

PATIENCE = 8.0
"""How many seconds an edited rule may take on all samples."""


@dataclass(frozen=True)
class Verdict:
    """The result of checking one mutant.

    Attributes:
        mutant: the mistake in words.
        kind: "changed" if the right gradient was changed, "edited" if the rule's source was.
        expected: the names of the right diagnoses; () if none is expected.
        caught: whether any check failed.
        crashed: whether the backward pass raised an error or never ended.
        oracles: the oracles that caught it, in the order in which they ran.
        named: the name of the diagnosis that was made, or "".
        sample: the number of the sample on which it was checked.
    """

    mutant: str
    kind: str
    expected: tuple[str, ...]
    caught: bool
    crashed: bool
    oracles: tuple[str, ...]
    named: str
    sample: int

    @property
    def right(self) -> bool:
        """Whether the diagnosis is one of those expected."""
        return self.named in self.expected


@dataclass(frozen=True)
class OpTrial:
    """All mutants of one op.

    Attributes:
        op: the name of the op.
        verdicts: one for each mutant.
        equivalent: how many mutants were dropped because their gradients are right.
        left_out: how many more edits there are that were not tried.
        seconds: how long it took.
    """

    op: str
    verdicts: tuple[Verdict, ...]
    equivalent: int
    left_out: int
    seconds: float

    def to_dict(self) -> Json:
        """Return the result as plain data."""
        return asdict(self)


def try_op(name: str) -> OpTrial:
    """Check every mutant of the op."""
    start = time.perf_counter()
    record = CATALOGUE[name]
    with jax.enable_x64(True), quickly_compiled():
        scenes = [Scene(record, number) for number in telling(record, 3 * SAMPLES)]
        scenes = sorted(scenes, key=lambda scene: not tells(scene))[:SAMPLES]
        found = list(_changed(scenes[0]))
        more, left_out = _edited(record, scenes)
    found += more
    verdicts = tuple(verdict for verdict in found if verdict is not None)
    equivalent = len(found) - len(verdicts)
    return OpTrial(name, verdicts, equivalent, left_out, time.perf_counter() - start)


def _changed(scene: Scene) -> Iterator[Verdict | None]:
    for mistake in mistakes(scene):
        if not scene.differs(mistake.change, mistake.stale):
            yield None
            continue
        rule = scene.changed(mistake.change, mistake.stale)
        report = _court(scene, rule, diagnosed=bool(mistake.expected))
        yield _verdict(mistake.what, "changed", mistake.expected, report, scene)


def _edited(record: Record, scenes: list[Scene]) -> tuple[list[Verdict | None], int]:
    """Return the verdicts on the edits that were checked, and how many more edits there are."""

    def differentiate(op: Function) -> None:
        for scene in scenes:
            _gradients(scene, op)

    steps = steps_of(record.op, differentiate)
    right = edited(record.op, steps, None)
    wanted = [_gradients(scene, right) for scene in scenes]
    every = spread(edits(steps))
    found: list[Verdict | None] = []
    for edit in every:
        found.append(_one_edit(record, scenes, wanted, edit, edited(record.op, steps, edit)))
        if sum(verdict is not None and not verdict.crashed for verdict in found) == EDITS:
            break
    return found, len(every) - len(found)


def _one_edit(
    record: Record,
    scenes: list[Scene],
    wanted: list[Arrays],
    edit: Edit,
    op: Function,
) -> Verdict | None:
    try:
        with _limit(PATIENCE):
            scene = _telling_scene(scenes, wanted, op)
    except TimeoutError:
        return Verdict(edit.what, "edited", (), True, True, ("never ends",), "", -1)
    if scene is None:
        return None
    report = _court(scene, _rebound(scene, op), diagnosed=False)
    return _verdict(edit.what, "edited", (), report, scene)


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` after this many seconds, because an edited loop may never end."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _telling_scene(scenes: list[Scene], wanted: list[Arrays], op: Function) -> Scene | None:
    """Return the first scene in which the edit changes a gradient or crashes, or None."""
    for scene, want in zip(scenes, wanted, strict=True):
        try:
            gradients = _gradients(scene, op)
        except TimeoutError:
            raise
        except Exception:
            return scene
        if not all_close(gradients, want):
            return scene
    return None


def _gradients(scene: Scene, op: Function) -> Arrays:
    """Return the gradients of `op` called in place of the scene's op, for the same cotangents."""
    fixed = scene.args[scene.count :]
    bound = _rebound(scene, op)

    def floats(*arrays: Array) -> Arrays:
        return scene.only_floats(bound(*arrays, *fixed))

    _, pull = jax.vjp(floats, *scene.args[: scene.count])
    return list(pull(scene.seen.dys))


def _rebound(scene: Scene, op: Function) -> Function:
    return type(scene.call)(op, scene.call.names, scene.call.options)


def _court(scene: Scene, rule: Function, *, diagnosed: bool) -> Report:
    return try_gradient(
        rule,
        scene.args,
        scene.precedents,
        scene.others,
        diagnosed=diagnosed,
        name=scene.record.name,
    )


def _verdict(
    what: str, kind: str, expected: tuple[str, ...], report: Report, scene: Scene
) -> Verdict:
    first = report.failures[0] if report.failures else None
    oracles = tuple(dict.fromkeys(failure.oracle for failure in report.failures))
    return Verdict(
        what,
        kind,
        expected,
        not report.ok,
        kind == "edited" and oracles[:1] == ("structure",),
        oracles,
        first.diagnosis.name if first and first.diagnosis else "",
        scene.number,
    )
