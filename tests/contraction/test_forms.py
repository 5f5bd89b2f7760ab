"""How a form goes about it: its turns, parts, pairs and blocks, each against the plain form."""

from functools import partial

import jax
import numpy as np
import pytest
from jax.lax import Precision

from contraction.calls import drawn, factors
from jaxconv._core import barriers
from jaxconv.contraction import (
    apart,
    blocks,
    depth,
    depthwise,
    depthwise_back,
    depthwise_kernel,
    dilated,
    groups,
    inner_products,
    interleaved,
    matrix,
    outer_products,
    phases,
    plain,
    tiles,
)
from jaxconv.contraction.planning import Call

SEEDS = range(12)  # every number of dimensions
each_seed = pytest.mark.parametrize("seed", SEEDS)


class Plainly(Call):
    """An `Inner` that takes the plain form, whatever it is asked for."""

    def run(self, asked, spec, left, right):
        return self.plain(asked, spec, left, right)


def check(form, plainly, spec, left, right):
    """A form in float64, its inner contractions in the plain form: the same bits."""

    @jax.jit
    def both(left, right):
        return form(spec, left, right, Plainly()), plainly(spec, left, right)

    got, want = both(left, right)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def problem(seed, **fixed):
    spec, batch = drawn(seed, **({"input_dilation": 1} | fixed))
    return spec, *factors(spec, batch)


def depthwise_problem(seed, each, **fixed):
    return problem(seed, groups=3, channels=(1, each), **fixed)


@each_seed
def test_phases_of_an_input_gradient(seed):
    spec, _, w, dy = problem(seed)
    check(phases._input_gradient, plain.input_gradient, spec, w, dy)


@each_seed
def test_phases_of_an_input_dilation(seed):
    spec, batch = drawn(seed)
    x, w, dy = factors(spec, batch)
    check(phases._correlate, plain.correlate, spec, x, w)
    check(phases.kernel_gradient, plain.kernel_gradient, spec, x, dy)


def test_phases_that_no_element_meets():
    """Of windows of one element that move by 2 over elements 2 apart, half see no element."""
    spec, batch = drawn(0, window=1, stride=2, input_dilation=2, dilation=1, padding=((1, 3),))
    x, w, dy = factors(spec, batch)
    assert not np.any(jax.jit(partial(phases._correlate, spec, inner=Plainly()))(x, w))
    check(phases._correlate, plain.correlate, spec, x, w)
    check(phases.kernel_gradient, plain.kernel_gradient, spec, x, dy)


@each_seed
def test_dilated(seed):
    """Where windows are dilated, they move by 1; phases are of two lengths in some dimensions."""
    spec, *_ = problem(seed)
    stride = tuple(1 if d > 1 else s for s, d in zip(spec.stride, spec.dilation, strict=True))
    fixed = {"stride": stride, "dilation": spec.dilation}
    spec, x, _, dy = problem(seed, **fixed)
    check(dilated.kernel_gradient, plain.kernel_gradient, spec, x, dy)
    x[:1, ..., -1:] = np.inf  # meets the same numbers, and no zero that was not there
    check(dilated.kernel_gradient, plain.kernel_gradient, spec, x, dy)


@pytest.mark.thorough
@pytest.mark.parametrize("turns", ["at once", "at once, of a copy", "in turns"])
@pytest.mark.parametrize("each", [1, 2])
@each_seed
def test_depthwise(seed, each, turns, monkeypatch):
    if turns == "at once, of a copy":
        monkeypatch.setattr(barriers, "LEAST_BYTES", 0)
    if turns == "in turns":
        monkeypatch.setattr(depthwise, "MOST_AT_ONCE", 0)
        monkeypatch.setattr(depthwise, "TAPS", 6)
    spec, x, w, dy = depthwise_problem(seed, each)
    check(depthwise.correlate, plain.correlate, spec, x, w)
    check(depthwise_back.input_gradient, plain.input_gradient, spec, w, dy)
    spec, x, w, _ = problem(seed, groups=3, channels=(each, 1))
    check(depthwise.correlate_members, plain.correlate, spec, x, w)


@pytest.mark.parametrize("seed", range(4))
def test_infinity_comes_back_where_a_tap_has_seen_it(seed):
    """And nothing is multiplied by it but taps."""
    spec, _, w, dy = depthwise_problem(seed, 2, dilation=1)
    back = jax.jit(partial(depthwise_back.input_gradient, spec, inner=Plainly()))
    assert not np.isnan(back(np.abs(w) + 1, np.full_like(dy, np.inf))).any()


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


@pytest.mark.thorough
@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("channels", [(1, 1), (1, 2), (2, 3)])
@each_seed
def test_sums_of_rows(seed, channels):
    spec, x, _, dy = problem(seed, groups=3, channels=channels)
    check(depthwise_kernel.kernel_gradient, plain.kernel_gradient, spec, x, dy)


@pytest.mark.usefixtures("window")
def test_what_fills_up_a_part_meets_no_infinity():
    """17 windows below each other are cut into parts, of which the last is filled up."""
    spec, x, _, dy = depthwise_problem(
        1, 1, size=(19, 4), window=3, stride=1, dilation=1, padding=((0, 0), (0, 0))
    )
    x[:, 18, 1, 0] = np.inf
    check(depthwise_kernel.kernel_gradient, plain.kernel_gradient, spec, x, dy)
    dw = jax.jit(partial(depthwise_kernel.kernel_gradient, spec, inner=Plainly()))(x, dy)
    assert np.isfinite(dw[:2]).all()


@each_seed
@pytest.mark.parametrize("how", [groups.side_by_side, groups.in_turn])
def test_groups(seed, how):
    spec, x, w, dy = problem(seed, groups=3)
    check(lambda spec, x, w, inner: how(spec, x, w, inner.correlate), plain.correlate, spec, x, w)
    check(
        lambda spec, x, dy, inner: how(spec, x, dy, inner.kernel_gradient),
        plain.kernel_gradient, spec, x, dy,
    )  # fmt: skip


@each_seed
def test_groups_in_turn_take_blocks(seed):
    spec, x, _, dy = problem(seed, groups=3, **({"window": 1} if seed > 8 else {}))
    check(groups._kernel_gradient_in_turn, plain.kernel_gradient, spec, x, dy)


@pytest.mark.parametrize("terms", [1, 12, 64])
@each_seed
def test_interleaved(seed, terms, monkeypatch):
    monkeypatch.setattr(interleaved, "TERMS", terms)
    spec, x, w, _ = problem(seed)
    check(interleaved.correlate, plain.correlate, spec, x, w)


@pytest.mark.parametrize("seed", [2, 5, 8, 11])
def test_depth(seed):
    spec, x, w, dy = problem(seed, groups=1)
    check(depth._correlate, plain.correlate, spec, x, w)
    check(depth._kernel_gradient, plain.kernel_gradient, spec, x, dy)


@pytest.mark.parametrize("parts", [1, 2, 3])
@each_seed
def test_matrix(seed, parts, monkeypatch):
    monkeypatch.setattr(matrix, "PARTS", parts)
    monkeypatch.setattr(matrix, "TERMS_A_CHANNEL", 0)
    spec, x, w, dy = problem(seed, groups=1, window=1)
    check(matrix.correlate, plain.correlate, spec, x, w)
    check(matrix.input_gradient, plain.input_gradient, spec, w, dy)
    check(matrix.kernel_gradient, plain.kernel_gradient, spec, x, dy)


TILES = [  # size, window, padding
    ((9, 8), (3, 2), ((1, 2), (0, 1))),
    ((11,), (4,), ((5, 3),)),
    ((5, 6, 7), (2, 3, 1), ((1, 0), (0, 0), (2, 3))),
    ((9, 8), (2, 3), ((0, 0), (0, 0))),  # rows and columns that no window sees
]


@pytest.mark.parametrize(("size", "window", "padding"), TILES)
def test_tiles(size, window, padding):
    seed = len(size) - 1
    spec, x, w, dy = problem(
        seed, groups=1, size=size, window=window, stride=window, padding=padding, dilation=1
    )
    check(tiles.correlate, plain.correlate, spec, x, w)
    check(tiles.input_gradient, plain.input_gradient, spec, w, dy)
    check(tiles.kernel_gradient, plain.kernel_gradient, spec, x, dy)


@each_seed
def test_outer_and_inner_products(seed):
    spec, x, w, _ = problem(seed, groups=1)
    check(outer_products.correlate, plain.correlate, spec, x, w)
    check(inner_products.correlate, plain.correlate, spec, x, w)


def test_inner_products_exchange_their_precisions():
    """Their factors are the other way round."""
    spec, x, w, _ = problem(1, groups=1)
    call = Call("cpu", (Precision.HIGH, Precision.HIGHEST))
    jaxpr = jax.make_jaxpr(partial(inner_products.correlate, spec, inner=call))(x, w)
    product = next(e for e in jaxpr.eqns if e.primitive.name == "dot_general")
    assert product.params["precision"] == (Precision.HIGHEST, Precision.HIGH)  # of w, and of x


@each_seed
def test_apart(seed, monkeypatch):
    monkeypatch.setattr(apart, "WIDEST", 8)
    spec, x, w, dy = problem(seed)
    check(apart.correlate, plain.correlate, spec, x, w)
    check(apart.kernel_gradient, plain.kernel_gradient, spec, x, dy)


AS_IT_IS = {}
SMALL_BLOCKS = {"IMAGES": 2, "NUMBERS": 0, "LEAST_EXAMPLES": 2, "TERMS": 5}
SPREAD = SMALL_BLOCKS | {"LEAST_EXAMPLES": 1, "TOO_FEW": 0}


@pytest.mark.parametrize("limits", [AS_IT_IS, SMALL_BLOCKS, SPREAD], ids=["", "small", "spread"])
@each_seed
def test_blocks(seed, limits, monkeypatch):
    monkeypatch.setattr(apart, "WIDEST", 8)
    for name, value in limits.items():
        monkeypatch.setattr(blocks, name, value)
    spec, x, _, dy = problem(seed, groups=1)
    # Five do not fill blocks of two.
    x, dy = (np.resize(array, (5, *array.shape[1:])) for array in (x, dy))
    check(blocks.kernel_gradient, plain.kernel_gradient, spec, x, dy)
