"""Central differences: what a gradient must be, asked of the forward pass alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.check.arrays import as_float64, root_mean_square

STEPS = (1e-2, 1e-3, 1e-4, 1e-5)
SHORT = STEPS[-1]
OFFSETS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Slope:
    """A directional derivative and how far it can be trusted."""

    value: float
    error: float


class Differences:
    """Directional derivatives of Σ dy·f, in float64.

    Two pairs of points, one twice as far as the other, make an error of the fourth power of the
    step; a third pair, half as far, makes the same with half the step. The step is the one at which
    halving it changes least; that change says how far to trust it.
    """

    def __init__(self, bound: Callable[..., list[Any]]):
        def objective(arrays: list[Any], dy: list[Any]) -> Any:
            return sum(jnp.sum(d * y) for d, y in zip(dy, bound(*arrays), strict=True))

        def along(arrays: list[Any], dy: list[Any], vs: list[Any], steps: Any) -> Any:
            def at(step: Any) -> Any:
                return objective([a + step * v for a, v in zip(arrays, vs, strict=True)], dy)

            return jax.lax.map(at, steps)

        self._compiled = jax.jit(along)

    def _along(
        self, arrays: list[Any], dy: list[Any], leaf: int, v: np.ndarray, steps: np.ndarray
    ) -> np.ndarray:
        """Σ dy·f with one argument moved by each of the steps along v."""
        vs = [jnp.zeros_like(a) for a in arrays]
        vs[leaf] = jnp.asarray(v)
        padded = np.zeros(len(STEPS) * len(OFFSETS))  # one length, so that it compiles once
        padded[: len(steps)] = steps
        return np.asarray(self._compiled(arrays, dy, vs, jnp.asarray(padded)))[: len(steps)]

    def slope(self, arrays: list[Any], dy: list[Any], leaf: int, v: np.ndarray) -> Slope:
        """⟨gradient of the leaf, v⟩."""
        unit = _unit(arrays[leaf], v)
        steps = np.concatenate([h * unit * np.array(OFFSETS) for h in STEPS])
        values = self._along(arrays, dy, leaf, v, steps)
        best = Slope(float("nan"), float("inf"))
        for h, f in zip(STEPS, values.reshape(len(STEPS), -1), strict=True):
            far, near = (f[5] - f[0]) / 4, (f[4] - f[1]) / 2
            close = f[3] - f[2]
            wide, narrow = (4 * near - far) / 3, (4 * close - near) / 3
            error = abs(wide - narrow) + np.finfo(float).eps * np.max(np.abs(f)) * 8
            if np.isfinite(error) and error / (h * unit) < best.error:
                best = Slope(narrow / (h * unit), error / (h * unit))
        return best

    def gradient(self, arrays: list[Any], dy: list[Any], leaf: int) -> np.ndarray:
        """Of one argument, an element at a time."""
        found = np.zeros(arrays[leaf].shape)
        for index in np.ndindex(*found.shape):
            v = np.zeros_like(found)
            v[index] = 1
            found[index] = self.slope(arrays, dy, leaf, v).value
        return found

    def bends(self, arrays: list[Any], dy: list[Any], leaf: int, v: np.ndarray) -> bool:
        """Whether the slopes before and after this point differ, along v."""
        return self._bends(arrays, dy, leaf, v, SHORT * _unit(arrays[leaf], v))

    def is_kink(self, arrays: list[Any], dy: list[Any], leaf: int, index: tuple[int, ...]) -> bool:
        """The same along one element."""
        x = np.asarray(arrays[leaf])
        v = np.zeros_like(x)
        v[index] = 1
        step = SHORT * (abs(float(x[index])) if np.isfinite(x[index]) and x[index] else 1.0)
        return self._bends(arrays, dy, leaf, v, step)

    def _bends(self, arrays: list[Any], dy: list[Any], leaf: int, v: np.ndarray, h: float) -> bool:
        f = self._along(arrays, dy, leaf, v, h * np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
        left = (3 * f[2] - 4 * f[1] + f[0]) / (2 * h)
        right = (-3 * f[2] + 4 * f[3] - f[4]) / (2 * h)
        size = max(abs(left), abs(right))
        return not abs(right - left) <= 1e-3 * size + 1e-6


def _unit(x: Any, v: np.ndarray) -> float:
    """The multiple of v that moves no element by more than their size."""
    reach = max(float(np.max(np.abs(v), initial=0.0)), np.finfo(float).tiny)
    return (root_mean_square(as_float64(x)) or 1.0) / reach
