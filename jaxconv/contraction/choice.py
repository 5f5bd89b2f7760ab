"""Which form a contraction takes: the one place that decides.

By platform, dtype and static shape. Every form below was measured, and of the limits those that say
so; docs/benchmarks.md has the numbers, and those of the forms that lost. GPU and TPU take the plain
form, whose library is good, but for one that is slow on a GPU, too. The branch that is not taken is
dropped when the platform is known, before the compiler sees it (`lax.platform_dependent`). The
depthwise kernel gradient takes one image after the other: of a batch that is sharded on an
automatic mesh of CPUs, XLA then gathers all of it on each.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import jax
from jax import Array, lax

from jaxconv.contraction import (
    apart,
    depth,
    depthwise,
    depthwise_kernel,
    dilated,
    exchanged,
    groups,
    inner,
    interleaved,
    matrix,
    outer,
    phases,
    plain,
    tiles,
)
from jaxconv.geometry import ConvGeometry

Contraction = Callable[[ConvGeometry, Array, Array], Array]
Role = Literal["image", "kernel"]

# Measured in float32 on 2 cores with AVX-512, ms, this form / the plain one:
#   depthwise 3×3, 32×32×32×64    y 1.4 / 45, dx 1.4 / 45, dw 3.5 / 63; stride 2 dx 0.9 / 77
#   groups side by side, 4 of 16  y 6 / 47, dx 6 / 48, dw 9 / 626
#   with AVX2, 16 of 32           16×14×14, y 18 / 75, with options 11 / 17
#   interleaved with AVX2         32 of 4, 16×28×28, y 5.2 / 95, dx 5.0 / 94, dw 7.3 / 5400
#     on JAX 0.11.2               6.7 / 32, 4.3 / 30, 5.4 / 5500
#   1×1 64→128                    y 13 / 29, dx 4.5 / 15, dw 8 / 67
#   depth folded, 3×3×3 32→32     y 5 / 23, dx 5 / 24, dw 8 / 42
#   phases, 3×3 stride 2 64→128   dx 12 / 31
#   depthwise 3×3 with AVX2       stride 3, 32×28×28×64, dx 0.5 / 98; 4, 16×56×56×64 1.0 / 240
#   all apart, 3×3 64→64          y 21 / 37, dx 22 / 38
#   exchanged, a few images each  dw 3×3 64→64 31 / 133, 5×5 1→32 2.5 / 4.9, stride 2 16 / 48
#   outer products                y 5×5 1→32 1.3 / 2.7, 3×3 3→32 2.2 / 5.5
#   inner products with AVX2      y 5×5 32→1, 128×28×28, 3.4 / 17; 3×3 64→3, 32×32×32, 2.1 / 4.7;
#     on JAX 0.11.2               4.0 / 6.6, 2.2 / 2.3, with options 4.1 / 16, 2.1 / 5.8
# 16-bit floats gain as much: bfloat16 depthwise y 2.4 / 55, dw 6.8 / 71, groups dw 14 / 605.

# And on an H100:
#   phases of the dilation as images, dw 3×3
#     dilated 2, 512×32×32×64     0.60 / 10.5, bfloat16 0.56 / 10.3, depthwise 0.33 / 80
#     4, 16×64×64×128; 6, 32×33×33×256 (half of its phases longer)  0.18 / 2.1, 0.40 / 1.2
#     2, 8×14×14×32               0.07 / 0.11
#   3, dilated 16, 64×4096×64     0.19 / 8.5; 3×3×3, dilated 2, 32×16³×32 0.45 / 5.0

# Caution, not measurements: fewer multiply-adds than this are over in a fraction of a millisecond
# in any form; each phase of a stride is a convolution of its own to compile, and so is each group.
LEAST_WORK = 2**21
MOST_PHASES = 8
# Groups side by side, which are fast; but each is to be compiled. With AVX2, side by side / in
# turn, ms, and ms to compile y: 16 of 32, 16×14×14, y 18 / 24, with options 11 / 16, dw 17 / 33,
# 570 / 390; 32 of 32 y 26 / 37, dw 33 / 64, 930 / 340; 16 of 16, 16×28×28, y 15 / 16, dw 18 / 49,
# 440 / 350. 1×1, side by side / plain: 16 of 128, 16×14×14, 37 / 100, of 64 12 / 16, 32 of 32
# 11 / 11, 8 of 32, 16×28×28, 11 / 11.
MOST_GROUPS = 32
# More phases pay where each is a loop, no convolution: dx, ms, in phases / plain, 4×4 stride 3 of
# 24 groups of 8, 64×16×16, 11 / 52, 5×5 stride 3 128→1, 32×32×32, 26 / 56; but 64→64, 16×28×28,
# 5.1 / 4.3.
MOST_PHASES_IN_LOOPS = 16
# Interleaved, groups fill a vector if they are at least so many. y is a sum of taps · channels
# terms, in loops of 64; dw has as many sums for each tap as a group has pairs of channels. With
# AVX2, interleaved / by themselves: 3×3, 16×28×28, y 16 groups of 4 3.0 / 6.1, of 6 5.1 / 22, of 8
# 5.9 / 9.9, 24 of 3 2.7 / 22, 8 of 2 0.5 / 0.8, compiled in 240 ms for 1000, 16 of 12, 8×28×28,
# 6.7 / 11; 5×5 16 of 2 1.9 / 14, 24 of 4→8, 16×14×14, 3.6 / 14; 7×7 32 of 2, 4×56×56, 5.1 / 114;
# but 3×3 64 of 8, 16×14×14, 15 / 16, and 16 of 16, 8×28×28, 17 / 10. dw 16 of 4 3.1 / 7.9, 24 of 3
# 3.4 / 18, 16 of 12, 8×28×28, 6.7 / 12, 12 of 3 7.6 / 8.1; but 8 of 2 2.0 / 1.5, and 16 of 16,
# 8×28×28, 15 / 14; 1×1 of 32 11 / 96.
LEAST_INTERLEAVED = 8
MOST_INTERLEAVED = 12
MOST_INTERLEAVED_OF_ONE_TAP = 16
MOST_LOOPS = 8
MOST_PAIRS = 144
MOST_PAIRS_OF_ONE_TAP = 1024
# Shifted multiply-adds grow with the window. The largest that was measured is 31×31, 8×28×28×128.
MOST_TAPS = 1024
# Outer products: of so many channels, and so many taps · channels at most. y of 3×3 4→16 1.2 / 2.2.
FEW_CHANNELS = 4
MOST_PRODUCTS = 49
# Windows side by side, of fewer channels, as products. With AVX2, ms, tiles / what would be taken /
# the plain form: 4×4 3→96, 16×64×64, y 0.7 / 0.9 / 0.8, dx 0.6 / 1.0 / 1.0, dw 0.9 / 1.8 / 1.8;
# 16×16 3→384, 8×64×64, dx 1.1 / 6.9 / 6.4, dw 1.6 / 1.9 / 2.0; 2×2 8→16, 32×32×32, dx 0.4 / 0.4 /
# 0.7, dw 0.4 / 0.8 / 0.8; 16 1→128, 16×16000, dx 1.3 / 2.4 / 2.2; 2×8×8 3→64, 4×8×32×32, dx 0.5 /
# 4.1 / 2.4. But y of 16×16 with options 1.1 for 0.8, of 7×7 1→64 0.6 for 0.3; dx of 2×2 32→64 1.4
# for 1.2.
WIDE_TILES = 32
# Inner products: to so few channels, of so many taps at most, without a stride, in which most of
# them are not asked for. With AVX2, this form / the plain one: 3×3, 32×32×32, 64→4 2.9 / 5.2,
# 64→8 5.6 / 6.6, 16→8 11 / 4.7; 64→3 with stride 2 2.1 / 3.1, JAX 0.11.2 2.4 / 1.3; 7×7 64→3,
# 8×64×64, 21 / 16.
MOST_INNER_PRODUCTS = 25
# Of fewer terms in the sum of a kernel gradient, examples · positions, the plain form is as fast.
# This form / the plain one: 64 · 8 · 8 terms of 64 channels 3.7 / 3.3, of 256 channels 23 / 24;
# 8 · 28 · 28 of 256 channels 59 / 102. In one dimension 32 · 1024 of 64 channels 8.7 / 10.6.
MANY_TERMS = 6144
# With so many channels fewer terms will do: 64 · 8 · 8 of 64 channels 1.8 / 3.1.
MANY_CHANNELS = 48
MANY_TERMS_OF_MANY = 4096
# Of so many channels the kernel gradient is taken at once, all apart, and not exchanged in blocks:
# 3×3 256→256, 16×14×14 13.7 / 14.9; 512→512, 64×7×7 46 / 52. And of fewer, where there are too few
# terms for the exchanged one; with AVX2, at once / plain: 128→128, 8×14×14 4.5 / 8.0, 64→64,
# 16×14×14 2.6 / 8.6, 32→64 with stride 2, 64×8×8 2.6 / 6.5, 16→16, 64×8×8 0.6 / 0.8; but 8→16
# 1.0 / 0.7.
AT_ONCE = 256
AT_ONCE_OF_FEW_TERMS = 16
# y and dx apart, where the library is slow. With fewer channels, or pairs of them, or less work it
# is not slow enough: 3×3, 64×16×16, apart / plain: 20→20 1.6 / 1.2, 24→24 1.4 / 1.5, 16→48
# 1.3 / 1.7, 48→16 1.9 / 1.8; 32→32, 32×8×8 0.45 / 0.34. With AVX2 24→16 1.7 / 1.7, 24→20 2.2 / 2.3
# (with options, as ever, plain: 1.5, 2.0), 16→32 1.8 / 2.3, 32→16 2.0 / 2.2.
LEAST_CHANNELS = 16
LEAST_PAIRS = 512
MUCH_WORK = 2**25


def correlate(g: ConvGeometry, x: Array, w: Array, sharding: Any = None) -> Array:
    """y[n, i, k] = Σ_{a,c} x[n, s·i + d·a − low, c] · w[a, c, k]."""
    c_in, c_out = _channels(g, w)
    return _by_platform(
        {"cpu": _forward_form(g, len(x), c_in, c_out // g.groups)}, plain.correlate,
        ("image", "kernel", "image"), g, x, w, sharding,
    )  # fmt: skip


def input_gradient(g: ConvGeometry, w: Array, dy: Array, sharding: Any = None) -> Array:
    """dx[n, p, c] = Σ_{i,a,k : s·i + d·a − low = p} dy[n, i, k] · w[a, c, k]."""
    c_in, c_out = _channels(g, w)
    return _by_platform(
        {"cpu": _input_form(g, len(dy), c_in, c_out // g.groups)}, plain.input_gradient,
        ("kernel", "image", "image"), g, w, dy, sharding,
    )  # fmt: skip


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array, sharding: Any = None) -> Array:
    """dw[a, c, k] = Σ_{n,i} x[n, s·i + d·a − low, c] · dy[n, i, k]."""
    c_in, c_out = (array.shape[g.channel_axis] // g.groups for array in (x, dy))
    return _by_platform(
        {"cpu": _kernel_form(g, len(x), c_in, c_out), "cuda": _kernel_form_on_cuda(g)},
        plain.kernel_gradient, ("image", "image", "kernel"), g, x, dy, sharding,
    )  # fmt: skip


def _forward_form(g: ConvGeometry, examples: int, c_in: int, c_out: int) -> Contraction | None:
    """The form of `correlate` with so many channels a group; None is the plain one."""
    if c_in == 1 < g.groups:
        return depthwise.correlate if math.prod(g.window) <= MOST_TAPS else None
    if g.groups > 1:
        if _interleaves(g, c_in):
            return interleaved.correlate
        if g.groups <= MOST_GROUPS:
            return partial(groups.correlate, one=_correlate)
        # In turn, 1×1 are slower than in the plain form: 32 of 32, 16×14×14, y 18 / 8.4.
        return None if set(g.window) == {1} else partial(groups.correlate_in_turn, one=_correlate)
    if c_in <= FEW_CHANNELS and math.prod(g.window) * c_in <= MOST_PRODUCTS:
        return tiles.correlate if tiles.are_tiles(g) and c_in > 1 else outer.correlate
    if set(g.window) == {1}:
        return matrix.correlate
    if g.dims == 3:
        return partial(depth.correlate, flat=_correlate)
    few = c_out <= FEW_CHANNELS and math.prod(g.window) <= MOST_INNER_PRODUCTS
    if few and math.prod(g.stride) == 1:
        return inner.correlate
    work = examples * math.prod(g.output) * math.prod(g.window) * c_in * c_out
    many = min(c_in, c_out) >= LEAST_CHANNELS and c_in * c_out >= LEAST_PAIRS
    return apart.correlate if apart.SLOW_LIBRARY and many and work >= MUCH_WORK else None


def _interleaves(g: ConvGeometry, c_in: int) -> bool:
    """Whether groups of so many input channels are computed all at once."""
    if g.dims == 0 or g.groups < LEAST_INTERLEAVED:
        return False
    most = MOST_INTERLEAVED_OF_ONE_TAP if set(g.window) == {1} else MOST_INTERLEAVED
    fits = c_in <= most and math.prod(g.window[1:]) * c_in <= interleaved.TERMS
    return fits and interleaved.loops(g.window, c_in) <= MOST_LOOPS


def _input_form(g: ConvGeometry, examples: int, c_in: int, c_out: int) -> Contraction | None:
    # Back from several outputs of a channel, without a stride, is one sum over them: 3×3,
    # 32×28×28×64, two 2.9 for 5.5, four 7.0 for 20; with a stride two 2.3 for 1.1.
    several = c_out > 1 == math.prod(g.stride) and _interleaves(g, c_out)
    if c_in == 1 < g.groups and math.prod(g.window) <= MOST_TAPS and not several:
        return partial(depthwise.input_gradient, phases=phases.input_gradient)
    if g.groups == 1 and set(g.window) == {1}:
        return matrix.input_gradient
    if tiles.are_tiles(g) and (c_in < WIDE_TILES or math.prod(g.stride) > MOST_PHASES):
        return tiles.input_gradient
    in_loops = _interleaves(g, c_out) or (g.groups == 1 and c_out <= FEW_CHANNELS)
    if math.prod(g.stride) > (MOST_PHASES_IN_LOOPS if in_loops else MOST_PHASES):
        return None
    # Without a stride there is one phase, a correlation: only a form of its own makes it pay.
    if math.prod(g.stride) > 1 or _forward_form(g, examples, c_out, c_in):
        return partial(phases.input_gradient, correlate=_correlate)
    return None


def _kernel_form(g: ConvGeometry, examples: int, c_in: int, c_out: int) -> Contraction | None:
    if c_in == 1 < g.groups:
        return depthwise_kernel.kernel_gradient if math.prod(g.window) <= MOST_TAPS else None
    if g.groups > 1:
        pairs = MOST_PAIRS_OF_ONE_TAP if set(g.window) == {1} else MOST_PAIRS
        if g.groups > LEAST_INTERLEAVED and c_in * c_out <= pairs:
            return depthwise_kernel.kernel_gradient
        if g.groups <= MOST_GROUPS:
            return partial(groups.kernel_gradient, one=_kernel_gradient)
        return partial(groups.kernel_gradient_in_turn, one=_kernel_gradient_in_a_loop)
    if set(g.window) == {1}:
        return matrix.kernel_gradient
    if tiles.are_tiles(g) and c_in < WIDE_TILES:
        return tiles.kernel_gradient
    if g.dims == 3:
        return partial(depth.kernel_gradient, flat=_kernel_gradient)
    # In one dimension, of few channels or to few, exchanged / plain: 9 of 1→32, 16×16000, 10.9 /
    # 10.0, of 32→1, 8×4000, 3.2 / 2.2; 3 of 128→3, 16×1000, 7.4 / 4.4, with stride 3 5.9 / 3.2.
    excepted = g.dims == 1 and min(c_in, c_out) <= FEW_CHANNELS
    few_terms = examples * math.prod(g.output) < (
        MANY_TERMS if c_in < MANY_CHANNELS else MANY_TERMS_OF_MANY
    )
    at_once = c_in >= (AT_ONCE_OF_FEW_TERMS if few_terms else AT_ONCE)
    if g.dims == 2 and examples >= exchanged.LEAST and at_once:
        return apart.kernel_gradient
    return None if few_terms or excepted else exchanged.kernel_gradient


def _kernel_form_on_cuda(g: ConvGeometry) -> Contraction | None:
    """Windows without holes it has fast code for, however they move."""
    return dilated.kernel_gradient if dilated.has_phases(g) else None


def _correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """For forms that are made of correlations."""
    form = _forward_form(g, len(x), w.shape[-2], w.shape[-1] // g.groups)
    return (form or plain.correlate)(g, x, w)


def _kernel_gradient(g: ConvGeometry, x: Array, dy: Array) -> Array:
    """For forms that are made of kernel gradients."""
    form = _kernel_form(g, len(x), x.shape[-1] // g.groups, dy.shape[-1] // g.groups)
    return (form or plain.kernel_gradient)(g, x, dy)


def _kernel_gradient_in_a_loop(g: ConvGeometry, x: Array, dy: Array) -> Array:
    """Of however few terms: in a loop the plain form is slow, its arrays are in another order."""
    if set(g.window) == {1}:
        return matrix.kernel_gradient(g, x, dy)
    if g.dims == 3:
        return depth.kernel_gradient(g, x, dy, flat=exchanged.kernel_gradient)
    return exchanged.kernel_gradient(g, x, dy)


def _by_platform(
    forms: dict[str, Contraction | None],
    otherwise: Callable[..., Array],
    roles: tuple[Role, Role, Role],
    g: ConvGeometry,
    left: Array,
    right: Array,
    sharding: Any,
) -> Array:
    """The form for the platform where the work is worth one, else the plain form.

    `roles` says what the two factors are, and what their contraction is.
    """
    # How an array lies on a mesh of Explicit axes is for the plain form to say.
    explicit = any(jax.typeof(factor).sharding.mesh.explicit_axes for factor in (left, right))
    spread = g.spread is not None and any(e > 1 for e in g.spread)
    refused = explicit or spread or left.dtype.itemsize < 2 or g.dims == 0
    known = {platform: form for platform, form in forms.items() if form is not None}
    if not known or refused or _work(g, roles, left, right) < LEAST_WORK:
        return otherwise(g, left, right, sharding)

    def fast(form: Contraction, left: Array, right: Array) -> Array:
        if g.layout == "channels_last":
            return form(g, left, right)
        last = replace(g, layout="channels_last")
        axes = {"image": (0, *range(2, g.dims + 2), 1), "kernel": (*range(2, g.dims + 2), 1, 0)}
        back = {
            "image": (0, g.dims + 1, *range(1, g.dims + 1)),
            "kernel": (g.dims + 1, g.dims, *range(g.dims)),
        }
        result = form(last, left.transpose(axes[roles[0]]), right.transpose(axes[roles[1]]))
        return result.transpose(back[roles[2]])

    branches = {platform: partial(fast, form) for platform, form in known.items()}
    return lax.platform_dependent(left, right, **branches, default=partial(otherwise, g))


def _work(g: ConvGeometry, roles: tuple[Role, Role, Role], left: Array, right: Array) -> int:
    """Multiply-adds: one for each n, i, a, c and k."""
    if roles[2] == "kernel":
        shared = left.shape[g.channel_axis] * right.shape[g.channel_axis]
        # The plain form multiplies every group with every other: many are slow however small,
        # 16 groups of 4, 2×8×8, 9.7 ms in it and 0.2 in turns.
        many = LEAST_INTERLEAVED < g.groups < left.shape[g.channel_axis]
        pairs = shared if many else shared // g.groups
        return len(left) * math.prod(g.output) * math.prod(g.window) * pairs
    image, kernel = (left, right) if roles[0] == "image" else (right, left)
    # The plain form of a depthwise dx is slow however few its multiply-adds are: it multiplies the
    # zeros between the elements of dy, too, 32×28×28×64 with stride 3 98 ms.
    depthwise_back = roles[0] == "kernel" and _channels(g, kernel)[0] == 1 < g.groups
    positions = g.size if depthwise_back else g.output
    return len(image) * math.prod(positions) * kernel.size


def _channels(g: ConvGeometry, w: Array) -> tuple[int, int]:
    """The input channels a group of w, and its output channels."""
    if g.layout == "channels_last":
        return w.shape[-2], w.shape[-1]
    return w.shape[1], w.shape[0]
