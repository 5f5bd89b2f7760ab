"""Every form computes what the plain form does, to the last bit for whole numbers.

Whether or not `jaxconv.contraction.choice` would ever take it for such a shape.
"""

import functools
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from jax.lax import Precision
from rules import integers, jit

from jaxconv import memory
from jaxconv.check.catalogue.geometries import conv_case
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
from jaxconv.geometry import make_conv_geometry

SEEDS = range(200, 212)  # every number of dimensions; one case has no examples


@functools.cache
def problem(seed, channels=None, ones=False):
    """A geometry in channels_last, and x, w and dy that fit; `channels` replaces the case's."""
    case = conv_case(seed)
    keywords = case.keywords | {"padding_mode": "zeros", "flip_kernel": False}
    first = keywords.pop("layout") == "channels_first"
    x = (case.x[0], *case.x[2:], case.x[1]) if first else case.x
    w = (*case.w[2:], case.w[1], case.w[0]) if first else case.w
    if channels is not None:
        count, each = channels
        keywords["groups"] = count
        x, w = (*x[:-1], count), (*w[:-2], 1, count * each)
    if ones:
        w = (*(1,) * len(w[:-2]), *w[-2:])
    x, w = integers(0, x), integers(1, w)
    keywords["layout"] = "channels_last"
    g, *_ = make_conv_geometry("conv", x, w, None, precision=None, **keywords)
    dy = integers(2, (len(x), *g.output, w.shape[-1]))
    return g, x, w, dy


@functools.partial(jit, static_argnums=(0, 1))
def both(contraction, g, left, right):
    form, plainly = contraction
    return form(g, left, right), plainly(g, left, right)


def check(form, plainly, g, left, right):
    got, want = both((form, plainly), g, left, right)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("seed", SEEDS)
def test_phases(seed):
    g, _, w, dy = problem(seed)
    form = functools.partial(phases.input_gradient, correlate=plain.correlate)
    check(form, plain.input_gradient, g, w, dy)


@pytest.mark.parametrize("seed", SEEDS)
def test_dilated(seed):
    """Where windows are dilated, they move by 1; phases are of two lengths in some dimensions."""
    g, x, _, dy = problem(seed)
    g = replace(
        g, stride=tuple(1 if d > 1 else s for s, d in zip(g.stride, g.dilation, strict=True))
    )
    dy = integers(2, (len(x), *g.output, dy.shape[-1]))
    assert dilated.has_phases(g) == (max(g.dilation) > 1)
    check(dilated.kernel_gradient, plain.kernel_gradient, g, x, dy)
    x = x.copy()
    x[:1, ..., -1:] = np.inf  # meets the same numbers, and no zero that was not there
    check(dilated.kernel_gradient, plain.kernel_gradient, g, x, dy)


@pytest.mark.parametrize("turns", ["at once", "at once, of a copy", "in turns"])
@pytest.mark.parametrize("each", [1, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_depthwise(seed, each, turns, monkeypatch):
    if turns == "at once, of a copy":
        monkeypatch.setattr(memory, "LEAST_BYTES", 0)
    if turns == "in turns":
        monkeypatch.setattr(depthwise, "_MOST_TAPS", 0)
        monkeypatch.setattr(depthwise, "_TAPS", 6)
    both.clear_cache()
    g, x, w, dy = problem(seed, (3, each))
    back = functools.partial(depthwise.input_gradient, phases=phases.input_gradient)
    check(depthwise.correlate, plain.correlate, g, x, w)
    check(back, plain.input_gradient, g, w, dy)


STRIDED = [  # size, window, stride, padding
    ((9, 8), (3, 5), (2, 3), ((1, 2), (0, 4))),
    ((11,), (7,), (2,), ((5, 3),)),
    ((5, 6, 7), (3, 2, 4), (2, 1, 3), ((1, 0), (0, 1), (2, 3))),
    ((9, 8), (2, 1), (3, 4), ((0, 0), (0, 0))),  # positions that no window sees
]


@pytest.mark.parametrize("each", [1, 2])
@pytest.mark.parametrize(("size", "window", "stride", "padding"), STRIDED)
def test_depthwise_way_back_of_a_stride(size, window, stride, padding, each):
    x, w = integers(0, (2, *size, 3)), integers(1, (*window, 1, 3 * each))
    g, *_ = make_conv_geometry(
        "conv", x, w, None, stride=stride, padding=padding, dilation=1, groups=3,
        padding_mode="zeros", flip_kernel=False, layout="channels_last", precision=None,
    )  # fmt: skip
    dy = integers(2, (2, *g.output, 3 * each))
    back = functools.partial(depthwise.input_gradient, phases=phases.input_gradient)
    check(back, plain.input_gradient, g, w, dy)
    # Infinity comes back where a tap has seen it, and nothing is multiplied by it but taps.
    assert not np.isnan(
        jit(functools.partial(back, g))(np.abs(w) + 1, np.full_like(dy, np.inf))
    ).any()


@pytest.fixture(params=["at once", "in pairs", "row by row", "row by row, in pairs"])
def window(request, monkeypatch):
    """How a depthwise kernel gradient takes it, and its images."""
    if "row by row" in request.param:
        monkeypatch.setattr(depthwise_kernel, "MANY_TAPS", 0)
        monkeypatch.setattr(depthwise_kernel, "PARTS", 3)
        monkeypatch.setattr(depthwise_kernel, "TAPS_IN_TURN", 4)
    if request.param == "row by row":
        monkeypatch.setattr(depthwise_kernel, "CACHED", 0)
        monkeypatch.setattr(depthwise_kernel, "MORE_PARTS", 5)
    if "in pairs" in request.param:
        monkeypatch.setattr(depthwise_kernel, "SHARED", 0)
    both.clear_cache()
    yield
    both.clear_cache()


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("each", [1, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_depthwise_kernel(seed, each):
    g, x, _, dy = problem(seed, (3, each))
    check(depthwise_kernel.kernel_gradient, plain.kernel_gradient, g, x, dy)


@pytest.mark.usefixtures("window")
def test_depthwise_infinity_stays_where_it_is_seen():
    """17 windows below each other are cut into parts: what fills up the last of them meets no x."""
    x, w = integers(0, (2, 19, 4, 3)), integers(1, (3, 3, 1, 3))
    x[0, 18, 1, 0] = np.inf
    g, *_ = make_conv_geometry(
        "conv", x, w, None, stride=1, padding="VALID", dilation=1, groups=3, padding_mode="zeros",
        flip_kernel=False, layout="channels_last", precision=None,
    )  # fmt: skip
    dy = integers(2, (2, *g.output, 3))
    check(depthwise_kernel.kernel_gradient, plain.kernel_gradient, g, x, dy)
    assert np.isfinite(both((depthwise_kernel.kernel_gradient,) * 2, g, x, dy)[0][:2]).all()


@pytest.mark.parametrize("seed", [s for s in SEEDS if conv_case(s).keywords["groups"] > 1])
@pytest.mark.parametrize("how", ["", "_in_turn"])
def test_groups(seed, how):
    g, x, w, dy = problem(seed)
    forward = functools.partial(getattr(groups, f"correlate{how}"), one=plain.correlate)
    kernel = functools.partial(getattr(groups, f"kernel_gradient{how}"), one=plain.kernel_gradient)
    check(forward, plain.correlate, g, x, w)
    check(kernel, plain.kernel_gradient, g, x, dy)


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("seed", SEEDS)
def test_interleaved_kernel(seed):
    g, x, _, dy = problem(seed)
    check(depthwise_kernel.kernel_gradient, plain.kernel_gradient, g, x, dy)


@pytest.mark.parametrize("terms", [1, 12, 64])
@pytest.mark.parametrize("seed", SEEDS)
def test_interleaved(seed, terms, monkeypatch):
    monkeypatch.setattr(interleaved, "TERMS", terms)
    both.clear_cache()
    g, x, w, _ = problem(seed)
    assert (terms > 1) or interleaved.loops(g.window, w.shape[-2]) == g.window[0]
    check(interleaved.correlate, plain.correlate, g, x, w)


def without_groups(seed, **options):
    g, x, w, dy = problem(seed, **options)
    return replace(g, groups=1), x[..., : w.shape[-2]], w, dy


@pytest.mark.parametrize("seed", [s for s in SEEDS if s % 3 == 2])
def test_depth(seed):
    g, x, w, dy = without_groups(seed)
    forward = functools.partial(depth.correlate, flat=plain.correlate)
    kernel = functools.partial(depth.kernel_gradient, flat=plain.kernel_gradient)
    check(forward, plain.correlate, g, x, w)
    check(kernel, plain.kernel_gradient, g, x, dy)


@pytest.mark.parametrize("seed", SEEDS)
def test_matrix(seed):
    g, x, w, dy = without_groups(seed, ones=True)
    check(matrix.correlate, plain.correlate, g, x, w)
    check(matrix.kernel_gradient, plain.kernel_gradient, g, x, dy)


TILES = [  # size, window, padding
    ((9, 8), (3, 2), ((1, 2), (0, 1))),
    ((11,), (4,), ((5, 3),)),
    ((5, 6, 7), (2, 3, 1), ((1, 0), (0, 0), (2, 3))),
    ((9, 8), (2, 3), ((0, 0), (0, 0))),  # rows and columns that no window sees
]


@pytest.mark.parametrize("examples", [0, 3])
@pytest.mark.parametrize(("size", "window", "padding"), TILES)
def test_tiles(size, window, padding, examples):
    x, w = integers(0, (examples, *size, 3)), integers(1, (*window, 3, 5))
    g, *_ = make_conv_geometry(
        "conv", x, w, None, stride=window, padding=padding,
        dilation=1, groups=1, padding_mode="zeros", flip_kernel=False, layout="channels_last",
        precision=None,
    )  # fmt: skip
    assert tiles.are_tiles(g)
    dy = integers(2, (examples, *g.output, 5))
    check(tiles.correlate, plain.correlate, g, x, w)
    check(tiles.input_gradient, plain.input_gradient, g, w, dy)
    check(tiles.kernel_gradient, plain.kernel_gradient, g, x, dy)


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_matrix_in_parts(seed, parts, monkeypatch):
    monkeypatch.setattr(matrix, "PARTS", parts)
    monkeypatch.setattr(matrix, "TERMS_A_CHANNEL", 0)
    both.clear_cache()
    g, x, _, dy = without_groups(seed, ones=True)
    check(matrix.kernel_gradient, plain.kernel_gradient, g, x, dy)


@pytest.mark.parametrize("seed", SEEDS)
def test_outer(seed):
    g, x, w, _ = without_groups(seed)
    check(outer.correlate, plain.correlate, g, x, w)


@pytest.mark.parametrize("seed", SEEDS)
def test_inner(seed):
    g, x, w, _ = without_groups(seed)
    check(inner.correlate, plain.correlate, g, x, w)
    g = replace(g, precision=(Precision.HIGH, Precision.HIGHEST))
    product = next(
        e
        for e in jax.make_jaxpr(partial(inner.correlate, g))(x, w).eqns
        if e.primitive.name == "dot_general"
    )
    assert product.params["precision"] == (Precision.HIGHEST, Precision.HIGH)  # of w, and of x


@pytest.mark.parametrize("seed", SEEDS)
def test_apart(seed, monkeypatch):
    monkeypatch.setattr(apart, "WIDEST", 8)
    both.clear_cache()
    g, x, w, dy = problem(seed)
    check(apart.correlate, plain.correlate, g, x, w)
    check(apart.kernel_gradient, plain.kernel_gradient, g, x, dy)


AS_IT_IS = {}
SMALL_BLOCKS = {"IMAGES": 2, "NUMBERS": 0, "LEAST": 2, "TERMS": 5}
SPREAD = SMALL_BLOCKS | {"LEAST": 1, "TOO_FEW": 0}


@pytest.mark.parametrize("blocks", [AS_IT_IS, SMALL_BLOCKS, SPREAD], ids=["", "small", "spread"])
@pytest.mark.parametrize("seed", SEEDS)
def test_exchanged(seed, blocks, monkeypatch):
    monkeypatch.setattr(apart, "WIDEST", 8)
    for name, value in blocks.items():
        monkeypatch.setattr(exchanged, name, value)
    both.clear_cache()
    g, x, _, dy = without_groups(seed)
    if len(x):
        # Five do not fill blocks of two.
        x, dy = (np.resize(array, (5, *array.shape[1:])) for array in (x, dy))
    check(exchanged.kernel_gradient, plain.kernel_gradient, g, x, dy)
