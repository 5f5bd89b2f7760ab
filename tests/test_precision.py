"""float32, bfloat16 and float16: no further from the truth than autodiff.

The truth is the same rule on the same (rounded) numbers in float64. The error is the root mean
square over thousands of elements, so that one lucky element decides nothing.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxconv
import jaxconv.reference

_rng = np.random.default_rng(0)
_IMAGES = _rng.standard_normal((8, 17, 16, 24))
_TIED = _IMAGES.round(1)
_KERNEL, _GROUPED = _rng.standard_normal((3, 3, 24, 32)), _rng.standard_normal((5, 3, 6, 32))
_BIAS = _rng.standard_normal(32)
_LABELS = _rng.integers(0, 100, 64)

CALLS = {
    "conv": (jaxconv.conv, {}, _IMAGES, _KERNEL, _BIAS),
    "conv grouped": (
        jaxconv.conv,
        {"stride": 2, "groups": 4, "dilation": (1, 2)},
        *(_IMAGES, _GROUPED, _BIAS),
    ),
    "conv with border": (
        jaxconv.conv,
        {"padding": 3, "padding_mode": "replicate"},
        *(_IMAGES, _KERNEL, _BIAS),
    ),
    "conv_transpose": (
        jaxconv.conv_transpose,
        {"stride": 2},
        *(_IMAGES[..., :16], _rng.standard_normal((3, 3, 32, 16)), _BIAS),
    ),
    "dense": (jaxconv.dense, {}, _rng.standard_normal((64, 24)), _KERNEL[0, 0], _BIAS),
    "pad": (
        jaxconv.pad,
        {"widths": ((0, 0), (40, 30), (20, 0), (0, 0)), "mode": "replicate"},
        _IMAGES,
    ),
    "relu": (jaxconv.relu, {}, _IMAGES),
    "max_pool first": (jaxconv.max_pool, {"window": 3, "stride": 1}, _IMAGES),
    "max_pool all": (jaxconv.max_pool, {"window": 3, "stride": 1, "ties": "all"}, _TIED),
    "max_pool split": (jaxconv.max_pool, {"window": 3, "stride": 1, "ties": "split"}, _TIED),
    "avg_pool": (
        jaxconv.avg_pool,
        {"window": 3, "stride": 2, "padding": 1, "count_include_pad": False},
        _IMAGES,
    ),
    "softmax_cross_entropy": (
        jaxconv.softmax_cross_entropy,
        {"labels": _LABELS, "label_smoothing": 0.1, "reduction": "none"},
        3 * _rng.standard_normal((64, 100)),
    ),
}


def value_and_cotangents(op, args, dy):
    y, pull = jax.vjp(op, *args)
    return (y, *pull(dy))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_no_further_from_the_truth_than_autodiff(name, dtype):
    op, keywords, *args = CALLS[name]
    hand = partial(op, **keywords)
    twin = partial(getattr(jaxconv.reference, op.__name__), **keywords)
    rounded = [jnp.asarray(a).astype(dtype) for a in args]
    y = jax.eval_shape(hand, *rounded)
    dy = jnp.asarray(np.random.default_rng(1).standard_normal(y.shape)).astype(dtype)

    exact = [a.astype(jnp.float64) for a in (*rounded, dy)]
    truth = jax.jit(partial(value_and_cotangents, hand))(exact[:-1], exact[-1])
    ours = jax.jit(partial(value_and_cotangents, hand))(rounded, dy)
    autodiff = jax.jit(partial(value_and_cotangents, twin))(rounded, dy)

    for what, t, h, a in zip(("y", "dx", "dw", "db"), truth, ours, autodiff, strict=False):
        assert h.dtype == dtype
        errors = [np.sqrt(np.mean((np.asarray(g, float) - np.asarray(t)) ** 2)) for g in (h, a)]
        # In float32 the two add the same terms in another order, which scatters the error by
        # a few percent either way. In 16 bits one rounding, at the end, is all there is.
        slack = 1.1 if dtype == jnp.float32 else 1.001
        assert errors[0] <= slack * errors[1], what


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_16_bit_sums_are_kept_in_float32(dtype):
    """4,096 ones and a half: a 16-bit sum would stop at 256 (bfloat16) or 2,048 (float16)."""
    ones = jnp.ones((1, 4096), dtype)
    half = jnp.full((1, 1), 0.5, dtype)
    want = jnp.asarray(4096.5).astype(dtype)
    x = jnp.concatenate([ones, half], axis=1)
    w = jnp.ones((4097, 1), dtype)
    assert jaxconv.dense(x, w)[0, 0] == want
    assert jaxconv.conv(x[..., None], w[:, None], padding="VALID")[0, 0, 0] == want
    assert jaxconv.avg_pool(x[..., None], 4097, divisor=1)[0, 0, 0] == want

    # The bias gradient is a sum over all positions.
    db = jax.vjp(lambda b: jaxconv.dense(jnp.ones((4096, 1), dtype), w[:1], b), w[0])[1]
    assert db(jnp.ones((4096, 1), dtype))[0][0] == 4096
    db = jax.vjp(lambda b: jaxconv.conv(x[..., None], w[:1, None], b), w[0])[1]
    assert db(jnp.ones((1, 4097, 1), dtype))[0][0] == jnp.asarray(4097).astype(dtype)
