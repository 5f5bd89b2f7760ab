"""A convolution with an input dilation, computed without the zeros it inserts. Channels last.

Between the elements of x̂ lie e − 1 zeros, and the plain form multiplies them. But the output
positions i = t·m + r of a fixed phase r, where t = e / gcd(s, e), meet only those elements a of the
window for which s·r + d·a − low is divisible by e. They are a₀ + (e / gcd(d, e))·j, and the
position they meet is

    p = (s·i + d·a − low) / e = (s / gcd(s, e))·m + (d / gcd(d, e))·j + (s·r + d·a₀ − low) / e,

so every phase is a correlation of x itself with a part of the kernel. An input gradient with stride
s is computed in this way, too: it is the correlation of dy with the transposed spec, which has
input dilation s and stride 1. And each element of the window belongs to at most one phase, so the
kernel gradient of a phase is a part of dw.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import DType, accumulator
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.interleaved import is_interleaved
from jaxconv.contraction.kernels import transposed
from jaxconv.contraction.outer_products import MOST_CHANNELS

# Multiply-adds below which the plain form is taken: 2×2, stride 2, 64→32, 16×16, one image, takes
# 0.029 ms in this form and 0.027 ms in the plain form.
LEAST_WORK = 2**20
# There are at most this many phases, because each is a convolution to compile.
MOST_PHASES = 8
# More phases pay where each is a loop and not a convolution: 4×4, stride 3, 24 groups of 8
# channels, 64×16×16, takes 11 ms in phases and 52 ms in the plain form.
MOST_PHASES_IN_LOOPS = 16

Correlate = Callable[[ConvSpec, Array, Array], Array]


class _Phase(NamedTuple):
    """One phase of one dimension.

    Attributes:
        first: r, the first output position of the phase.
        step: t, the distance between its output positions.
        length: the number of its output positions.
        taps: the elements of the window that it meets.
        stride: the stride of its correlation.
        dilation: the dilation of its correlation.
        low: the low padding of its correlation.
    """

    first: int
    step: int
    length: int
    taps: range
    stride: int
    dilation: int
    low: int


def correlate(spec: ConvSpec, x: Array, w: Array, one: Correlate) -> Array:
    """Return y: `one` computes its phases, which are then interleaved."""
    steps = tuple(_step(spec, axis) for axis in range(spec.dims))
    longest = tuple(-(-o // t) for o, t in zip(spec.output, steps, strict=True))
    # Make all phases as long as the longest; the surplus of the shorter ones is cut off at the end.
    found: list[Array | None] = []
    for phases in _phases(spec, longest):
        kernel = w[tuple(_slice(phase.taps) for phase in phases)]
        filled = all(phase.taps for phase in phases)
        found.append(one(_spec(spec, phases), x, kernel) if filled else None)
    some = next((part for part in found if part is not None), None)
    if some is None:
        return jnp.zeros((x.shape[0], *spec.output, spec.channels_out), accumulator(x.dtype))
    parts = [jnp.zeros_like(some) if part is None else part for part in found]
    if len(parts) == 1:
        return parts[0]
    # (t, t, n, m, m, c) -> (n, m, t, m, t, c)
    turns = jnp.stack(parts).reshape(*steps, *some.shape)
    order = [spec.dims]
    for axis in range(spec.dims):
        order += [spec.dims + 1 + axis, axis]
    turns = turns.transpose(*order, 2 * spec.dims + 1)
    full = tuple(m * t for m, t in zip(longest, steps, strict=True))
    y = turns.reshape(x.shape[0], *full, some.shape[-1])
    return y[(slice(None), *(slice(o) for o in spec.output))]


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    """Return dw: each phase computes those window elements that it meets; the others are 0."""
    dw = jnp.zeros(spec.kernel_shape, accumulator(x.dtype))
    for phases in _phases(spec):
        if not all(phase.taps and phase.length for phase in phases):
            continue
        seen = tuple(slice(phase.first, None, phase.step) for phase in phases)
        part = inner.kernel_gradient(_spec(spec, phases), x, dy[(slice(None), *seen)])
        edges = (
            (phase.taps[0], k - 1 - phase.taps[-1], phase.taps.step - 1)
            for phase, k in zip(phases, spec.window, strict=True)
        )
        placed = lax.pad(part, jnp.zeros((), part.dtype), (*edges, (0, 0, 0), (0, 0, 0)))
        dw = dw + placed
    return dw


def _step(spec: ConvSpec, axis: int) -> int:
    """Return t, the number of phases of this dimension."""
    s, e = spec.stride[axis], spec.input_dilation[axis]
    return e // math.gcd(s, e)


def _phases(spec: ConvSpec, lengths: Ints | None = None) -> Iterator[tuple[_Phase, ...]]:
    """Yield each combination of phases of all dimensions, made as long as `lengths` if given."""
    of_each = (
        [
            _phase(spec, axis, r, None if lengths is None else lengths[axis])
            for r in range(_step(spec, axis))
        ]
        for axis in range(spec.dims)
    )
    return itertools.product(*of_each)


def _phase(spec: ConvSpec, axis: int, r: int, length: int | None) -> _Phase:
    k, s, d, e = (
        numbers[axis] for numbers in (spec.window, spec.stride, spec.dilation, spec.input_dilation)
    )
    low, step = spec.padding[axis][0], _step(spec, axis)
    first = next((a for a in range(min(k, e)) if (s * r + d * a - low) % e == 0), k)
    taps = range(first, k, e // math.gcd(d, e))
    return _Phase(
        first=r,
        step=step,
        length=-(-(spec.output[axis] - r) // step) if length is None else length,
        taps=taps,
        stride=s // math.gcd(s, e),
        dilation=d // math.gcd(d, e),
        low=-((s * r + d * first - low) // e),
    )


def _spec(spec: ConvSpec, phases: tuple[_Phase, ...]) -> ConvSpec:
    """Return the spec of the correlation of these phases."""
    padding = []
    for phase, n in zip(phases, spec.size, strict=True):
        reach = phase.stride * (phase.length - 1) + phase.dilation * (len(phase.taps) - 1) + 1
        padding.append((phase.low, reach - n - phase.low))
    return replace(
        spec,
        window=tuple(len(phase.taps) for phase in phases),
        stride=tuple(phase.stride for phase in phases),
        dilation=tuple(phase.dilation for phase in phases),
        input_dilation=(1,) * spec.dims,
        padding=tuple(padding),
    )


def _slice(taps: range) -> slice:
    return slice(taps.start, taps.stop, taps.step)


def _correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    return correlate(spec, x, w, inner.correlate)


def _input_gradient(spec: ConvSpec, w: Array, dy: Array, inner: Inner) -> Array:
    return correlate(spec.transposed, dy, transposed(w, spec.groups), inner.correlate)


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    if max(spec.input_dilation) == 1:
        return False
    count = math.prod(_step(spec, axis) for axis in range(spec.dims))
    return count <= MOST_PHASES and spec.multiply_adds(batch) >= LEAST_WORK


def _applies_to_input_gradient(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    loops = is_interleaved(spec.window, spec.groups, spec.out_a_group) or (
        spec.groups == 1 and spec.out_a_group <= MOST_CHANNELS
    )
    most = MOST_PHASES_IN_LOOPS if loops else MOST_PHASES
    return math.prod(spec.stride) <= most and spec.multiply_adds(batch) >= LEAST_WORK


FORMS = (
    Form(
        name="phases",
        contraction="correlate",
        platforms=("cpu",),
        when=f"there are an input dilation and a stride, with at most {MOST_PHASES} phases",
        applies=_applies,
        run=_correlate,
        input_dilation=True,
    ),
    Form(
        name="phases",
        contraction="input_gradient",
        platforms=("cpu",),
        when=f"the strides have at most {MOST_PHASES} phases, or more where each is one loop",
        applies=_applies_to_input_gradient,
        run=_input_gradient,
    ),
    Form(
        name="phases",
        contraction="kernel_gradient",
        platforms=("cpu",),
        when=f"there are an input dilation and a stride, with at most {MOST_PHASES} phases",
        applies=_applies,
        run=kernel_gradient,
        input_dilation=True,
    ),
)
