"""The layers of jaxconv.flax.linen: those of flax.linen with other backward passes."""

import dataclasses
import subprocess
import sys
from functools import partial
from pathlib import Path

import flax.errors
import flax.linen
import flax.nnx
import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec
from layers import as_float64, assert_as_precise, assert_same, exact, has_rule, in_words, randomize
from rules import assert_trees_close, normal

import jaxconv.flax.linen

OURS, LIBRARY = jaxconv.flax.linen, flax.linen
ROOT = Path(__file__).parents[2]
IMAGES = (4, 5, 3, 6)

TRAIN = {"use_running_average": False}
EVALUATE = {"use_running_average": True}
# Name, options and the shape of x, where the rules compute.
COVERED = [
    ("BatchNorm", TRAIN, IMAGES),
    ("BatchNorm", {**TRAIN, "momentum": 0.3, "epsilon": 0.1}, IMAGES),
    ("BatchNorm", {**TRAIN, "use_scale": False}, IMAGES),
    ("BatchNorm", {**TRAIN, "use_bias": False, "use_fast_variance": False}, IMAGES),
    ("BatchNorm", {**TRAIN, "use_scale": False, "use_bias": False}, (7, 3)),
    ("BatchNorm", {**TRAIN, "axis": 1}, IMAGES),
    ("BatchNorm", {**TRAIN, "axis": 1}, (7, 3)),
    ("BatchNorm", {**TRAIN, "axis": (-1,)}, (4, 5, 2, 3, 6)),
    ("BatchNorm", EVALUATE, IMAGES),
    ("BatchNorm", {**EVALUATE, "epsilon": 0.1, "axis": -3}, IMAGES),
    ("BatchNorm", {**EVALUATE, "use_scale": False}, (7, 3)),
    ("BatchNorm", {**EVALUATE, "use_bias": False}, IMAGES),
    ("LayerNorm", {}, IMAGES),
    ("LayerNorm", {}, (6,)),
    ("LayerNorm", {"epsilon": 0.1, "use_bias": False}, IMAGES),
    ("LayerNorm", {"use_scale": False}, (7, 6)),
    ("LayerNorm", {"use_scale": False, "use_bias": False}, (7, 6)),
    ("LayerNorm", {"reduction_axes": (1, 2, 3)}, IMAGES),
    ("LayerNorm", {"reduction_axes": (-1, 1), "feature_axes": (3, -3)}, IMAGES),
    ("LayerNorm", {"reduction_axes": (1, 2), "feature_axes": (2, 3)}, IMAGES),
    ("LayerNorm", {"reduction_axes": 0, "feature_axes": 1}, (2, 3, 2, 3, 2, 3)),
    ("RMSNorm", {}, IMAGES),
    ("RMSNorm", {"epsilon": 0.1, "use_scale": False}, (7, 6)),
    ("RMSNorm", {"reduction_axes": (1, 2), "feature_axes": (-1, 1)}, IMAGES),
    ("GroupNorm", {"num_groups": 3}, IMAGES),
    ("GroupNorm", {"num_groups": None, "group_size": 3, "epsilon": 0.1}, IMAGES),
    ("GroupNorm", {"num_groups": 2, "use_scale": False}, (7, 6)),
    ("GroupNorm", {"num_groups": 6, "use_bias": False}, IMAGES),
    ("GroupNorm", {"num_groups": 2, "reduction_axes": (2, -1)}, IMAGES),
    ("GroupNorm", {"num_groups": 2, "reduction_axes": (0, 1, 2, 3)}, IMAGES),
    ("GroupNorm", {"num_groups": 2}, (6,)),
    ("InstanceNorm", {}, IMAGES),
    ("InstanceNorm", {"epsilon": 0.1, "use_scale": False}, IMAGES),
    ("InstanceNorm", {"feature_axes": (1, -1), "use_bias": False}, IMAGES),
    ("InstanceNorm", {"feature_axes": 1}, (7, 6)),
]
# Where Flax's own code runs.
OTHERS = [
    ("BatchNorm", {**TRAIN, "axis": 2}, IMAGES),
    ("BatchNorm", {**EVALUATE, "axis": 0}, IMAGES),
    ("BatchNorm", {**TRAIN, "axis": (1, -1)}, IMAGES),
    ("BatchNorm", {**TRAIN, "axis": ()}, (7, 3)),
    ("BatchNorm", TRAIN, (2, 2, 3, 2, 3, 2)),
    ("BatchNorm", {**TRAIN, "epsilon": np.float64(0.1)}, IMAGES),
    *((name, {**more, "force_float32_reductions": False}, IMAGES)
      for name, more in [("BatchNorm", TRAIN), ("LayerNorm", {}), ("RMSNorm", {}),
                         ("GroupNorm", {"num_groups": 2}), ("InstanceNorm", {})]),
]  # fmt: skip
MORE = {"BatchNorm": TRAIN, "GroupNorm": {"num_groups": 3}}
EACH = ["BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "RMSNorm"]


def name_of(case):
    name, options, shape = case
    return in_words(f"{name}{len(shape)}{options}")


each_case = pytest.mark.parametrize("case", COVERED, ids=name_of)
each_other = pytest.mark.parametrize("case", OTHERS, ids=name_of)
each_class = pytest.mark.parametrize("name", EACH)


@pytest.fixture(autouse=True)
def standard_promotion():
    """Flax mixes dtypes."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def apply(module, name, options, **call):
    """A layer as a function of its variables and x; it returns y and its new state."""
    layer = getattr(module, name)(**options)

    def run(variables, x):
        return layer.apply(variables, x, mutable=["batch_stats"], **call)

    return run


def arguments(name, options, x, seed=0):
    """Random variables of Flax's own layer, and x."""
    return randomize(getattr(LIBRARY, name)(**options).init(jax.random.key(0), x), seed), x


def in_float64(name, options, shape):
    options = {"param_dtype": jnp.float64, **options}
    # Flax makes the running statistics float32, and then computes 1/√(var + ε) in float32.
    return options, as_float64(arguments(name, options, 1 + exact(1, shape)))


@each_case
def test_same_as_flax(case):
    name, options, shape = case
    options, args = in_float64(name, options, shape)
    ours, library = (apply(module, name, options) for module in (OURS, LIBRARY))
    assert has_rule(ours, args)
    assert not has_rule(library, args)
    assert_same(ours, library, args)


@each_other
def test_flaxs_own_code(case):
    name, options, shape = case
    options, args = in_float64(name, options, shape)
    ours, library = (apply(module, name, options) for module in (OURS, LIBRARY))
    assert not has_rule(ours, args)
    assert_same(ours, library, args)


@each_class
def test_flaxs_own_code_with_a_mask(name):
    options, args = in_float64(name, MORE.get(name, {}), IMAGES)
    mask = np.arange(args[1].size).reshape(IMAGES) % 3 > 0
    ours, library = (apply(module, name, options, mask=mask) for module in (OURS, LIBRARY))
    assert not has_rule(ours, args)
    assert_same(ours, library, args)


@each_class
@pytest.mark.parametrize("dtype", [jnp.complex128, jnp.int32])
def test_flaxs_own_code_for_what_is_no_float(name, dtype):
    options = {**MORE.get(name, {}), "param_dtype": jnp.promote_types(dtype, jnp.float64)}
    x = jnp.asarray(5 * normal(1, IMAGES) + 2j * normal(2, IMAGES))
    x = x if dtype == jnp.complex128 else x.real.astype(dtype)
    args = arguments(name, options, x)
    ours, library = (apply(module, name, options) for module in (OURS, LIBRARY))
    assert not has_rule(ours, args)
    for got, want in zip(*(jax.tree.leaves(f(*args)) for f in (ours, library)), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", [name for name in EACH if name != "BatchNorm"])
def test_flaxs_own_code_over_a_mapped_axis(name):
    options, (variables, x) = in_float64(name, MORE.get(name, {}), IMAGES)
    options["axis_name"] = "i"

    def mapped(module):
        return jax.vmap(apply(module, name, options), in_axes=(None, 0), axis_name="i")

    args = variables, jnp.stack([x, 2 * x, x + 1])
    assert not has_rule(mapped(OURS), args)
    assert_same(mapped(OURS), mapped(LIBRARY), args)


def test_batch_norm_over_a_mapped_axis():
    options, (variables, x) = in_float64("BatchNorm", {**TRAIN, "axis_name": "i"}, IMAGES)

    def mapped(module):
        layer = apply(module, "BatchNorm", options)
        return jax.vmap(layer, in_axes=(None, 0), out_axes=(0, None), axis_name="i")

    args = variables, jnp.stack([x, 2 * x, x + 1])
    assert has_rule(mapped(OURS), args)
    assert_same(mapped(OURS), mapped(LIBRARY), args)


@pytest.mark.parametrize("groups", [None, [[0], [1]]])
def test_batch_norm_over_two_devices(groups):
    """axis_index_groups has no rule."""
    options = {**TRAIN, "axis_name": "i", "axis_index_groups": groups}
    options, args = in_float64("BatchNorm", options, IMAGES)
    mesh, split = Mesh(np.array(jax.devices()[:2]), ("i",)), PartitionSpec("i")

    def of_shards(module):
        layer = apply(module, "BatchNorm", options)

        def local(variables, x):
            y, state = layer(variables, x)
            return y, jax.tree.map(lambda a: a[None], state)

        return jax.shard_map(
            local, mesh=mesh, in_specs=(PartitionSpec(), split), out_specs=split, check_vma=False
        )

    assert has_rule(of_shards(OURS), args) == (groups is None)
    assert_same(of_shards(OURS), of_shards(LIBRARY), args)


def test_an_axis_that_is_not_mapped_is_the_error_of_flax():
    options, args = in_float64("BatchNorm", {**TRAIN, "axis_name": "i"}, IMAGES)
    for module in (OURS, LIBRARY):
        with pytest.raises(NameError, match="unbound axis name: i"):
            apply(module, "BatchNorm", options)(*args)


# The dtypes of x, of the parameters and of the layer.
DTYPES = [
    ("float32", "float32", None),
    ("bfloat16", "float32", "bfloat16"),
    *(pytest.param(dtypes, marks=pytest.mark.thorough) for dtypes in [
        ("bfloat16", "float32", None),
        ("bfloat16", "bfloat16", None),
        ("float16", "float32", "float16"),
        ("float32", "bfloat16", None),
        ("float32", "float32", "bfloat16"),
        ("float64", "float32", "float32"),
        ("float32", "float64", None),
    ]),
]  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("dtypes", DTYPES, ids=in_words)
@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, MORE.get(name, {})) for name in EACH), ("BatchNorm", EVALUATE)],
    ids=in_words,
)
def test_as_precise_as_flax(name, options, dtypes):
    of_x, of_params, dtype = dtypes

    # In small groups Flax sums the squares of 16-bit numbers exactly.
    def sample(seed):
        x = 1 + exact(seed, (4, 16, 16, 48), of_x)
        return arguments(name, {**options, "param_dtype": of_params}, x, seed)

    ours, library, exactly = (
        apply(module, name, {**options, "param_dtype": of, "dtype": to})
        for module, of, to in (
            (OURS, of_params, dtype), (LIBRARY, of_params, dtype), (LIBRARY, "float64", "float64")
        )
    )  # fmt: skip
    assert has_rule(ours, sample(0))
    assert_as_precise(ours, library, exactly, sample)


class Network(flax.linen.Module):
    """A network whose layers have the names that Flax gives them."""

    layers: object

    @flax.linen.compact
    def __call__(self, x):
        for name in (*EACH, *EACH):
            x = getattr(self.layers, name)(**MORE.get(name, {}), param_dtype=jnp.float64)(x)
        return jnp.sin(x)


def test_a_network_keeps_its_names_and_its_checkpoints():
    x = exact(1, IMAGES)
    stored = Network(LIBRARY).init(jax.random.key(0), x)
    assert set(stored["params"]) == {f"{name}_{i}" for name in EACH for i in (0, 1)}
    stored = as_float64(randomize(stored))
    fresh = Network(OURS).init(jax.random.key(1), x)
    loaded = flax.serialization.from_bytes(fresh, flax.serialization.to_bytes(stored))
    assert_trees_close(loaded, stored)

    def call(module):
        return lambda variables, x: Network(module).apply(variables, x, mutable=["batch_stats"])

    assert_same(call(OURS), call(LIBRARY), (loaded, x))


@each_class
def test_under_remat(name):
    options, args = in_float64(name, MORE.get(name, {}), IMAGES)

    def of(module):
        layer = flax.linen.remat(getattr(module, name))(**options)
        return lambda variables, x: layer.apply(variables, x, mutable=["batch_stats"])

    assert_same(of(OURS), of(LIBRARY), args)


@each_class
def test_the_same_random_parameters(name):
    initializers = {"scale_init": flax.linen.initializers.normal()}
    if name != "RMSNorm":
        initializers["bias_init"] = flax.linen.initializers.normal()
    made = [
        getattr(module, name)(**initializers, **MORE.get(name, {})).init(
            jax.random.key(3), jnp.ones(IMAGES)
        )
        for module in (OURS, LIBRARY)
    ]
    assert_trees_close(*made, tolerance=0)


@each_class
def test_a_layer_is_one_of_flax(name):
    ours, library = (getattr(module, name)(**MORE.get(name, {})) for module in (OURS, LIBRARY))
    assert isinstance(ours, type(library))
    assert repr(ours) == repr(library)
    assert [f.name for f in dataclasses.fields(ours)] == [
        f.name for f in dataclasses.fields(library)
    ]


@each_class
@pytest.mark.parametrize("masked", [False, True])
def test_the_output_is_recorded_once(name, masked):
    options, (variables, x) = in_float64(name, MORE.get(name, {}), IMAGES)
    call = {"mask": jnp.ones(IMAGES, bool)} if masked else {}
    recorded = [
        getattr(module, name)(**options).apply(
            variables, x, mutable=["batch_stats"], capture_intermediates=True, **call
        )[1]
        for module in (OURS, LIBRARY)
    ]
    assert_trees_close(*recorded)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("BatchNorm", {}, "must be passed to the constructor"),
        ("GroupNorm", {"num_groups": 4}, "does not divide"),
        ("GroupNorm", {"num_groups": 0}, "does not divide"),
        ("GroupNorm", {"num_groups": None, "group_size": 4}, "not multiple"),
        ("GroupNorm", {"num_groups": 3, "group_size": 2}, "should be specified"),
        ("GroupNorm", {"num_groups": None}, "should be specified"),
        ("GroupNorm", {"num_groups": 3, "reduction_axes": (1, 2)}, "include the final dimension"),
        ("InstanceNorm", {"feature_axes": 0}, "leading dimension"),
    ],
)
def test_errors_are_those_of_flax(name, options, message):
    for module in (OURS, LIBRARY):
        layer = getattr(module, name)(**options)
        with pytest.raises(Exception, match=message):
            layer.init(jax.random.key(0), jnp.ones(IMAGES))


def test_a_wrong_shape_is_the_error_of_flax():
    args = arguments("LayerNorm", {}, jnp.ones((2, 3)))[0], jnp.ones((2, 4))
    with pytest.raises(flax.errors.ScopeParamShapeError):
        OURS.LayerNorm().apply(*args)


def test_running_statistics_that_are_not_mutable_are_the_error_of_flax():
    variables, x = arguments("BatchNorm", TRAIN, jnp.ones(IMAGES))
    with pytest.raises(flax.errors.ModifyScopeVariableError):
        OURS.BatchNorm(**TRAIN).apply(variables, x)


def test_missing_running_statistics_are_made_as_in_flax():
    variables, x = arguments("BatchNorm", TRAIN, 1 + exact(1, IMAGES))
    params = {"params": variables["params"]}
    assert_same(apply(OURS, "BatchNorm", TRAIN), apply(LIBRARY, "BatchNorm", TRAIN), (params, x))


# Name, window, options and the shape of x, where the ops pool.
POOLS = [
    (name, window, options, shape)
    for name in ("max_pool", "min_pool", "avg_pool")
    for window, options, shape in [
        ((2, 2), {"strides": (2, 2)}, (2, 7, 6, 3)),
        ((3, 2), {}, (2, 7, 6, 3)),
        ((3, 3), {"strides": (2, 1), "padding": "SAME"}, (2, 7, 6, 3)),
        ((3, 2), {"padding": ((1, 0), (1, 1))}, (2, 7, 6, 3)),
        ((3,), {"strides": (4,), "padding": [(1, 1)]}, (2, 7, 3)),
        ((2, 1, 3), {"strides": (1, 2, 1)}, (2, 3, 4, 5, 2)),
        ((2, 2), {"padding": "SAME"}, (7, 6, 3)),
        ((2,), {"padding": "VALID"}, (2, 3, 7, 3)),
        ((2,), {"padding": ((0, 1),)}, (7, 3)),
    ]
]
POOLS += [
    ("avg_pool", window, {"count_include_pad": False, **options}, shape)
    for window, options, shape in [
        ((3, 3), {"strides": (2, 1), "padding": "SAME"}, (2, 7, 6, 3)),
        ((3, 2), {"padding": ((2, 1), (0, 1))}, (2, 7, 6, 3)),
        ((2,), {"padding": "SAME"}, (2, 3, 7, 3)),
    ]
]
OTHER_POOLS = [
    ("max_pool", (2, 2), {"padding": ((2, 0), (0, 0))}, (2, 7, 6, 3)),
    ("avg_pool", (2, 2), {"padding": ((2, 0), (0, 0))}, (2, 7, 6, 3)),
    ("avg_pool", (2, 2), {"padding": ((-1, 0), (0, 0))}, (2, 7, 6, 3)),
    ("max_pool", (2, 2), {"padding": "same"}, (2, 7, 6, 3)),
    ("max_pool", (5,), {}, (2, 3, 2)),
    ("avg_pool", (5,), {}, (2, 3, 2)),
    ("min_pool", (1, 2, 1, 2), {}, (2, 2, 3, 2, 3, 2)),
]


@pytest.mark.parametrize("case", POOLS, ids=in_words)
def test_same_pool_as_flax(case):
    name, window, options, shape = case
    # Rounded, so that values tie.
    x = jnp.round(2 * exact(1, shape))
    ours, library = (
        partial(getattr(module, name), window_shape=window, **options)
        for module in (OURS, flax.nnx)
    )
    assert has_rule(ours, (x,))
    assert_same(ours, library, (x,))


@pytest.mark.parametrize("case", OTHER_POOLS, ids=in_words)
def test_flaxs_own_pool(case):
    name, window, options, shape = case
    ours, library = (
        partial(getattr(module, name), window_shape=window, **options)
        for module in (OURS, flax.nnx)
    )
    args = (exact(1, shape),)
    assert not has_rule(ours, args)
    assert_same(ours, library, args)


@pytest.mark.parametrize("name", ["max_pool", "min_pool", "avg_pool"])
def test_pools_of_integers_are_those_of_flax(name):
    x = jnp.arange(40).reshape(2, 5, 4) % 7
    got, want = (getattr(module, name)(x, (2,)) for module in (OURS, flax.nnx))
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", ["max_pool", "min_pool", "avg_pool"])
def test_a_padding_of_several_batch_axes_is_the_error_of_flax(name):
    with pytest.raises(ValueError, match="length"):
        getattr(OURS, name)(jnp.ones((2, 3, 4, 1)), (2,), padding=((1, 0),))


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("options", [{}, {"count_include_pad": False}], ids=in_words)
def test_means_are_as_precise_as_flaxs(dtype, options):
    ours, library = (
        partial(module.avg_pool, window_shape=(3, 3), strides=(2, 2), padding="SAME", **options)
        for module in (OURS, LIBRARY)
    )
    assert_as_precise(ours, library, library, lambda seed: (exact(seed, (4, 9, 9, 8), dtype),))


def test_without_flax_an_error_names_it():
    """And jaxconv itself imports neither Flax nor Equinox."""
    program = """
import sys
import jaxconv
assert not {"flax", "equinox"} & set(sys.modules)
sys.modules["flax"] = None
for module in ("linen", "nnx"):
    try:
        __import__(f"jaxconv.flax.{module}")
    except ImportError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    (message,) = set(done.stdout.splitlines())
    assert message == "flax is not installed; it comes with: pip install 'jaxconv[flax]'"
