"""Central differences: the gradient estimated from the forward pass alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.check.arrays import Arrays, as_float64, root_mean_square

STEPS = (1e-2, 1e-3, 1e-4, 1e-5)
SHORT = STEPS[-1]
OFFSETS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Slope:
    """A directional derivative and an estimate of its error."""

    value: float
    error: float


class Differences:
    """Directional derivatives of Σ dy·f, in float64.

    Two pairs of points, at distances h and 2h, give a slope whose error is of order h⁴. A third
    pair, at h/2, gives a second slope with half the step. Of several h, the one is taken where both
    slopes differ least; their difference estimates the error.
    """

    def __init__(self, bound: Callable[..., Arrays]):
        def objective(arrays: Arrays, dy: Arrays) -> Any:
            return sum(jnp.sum(d * y) for d, y in zip(dy, bound(*arrays), strict=True))

        def along(arrays: Arrays, dy: Arrays, vs: Arrays, steps: Any) -> Any:
            def at(step: Any) -> Any:
                return objective([a + step * v for a, v in zip(arrays, vs, strict=True)], dy)

            return jax.lax.map(at, steps)

        self._compiled = jax.jit(along)

    def _along(
        self, arrays: Arrays, dy: Arrays, leaf: int, v: np.ndarray, steps: np.ndarray
    ) -> np.ndarray:
        """Return Σ dy·f with one argument moved along v by each of the steps."""
        vs = [jnp.zeros_like(a) for a in arrays]
        vs[leaf] = jnp.asarray(v)
        padded = np.zeros(len(STEPS) * len(OFFSETS))  # always one length, to compile only once
        padded[: len(steps)] = steps
        return np.asarray(self._compiled(arrays, dy, vs, jnp.asarray(padded)))[: len(steps)]

    def slope(self, arrays: Arrays, dy: Arrays, leaf: int, v: np.ndarray) -> Slope:
        """Estimate ⟨gradient of the leaf, v⟩."""
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

    def gradient(self, arrays: Arrays, dy: Arrays, leaf: int) -> np.ndarray:
        """Estimate the gradient of one argument, one element at a time."""
        found = np.zeros(arrays[leaf].shape)
        for index in np.ndindex(*found.shape):
            v = np.zeros_like(found)
            v[index] = 1
            found[index] = self.slope(arrays, dy, leaf, v).value
        return found

    def bends(self, arrays: Arrays, dy: Arrays, leaf: int, v: np.ndarray) -> bool:
        """Whether the slopes along v on the two sides of this point differ."""
        return self._bends(arrays, dy, leaf, v, SHORT * _unit(arrays[leaf], v))

    def is_kink(self, arrays: Arrays, dy: Arrays, leaf: int, index: tuple[int, ...]) -> bool:
        """Whether the slopes on the two sides of this point differ along one element."""
        x = np.asarray(arrays[leaf])
        v = np.zeros_like(x)
        v[index] = 1
        step = SHORT * (abs(float(x[index])) if np.isfinite(x[index]) and x[index] else 1.0)
        return self._bends(arrays, dy, leaf, v, step)

    def _bends(self, arrays: Arrays, dy: Arrays, leaf: int, v: np.ndarray, h: float) -> bool:
        f = self._along(arrays, dy, leaf, v, h * np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
        left = (3 * f[2] - 4 * f[1] + f[0]) / (2 * h)
        right = (-3 * f[2] + 4 * f[3] - f[4]) / (2 * h)
        size = max(abs(left), abs(right))
        return not abs(right - left) <= 1e-3 * size + 1e-6


def _unit(x: Any, v: np.ndarray) -> float:
    """Return the c for which c·v moves no element by more than the root mean square of x."""
    reach = max(float(np.max(np.abs(v), initial=0.0)), np.finfo(float).tiny)
    return (root_mean_square(as_float64(x)) or 1.0) / reach
