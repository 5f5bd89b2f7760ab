"""The fast forms inside the ops: taken on a CPU, differentiable again, mapped like any other."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from rules import assert_trees_close, jit, normal

import jaxconv
import jaxconv.reference
from jaxconv import memory
from jaxconv.contraction import apart, choice, exchanged

# What to call, with which shapes of x and w: one case for every form, and for both layouts.
CASES = {
    "depthwise": ("conv", (4, 5, 6, 3), (3, 2, 1, 6), {"groups": 3, "stride": (1, 2)}),
    "groups": ("conv", (4, 5, 6, 4), (3, 2, 2, 6), {"groups": 2, "padding_mode": "reflect"}),
    "interleaved": ("conv", (4, 4, 5, 18), (2, 3, 2, 9), {"groups": 9, "stride": (2, 1)}),
    "in turn": ("conv", (4, 3, 4, 117), (2, 3, 13, 117), {"groups": 9}),
    "inner": ("conv", (4, 5, 6, 6), (3, 2, 6, 2), {"padding": (2, 1)}),
    "1x1": ("conv", (4, 5, 6, 4), (1, 1, 4, 3), {"stride": 2}),
    "tiles": ("conv", (4, 5, 6, 3), (2, 3, 3, 4), {"stride": (2, 3)}),
    "exchanged": ("conv", (4, 5, 6, 3), (3, 2, 3, 2), {"stride": (1, 2)}),
    "depth": ("conv", (4, 3, 4, 5, 2), (2, 3, 2, 2, 3), {"flip_kernel": True}),
    "phases": ("conv_transpose", (4, 4, 3, 3), (3, 2, 2, 3), {"stride": (2, 3)}),
    "first": (
        "conv", (4, 4, 5, 6), (6, 2, 3, 2), {"groups": 2, "stride": 2, "layout": "channels_first"},
    ),
}  # fmt: skip

each_case = pytest.mark.parametrize("name", CASES)


@pytest.fixture(autouse=True)
def _always(monkeypatch):
    """However little the work, whatever the library and the dtype."""
    for name in ("LEAST_WORK", "MANY_TERMS", "LEAST_CHANNELS", "LEAST_PAIRS", "MUCH_WORK"):
        monkeypatch.setattr(choice, name, 0)
    monkeypatch.setattr(memory, "LEAST_BYTES", 0)
    monkeypatch.setattr(choice, "MOST_GROUPS", 8)
    monkeypatch.setattr(apart, "SLOW_LIBRARY", True)
    monkeypatch.setattr(apart, "WIDEST", 8)
    monkeypatch.setattr(exchanged, "LEAST", 1)
    monkeypatch.setattr(exchanged, "TOO_FEW", 0)
    jax.clear_caches()
    yield
    jax.clear_caches()


def losses(name):
    """The arrays of a case, and its loss by hand and by autodiff."""
    op, x, w, options = CASES[name]
    arrays = normal(0, x), normal(1, w)

    def loss(ops, x, w):
        y = getattr(ops, op)(x, w, **options)
        return jnp.sum(jnp.sin(y) * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

    return arrays, partial(loss, jaxconv), partial(loss, jaxconv.reference)


@each_case
def test_first_and_second_derivatives(name):
    (x, w), hand, twin = losses(name)

    def twice(loss):
        def bent(x, w):
            return sum(jnp.sum(jnp.sin(g)) for g in jax.grad(loss, (0, 1))(x, w))

        forward_over_reverse = jax.jvp(jax.grad(loss, (0, 1)), (x, w), (x, w))[1]
        return jax.grad(loss, (0, 1))(x, w), jax.grad(bent, (0, 1))(x, w), forward_over_reverse

    got = jit(lambda: twice(hand))()
    assert_trees_close(got, jit(lambda: twice(twin))(), tolerance=1e-9)


@each_case
@pytest.mark.parametrize(("dtype", "unit"), [(jnp.bfloat16, 2**-8), (jnp.float16, 2**-11)])
def test_16_bits_are_rounded_once(name, dtype, unit):
    """However many terms and steps a form takes: the sums are float32 until the end."""
    op, x, w, options = CASES[name]
    x, w = (normal(seed, shape).astype(dtype) for seed, shape in ((0, x), (1, w)))
    dy = normal(2, jax.eval_shape(partial(getattr(jaxconv, op), **options), x, w).shape)

    def both(ops, x, w, dy):
        y, pull = jax.vjp(partial(getattr(ops, op), **options), x, w)
        return y, *pull(dy)

    got = jit(partial(both, jaxconv))(x, w, dy.astype(dtype))
    wide = [array.astype(jnp.float64) for array in (x, w, dy.astype(dtype))]
    want = jit(partial(both, jaxconv.reference))(*wide)
    for mine, truth in zip(got, want, strict=True):
        assert mine.dtype == dtype
        np.testing.assert_allclose(mine.astype(jnp.float64), truth, rtol=unit, atol=1e-5)


@each_case
def test_vmap_checkpoint_and_scan(name):
    (x, w), hand, twin = losses(name)
    kernels = jnp.stack([w, 2 * w])

    def mapped(loss):
        def step(total, w):
            return total + jax.checkpoint(loss)(x, w), None

        summed = lambda ws: jax.lax.scan(step, 0.0, ws)[0]  # noqa: E731
        return jax.vmap(jax.grad(loss, (0, 1)), (None, 0))(x, kernels), jax.grad(summed)(kernels)

    got = jit(lambda: mapped(hand))()
    assert_trees_close(got, jit(lambda: mapped(twin))(), tolerance=1e-9)


@each_case
def test_over_two_devices(name):
    """By the compiler, and by hand."""
    (x, w), hand, twin = losses(name)
    mesh = Mesh(np.array(jax.devices()[:2]), ("batch",))
    whole, split = PartitionSpec(), PartitionSpec("batch")
    sharded = jax.device_put(x, NamedSharding(mesh, split))
    want = jit(jax.grad(twin, (0, 1)))(x, w)
    assert_trees_close(jit(jax.grad(hand, (0, 1)))(sharded, w), want)

    op, *_, options = CASES[name]
    dy = jnp.cos(getattr(jaxconv, op)(x, w, **options))

    def gradients(ops, x, w, dy):
        return jax.vjp(partial(getattr(ops, op), **options), x, w)[1](dy)

    by_hand = jax.shard_map(
        partial(gradients, jaxconv), mesh=mesh, in_specs=(split, whole, split),
        out_specs=(split, whole),
    )  # fmt: skip
    assert_trees_close(jit(by_hand)(x, w, dy), gradients(jaxconv.reference, x, w, dy))


@each_case
def test_the_platform_is_known_before_it_is_compiled(name):
    """Of the choice no branch is left on a CPU, and elsewhere there are the plain contractions."""
    (x, w), hand, _ = losses(name)
    traced = jit(jax.grad(hand, (0, 1))).trace(x, w)
    # Depthwise makes copies in calls of its own (memory.unfused): of a padded x for y, of an image
    # of x and of dy for dw, of the taps and of a padded dy of each of two outputs a group for dx.
    # Interleaved groups, of x, of the taps and the sum itself for y, and as many for dw as
    # depthwise; with one output for each group dx is depthwise, two phases of it, which read one
    # copy. The dw of a 1×1, and of tiles, is a call.
    of_its_own = {"depthwise": 7, "interleaved": 6, "1x1": 1, "tiles": 1}.get(name, 0)
    compiled = traced.lower().compile().as_text()
    assert compiled.count(" conditional(") == 0
    assert compiled.count(" call(") == of_its_own
    elsewhere = traced.lower(lowering_platforms=("tpu",)).as_text()
    assert elsewhere.count("stablehlo.convolution") == 3
    assert "stablehlo.while" not in elsewhere
    assert "inlineable" not in elsewhere


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_a_dilated_kernel_gradient_on_a_gpu_is_one_without_holes(layout):
    """Elsewhere dy is moved by the dilation. Of 7 rows and 2 phases one has more, of 6 none."""
    x, w = normal(0, (2, 3, 7, 6)), normal(1, (4, 3, 3, 2))
    if layout == "channels_last":
        x, w = x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0)
    conv = partial(jaxconv.conv, dilation=2, layout=layout)
    dw = jax.jit(lambda x, w, dy: jax.vjp(partial(conv, x), w)[1](dy))
    traced = dw.trace(x, w, jax.eval_shape(conv, x, w))
    for platform, moved, pieces in (("cuda", 0, 2), ("tpu", 1, 1)):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert text.count("stride = [2, 2]") == moved
        assert text.count("stablehlo.convolution") == pieces


@pytest.mark.parametrize("outputs", [2, 30])
def test_without_dimensions_it_is_a_product(outputs):
    x, w = normal(0, (4, 20)), normal(1, (outputs, 20))
    y, pull = jax.vjp(lambda x, w: jaxconv.conv_general_dilated(x, w, (), "VALID"), x, w)
    assert_trees_close((y, pull(y)), (x @ w.T, (y @ w, y.T @ x)))
    if outputs == 30:
        w = w[:, :2]
        grouped = partial(jaxconv.conv_general_dilated, feature_group_count=10)
        y = grouped(x, w, (), "VALID")
        products = jnp.einsum("ngc,gkc->ngk", x.reshape(4, 10, 2), w.reshape(10, 3, 2))
        assert_trees_close(y, products.reshape(4, 30))


def test_equal_padding_stays_equal():
    """Though of a window that moves by 2 less is needed at the end: a GPU takes it as it is."""
    x, w = normal(0, (2, 8, 8, 3)), normal(1, (3, 3, 3, 4))
    traced = jax.jit(partial(jaxconv.conv, stride=2, padding=1)).trace(x, w)
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "pad = [[1, 1], [1, 1]]" in text


def test_each_device_adds_up_its_own_examples():
    """Few images at a time: of a batch that is split over devices, none is gathered."""
    mesh = Mesh(np.array(jax.devices()[:2]), ("batch",))
    split = NamedSharding(mesh, PartitionSpec("batch"))
    x, dy = (jax.device_put(normal(seed, (64, 6, 7, 3)), split) for seed in (0, 1))
    loss = lambda w: jnp.sum(dy * jaxconv.conv(x, w))  # noqa: E731
    compiled = jax.jit(jax.grad(loss)).lower(normal(2, (3, 3, 3, 3))).compile().as_text()
    assert "while(" in compiled
    assert "all-gather" not in compiled


def test_few_terms_and_few_channels_of_one_dimension_take_the_plain_form(monkeypatch):
    monkeypatch.setattr(choice, "MANY_TERMS", 16 * 6 * 7)

    def loops(*shape, outputs=5):
        x, w = normal(0, shape), normal(1, (*(3,) * (len(shape) - 2), shape[-1], outputs))
        gradient = jit(jax.grad(lambda w: jnp.sum(jnp.sin(jaxconv.conv(x, w)))))
        return gradient.lower(w).as_text().count("stablehlo.while")

    assert loops(16, 6, 7, 3) == 1
    assert loops(15, 6, 7, 3) == 0
    assert loops(16 * 6, 7, 5) == 1
    assert loops(16 * 6 * 7, 4, 4) == 0
    assert loops(16 * 6, 7, 5, outputs=4) == 0


def lowered(x, w, *, of, dtype=np.float32, **options):
    """What is handed to the compiler."""
    x, w = jax.ShapeDtypeStruct(x, dtype), jax.ShapeDtypeStruct(w, dtype)
    conv = partial(jaxconv.conv, **options)
    dy = jax.eval_shape(conv, x, w)
    back = {
        "y": lambda x, w, dy: conv(x, w),
        "dx": lambda x, w, dy: jax.vjp(lambda x: conv(x, w), x)[1](dy),
        "dw": lambda x, w, dy: jax.vjp(lambda w: conv(x, w), w)[1](dy),
    }[of]
    return jit(back).lower(x, w, dy).as_text()


def spread_and_loops(x, w, **what):
    """How many convolutions of a spread image there are, and how many loops."""
    text = lowered(x, w, **what)
    return text.count("lhs_dilate = [2, 1]"), text.count("stablehlo.while")


def test_apart_where_the_library_is_slow_or_the_kernel_large(monkeypatch):
    monkeypatch.undo()
    square = partial(spread_and_loops, (64, 32, 32, 64), (3, 3, 64, 64))
    for slow in (True, False):
        monkeypatch.setattr(apart, "SLOW_LIBRARY", slow)
        jax.clear_caches()
        assert square(of="y") == square(of="dx") == (slow, 0)
        spread, loops = square(of="dw")
        assert spread >= 2
        assert loops == 1
    monkeypatch.setattr(apart, "SLOW_LIBRARY", True)
    jax.clear_caches()
    assert square(of="y", dtype=np.float64) == (0, 0)
    assert square(of="dw", dtype=np.float64) == (0, 1)
    assert spread_and_loops((64, 32, 32, 20), (3, 3, 20, 20), of="y") == (0, 0)
    assert spread_and_loops((2, 32, 32, 64), (3, 3, 64, 64), of="dw") == (0, 0)
    assert spread_and_loops((16, 14, 14, 256), (3, 3, 256, 256), of="dw") == (1, 0)
    assert spread_and_loops((16, 14, 14, 128), (3, 3, 128, 128), of="dw") == (1, 0)
    assert spread_and_loops((1, 32, 32, 256), (3, 3, 256, 256), of="dw") == (0, 0)


@pytest.mark.parametrize("slow", [True, False])
@pytest.mark.parametrize(
    ("groups", "c_in", "c_out", "window", "y", "dx", "dw"),
    [
        (32, 4, 4, 3, (0, 0), (0, 0), (0, 1)),  # interleaved; images in a loop
        (10, 16, 16, 3, (10, 0), (10, 0), (10, 0)),  # side by side
        (33, 16, 16, 3, (1, 1), (1, 1), (2, 2)),  # in turn; blocks of images in each turn
        (33, 13, 8, 3, (1, 1), (0, 0), (0, 1)),  # too many terms for one of them
        (32, 32, 32, 1, (0, 0), (0, 0), (0, 1)),  # side by side, products
        (33, 32, 32, 1, (1, 0), (1, 0), (0, 1)),  # the plain form is faster than in turn
        (64, 1, 2, 3, (0, 0), (0, 0), (0, 1)),  # depthwise; its way back is interleaved
    ],
)
def test_many_groups(monkeypatch, slow, groups, c_in, c_out, window, y, dx, dw):
    """How many convolutions and loops there are."""
    monkeypatch.undo()
    monkeypatch.setattr(apart, "SLOW_LIBRARY", slow)
    jax.clear_caches()
    x, w = (16, 14, 14, groups * c_in), (window, window, c_in, groups * c_out)
    for of, want in (("y", y), ("dx", dx), ("dw", dw)):
        text = lowered(x, w, of=of, groups=groups)
        assert (text.count("stablehlo.convolution"), text.count("stablehlo.while")) == want


@pytest.mark.parametrize(
    ("groups", "c_in", "c_out", "stride", "dilated"),
    [
        (24, 8, 8, 3, 0),  # nine phases, each a loop
        (1, 64, 64, 3, 1),  # one convolution of a dy that is spread
        (1, 64, 2, 3, 0),
        (24, 8, 8, 5, 1),
    ],
)
def test_more_phases_of_what_is_no_convolution(monkeypatch, groups, c_in, c_out, stride, dilated):
    monkeypatch.undo()
    jax.clear_caches()
    x, w = (64, 20, 20, groups * c_in), (4, 4, c_in, groups * c_out)
    text = lowered(x, w, of="dx", groups=groups, stride=stride)
    assert text.count("stablehlo.convolution") == dilated
