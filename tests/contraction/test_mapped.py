"""A contraction under `vmap` is one contraction, of more examples, channels or groups."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxconv
import jaxconv.reference
from contraction.calls import drawn, factors, lowered, of, recorded
from jaxconv.contraction import correlate, input_gradient, kernel_gradient
from jaxconv.contraction.planning import Call

CONTRACTIONS = {
    "correlate": correlate,
    "input_gradient": input_gradient,
    "kernel_gradient": kernel_gradient,
}
MAPPED = [axes for axes in itertools.product((0, 2, None), repeat=2) if axes != (None, None)]


def first(array, kernel):
    """As channels_first has it."""
    dims = array.ndim - 2
    order = (dims + 1, dims, *range(dims)) if kernel else (0, dims + 1, *range(1, dims + 1))
    return array.transpose(order)


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("asked", CONTRACTIONS)
def test_every_factor_may_be_mapped(asked, groups, layout):
    """Each alone and both, over any axis: the same bits as one after the other."""
    spec, batch = drawn(4, groups=groups, channels=(2, 3))
    sets = [of(asked, *factors(spec, batch, seed=seed)) for seed in range(4)]
    if layout == "channels_first":
        kernels = {"correlate": (False, True), "input_gradient": (True, False)}
        which = kernels.get(asked, (False, False))
        sets = [tuple(map(first, pair, which)) for pair in sets]
    plainly = jax.jit(partial(Call(layout=layout).plain, asked, spec))
    for axes in MAPPED:
        stacked = [
            np.stack([pair[side] for pair in sets], axis) if axis is not None else sets[0][side]
            for side, axis in enumerate(axes)
        ]
        mapped = jax.vmap(partial(CONTRACTIONS[asked], spec, layout=layout), axes)
        got = jax.jit(mapped)(*stacked)
        for number, result in enumerate(got):
            pair = [sets[0 if axis is None else number][side] for side, axis in enumerate(axes)]
            np.testing.assert_array_equal(result, plainly(*pair))


def test_mapped_twice():
    spec, batch = drawn(1, groups=1, channels=(2, 3))
    x, w, _ = factors(spec, batch)
    xs, ws = np.stack([x, 2 * x]), np.stack([w, 3 * w, -w])
    twice = jax.vmap(jax.vmap(partial(correlate, spec), (None, 0)), (0, None))
    got, one = jax.jit(twice)(xs, ws), jax.jit(partial(Call().plain, "correlate", spec))
    for i, j in itertools.product(range(2), range(3)):
        np.testing.assert_array_equal(got[i, j], one(xs[i], ws[j]))


def test_kernels_of_each_image_are_groups(monkeypatch):
    """Of 16 images with a kernel each, all gradients are those of 16 groups."""
    taken = recorded(monkeypatch)
    x, w = np.ones((16, 1, 8, 8, 4), np.float32), np.ones((16, 3, 3, 4, 4), np.float32)

    def loss(x, w):
        return (jaxconv.conv(x, w) ** 2).sum()

    lowered(jax.vmap(jax.grad(loss, (0, 1))), x, w)
    assert ("correlate", "interleaved", "cpu") in taken
    assert ("kernel_gradient", "sums of rows", "cpu") in taken


@pytest.mark.parametrize("axes", [(None, 0), (0, None), (0, 0)])
def test_derivatives_of_what_is_mapped(axes):
    """Reverse over reverse and forward over reverse, inside and outside of the map."""
    spec, batch = drawn(1, input_dilation=1, groups=1, channels=(2, 3))
    x, w, _ = (np.cos(a) for a in factors(spec, batch))
    each = zip((x, w), axes, strict=True)
    args = [jnp.asarray(a if axis is None else np.stack([a, 2 * a])) for a, axis in each]
    options = {
        "stride": spec.stride, "padding": ((3, 3), (3, 3)), "dilation": spec.dilation,
    }  # fmt: skip

    def results(ops):
        def loss(x, w):
            return 0.5 * (ops.conv(x, w, **options) ** 2).sum()

        def inside(x, w):
            dw = jax.grad(loss, 1)
            return jax.grad(lambda w: (dw(x, w) ** 2).sum())(w), jax.jvp(dw, (x, w), (x, w))

        def outside(x, w):
            return jax.grad(lambda w: (jax.vmap(jax.grad(loss), axes)(x, w) ** 2).sum())(w)

        return jax.vmap(inside, axes)(*args), outside(*args)

    got, want = jax.jit(lambda: (results(jaxconv), results(jaxconv.reference)))()
    for mine, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9)
