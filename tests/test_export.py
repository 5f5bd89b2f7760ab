"""`jax.export` with symbolic sizes: one program for all batches, forward and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from rules import assert_trees_close, float_leaves, integers

import jaxconv
from jaxconv.check.catalogue import CATALOGUE, Sample

SEEDS = range(2)


def batched(record, sample):
    """Names of the arrays whose leading axis is the batch."""
    return record.by_example or tuple(sample.arrays)[:1]


def of_size(record, sample, count):
    """The sample with a batch of this size: its examples again and again, each a little other."""

    def grown(name, array):
        array = np.asarray(array) if isinstance(array, np.ndarray) else array
        if name not in batched(record, sample):
            return array
        grown = np.take(np.asarray(array), np.arange(count) % len(array), axis=0)
        if np.issubdtype(grown.dtype, np.floating):
            shift = 1 + 0.01 * np.arange(count).reshape(-1, *(1,) * (grown.ndim - 1))
            grown = (grown * shift).astype(grown.dtype)
        return grown

    arrays, fixed = (
        {name: grown(name, array) for name, array in part.items()}
        for part in (sample.arrays, sample.fixed)
    )
    return Sample(arrays, fixed, sample.options, sample.smooth)


def program(op, sample):
    """y and the gradients of the arrays."""

    def run(arrays, fixed):
        def floats(arrays):
            y = op(**arrays, **fixed, **sample.options)
            return float_leaves(y), y

        leaves, pull, y = jax.vjp(floats, arrays, has_aux=True)
        return y, pull([jnp.cos(leaf) for leaf in leaves])[0]

    return jax.jit(run)


def exported(op, record, sample):
    """The program for a batch of any size."""
    (count,) = export.symbolic_shape("b")
    names = batched(record, sample)

    def kind(name, array):
        array = jnp.asarray(array)
        shape = (count, *array.shape[1:]) if name in names else array.shape
        return jax.ShapeDtypeStruct(shape, array.dtype)

    kinds = [
        {name: kind(name, array) for name, array in part.items()}
        for part in (sample.arrays, sample.fixed)
    ]
    return export.export(program(op, sample))(*kinds)


def calls():
    for record in CATALOGUE.values():
        # Of one op the large samples, too: of all forms that need not know the batch.
        for seed in (*SEEDS, *(record.each_form[:14:2] if record.name == "conv" else ())):
            sample = record.sample(seed)
            both = {**sample.arrays, **sample.fixed}
            if all(np.ndim(both[name]) and len(both[name]) for name in batched(record, sample)):
                yield pytest.param(record, sample, id=f"{record.name}-{seed}")


@pytest.mark.thorough
@pytest.mark.parametrize(("record", "sample"), list(calls()))
def test_any_batch(record, sample):
    try:
        exported(record.reference, record, sample)
    except Exception:
        pytest.skip("the reference implementation does not export")
    compiled = exported(record.op, record, sample)
    for count in (2, 5):
        one = of_size(record, sample, count)
        arrays, fixed = (jax.tree.map(jnp.asarray, dict(part)) for part in (one.arrays, one.fixed))
        got = compiled.call(arrays, fixed)
        assert float_leaves(got)
        assert_trees_close(got, program(record.op, one)(arrays, fixed), tolerance=1e-9)


IMAGES = {
    "max": lambda ops, x: ops.max_pool(x, 3, stride=2, padding=1),
    "max of tiles": lambda ops, x: ops.max_pool(x, 2),
    "max of large tiles": lambda ops, x: ops.max_pool(x, 5),
    "max, same": lambda ops, x: ops.max_pool(x, 3, stride=1, padding="SAME"),
    "max, same, stride": lambda ops, x: ops.max_pool(x, 3, stride=2, padding="SAME"),
    "max, dilated": lambda ops, x: ops.max_pool(x, 2, stride=1, dilation=3, padding=1),
    "max, holes": lambda ops, x: ops.max_pool(x, 2, stride=2, dilation=2),
    "max, large": lambda ops, x: ops.max_pool(x, 9, stride=2, padding=4),
    "max, long": lambda ops, x: ops.max_pool(x, (40, 1), stride=(3, 1), padding=((20, 20), (0, 0))),
    "all": lambda ops, x: ops.max_pool(x, 3, stride=2, ties="all"),
    "split": lambda ops, x: ops.max_pool(x, 2, ties="split"),
    "min": lambda ops, x: ops.min_pool(x, 2, stride=3),
    "indices": lambda ops, x: ops.max_pool_with_indices(x, 3, stride=2, padding=1),
    "mean": lambda ops, x: ops.avg_pool(x, 3, stride=2, padding=1),
    "mean of tiles": lambda ops, x: ops.avg_pool(x, 2),
    "mean, what is inside": lambda ops, x: ops.avg_pool(
        x, 3, stride=1, padding=1, count_include_pad=False
    ),
    "mean, large": lambda ops, x: ops.avg_pool(x, 9, stride=2, padding=3),
    "mean, long": lambda ops, x: ops.avg_pool(x, (70, 1), stride=1, padding=((40, 40), (0, 0))),
    "power": lambda ops, x: ops.lp_pool(x, 3, 3.0, stride=2),
    "subsample": lambda ops, x: ops.subsample(x, x[0, 0, 0], x[0, 0, 1], 2),
    "global mean": lambda ops, x: ops.global_avg_pool(x),
    "global max": lambda ops, x: ops.global_max_pool(x),
    "softmax": lambda ops, x: ops.softmax(x, axis=1),
    "batch norm": lambda ops, x: ops.batch_norm(x, x[0, 0, 0], x[0, 0, 1]),
    "layer norm": lambda ops, x: ops.layer_norm(x, x[0, 0, 0], x[0, 0, 1]),
    "instance norm": lambda ops, x: ops.instance_norm(x, x[0, 0, 0], x[0, 0, 1]),
    "response norm": lambda ops, x: ops.local_response_norm(x, 2),
    "dropout": lambda ops, x: ops.dropout(x.mT, 0.5, jax.random.key(0)),
    "reflect": lambda ops, x: ops.pad(x, [(0, 0), (1, 2), (3, -1), (0, 0)], mode="reflect"),
    "replicate": lambda ops, x: ops.pad(x, [(0, 0), (1, 2), (3, 0), (0, 0)], mode="replicate"),
    "circular": lambda ops, x: ops.pad(x, [(0, 0), (-1, 2), (3, 0), (0, 0)], mode="circular"),
    "nearest": lambda ops, x: ops.resize(x, (5, 6)),
}


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", IMAGES)
def test_any_image(name, dtype):
    """Batch, height and width are symbols; ties and borders fall as they do in a known size."""

    @jax.jit
    def run(x):
        def floats(x):
            y = IMAGES[name](jaxconv, x)
            return float_leaves(y), y

        leaves, pull, y = jax.vjp(floats, x, has_aux=True)
        return y, pull([jnp.cos(leaf) for leaf in leaves])[0]

    sizes = export.symbolic_shape("b, h, w", constraints=["h >= 6", "w >= 6"])
    compiled = export.export(run)(jax.ShapeDtypeStruct((*sizes, 3), dtype))
    for shape in ((2, 7, 10, 3), (1, 12, 9, 3), (3, 6, 6, 3)):
        x = jnp.asarray(integers(0, shape) / 2, dtype)
        tolerance = 1e-9 if dtype == np.float64 else 1e-4
        assert_trees_close(compiled.call(x), run(x), tolerance=tolerance)


def test_ceil_mode_needs_a_size_that_is_known():
    h, even = export.symbolic_shape("h, 2*e")
    pool = jax.jit(lambda x: jaxconv.max_pool(x, 2, ceil_mode=True))
    export.export(pool)(jax.ShapeDtypeStruct((1, even, 3), np.float32))
    with pytest.raises(ValueError, match="max_pool: ceil_mode needs to know spatial dimension 0"):
        export.export(pool)(jax.ShapeDtypeStruct((1, h, 3), np.float32))


def test_padding_wider_than_half_the_window_raises_for_any_size():
    (h,) = export.symbolic_shape("h")
    pool = jax.jit(lambda x: jaxconv.max_pool(x, 3, padding=5))
    with pytest.raises(ValueError, match="max_pool: padding may not exceed half the window"):
        export.export(pool)(jax.ShapeDtypeStruct((1, h, 3), np.float32))


def test_reflection_needs_positions_that_are_known_to_be_there():
    pad = jax.jit(lambda x: jaxconv.pad(x, [(3, 0)], mode="reflect"))
    for constraint in ("n >= 4", "n <= 3"):
        (n,) = export.symbolic_shape("n", constraints=[constraint])
        x = jax.ShapeDtypeStruct((n,), np.float32)
        if constraint == "n >= 4":
            export.export(pad)(x)
        else:
            with pytest.raises(ValueError, match="pad: mode 'reflect' needs 4 positions"):
                export.export(pad)(x)
