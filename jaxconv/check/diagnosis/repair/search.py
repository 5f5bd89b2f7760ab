"""Look for one change of a rule's program that makes its gradient right."""

import math
from collections import ChainMap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxconv.check.arrays import as_exact, largest_gap, root_mean_square
from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.repair.edits import KINDS, Edit, Place, summed_axes
from jaxconv.check.diagnosis.repair.masks import name_of
from jaxconv.check.diagnosis.repair.program import Program, Step, Value
from jaxconv.check.leaves import is_float

MOST_STEPS = 400
"""Longer programs are not searched."""
MOST_RUNS = 200_000
"""A search gives up after it has run this many steps."""
MOST_NUMBERS = 20_000
"""Values with more elements are not searched."""


@dataclass(frozen=True)
class Repair:
    """A change that makes a gradient right.

    Attributes:
        name: the mistake that it undoes.
        sentence: the change, and where.
        residual: the error that is left, relative to the gradient.
    """

    name: str
    sentence: str
    residual: float


@dataclass(eq=False)
class _Run:
    """One observation's program with all its values, in which changes are tried.

    Attributes:
        program: the program.
        observation: what the rule returned, and what it should have returned.
        leaf: which gradient is wrong.
        values: the values of the unchanged program.
        slice: the steps that the gradient depends on, with their positions in the program.
        driven: the values that depend on the cotangent.
        flows: the values that reach the gradient as numbers, and not only through a mask.
        runs: how many steps have been run for changes.
    """

    program: Program
    observation: Observation
    leaf: int
    values: dict[int, Value] = field(init=False)
    slice: list[tuple[int, Step]] = field(init=False)
    driven: set[int] = field(init=False)
    flows: set[int] = field(init=False)
    runs: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        seen = self.observation
        self.values = self.program.values([*map(np.asarray, (*seen.arrays, *seen.dy))])
        needed, kept = {self.result}, []
        for position in range(len(self.program.steps) - 1, -1, -1):
            step = self.program.steps[position]
            if needed.intersection(step.outputs):
                needed.update(step.inputs)
                kept.append((position, step))
        self.slice = kept[::-1]
        self.flows = {self.result}
        for _, step in kept:
            if self.flows.intersection(step.outputs):
                self.flows.update(i for i in step.inputs if is_float(self.values[i]))
        self.driven = set(self.program.inputs[self.program.arguments :])
        for step in self.program.steps:
            if self.driven.intersection(step.inputs):
                self.driven.update(step.outputs)

    @property
    def result(self) -> int:
        """The number of the wrong gradient."""
        return self.program.results[self.leaf]

    def positions_of(self, other: "_Run", positions: Sequence[int]) -> list[int]:
        """Return the positions here of steps of another run, which may have other shapes.

        Where the programs differ, as loops of another length do, all steps of one instruction
        correspond to all of the same.
        """
        if self.program.form == other.program.form:
            return list(positions)
        kinds = {(step.site, step.name) for step in map(other.program.steps.__getitem__, positions)}
        if len(kinds) > 1 or None in {site for site, _ in kinds}:
            return []
        there = [p for p, step in other.slice if (step.site, step.name) in kinds]
        if there != list(positions):
            return []
        return [p for p, step in self.slice if (step.site, step.name) in kinds]

    def left(self, gradient: np.ndarray) -> float:
        """Return the largest error of a gradient, relative to the right one's size."""
        want = self.observation.want[self.leaf]
        if gradient.shape != want.shape:
            return math.inf
        return largest_gap(gradient, want) / (root_mean_square(want) or 1.0)

    def mistake(self, edit: Edit, positions: Sequence[int]) -> str:
        """Return the name of the mistake that a change undoes.

        A change that reaches the gradient through a mask only is named by the mask.
        """
        if self.flows.intersection(self.program.steps[positions[0]].outputs):
            return edit.name
        values: ChainMap[int, Value] = ChainMap({}, self.values)
        self.changed(edit, positions, values)
        for _, step in self.slice:
            if step.name == "select_n" and step.inputs[0] in values.maps[0]:
                which = step.inputs[0]
                wrong, right = self.values[which], values[which]
                if wrong.dtype == bool and np.any(wrong != right):
                    return name_of(self.program, which, wrong, right)
        return edit.name

    def changed(
        self, edit: Edit, positions: Sequence[int], values: ChainMap[int, Value] | None = None
    ) -> np.ndarray | None:
        """Return the gradient after a change of the steps at these positions.

        None if the change is impossible there or changes nothing. The changed values go into the
        first map of `values`, if it is given.
        """
        values = ChainMap({}, self.values) if values is None else values
        new = values.maps[0]
        for position, step in self.slice:
            self.runs += 1
            try:
                if position in positions:
                    found = edit.outputs(step, values)
                elif new and any(i in new for i in step.inputs):
                    found = step.run([values[i] for i in step.inputs], step.params)
                else:
                    continue
            except Exception:  # the change does not fit, for example in its shapes
                return None
            for i, value in zip(step.outputs, found, strict=True):
                if value.dtype != self.values[i].dtype:
                    return None
                new[i] = value
        return as_exact(new[self.result]) if self.result in new else None


def repair(evidence: Evidence) -> Repair | None:
    """Return a change of one step after which all observations have the right gradient, or None."""
    run = _run(evidence, evidence.first)
    if run is None:
        return None
    others: list[_Run] | None = None
    exact = evidence.exact
    for edit, positions in _changes(run):
        if run.runs > MOST_RUNS:
            return None
        gradient = run.changed(edit, positions)
        if gradient is None:
            continue
        left = run.left(gradient)
        if not left <= exact:
            continue
        if others is None:
            others = _others(evidence, run)
            if len(others) < len(evidence.observations) - 1:
                return None  # a change has to be right in every call
        for other in others:
            there = other.positions_of(run, positions)
            gradient = other.changed(edit, there) if there else None
            left = max(left, math.inf if gradient is None else other.left(gradient))
        if left <= exact:
            line = run.program.steps[positions[0]].line
            where = f"if, in {line}," if line else "if"
            return Repair(
                run.mistake(edit, positions),
                f"d({evidence.name}) is right {where} {edit.words}",
                left,
            )
    return None


def _run(evidence: Evidence, observation: Observation) -> _Run | None:
    """Trace the rule for an observation; None if its program does not give the wrong gradient."""
    if observation.program is None:
        return None
    try:
        program = observation.program()
        if len(program.steps) > MOST_STEPS:
            return None
        run = _Run(program, observation, evidence.leaf)
    except Exception:
        return None
    if any(np.size(v) > MOST_NUMBERS for v in run.values.values()):
        return None
    got = as_exact(run.values[run.result])
    want = observation.got[evidence.leaf]
    return run if np.allclose(got, want, rtol=1e-6, atol=1e-9, equal_nan=True) else None


def _others(evidence: Evidence, first: _Run) -> list[_Run]:
    """Return the other observations whose program is known."""
    runs = [_run(evidence, observation) for observation in evidence.observations[1:]]
    return [run for run in runs if run is not None]


def _changes(run: _Run) -> Iterator[tuple[Edit, list[int]]]:
    """Yield changes and the positions of the steps to change, the simplest first.

    A step is changed alone, and together with those of the same instruction in other rounds of a
    loop. Sums over the same axes are changed together, too.
    """
    places = [
        (position, Place(run.program, step, run.values, run.driven))
        for position, step in run.slice
        if len(step.outputs) == 1
    ]
    groups: dict[tuple[object, object], list[tuple[int, Place]]] = {}
    for position, place in places:
        step = place.step
        if step.site is not None:
            groups.setdefault((step.site, step.name), []).append((position, place))
        axes = summed_axes(place)
        if axes is not None:
            groups.setdefault((step.name, axes), []).append((position, place))
    together = [group for group in groups.values() if len(group) > 1]
    for kind in KINDS:
        for group in (*together, *([one] for one in places)):
            for edit in kind(group[0][1]):
                yield edit, [position for position, _ in group]
