"""Mistakes made by changing the right gradient, each with the diagnosis it should get."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jaxconv._core.arguments import DType
from jaxconv.check.arrays import Arrays
from jaxconv.check.mutants.scene import Change, Scene, Seen
from jaxconv.check.mutants.terms import Changed, of_some


@dataclass(frozen=True)
class Mistake:
    """One way to break a gradient.

    Attributes:
        what: the mistake in words.
        expected: the names of the right diagnoses; () if the mistake has no name.
        change: computes the wrong gradients.
        stale: whether the mistake is to keep the arguments of another call.
    """

    what: str
    expected: tuple[str, ...]
    change: Change
    stale: bool = False


KERNELS = ("w", "rhs")
DIAGONAL = 256
"""The most elements for which the diagonal of a Jacobian is taken from the whole matrix."""
WINDOWS = 64
"""The most windows that are assigned one after the other."""


def mistakes(scene: Scene) -> Iterator[Mistake]:
    """Yield all mistakes that this call allows."""
    for leaf, name in enumerate(scene.sample.arrays):
        for what, expected, change in _of_one(scene, leaf):
            yield Mistake(f"d{name}: {what}", expected, change)
    for what, expected, change in (*_of_all(scene), *of_some(scene)):
        yield Mistake(what, expected, change)
    yield Mistake("kept beside JAX", ("stale_residual",), lambda s: s.gradients, stale=True)


def _of_one(scene: Scene, leaf: int) -> Iterator[Changed]:
    """Yield mistakes in the gradient of one argument."""
    x = scene.args[leaf]

    def only(change: Callable[[np.ndarray], np.ndarray]) -> Change:
        def changed(seen: Seen) -> Arrays:
            gradients = list(seen.gradients)
            gradients[leaf] = change(gradients[leaf])
            return gradients

        return changed

    yield "sign", ("wrong_sign",), only(lambda g: -g)
    yield "twice", ("constant_factor",), only(lambda g: 2 * g)
    yield "half", ("constant_factor",), only(lambda g: 0.5 * g)
    yield "zero", ("argument_constant",), only(np.zeros_like)
    yield "as float32", ("precision_lost",), only(_rounded(jnp.dtype("float32")))
    yield "as bfloat16", ("precision_lost",), only(_rounded(jnp.dtype("bfloat16")))
    yield "one element", (), only(_one_element)
    batch = scene.args[0].shape[0] if scene.args[0].ndim else 1
    if leaf and batch > 1 and (not x.ndim or x.shape[0] != batch):
        names = ("wrong_reduction", "constant_factor")

        def mean(seen: Seen) -> Arrays:
            gradients = list(seen.gradients)
            gradients[leaf] = gradients[leaf] / seen.arrays[0].shape[0]
            return gradients

        yield "mean over the batch", names, mean
    spatial = spatial_axes(scene, leaf)
    for axis in spatial:
        yield f"axis {axis} flipped", ("spatially_flipped",), only(_flipped((axis,)))
        if x.shape[axis] > 2:  # for two elements, a flip and a shift are the same
            yield f"axis {axis} shifted", ("shifted",), only(_shifted(axis))
    if len(spatial) > 1:
        yield "turned by 180°", ("spatially_flipped",), only(_flipped(spatial))
        yield "axes swapped", ("axes_swapped",), only(_swapped(spatial[0], spatial[1]))
    if any(x.shape[axis] > 2 for axis in spatial):
        yield "border zeroed", ("border_wrong",), only(_without_border(spatial))
    channels = set(range(x.ndim)) - set(spatial) - {0}
    if spatial and leaf == 0 and channels:
        flipped = _flipped(tuple(channels))
        yield "channels turned", ("spatially_flipped",), only(flipped)
    for other, name in enumerate(scene.sample.arrays):
        if other != leaf and scene.args[other].shape == x.shape:
            g, taken = (scene.seen.gradients[i] for i in (leaf, other))
            # For a difference such as x − t, the gradients of the two differ in sign only.
            same = ("wrong_sign",) if np.array_equal(g, -taken) else ()
            expected = ("other_arguments_gradient", *same)
            yield f"d{name} instead", expected, _taken_from(leaf, other)


def _of_all(scene: Scene) -> Iterator[Changed]:
    """Yield mistakes in the use of cotangents and residuals."""
    seen = scene.seen
    yield (
        "cotangent taken for ones",
        ("cotangent_ignored",),
        lambda s: s.pull(s.arrays, [np.ones_like(d) for d in s.dys]),
    )
    batch = seen.arrays[0].shape[0] if seen.arrays[0].ndim else 0
    if (
        batch > 1
        and all(y.ndim and y.shape[0] == batch for y in seen.y)
        and scene.record.by_example
    ):
        yield (
            "last example alone",
            ("one_sample_only",),
            lambda s: s.pull(s.arrays, [_only(d, slice(-1, None)) for d in s.dys]),
        )
        yield (
            "first example left out",
            (),
            lambda s: s.pull(s.arrays, [_only(d, slice(1, None)) for d in s.dys]),
        )
        spatial = spatial_axes(scene, 0)
        if spatial and len(seen.y) == 1 and seen.y[0].ndim == seen.arrays[0].ndim:
            last = _last_window(spatial)
            # The last window may lie on padding only and reach no element.
            nothing = () if np.any(last(seen)[0]) else ("argument_constant",)
            yield "last window alone", ("last_window_only", *nothing), last
            if np.prod([seen.y[0].shape[axis] for axis in spatial]) <= WINDOWS:
                yield "windows assigned, not added", ("last_window_only",), _assigned(spatial)
    yield (
        "at a point nearby",
        (),
        lambda s: s.pull([1.01 * a + 0.01 for a in s.arrays], s.dys),
    )
    yield (
        "what is kept, moved by one",
        (),
        lambda s: s.pull([np.roll(a.ravel(), 1).reshape(a.shape) for a in s.arrays], s.dys),
    )
    alike = len(seen.y) == 1 and seen.y[0].shape == seen.arrays[0].shape
    if not alike:
        return
    dx, dy = seen.gradients[0], seen.dys[0]
    at_output = seen.pull([seen.y[0], *seen.arrays[1:]], seen.dys)[0]
    # For a piecewise linear op, the outputs may all lie where the slope is not 0: dx has no mask.
    unmasked = np.all((dx == 0) | (at_output == dx)) and np.all(at_output != 0)
    yield (
        "at the output",
        ("wrong_point", "mask_missing") if unmasked else ("wrong_point",),
        lambda s: s.pull([s.y[0], *s.arrays[1:]], s.dys),
    )
    masked = bool(np.all((dx == 0) | (np.abs(dx - dy) <= 1e-12 * np.abs(dy))))
    yield (
        "dy passed on",
        ("mask_missing",) if masked else (),
        lambda s: [s.dys[0], *s.gradients[1:]],
    )
    if seen.y[0].size <= DIAGONAL:
        yield "diagonal alone", ("diagonal_only",), _diagonal


def spatial_axes(scene: Scene, leaf: int) -> tuple[int, ...]:
    """Return the argument's spatial axes longer than 1; none if the op has no layout."""
    name, shape = list(scene.sample.arrays)[leaf], scene.args[leaf].shape
    if "layout" not in inspect.signature(scene.record.op).parameters or len(shape) < 3:
        return ()
    first = scene.sample.options.get("layout") == "channels_first"
    if name in KERNELS:
        axes = range(2, len(shape)) if first else range(len(shape) - 2)
    else:
        axes = range(2, len(shape)) if first else range(1, len(shape) - 1)
    return tuple(axis for axis in axes if shape[axis] > 1)


def _taken_from(leaf: int, other: int) -> Change:
    def changed(seen: Seen) -> Arrays:
        gradients = list(seen.gradients)
        gradients[leaf] = gradients[other]
        return gradients

    return changed


def _rounded(dtype: DType) -> Callable[[np.ndarray], np.ndarray]:
    return lambda g: g.astype(dtype).astype(g.dtype)


def _one_element(g: np.ndarray) -> np.ndarray:
    changed = g.flatten()
    changed[np.argmax(np.abs(changed))] *= 1.001
    return changed.reshape(g.shape)


def _only(d: np.ndarray, kept: slice | tuple[int | slice, ...]) -> np.ndarray:
    """Return the cotangent with zeros everywhere except at `kept`."""
    part = np.zeros_like(d)
    part[kept] = d[kept]
    return part


def _flipped(axes: Sequence[int]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda g: np.flip(g, tuple(axes))


def _shifted(axis: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda g: np.roll(g, 1, axis)


def _swapped(a: int, b: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda g: np.swapaxes(g, a, b).reshape(g.shape)


def _without_border(axes: Sequence[int]) -> Callable[[np.ndarray], np.ndarray]:
    def zeroed(g: np.ndarray) -> np.ndarray:
        for axis in axes:
            size = g.shape[axis]
            if size > 2:
                inside = (np.arange(size) > 0) & (np.arange(size) < size - 1)
                shape = [size if i == axis else 1 for i in range(g.ndim)]
                g = np.where(inside.reshape(shape), g, 0)
        return g

    return zeroed


def _last_window(spatial: Sequence[int]) -> Change:
    def last(d: np.ndarray) -> np.ndarray:
        marks = np.zeros(d.shape)
        marks[tuple(slice(-1, None) if i in spatial else slice(None) for i in range(d.ndim))] = 1
        return d * marks

    return lambda s: s.pull(s.arrays, [last(d) for d in s.dys])


def _assigned(spatial: Sequence[int]) -> Change:
    """Assign the contributions of one window after the other instead of adding them."""

    def change(seen: Seen) -> Arrays:
        dy, dx = seen.dys[0], np.zeros_like(seen.gradients[0])
        for place in np.ndindex(*[dy.shape[axis] for axis in spatial]):
            here: list[int | slice] = [slice(None)] * dy.ndim
            for axis, index in zip(spatial, place, strict=True):
                here[axis] = index
            of_window = seen.pull(seen.arrays, [_only(dy, tuple(here))])[0]
            dx = np.where(of_window != 0, of_window, dx)
        return [dx, *seen.gradients[1:]]

    return change


def _diagonal(seen: Seen) -> Arrays:
    """Return dx_i = dy_i · ∂y_i/∂x_i, as if each output depended on its own input only."""
    dy = seen.dys[0]
    basis = np.eye(dy.size).reshape(dy.size, *dy.shape)
    rows = np.stack([seen.pull(seen.arrays, [row])[0] for row in basis])
    own = np.diagonal(rows.reshape(dy.size, dy.size)).reshape(dy.shape)
    return [dy * own, *seen.gradients[1:]]
