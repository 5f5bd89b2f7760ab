"""The forms inside the ops: chosen per platform, differentiable again, mapped like any other."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from rules import assert_trees_close, normal

import jaxconv
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.check.catalogue import CATALOGUE
from jaxconv.check.catalogue.large import EVERY_FORM, LARGE, large
from jaxconv.contraction import plan, registry
from jaxconv.contraction.library import SLOW_LIBRARY

# Of each convolution that reaches a form one way to ask for it; the ways take turns. Many channels
# alone take as long as all others together, and meet no other code than few images of them do.
OPS = ("conv", "conv_transpose", "conv_general_dilated")
CASES = {
    name: (CATALOGUE[OPS[i % 3]], CATALOGUE[OPS[i % 3]].each_form[i])
    for i, name in enumerate(EVERY_FORM)
    if name not in ("many channels", "many groups of many channels")
}
each_case = pytest.mark.parametrize("name", CASES)


def losses(name):
    """The arrays of a case, and its loss by hand and by autodiff."""
    record, number = CASES[name]
    sample = record.sample(number)
    arrays = tuple(sample.arrays.values())

    def loss(op, *arrays):
        y = sample.bind(op)(*arrays)
        return jnp.mean(jnp.sin(y) * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

    return arrays, partial(loss, record.op), partial(loss, record.reference)


@pytest.mark.thorough
@each_case
def test_first_and_second_derivatives(name):
    (x, w), hand, reference = losses(name)

    def twice(loss):
        def bent(x, w):
            return sum(jnp.sum(jnp.sin(g)) for g in jax.grad(loss, (0, 1))(x, w))

        forward_over_reverse = jax.jvp(jax.grad(loss, (0, 1)), (x, w), (x, w))[1]
        return jax.grad(loss, (0, 1))(x, w), jax.grad(bent, (0, 1))(x, w), forward_over_reverse

    got, want = jax.jit(lambda: (twice(hand), twice(reference)))()
    for mine, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.thorough
@each_case
@pytest.mark.parametrize(("dtype", "unit"), [(jnp.bfloat16, 2**-8), (jnp.float16, 2**-11)])
def test_16_bits_are_rounded_once(name, dtype, unit):
    """However many terms and steps a form takes: the sums are float32 until the end."""
    record, number = CASES[name]
    sample = record.sample(number)
    arrays = [jnp.asarray(a).astype(dtype) for a in sample.arrays.values()]
    dy = normal(2, jax.eval_shape(sample.bind(record.op), *arrays).shape).astype(dtype)

    def both(op, *arrays):
        *arrays, dy = arrays
        y, pull = jax.vjp(sample.bind(op), *arrays)
        return y, *pull(dy)

    got = jax.jit(partial(both, record.op))(*arrays, dy)
    wide = [jnp.asarray(array).astype(jnp.float64) for array in (*arrays, dy)]
    want = jax.jit(partial(both, record.reference))(*wide)
    for mine, truth in zip(got, want, strict=True):
        assert mine.dtype == dtype
        size = np.abs(truth).max()
        np.testing.assert_allclose(mine.astype(jnp.float64), truth, rtol=unit, atol=3e-6 * size)


@pytest.mark.thorough
@each_case
def test_vmap_checkpoint_and_scan(name):
    (x, w), hand, reference = losses(name)
    kernels = jnp.stack([w, 2 * w])

    def mapped(loss):
        def step(total, w):
            return total + jax.checkpoint(loss)(x, w), None

        summed = lambda ws: jax.lax.scan(step, 0.0, ws)[0]  # noqa: E731
        return jax.vmap(jax.grad(loss, (0, 1)), (None, 0))(x, kernels), jax.grad(summed)(kernels)

    got, want = jax.jit(lambda: (mapped(hand), mapped(reference)))()
    for mine, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.thorough
@each_case
def test_over_two_devices(name):
    """By the compiler, and by hand; of batches that two devices can share."""
    record, number = CASES[name]
    (x, w), hand, reference = losses(name)
    x = np.concatenate([x, x[:1]]) if len(x) % 2 else x
    mesh = Mesh(np.array(jax.devices()[:2]), ("batch",))
    whole, split = PartitionSpec(), PartitionSpec("batch")
    sharded = jax.device_put(x, NamedSharding(mesh, split))
    want = jax.jit(jax.grad(reference, (0, 1)))(x, w)
    got = jax.jit(jax.grad(hand, (0, 1)))(sharded, w)

    sample = record.sample(number)
    dy = np.cos(jax.jit(sample.bind(record.op))(x, w))

    def gradients(op, x, w, dy):
        return jax.vjp(sample.bind(op), x, w)[1](dy)

    by_hand = jax.shard_map(
        partial(gradients, record.op), mesh=mesh, in_specs=(split, whole, split),
        out_specs=(split, whole),
    )  # fmt: skip
    by_autodiff = jax.jit(partial(gradients, record.reference))(x, w, dy)
    pairs = (got, want), (jax.jit(by_hand)(x, w, dy), by_autodiff)
    for some, others in pairs:
        for mine, theirs in zip(some, others, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12 * np.abs(theirs).max())


@each_case
def test_the_platform_is_known_before_it_is_compiled(name):
    """Of the choice no branch is left on a CPU, and elsewhere there are the plain contractions."""
    (x, w), hand, _ = losses(name)
    traced = jax.jit(jax.grad(hand, (0, 1))).trace(x, w)
    assert traced.lower().compile().as_text().count(" conditional(") == 0
    elsewhere = traced.lower(lowering_platforms=("tpu",)).as_text()
    assert elsewhere.count("stablehlo.convolution") == 3
    assert "stablehlo.while" not in elsewhere
    assert "inlineable" not in elsewhere


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_a_dilated_kernel_gradient_on_a_gpu_is_one_without_holes(layout):
    """Elsewhere dy is moved by the dilation. Of 29 rows and 2 phases one has more, of 30 none."""
    x, w = np.zeros((8, 16, 29, 30)), np.zeros((16, 16, 3, 3))
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
    sample = CATALOGUE["conv"].sample(LARGE + 2 * list(EVERY_FORM).index("few input channels"))
    mesh = Mesh(np.array(jax.devices()[:2]), ("batch",))
    split = NamedSharding(mesh, PartitionSpec("batch"))
    x = jax.device_put(sample.arrays["x"], split)
    conv = partial(jaxconv.conv, **sample.options)
    dy = jax.device_put(np.ones(jax.eval_shape(conv, **sample.arrays).shape), split)
    loss = lambda w: jnp.sum(dy * conv(x, w))  # noqa: E731
    compiled = jax.jit(jax.grad(loss)).lower(sample.arrays["w"]).compile().as_text()
    assert "while(" in compiled
    assert "all-gather" not in compiled


def test_where_the_library_is_slow_or_the_kernel_large(monkeypatch):
    """Two dimensions of many channels in float32: y where the library is slow, dw everywhere."""

    def forms(batch, size, c, dtype="float32"):
        spec = ConvSpec(
            size=(size, size), window=(3, 3), stride=(1, 1), dilation=(1, 1),
            input_dilation=(1, 1), padding=((1, 1), (1, 1)), groups=1, channels_in=c,
            channels_out=c,
        )  # fmt: skip
        planned = plan(spec, batch, dtype, platform="cpu")
        return planned.y.form.name, planned.dx.form.name, planned.dw.form.name

    forward, small = ("apart", "apart") if SLOW_LIBRARY else ("plain", "plain")
    assert forms(64, 32, 64) == (forward, forward, "blocks of images")
    assert forms(64, 32, 64, "float64") == ("plain", "plain", "blocks of images")
    assert forms(16, 14, 256) == ("apart", "apart", "apart")
    assert forms(16, 14, 64) == (forward, forward, small)
    assert forms(2, 14, 64) == ("plain", "plain", "plain")
    assert forms(64, 32, 20) == ("plain", "plain", "blocks of images")


def test_a_symbolic_batch_counts_as_one_example():
    """And no form is taken that has to know it."""
    (batch,) = jax.export.symbolic_shape("b")
    for spec, _ in map(large, range(len(EVERY_FORM))):
        symbolic, one = plan(spec, batch, platform="cpu"), plan(spec, 1, platform="cpu")
        for mine, theirs in zip(
            (symbolic.y, symbolic.dx, symbolic.dw), (one.y, one.dx, one.dw), strict=True
        ):
            assert not mine.form.needs_batch
            assert mine.form is theirs.form or theirs.form.needs_batch


def test_a_plan_says_what_is_taken_why_and_what_was_passed_over():
    spec, batch = EVERY_FORM["a stride"]
    text = str(plan(spec, batch, platform="cpu"))
    assert f"{batch} examples, float32, on cpu" in text
    phases = next(
        f for f in registry.FORMS if (f.name, f.contraction) == ("phases", "input_gradient")
    )
    assert f"dx: phases: {phases.when}" in text
    assert "passed over: depthwise, " in text
    assert "y: plain: always" in str(plan(spec, batch, platform="tpu"))
    assert "dw: phases of the dilation" in str(plan(*EVERY_FORM["holes"], platform="gpu"))
    transposed = str(plan(spec.transposed, batch, platform="cpu"))
    assert "y: phases, as the input gradient of the transposed spec: " in transposed


def test_a_plan_says_what_a_form_is_made_of():
    grouped = plan(*EVERY_FORM["few groups"], platform="cpu").y
    assert [inner.form.name for inner in grouped.inner] == ["plain", "plain"]
    assert "made of 2 of these:" in "\n".join(grouped.lines())
