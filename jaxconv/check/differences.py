"""Central differences: the gradient estimated from the forward pass alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.check.arrays import Arrays, as_exact, root_mean_square, widen

STEPS = (1e-2, 1e-3, 1e-4, 1e-5)
EXACT = float(np.finfo(float).eps)
REACHES = (1.0, 1e-3, 1e-6)
OFFSETS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Slope:
    """A directional derivative and an estimate of its error."""

    value: float
    error: float


class Differences:
    """Directional derivatives of Re Σ dy·f, in float64.

    Two pairs of points, at distances h and 2h, give a slope whose error is of order h⁴. A third
    pair, at h/2, gives a second slope with half the step. Of several h, the one is taken where both
    slopes differ least; their difference estimates the error. A function that works in a narrower
    dtype, whose unit of rounding is `eps`, has the error of that rounding on top. `one_by_one`
    calls the function once for each point, where it cannot be part of a float64 program.
    """

    def __init__(
        self, bound: Callable[..., Arrays], eps: float = EXACT, *, one_by_one: bool = False
    ):
        self.eps = eps

        def products(arrays: Arrays, dy: Arrays) -> Arrays:
            ys = bound(*arrays)
            return [widen([d])[0] * widen([y])[0] for d, y in zip(dy, ys, strict=True)]

        def along(arrays: Arrays, dy: Arrays, vs: Arrays, steps: Any) -> Any:
            def at(step: Any) -> Any:
                moved = [
                    (widen([a])[0] + step * v).astype(a.dtype)
                    for a, v in zip(arrays, vs, strict=True)
                ]
                return sum(jnp.sum(p.real) for p in products(moved, dy))

            return jnp.stack(list(map(at, steps))) if one_by_one else jax.lax.map(at, steps)

        def rounding(arrays: Arrays, dy: Arrays) -> Any:
            return jnp.sqrt(sum(jnp.sum(jnp.abs(p) ** 2) for p in products(arrays, dy)))

        compile_it = (lambda function: function) if one_by_one else jax.jit
        self._compiled, self._rounding = compile_it(along), compile_it(rounding)

    def _along(
        self, arrays: Arrays, dy: Arrays, leaf: int, v: np.ndarray, steps: np.ndarray
    ) -> np.ndarray:
        """Return Re Σ dy·f with one argument moved along v by each of the steps."""
        vs = [jnp.zeros_like(a, as_exact(a).dtype) for a in arrays]
        vs[leaf] = jnp.asarray(v).astype(vs[leaf].dtype)
        padded = np.zeros(len(STEPS) * len(OFFSETS))  # always one length, to compile only once
        padded[: len(steps)] = steps
        return np.asarray(self._compiled(arrays, dy, vs, jnp.asarray(padded)))[: len(steps)]

    def slope(self, arrays: Arrays, dy: Arrays, leaf: int, v: np.ndarray) -> Slope:
        """Estimate Re ⟨gradient of the leaf, v⟩, without conjugation.

        Where steps leave the domain of the function, shorter ones are taken.
        """
        for reach in REACHES:
            found = self._slope(arrays, dy, leaf, v, reach)
            if np.isfinite(found.error):
                break
        return found

    def _slope(self, arrays: Arrays, dy: Arrays, leaf: int, v: np.ndarray, reach: float) -> Slope:
        unit = reach * _unit(arrays[leaf], v)
        steps = np.concatenate([h * unit * np.array(OFFSETS) for h in STEPS])
        values = self._along(arrays, dy, leaf, v, steps)
        rounding = 0.0 if self.eps <= EXACT else 4 * self.eps * float(self._rounding(arrays, dy))
        best = Slope(float("nan"), float("inf"))
        for h, f in zip(STEPS, values.reshape(len(STEPS), -1), strict=True):
            far, near = (f[5] - f[0]) / 4, (f[4] - f[1]) / 2
            close = f[3] - f[2]
            wide, narrow = (4 * near - far) / 3, (4 * close - near) / 3
            error = abs(wide - narrow) + EXACT * np.max(np.abs(f)) * 8 + rounding
            if np.isfinite(error) and error / (h * unit) < best.error:
                best = Slope(narrow / (h * unit), error / (h * unit))
        return best

    def gradient(self, arrays: Arrays, dy: Arrays, leaf: int) -> np.ndarray:
        """Estimate the gradient of one argument, one element at a time."""
        found = np.zeros_like(as_exact(arrays[leaf]))
        for index in np.ndindex(*found.shape):
            found[index] = self.element(arrays, dy, leaf, index)
        return found

    def element(self, arrays: Arrays, dy: Arrays, leaf: int, index: tuple[int, ...]) -> Any:
        """Estimate one element of the gradient of one argument."""
        v = np.zeros_like(as_exact(arrays[leaf]))
        v[index] = 1
        real = self.slope(arrays, dy, leaf, v).value
        if not np.iscomplexobj(v):
            return real
        v[index] = 1j
        return complex(real, -self.slope(arrays, dy, leaf, v).value)

    def bends(self, arrays: Arrays, dy: Arrays, leaf: int, v: np.ndarray) -> bool:
        """Whether the slopes along v on the two sides of this point differ."""
        return self._bends(arrays, dy, leaf, v, self._short * _unit(arrays[leaf], v))

    def is_kink(self, arrays: Arrays, dy: Arrays, leaf: int, index: tuple[int, ...]) -> bool:
        """Whether the slopes on the two sides of this point differ along one element."""
        x = as_exact(arrays[leaf])
        v = np.zeros_like(x)
        v[index] = 1
        size = abs(x[index])
        step = self._short * (float(size) if np.isfinite(size) and size else 1.0)
        return self._bends(arrays, dy, leaf, v, step)

    @property
    def _short(self) -> float:
        return STEPS[-1] if self.eps <= EXACT else STEPS[0]

    def _bends(self, arrays: Arrays, dy: Arrays, leaf: int, v: np.ndarray, h: float) -> bool:
        for reach in REACHES:
            step = h * reach
            f = self._along(arrays, dy, leaf, v, step * np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
            if np.isfinite(f).all():
                break
        else:
            return True  # the domain ends here
        h = step
        left = (3 * f[2] - 4 * f[1] + f[0]) / (2 * h)
        right = (-3 * f[2] + 4 * f[3] - f[4]) / (2 * h)
        size = max(abs(left), abs(right))
        return not abs(right - left) <= 1e-3 * size + 1e-6


def _unit(x: Any, v: np.ndarray) -> float:
    """Return the c for which c·v moves no element by more than the root mean square of x."""
    reach = max(float(np.max(np.abs(v), initial=0.0)), np.finfo(float).tiny)
    return (root_mean_square(as_exact(x)) or 1.0) / reach
