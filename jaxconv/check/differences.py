"""Central differences: the gradient estimated from the forward pass alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.check.arrays import Arrays, as_exact, placed, root_mean_square, widen
from jaxconv.check.compiling import quick_jit

STEPS = (1e-2, 1e-3, 1e-4, 1e-5)
EXACT = float(np.finfo(float).eps)
REACHES = (1.0, 1e-3, 1e-6)
Move = dict[int, np.ndarray]
"""The directions in which arguments are moved together, by their positions."""

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
        self,
        bound: Callable[..., Arrays],
        eps: float = EXACT,
        *,
        reaches: Sequence[np.ndarray | None] = (),
        one_by_one: bool = False,
    ):
        self.eps, self._reaches = eps, reaches

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

        self._functions, self._one_by_one = (along, rounding), one_by_one
        self._compiled: Any = None

    def _called(self, arrays: Arrays) -> Any:
        """Return the functions for the moved and the summed products, compiled once."""
        if self._compiled is None:
            self._compiled = self._functions
            if not self._one_by_one:
                self._compiled = [quick_jit(function, arrays) for function in self._functions]
        return self._compiled

    def _along(self, arrays: Arrays, dy: Arrays, move: Move, steps: np.ndarray) -> np.ndarray:
        """Return Re Σ dy·f with the arguments moved by each of the steps."""
        exact = [as_exact(a) for a in arrays]
        vs = [placed(move.get(leaf, np.zeros(a.shape)), a.dtype) for leaf, a in enumerate(exact)]
        padded = np.zeros(len(STEPS) * len(OFFSETS))  # always one length, to compile only once
        padded[: len(steps)] = steps
        moved = self._called(arrays)[0]
        return np.asarray(moved(arrays, dy, vs, jax.device_put(padded)))[: len(steps)]

    def slope(self, arrays: Arrays, dy: Arrays, move: Move) -> Slope:
        """Estimate Re Σ ⟨gradient of a leaf, its v⟩, without conjugation.

        Where steps leave the domain of the function, shorter ones are taken.
        """
        for reach in REACHES:
            found = self._slope(arrays, dy, move, reach)
            if np.isfinite(found.error):
                break
        return found

    def _slope(self, arrays: Arrays, dy: Arrays, move: Move, reach: float) -> Slope:
        unit = reach * self._unit(arrays, move)
        steps = np.concatenate([h * unit * np.array(OFFSETS) for h in STEPS])
        values = self._along(arrays, dy, move, steps)
        summed = self._called(arrays)[1]
        rounding = 0.0 if self.eps <= EXACT else 4 * self.eps * float(summed(arrays, dy))
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
        """Estimate one element of the gradient of one argument; NaN if it cannot be moved."""
        v = np.zeros_like(as_exact(arrays[leaf]))
        if not self.reach(leaf, v)[index]:
            return np.nan
        v[index] = 1
        real = self.slope(arrays, dy, {leaf: v}).value
        if not np.iscomplexobj(v):
            return real
        v[index] = 1j
        return complex(real, -self.slope(arrays, dy, {leaf: v}).value)

    def reach(self, leaf: int, x: np.ndarray) -> np.ndarray:
        """Return how far the elements of one argument can be moved in its domain."""
        known = self._reaches[leaf] if self._reaches else None
        return np.full(x.shape, np.inf) if known is None else known

    def _unit(self, arrays: Arrays, move: Move) -> float:
        """Return the c for which c times the move moves no element far.

        That is the root mean square of its array, or what the domain allows.
        """
        units = []
        for leaf, v in move.items():
            x, size = as_exact(arrays[leaf]), np.abs(v)
            furthest = max(float(np.max(size, initial=0.0)), np.finfo(float).tiny)
            units.append((root_mean_square(x) or 1.0) / furthest)
            moved = size > 0
            allowed = self.reach(leaf, x)[moved] / size[moved]
            units.append(float(np.min(allowed, initial=np.inf)))
        return min(units)

    def bends(self, arrays: Arrays, dy: Arrays, move: Move) -> bool:
        """Whether the slopes on the two sides of this point differ."""
        return self._bends(arrays, dy, move, self._short * self._unit(arrays, move))

    def is_kink(self, arrays: Arrays, dy: Arrays, leaf: int, index: tuple[int, ...]) -> bool:
        """Whether the slopes on the two sides of this point differ along one element."""
        x = as_exact(arrays[leaf])
        v = np.zeros_like(x)
        v[index] = 1
        size = abs(x[index])
        size = float(size) if np.isfinite(size) and size else 1.0
        step = self._short * min(size, float(self.reach(leaf, x)[index]))
        if not step:
            return False  # the element cannot be moved
        return self._bends(arrays, dy, {leaf: v}, step)

    @property
    def _short(self) -> float:
        return STEPS[-1] if self.eps <= EXACT else STEPS[0]

    def _bends(self, arrays: Arrays, dy: Arrays, move: Move, h: float) -> bool:
        for reach in REACHES:
            step = h * reach
            f = self._along(arrays, dy, move, step * np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
            if np.isfinite(f).all():
                break
        else:
            return True  # the domain ends here
        h = step
        left = (3 * f[2] - 4 * f[1] + f[0]) / (2 * h)
        right = (-3 * f[2] + 4 * f[3] - f[4]) / (2 * h)
        size = max(abs(left), abs(right))
        return not abs(right - left) <= 1e-3 * size + 1e-6
