"""float32, bfloat16 and float16: no further from the truth than autodiff.

The truth is the same rule on the same (rounded) numbers in float64. The error is the root mean
square over thousands of elements, so that one lucky element decides nothing.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import cotangent_of, value_and_cotangents

import jaxconv
from jaxconv.check.catalogue import CATALOGUE, Sample
from jaxconv.check.catalogue.large import EVERY_FORM

# In float32 the two add the same terms in another order, which scatters the error by a few
# percent either way. In 16 bits one rounding, at the end, is all there is.
DRAWS = 8  # so that no short array, like a bias or a row of means, is judged by a few roundings
SLACK = {"float32": 1.1, "bfloat16": 1.001, "float16": 1.001}

# Where ours is further away in float32: ours adds the products of a sum one after the other, as
# autodiff does in a convolution without groups or a stride. With groups or a stride autodiff takes
# a loop without that library, which adds several numbers side by side and is slower: dw of few
# groups takes 15.9 ms in it, and 0.3 ms in ours (docs/lab/exactness.md). Beside each factor stands
# what was measured on CPUs with AVX-512, and the version of JAX if the versions differ.
FURTHER = {
    ("conv", "dw"): 2.0,  # 1.81, 4 groups and a stride
    ("conv few groups", "dw"): 2.8,  # 2.55 on 0.12, 1.27 on 0.10
    ("conv more windows side by side", "dw"): 1.5,  # 1.32
    ("conv a large kernel", "dw"): 1.4,  # 1.29 on 0.10
    ("conv_transpose one window", "dx"): 2.2,  # 1.96 on 0.10
    ("conv_transpose a stride and holes", "y"): 1.3,  # 1.15
    ("conv_general_dilated", "dlhs"): 1.5,  # 1.34 on 0.12
    ("conv_general_dilated depthwise, many elements", "y"): 1.7,  # 1.49, 53 products
    ("conv_general_dilated depthwise, many elements", "dlhs"): 1.7,  # 1.53
    ("conv_general_dilated a stride", "y"): 1.6,  # 1.46
    ("conv_general_dilated a stride and an input dilation", "drhs"): 2.0,  # 1.83 on 0.12
    ("layer_norm", "dscale"): 1.2,  # 1.11: a sum over examples in another order
}

_IMAGES = np.random.default_rng(0).standard_normal((8, 17, 16, 24))
_KERNEL = np.random.default_rng(1).standard_normal((3, 3, 24, 32))
_TIED = {"x": _IMAGES.round(1)}

CALLS = {name: (name, record.large()) for name, record in CATALOGUE.items()} | {
    "conv with border": (
        "conv",
        Sample({"x": _IMAGES, "w": _KERNEL}, options={"padding": 3, "padding_mode": "replicate"}),
    ),
    "max_pool all": ("max_pool", Sample(_TIED, options={"window": 3, "stride": 1, "ties": "all"})),
    "max_pool split": (
        "max_pool",
        Sample(_TIED, options={"window": 3, "stride": 1, "ties": "split"}),
    ),
}

# Near the floor −α of an exponential unit, whose slope is a small difference with y.
_NEGATIVE = {"x": -12 + 8 * np.random.default_rng(2).random((64, 1024))}
CALLS |= {
    "elu, negative": ("elu", Sample(_NEGATIVE, options={"alpha": 1.1})),
    "celu, negative": ("celu", Sample(_NEGATIVE, options={"alpha": 3.0})),
    "celu, negative, α = 2": ("celu", Sample(_NEGATIVE, options={"alpha": 2.0})),
    "selu, negative": ("selu", Sample(_NEGATIVE)),
}

# The fast forms, each through one op; they have thousands of elements, so that few draws do.
SHARING = [record for record in CATALOGUE.values() if record.ways]
FEW_DRAWS = 2
CALLS |= {
    f"{record.name} {name}": (record.name, record.sample(record.each_form[number]))
    for number, name in enumerate(EVERY_FORM)
    for record in SHARING[number % len(SHARING) :][:1]
}


def cast(sample, dtype):
    arrays = {name: rounded(a, dtype) for name, a in sample.arrays.items()}
    fixed = {
        name: rounded(a, dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a
        for name, a in sample.fixed.items()
    }
    return Sample(arrays, fixed, sample.options)


def cast_cotangent(dy, dtype):
    return jax.tree.map(lambda d: d if d.dtype == jax.dtypes.float0 else rounded(d, dtype), dy)


def rounded(array, dtype):
    """By numpy: JAX would compile it for every shape."""
    return np.asarray(array).astype(jnp.dtype(dtype))


def drawn(sample, seed):
    """The same numbers a little larger: they are rounded elsewhere, and tie and bend as before."""
    arrays = {name: (1 + seed / 128) * np.asarray(a) for name, a in sample.arrays.items()}
    return Sample(arrays, sample.fixed, sample.options)


def named(path, sample):
    """What a leaf of (y, gradients) is: y, or the gradient for an argument."""
    if path[0].idx == 0:
        return "y" + jax.tree_util.keystr(path[1:])
    return f"d{tuple(sample.arrays)[path[1].idx]}{jax.tree_util.keystr(path[2:])}"


def mean_square(got, truth):
    return np.mean((np.asarray(got, float) - np.asarray(truth, float)) ** 2)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "dtype"),
    # Of the two 16-bit floats, which take the same steps, the forms are tried in one.
    [
        (name, dtype)
        for name in CALLS
        for dtype in SLACK
        if dtype != "float16" or name.split(" ", 1)[-1] not in EVERY_FORM
    ],
)
def test_no_further_from_the_truth_than_autodiff(name, dtype):
    op, large = CALLS[name]
    record = CATALOGUE[op]
    squares = {}
    for seed in range(FEW_DRAWS if name.split(" ", 1)[-1] in EVERY_FORM else DRAWS):
        sample = cast(drawn(large, seed), dtype)
        exact = cast(sample, jnp.float64)
        dy = cast_cotangent(cotangent_of(record.op, large, seed), dtype)
        truth = value_and_cotangents(record.op, exact, cast_cotangent(dy, jnp.float64))
        ours = value_and_cotangents(record.op, sample, dy, optimized=True)
        autodiff = value_and_cotangents(record.reference, sample, dy, optimized=True)
        for (path, t), h, a in zip(
            jax.tree.leaves_with_path(truth),
            jax.tree.leaves(ours),
            jax.tree.leaves(autodiff),
            strict=True,
        ):
            if jnp.issubdtype(t.dtype, jnp.floating):
                what = named(path, sample)
                assert h.dtype == dtype, what
                assert np.isfinite(np.asarray(h, float)).all(), what
                total = squares.setdefault(what, np.zeros(2))
                total += [mean_square(h, t), mean_square(a, t)]
    for what, (our, their) in squares.items():
        slack = SLACK[dtype]
        if dtype == "float32":
            slack = FURTHER.get((name, what), slack)
        assert our <= slack**2 * their, f"{what}: {np.sqrt(our / their):.3f} times autodiff's error"


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


@pytest.mark.parametrize("op", ["conv", "conv_general_dilated", "conv_transpose", "dense"])
def test_the_precision_of_the_forward_pass_is_that_of_the_backward_pass(op):
    """Although it is computed later, outside the context."""
    sample = CATALOGUE[op].sample(0)
    options = {k: v for k, v in sample.options.items() if k != "precision"}
    bound = Sample(sample.arrays, sample.fixed, options).bind(getattr(jaxconv, op))
    arrays = tuple(map(jnp.asarray, sample.arrays.values()))
    with jax.default_matmul_precision("highest"):
        y, pull = jax.vjp(bound, *arrays)
    assert "HIGHEST" in str(jax.make_jaxpr(pull)(y))
    y, pull = jax.vjp(bound, *arrays)
    assert "HIGHEST" not in str(jax.make_jaxpr(pull)(y))
