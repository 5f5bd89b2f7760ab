"""conv and conv_transpose: values against the definition, rules against autodiff."""

from functools import partial

import jax
import jax.numpy as jnp
import naive
import numpy as np
import pytest
from rules import assert_close, assert_trees_close, integers, normal, value_and_pullback

import jaxconv
import jaxconv.reference
from jaxconv.check.catalogue.geometries import conv_case, transposed_case

CASES = [
    *(pytest.param("conv", conv_case(seed), id=f"conv-{seed}") for seed in range(45)),
    *(
        pytest.param("conv_transpose", transposed_case(seed), id=f"conv_transpose-{seed}")
        for seed in range(36)
    ),
]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_rule_on_awkward_geometries(name, case):
    definition = partial(getattr(naive, name), **case.keywords)
    op = partial(getattr(jaxconv, name), **case.keywords)
    reference = partial(getattr(jaxconv.reference, name), **case.keywords)

    def draw(numbers):
        arrays = [numbers(i, shape) for i, shape in enumerate((case.x, case.w, case.b)) if shape]
        return tuple(arrays)

    # Whole numbers: every sum is exact, so every comparison is an equality.
    args = draw(integers)
    want = definition(*args)
    dy = integers(9, want.shape)
    y, cotangents = value_and_pullback(op, args, dy)
    np.testing.assert_array_equal(y, want)
    reference_y, reference_cotangents = value_and_pullback(reference, args, dy)
    np.testing.assert_array_equal(y, reference_y)
    for what, got, expected in zip("xwb", cotangents, reference_cotangents, strict=False):
        np.testing.assert_array_equal(got, expected, err_msg=f"d{what}")

    # <dy, T(v)> = <Tᵀdy, v> for the definition T: an oracle without autodiff. The ops are
    # linear in x, in w and in b, so a nudge needs no step size.
    zeros = [np.zeros_like(a) for a in args]
    for i, v in enumerate(draw(lambda i, shape: integers(20 + i, shape))):
        nudged = [*args[:2], *zeros[2:]]
        nudged[i] = v
        if i == 2:
            nudged[0] = zeros[0]
        moved = definition(*nudged)
        assert np.sum(dy * moved) == np.sum(np.asarray(cotangents[i]) * v), f"d{'xwb'[i]}"

    args = draw(normal)
    dy = normal(9, want.shape)
    assert_trees_close(value_and_pullback(op, args, dy), value_and_pullback(reference, args, dy))


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_layouts_are_one_function(layout):
    x, w, b = normal(0, (2, 7, 5, 4)), normal(1, (3, 2, 2, 6)), normal(2, (6,))
    y = jaxconv.conv(x, w, b, stride=2, groups=2)
    first = jaxconv.conv(
        np.moveaxis(x, -1, 1), np.moveaxis(w, (-1, -2), (0, 1)), b,
        stride=2, groups=2, layout="channels_first",
    )  # fmt: skip
    assert_close(jnp.moveaxis(first, 1, -1), y)


@pytest.mark.parametrize(
    ("padding", "pairs"),
    [
        ("SAME", ((1, 2), (0, 1))),
        ("same", ((1, 2), (0, 1))),
        ("SAME_LOWER", ((2, 1), (1, 0))),
        ("VALID", ((0, 0), (0, 0))),
        (2, ((2, 2), (2, 2))),
        ((1, 3), ((1, 1), (3, 3))),
        ([1, 3], ((1, 1), (3, 3))),
        (np.array([[1, 3], [0, 2]]), ((1, 3), (0, 2))),
    ],
)
def test_padding_forms(padding, pairs):
    x, w = integers(0, (1, 7, 6, 2)), integers(1, (4, 2, 2, 3))
    got = jaxconv.conv(x, w, padding=padding)
    np.testing.assert_array_equal(got, jaxconv.conv(x, w, padding=pairs))


def test_causal_sees_no_future():
    x, w = normal(0, (1, 11, 1)), normal(1, (3, 1, 1))

    def at(i):
        return lambda x: jaxconv.conv(x, w, padding="CAUSAL", dilation=2)[0, i, 0]

    dx = jax.grad(at(6))(x)
    np.testing.assert_array_equal(np.flatnonzero(dx), [2, 4, 6])
    assert jaxconv.conv(x, w, padding="CAUSAL", dilation=2).shape == x.shape


def test_flip_kernel_is_rot180():
    x, w = integers(0, (2, 7, 5, 2)), integers(1, (3, 2, 2, 3))
    true_convolution = jaxconv.conv(x, w, flip_kernel=True)
    np.testing.assert_array_equal(true_convolution, jaxconv.conv(x, np.flip(w, (0, 1))))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_border_wider_than_the_input(mode):
    x, w = integers(0, (1, 3, 1)), np.eye(1, dtype=float)[None]
    got = jaxconv.conv(x, w, padding=((5, 8),), padding_mode=mode)
    names = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    np.testing.assert_array_equal(got, np.pad(x, ((0, 0), (5, 8), (0, 0)), mode=names[mode]))


def test_depthwise():
    x, w = integers(0, (2, 5, 7, 3)), integers(1, (3, 3, 1, 6))
    got = jaxconv.conv(x, w, groups=3)
    for channel in range(3):
        outputs = slice(2 * channel, 2 * channel + 2)
        alone = jaxconv.conv(x[..., [channel]], w[..., outputs])
        np.testing.assert_array_equal(got[..., outputs], alone)


def test_precision_reaches_every_product():
    x, w = normal(0, (1, 5, 5, 1)), normal(1, (3, 3, 1, 1))

    def gradients(x, w, dy):
        y, pull = jax.vjp(lambda x, w: jaxconv.conv(x, w, precision="highest"), x, w)
        return y, pull(dy)

    program = jax.jit(gradients).lower(x, w, normal(2, x.shape)).as_text()
    assert program.count("stablehlo.convolution") == 3
    assert program.count("#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>") == 3


@pytest.mark.parametrize("op", [jaxconv.conv, jaxconv.conv_transpose])
@pytest.mark.parametrize("perturbed", ["x", "w", "b"])
def test_saves_only_what_the_wanted_gradients_need(perturbed, op):
    arrays = {"x": normal(0, (2, 7, 7, 4)), "w": normal(1, (3, 3, 4, 4)), "b": normal(2, (4,))}

    def of_one(value):
        return op(**{**arrays, perturbed: value})

    _, pull = jax.vjp(of_one, arrays[perturbed])
    saved = {leaf.shape for leaf in jax.tree.leaves(pull) if leaf.size}
    needed = {"x": {arrays["w"].shape}, "w": {arrays["x"].shape}, "b": set()}
    assert saved == needed[perturbed]


@pytest.mark.parametrize(("c_in", "c_out"), [(8, 16), (3, 8), (16, 1)])
def test_float32_where_low_padding_reaches_beyond_the_window(c_in, c_out):
    """Whole numbers are exact in float32, and XLA is wrong here on JAX 0.10.0 and 0.10.2."""
    rng = np.random.default_rng(0)
    x, w, dy = (
        rng.integers(-3, 4, shape)
        for shape in ((4, 12, 12, c_in), (3, 3, c_in, c_out), (4, 14, 14, c_out))
    )

    @jax.jit
    def run(x, w, dy):
        y, pull = jax.vjp(lambda x, w: jaxconv.conv(x, w, padding=((3, 1), (3, 1))), x, w)
        return y, *pull(dy)

    single, double = (run(*(a.astype(t) for a in (x, w, dy))) for t in (np.float32, np.float64))
    for got, want in zip(single, double, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("padding", ["SAME", "SAME_LOWER", "VALID", 1, ((2, 0), (0, 1))])
def test_conv_transpose_is_the_input_gradient_of_conv(padding):
    w = integers(0, (3, 2, 4, 6))
    keywords = {"stride": (2, 3), "padding": padding, "dilation": (1, 2), "groups": 2}
    y = np.zeros((2, 8, 9, 8))
    x, pull = jax.vjp(lambda y: jaxconv.conv(y, w, **keywords), y)
    dx = integers(1, x.shape)
    sizes = jaxconv.conv_transpose(dx, w, **keywords).shape
    missing = tuple(n - m for n, m in zip(y.shape[1:3], sizes[1:3], strict=True))
    got = jaxconv.conv_transpose(dx, w, output_padding=missing, **keywords)
    np.testing.assert_array_equal(got, pull(dx)[0])


@pytest.mark.parametrize("padding", ["SAME", "same_lower"])
@pytest.mark.parametrize(
    ("n", "k", "s", "d"), [(5, 3, 2, 1), (4, 2, 3, 1), (3, 3, 1, 4), (1, 1, 4, 1)]
)
def test_conv_transpose_same_gives_size_times_stride(padding, n, k, s, d):
    x, w = np.ones((1, n, 1)), np.ones((k, 1, 1))
    got = jaxconv.conv_transpose(x, w, stride=s, dilation=d, padding=padding)
    assert got.shape == (1, n * s, 1)


EMPTY = {  # lhs, rhs, padding and what else
    "no positions": ((1, 2, 0), (3, 2, 1), "VALID", {}),
    "nothing but padding": ((1, 2, 0), (3, 2, 1), [(1, 1)], {}),
    "a window that fits nowhere": ((1, 2, 3), (3, 2, 5), "VALID", {}),
    "edges cut away": ((1, 2, 3), (3, 2, 2), [(-1, -1)], {}),
    "all cut away": ((1, 2, 3), (3, 2, 2), [(-1, -2)], {}),
    "no output channels": ((1, 2, 3), (0, 2, 2), "VALID", {}),
    "no input channels": ((1, 0, 3), (3, 0, 2), "VALID", {}),
    "no examples": ((0, 2, 3), (3, 2, 2), "VALID", {}),
    "no examples of two groups": ((0, 2, 3), (4, 2, 2), "VALID", {"batch_group_count": 2}),
    "one of two dimensions": ((1, 2, 0, 4), (3, 2, 1, 2), "SAME", {}),
    "holes, and no positions": ((1, 2, 0), (3, 2, 1), [(2, 1)], {"lhs_dilation": (2,)}),
    "no output channels of two groups": ((1, 2, 3), (0, 1, 2), "VALID", {"feature_group_count": 2}),
}


@pytest.mark.parametrize("name", EMPTY)
def test_sizes_of_zero_are_what_they_are_in_lax(name):
    """An empty array, or zeros: the shapes and values of lax, and of its gradients."""
    lhs, rhs, padding, options = EMPTY[name]
    x, w = np.ones(lhs), np.ones(rhs)
    stride = (1,) * (len(lhs) - 2)

    def both(module):
        def call(x, w):
            return module.conv_general_dilated(x, w, stride, padding, **options)

        y, pull = jax.vjp(call, x, w)
        return y, *pull(jnp.ones_like(y))

    for got, want in zip(both(jaxconv), both(jax.lax), strict=True):
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype
