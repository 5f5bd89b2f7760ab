"""What a mistake can be told from: the wrong gradient and the right one, several times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxconv.check.arrays import Arrays, as_float64
from jaxconv.check.trial import Trial

Truth = Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]

# The Jacobian is asked for one output at a time: up to this many, and this many numbers in all.
MOST_OUTPUTS, MOST_NUMBERS = 600, 600_000


@dataclass(frozen=True, eq=False)
class Observation:
    """One call: what the rule was given, what it said, what it should have said. All float64.

    Attributes:
        arrays: the differentiated arguments.
        dy: the cotangents of the output, one for each of its arrays.
        y: the output.
        got: the gradients of the rule, one for each argument.
        want: the right ones.
        truth: (arrays, dy) → (y, gradients) anywhere else; None without a reference.
        earlier: the arguments of the call before this one, if there was one.
        jacobians: those that were asked for; shared by all calls with these arguments.
    """

    arrays: list[np.ndarray]
    dy: list[np.ndarray]
    y: list[np.ndarray]
    got: list[np.ndarray]
    want: list[np.ndarray]
    truth: Truth | None
    earlier: list[np.ndarray] | None = None
    jacobians: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, trial: Trial, dy: Arrays, got: Arrays) -> "Observation":
        """What a trial saw for one cotangent, held against its truth."""
        assert trial.truth is not None
        want = [as_float64(w) for w in trial.truth(trial.leaves.arrays, dy)[1]]
        return cls.with_want(trial, dy, got, want)

    @classmethod
    def with_want(
        cls, trial: Trial, dy: Arrays, got: Arrays, want: list[np.ndarray]
    ) -> "Observation":
        """The same where the right gradients are known from elsewhere."""
        arrays = trial.leaves.arrays
        return cls(
            arrays=[as_float64(a) for a in arrays],
            dy=[as_float64(d) for d in dy],
            y=[as_float64(y) for y in trial.bound(*arrays)],
            got=[as_float64(g) for g in got],
            want=want,
            truth=trial.truth,
            jacobians=trial.jacobians,
        )

    def gradient(
        self, leaf: int, *, arrays: Sequence[Any] | None = None, dy: Sequence[Any] | None = None
    ) -> np.ndarray | None:
        """The right gradient of one argument with other arguments or cotangents."""
        if self.truth is None:
            return None
        given = list(self.arrays if arrays is None else arrays)
        return as_float64(self.truth(given, list(self.dy if dy is None else dy))[1][leaf])

    def jacobian(self, leaf: int) -> np.ndarray | None:
        """∂y/∂(one argument), of shape (*y.shape, *argument.shape), where that is affordable."""
        outputs, size = self.dy[0].size, self.arrays[leaf].size
        if self.truth is None or len(self.dy) > 1 or not outputs * size:
            return None
        if outputs > MOST_OUTPUTS or outputs * size > MOST_NUMBERS:
            return None
        if leaf not in self.jacobians:
            units = np.eye(outputs).reshape(outputs, *self.dy[0].shape)
            rows = [self.gradient(leaf, dy=[unit]) for unit in units]
            shape = (*self.dy[0].shape, *self.arrays[leaf].shape)
            self.jacobians[leaf] = np.stack([r for r in rows if r is not None]).reshape(shape)
        return self.jacobians[leaf]


@dataclass(frozen=True, eq=False)
class Evidence:
    """All observations of one wrong gradient.

    Attributes:
        leaf: its number among the differentiated arguments.
        names: of all of them.
        observations: for several cotangents, and several shapes where they are known. The first
            ones are of one shape and the same arguments.
        exact: how well an explanation must fit, relative to the gradient: to rounding.
    """

    leaf: int
    names: tuple[str, ...]
    observations: list[Observation]
    exact: float = 1e-9

    @property
    def name(self) -> str:
        """Of the argument."""
        return self.names[self.leaf]

    @property
    def first(self) -> Observation:
        """The call that hypotheses are made from."""
        return self.observations[0]

    @property
    def shapes(self) -> set[tuple[tuple[int, ...], ...]]:
        """Those of the arguments, over all calls."""
        return {tuple(a.shape for a in o.arrays) for o in self.observations}
