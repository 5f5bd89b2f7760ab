"""Evidence for a diagnosis: the wrong gradient and the right one, for several calls."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from jaxconv._core.types import Values
from jaxconv.check.arrays import Arrays, as_exact
from jaxconv.check.diagnosis.repair.program import Program
from jaxconv.check.trial import Trial

Truth = Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]

# A Jacobian is computed one output at a time, if it has at most this many outputs and elements.
MOST_OUTPUTS, MOST_NUMBERS = 600, 600_000

FEW_OUTPUTS = 64
"""The Jacobian of a rule that cannot be traced is computed for at most this many outputs."""


@dataclass(frozen=True, eq=False)
class Observation:
    """One call of a rule: its arguments, its gradients and the right gradients, all in float64.

    Attributes:
        arrays: the differentiated arguments.
        dy: the cotangents of the output, one for each of its arrays.
        y: the output.
        got: the gradients of the rule, one for each argument.
        want: the right gradients, one for each argument.
        truth: the function (arrays, dy) → (y, gradients) that is right at any other arguments;
            None without a reference.
        earlier: the arguments of the call before this one, if there was one.
        jacobians: the Jacobians computed so far, shared by all calls with these arguments; those
            that the rule uses are under negative numbers.
        program: traces the rule with its backward pass at these arguments, or None.
        pull: the rule's gradients for another cotangent, or None.
    """

    arrays: list[np.ndarray]
    dy: list[np.ndarray]
    y: list[np.ndarray]
    got: list[np.ndarray]
    want: list[np.ndarray]
    truth: Truth | None
    earlier: list[np.ndarray] | None = None
    jacobians: dict[int, np.ndarray] = field(default_factory=dict)
    program: Callable[[], Program] | None = None
    pull: Callable[[Values], list[np.ndarray]] | None = None

    @classmethod
    def of(cls, trial: Trial, dy: Arrays, got: Arrays) -> "Observation":
        """Return the observation of a trial for one cotangent; the trial's truth is right."""
        assert trial.truth is not None
        want = [as_exact(w) for w in trial.truth(trial.leaves.arrays, dy)[1]]
        return cls.with_want(trial, dy, got, want)

    @classmethod
    def with_want(
        cls, trial: Trial, dy: Arrays, got: Arrays, want: list[np.ndarray]
    ) -> "Observation":
        """Return the observation of a trial for one cotangent and these right gradients."""
        return cls._at(trial, trial.leaves.arrays, dy, got, want, trial.jacobians)

    @classmethod
    def elsewhere(cls, trial: Trial, arrays: Arrays, dy: Arrays) -> "Observation":
        """Return the observation of a trial at other numbers of the same shapes."""
        assert trial.truth is not None
        want = [as_exact(w) for w in trial.truth(arrays, dy)[1]]
        return cls._at(trial, arrays, dy, trial.pull(arrays, dy)[1], want, {})

    @classmethod
    def _at(
        cls, trial: Trial, arrays: Arrays, dy: Arrays, got: Arrays, want: list[np.ndarray],
        jacobians: dict[int, np.ndarray],
    ) -> "Observation":  # fmt: skip
        return cls(
            arrays=[as_exact(a) for a in arrays],
            dy=[as_exact(d) for d in dy],
            y=[as_exact(y) for y in trial.bound(*arrays)],
            got=[as_exact(g) for g in got],
            want=want,
            truth=trial.truth,
            jacobians=jacobians,
            program=trial.program,
            pull=lambda dy: [as_exact(g) for g in trial.pull(arrays, list(dy))[1]],
        )

    def gradient(
        self, leaf: int, *, arrays: Values | None = None, dy: Values | None = None
    ) -> np.ndarray | None:
        """Return the right gradient of one argument for other arguments or cotangents."""
        if self.truth is None:
            return None
        given = list(self.arrays if arrays is None else arrays)
        return as_exact(self.truth(given, list(self.dy if dy is None else dy))[1][leaf])

    def jacobian(self, leaf: int) -> np.ndarray | None:
        """Return ∂y/∂(one argument), of shape (*y.shape, *argument.shape); None if too large."""
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

    def own_jacobian(self, leaf: int) -> np.ndarray | None:
        """Return the Jacobian that the rule uses; None if it is too large.

        A rule that cannot be traced is called for every output, of which there may be few.
        """
        right = self.jacobian(leaf)
        if right is None or self.pull is None or self.program is None:
            return None
        if -1 - leaf not in self.jacobians:
            units = np.eye(self.dy[0].size).reshape(-1, *self.dy[0].shape)
            try:
                program = self.program()
                result = program.results[leaf]
                rows = [as_exact(program.values([*self.arrays, unit])[result]) for unit in units]
            except Exception:
                if len(units) > FEW_OUTPUTS:
                    return None
                rows = [self.pull([unit])[leaf] for unit in units]
            self.jacobians[-1 - leaf] = np.stack(rows).reshape(right.shape)
        return self.jacobians[-1 - leaf]


@dataclass(frozen=True, eq=False)
class Evidence:
    """All observations of one wrong gradient.

    Attributes:
        leaf: the position of the wrong gradient among the differentiated arguments.
        names: the names of all differentiated arguments.
        observations: calls for several cotangents and, if possible, several shapes. The first ones
            have the same arguments.
        exact: the error an explanation may leave, relative to the gradient: rounding only.
    """

    leaf: int
    names: tuple[str, ...]
    observations: list[Observation]
    exact: float = 1e-9

    @property
    def name(self) -> str:
        """The name of the argument whose gradient is wrong."""
        return self.names[self.leaf]

    @property
    def first(self) -> Observation:
        """The call from which hypotheses make their guesses."""
        return self.observations[0]

    @property
    def has_complex(self) -> bool:
        """Whether arguments or outputs are complex."""
        return any(np.iscomplexobj(a) for a in (*self.first.arrays, *self.first.dy))

    @property
    def shapes(self) -> set[tuple[tuple[int, ...], ...]]:
        """The shapes of the arguments in all calls."""
        return {tuple(a.shape for a in o.arrays) for o in self.observations}
