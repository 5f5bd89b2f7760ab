"""Recognize a forward pass as an op of this package, so that its sums can be written out."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import Array

import jaxconv

Arrays = list[np.ndarray]
Value = Callable[..., Arrays]

STRIDES, PADDINGS, DILATIONS, WINDOWS = (1, 2, 3), (0, 1, 2), (1, 2), (2, 3)
"""What is tried, alike along all axes."""


@dataclass(frozen=True, eq=False)
class Recognized:
    """A forward pass that is an op of this package.

    Attributes:
        op: the name of the op.
        geometry: its arguments as `jaxconv.explain.terms` takes them.
        roles: what the arguments are in the op: "x", "w" or "b".
        function: the op, as a function of the arguments.
    """

    op: str
    geometry: Mapping[str, Any]
    roles: tuple[str, ...]
    function: Callable[..., Array]

    def written_out(
        self, arrays: Arrays, names: Sequence[str], gradients: Callable[..., Sequence[object]]
    ) -> list[str]:
        """Return the written-out sum of the first wrong element of each gradient.

        dy has small whole numbers here, which one can follow by hand.
        """
        with jax.enable_x64(True):
            y, pull = jax.vjp(self.function, *arrays)
            rng = np.random.default_rng(1)
            dy = rng.integers(1, 6, y.shape).astype(float)
            want = list(map(np.asarray, pull(dy)))
        found = zip(self.roles, names, map(np.asarray, gradients([dy], *arrays)), want, strict=True)
        lines = []
        for role, name, got, right in found:
            size = np.abs(right) + np.sqrt(np.mean(right**2))
            off = np.argwhere(~(np.abs(got - right) <= 1e-6 * size))
            if len(off):
                index = tuple(map(int, off[0]))
                worked = self._sum(role, index, arrays, names, dy)
                lines.append(
                    f"the first wrong element of d{name}, with whole numbers for dy: {worked}, but"
                    f" backward returns {got[index]:g}"
                )
        return lines

    def _sum(
        self,
        role: str,
        index: tuple[int, ...],
        arrays: Arrays,
        names: Sequence[str],
        dy: np.ndarray,
    ) -> str:
        from jaxconv.explain import terms

        called: dict[str, str] = dict(zip(self.roles, names, strict=True))
        letters = [called.get("x", "x"), *([called["w"]] if "w" in called else []), "y"]
        if "b" in called:
            letters.append(called["b"])
        given: dict[str, np.ndarray] = {**dict(zip(self.roles, arrays, strict=True)), "dy": dy}
        of = f"d{called[role]}[{','.join(map(str, index))}]"
        numbers: dict[str, np.ndarray] = {called.get(k, k): value for k, value in given.items()}
        arrays_of_pool = numbers if self.op == "max_pool" else None
        written = terms(self.op, of=of, names=letters, arrays=arrays_of_pool, **self.geometry)
        return written.with_numbers(numbers)


def recognized(value: Value, arrays: Arrays) -> Recognized | None:
    """Return the op that a forward pass is, or None.

    The values are compared on the arguments and on other numbers of their shapes.
    """
    rng = np.random.default_rng(5)
    others = [rng.normal(size=a.shape) for a in arrays]
    try:
        want = [value(*arrays), value(*others)]
    except Exception:  # it does not take other numbers
        return None
    if len(want[0]) != 1:
        return None
    for candidate in _candidates([a.shape for a in arrays]):
        if all(
            _same(candidate, given, y) for given, (y,) in zip((arrays, others), want, strict=True)
        ):
            return candidate
    return None


def _same(candidate: Recognized, arrays: Arrays, want: np.ndarray) -> bool:
    try:
        with jax.enable_x64(True), jax.disable_jit():
            form = jax.eval_shape(candidate.function, *arrays)
            if form.shape != want.shape:
                return False
            return bool(np.allclose(candidate.function(*arrays), want, rtol=1e-9, atol=1e-12))
    except Exception:  # the op does not take these shapes
        return False


def _candidates(shapes: Sequence[tuple[int, ...]]) -> Iterator[Recognized]:
    x = shapes[0]
    if len(shapes) == 1 and len(x) in (1, 2):
        yield from _pools(x)
    if len(shapes) in (2, 3) and len(x) in (1, 2) and len(shapes[1]) == len(x):
        has_bias = len(shapes) == 3
        if not has_bias or shapes[2] in ((), (1,)):
            yield from _convolutions(x, shapes[1], has_bias)
    if len(shapes) in (2, 3) and len(x) == 2 and len(shapes[1]) == 2 and x[1] == shapes[1][0]:
        geometry = {"inputs": x[1], "outputs": shapes[1][1], "batch": x[0]}
        roles = ("x", "w", "b")[: len(shapes)]
        if len(shapes) == 3:
            geometry["bias"] = True
        yield Recognized("dense", geometry, roles, jaxconv.dense)


def _convolutions(x: tuple[int, ...], w: tuple[int, ...], has_bias: bool) -> Iterator[Recognized]:
    """Yield convolutions of one channel."""
    choices = itertools.product((False, True), DILATIONS, PADDINGS, STRIDES)
    for flip, dilation, padding, stride in choices:
        options = {"stride": stride, "padding": padding, "dilation": dilation, "flip_kernel": flip}

        def conv(
            x: Array, w: Array, b: Array | None = None, options: dict[str, Any] = options
        ) -> Array:
            bias = None if b is None else b.reshape(1)
            return jaxconv.conv(x[None, ..., None], w[..., None, None], bias, **options)[0, ..., 0]

        geometry = {"input": x, "kernel": w, "bias": has_bias, **options}
        yield Recognized("conv", geometry, ("x", "w", "b")[: 2 + has_bias], conv)


def _pools(x: tuple[int, ...]) -> Iterator[Recognized]:
    """Yield pools of one channel."""
    for window, stride, name in itertools.product(WINDOWS, STRIDES, ("max_pool", "avg_pool")):
        options = {"window": window, "stride": stride}

        def pool(x: Array, name: str = name, options: dict[str, int] = options) -> Array:
            return getattr(jaxconv, name)(x[None, ..., None], **options)[0, ..., 0]

        yield Recognized(name, {"input": x, **options}, ("x",), pool)
