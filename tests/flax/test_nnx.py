"""The layers of jaxconv.flax.nnx: those of flax.nnx with other backward passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from layers import as_float64, assert_as_precise, assert_same, exact, has_rule, in_words, randomize
from rules import assert_trees_close, normal

import jaxconv.flax.linen
import jaxconv.flax.nnx

pytestmark = pytest.mark.thorough  # of what both share, the quick tests are in test_linen.py

OURS, LIBRARY = jaxconv.flax.nnx, nnx
IMAGES = (4, 5, 3, 6)

TRAIN, EVALUATE = {}, {"use_running_average": True}
# Name, options and the shape of x, where the rules compute.
COVERED = [
    ("BatchNorm", TRAIN, IMAGES),
    ("BatchNorm", {"momentum": 0.3, "epsilon": 0.1}, IMAGES),
    ("BatchNorm", {"use_scale": False}, IMAGES),
    ("BatchNorm", {"use_bias": False, "use_fast_variance": False}, IMAGES),
    ("BatchNorm", {"use_scale": False, "use_bias": False}, (7, 6)),
    ("BatchNorm", {"axis": 1}, (4, 6, 5, 3)),
    ("BatchNorm", {"axis": (-1,)}, (4, 5, 2, 3, 6)),
    ("BatchNorm", EVALUATE, IMAGES),
    ("BatchNorm", {**EVALUATE, "epsilon": 0.1, "axis": -3}, (4, 6, 5, 3)),
    ("BatchNorm", {**EVALUATE, "use_scale": False}, (7, 6)),
    ("BatchNorm", {**EVALUATE, "use_bias": False}, IMAGES),
    ("LayerNorm", {}, IMAGES),
    ("LayerNorm", {}, (6,)),
    ("LayerNorm", {"epsilon": 0.1, "use_bias": False}, IMAGES),
    ("LayerNorm", {"use_scale": False}, (7, 6)),
    ("LayerNorm", {"use_scale": False, "use_bias": False}, (7, 6)),
    ("LayerNorm", {"reduction_axes": (1, 2, 3)}, IMAGES),
    ("LayerNorm", {"reduction_axes": (1, 2), "feature_axes": (2, 1)}, (4, 3, 2, 5)),
    ("LayerNorm", {"reduction_axes": 0, "feature_axes": 1}, (2, 6, 2, 3, 2, 3)),
    ("RMSNorm", {}, IMAGES),
    ("RMSNorm", {"epsilon": 0.1, "use_scale": False}, (7, 6)),
    ("RMSNorm", {"reduction_axes": (1, 2)}, IMAGES),
    ("GroupNorm", {"num_groups": 3}, IMAGES),
    ("GroupNorm", {"num_groups": None, "group_size": 3, "epsilon": 0.1}, IMAGES),
    ("GroupNorm", {"num_groups": 2, "use_scale": False}, (7, 6)),
    ("GroupNorm", {"num_groups": 6, "use_bias": False}, IMAGES),
    ("GroupNorm", {"num_groups": 2, "reduction_axes": (0, 2, -1)}, IMAGES),
    ("InstanceNorm", {}, IMAGES),
    ("InstanceNorm", {"epsilon": 0.1, "use_scale": False}, IMAGES),
    ("InstanceNorm", {"feature_axes": 1, "use_bias": False}, (4, 6, 5)),
    ("InstanceNorm", {"feature_axes": (1, 2)}, (4, 3, 2, 5)),
]
# Where Flax's own code runs. It scrambles the groups if two axes or more remain, and so do we.
OTHERS = [
    ("BatchNorm", {"axis": 2}, (4, 5, 6, 3)),
    ("BatchNorm", {**EVALUATE, "axis": 0}, (6, 5)),
    ("BatchNorm", TRAIN, (2, 2, 3, 2, 3, 6)),
    ("BatchNorm", {"epsilon": np.float64(0.1)}, IMAGES),
    ("GroupNorm", {"num_groups": 2, "reduction_axes": (2, -1)}, IMAGES),
    *((name, {**more, "promote_dtype": lambda arrays, dtype: tuple(
        None if array is None else array.astype(complex) for array in arrays)}, IMAGES)
      for name, more in [("BatchNorm", TRAIN), ("BatchNorm", EVALUATE), ("LayerNorm", {}),
                         ("RMSNorm", {}), ("GroupNorm", {"num_groups": 2}), ("InstanceNorm", {})]),
]  # fmt: skip
MORE = {"GroupNorm": {"num_groups": 3}}
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


def build(module, name, options):
    options = {"num_features": 6, **options}
    return getattr(module, name)(rngs=nnx.Rngs(0), **options)


def apply(module, name, options, **call):
    """A layer as a function of its variables and x; it returns y and its new variables."""
    graph, _ = nnx.split(build(module, name, options))

    def run(variables, x):
        layer = nnx.merge(graph, jax.tree.map(lambda a: a, variables))  # a call changes them
        return layer(x, **call), nnx.to_pure_dict(nnx.state(layer))

    return run


def arguments(name, options, x, seed=0):
    """Random variables of Flax's own layer, and x."""
    return randomize(nnx.state(build(LIBRARY, name, options)), seed), x


def in_float64(name, options, shape):
    options = {"param_dtype": jnp.float64, **options}
    # Flax makes the running statistics float32.
    return options, as_float64(arguments(name, options, 1 + exact(1, shape)))


@each_case
def test_same_as_flax(case):
    name, options, shape = case
    options, args = in_float64(name, options, shape)
    ours, library = (apply(module, name, options) for module in (OURS, LIBRARY))
    assert has_rule(ours, args)
    assert not has_rule(library, args)
    assert_same(ours, library, args)


@pytest.mark.filterwarnings("ignore:scatter inputs have incompatible types")
@pytest.mark.filterwarnings("ignore:Casting complex values to real")
@each_other
def test_flaxs_own_code(case):
    name, options, shape = case
    options, args = in_float64(name, options, shape)
    ours, library = (apply(module, name, options) for module in (OURS, LIBRARY))
    assert not has_rule(ours, args)
    for got, want in zip(*(jax.tree.leaves(f(*args)) for f in (ours, library)), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


@each_class
def test_flaxs_own_code_with_a_mask(name):
    options, args = in_float64(name, MORE.get(name, {}), IMAGES)
    mask = np.arange(args[1].size).reshape(IMAGES) % 3 > 0
    ours, library = (apply(module, name, options, mask=mask) for module in (OURS, LIBRARY))
    assert not has_rule(ours, args)
    assert_same(ours, library, args)


@pytest.mark.filterwarnings("ignore:scatter inputs have incompatible types")
@pytest.mark.filterwarnings("ignore:Casting complex values to real")
@each_class
@pytest.mark.parametrize("dtype", [jnp.complex128, jnp.int32])
def test_same_as_flax_for_what_is_no_float(name, dtype):
    """Complex numbers go to Flax's own code; integers become floats before all else."""
    options = {**MORE.get(name, {}), "param_dtype": jnp.promote_types(dtype, jnp.float64)}
    x = jnp.asarray(5 * normal(1, IMAGES) + 2j * normal(2, IMAGES))
    x = x if dtype == jnp.complex128 else x.real.astype(dtype)
    args = as_float64(arguments(name, options, x))
    ours, library = (apply(module, name, options) for module in (OURS, LIBRARY))
    assert has_rule(ours, args) == (dtype == jnp.int32)
    for got, want in zip(*(jax.tree.leaves(f(*args)) for f in (ours, library)), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore:scatter inputs have incompatible types")
@each_class
def test_parameters_of_float64_make_all_float64(name):
    options = {**MORE.get(name, {}), "param_dtype": jnp.float64}
    args = arguments(name, options, 1 + exact(1, IMAGES, np.float32))
    ours, library = (apply(module, name, options) for module in (OURS, LIBRARY))
    assert has_rule(ours, args)
    (y, state), (of_flax, state_of_flax) = ours(*args), library(*args)
    assert_trees_close(y, of_flax)
    assert_trees_close(state, state_of_flax, tolerance=1e-6)


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
    options, (variables, x) = in_float64("BatchNorm", {"axis_name": "i"}, IMAGES)

    def mapped(module):
        layer = apply(module, "BatchNorm", options)
        return jax.vmap(layer, in_axes=(None, 0), out_axes=(0, None), axis_name="i")

    args = variables, jnp.stack([x, 2 * x, x + 1])
    assert has_rule(mapped(OURS), args)
    assert_same(mapped(OURS), mapped(LIBRARY), args)


# The dtypes of x, of the parameters and of the layer. Where x is rounded to the dtype of the layer,
# its gradient is, too; XLA leaves that out in Flax's own code.
DTYPES = [("float32", "float32", None), ("bfloat16", "float32", "bfloat16")]
MORE_DTYPES = [
    ("bfloat16", "float32", None),
    ("bfloat16", "bfloat16", None),
    ("float16", "float32", "float16"),
    ("float64", "float32", "float32"),
]


def unpromoted(arrays, *, dtype):
    return arrays


LAYERS = [*((name, MORE.get(name, {})) for name in EACH), ("BatchNorm", EVALUATE)]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "options", "dtypes"),
    [
        *((*layer, dtypes) for layer in LAYERS for dtypes in DTYPES),
        *(
            pytest.param(*layer, dtypes, marks=pytest.mark.thorough)
            for layer in LAYERS
            for dtypes in MORE_DTYPES
        ),
        *((name, {**options, "promote_dtype": unpromoted}, DTYPES[1]) for name, options in LAYERS),
    ],
    ids=in_words,
)
def test_as_precise_as_flax(name, options, dtypes):
    of_x, of_params, dtype = dtypes
    options = {"num_features": 48, **options}

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


class Network(nnx.Module):
    def __init__(self, module, rngs):
        def make(name):
            options = {**MORE.get(name, {}), "param_dtype": jnp.float64}
            return getattr(module, name)(6, rngs=rngs, **options)

        self.layers = nnx.List([make(name) for name in EACH])

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return jnp.sin(x)


def test_a_network_takes_the_variables_of_flax():
    """By nnx.update; training and evaluation, under nnx.jit and nnx.grad."""
    x, dy = 1 + exact(1, IMAGES), exact(2, IMAGES)
    ours, library = (Network(module, nnx.Rngs(i)) for i, module in enumerate((OURS, LIBRARY)))
    nnx.update(library, as_float64(randomize(nnx.state(library))))
    nnx.update(ours, nnx.state(library))

    @nnx.jit
    @nnx.value_and_grad
    def loss(network, x):
        return jnp.sum(dy * network(x))

    for mode in (nnx.Module.train, nnx.Module.eval):
        mode(ours), mode(library)
        got, want = loss(ours, x), loss(library, x)
        assert_trees_close(nnx.to_pure_dict(got[1]), nnx.to_pure_dict(want[1]))
        assert_trees_close(got[0], want[0])
        assert_trees_close(*(nnx.to_pure_dict(nnx.state(network)) for network in (ours, library)))


@each_class
def test_a_layer_is_one_of_flax(name):
    ours, library = (
        build(module, name, {**MORE.get(name, {}), "scale_init": nnx.initializers.normal()})
        for module in (OURS, LIBRARY)
    )
    assert isinstance(ours, type(library))
    assert repr(ours) == repr(library)
    assert_trees_close(*(nnx.to_pure_dict(nnx.state(layer)) for layer in (ours, library)))


def test_errors_are_those_of_flax():
    x = jnp.ones(IMAGES)
    with pytest.raises(ValueError, match="No `use_running_average` argument"):
        build(OURS, "BatchNorm", {"use_running_average": None})(x)
    with pytest.raises(ValueError, match="leading dimension"):
        build(OURS, "InstanceNorm", {"feature_axes": 0})(x)
    with pytest.raises(NameError, match="unbound axis name: i"):
        build(OURS, "BatchNorm", {"axis_name": "i"})(x)
    for module in (OURS, LIBRARY):
        with pytest.raises(TypeError, match="reshape"):
            build(module, "GroupNorm", MORE["GroupNorm"])(jnp.ones((2, 3, 9)))


def test_the_argument_overrides_the_option():
    options, args = in_float64("BatchNorm", {"use_running_average": True}, IMAGES)
    ours, library = (
        apply(module, "BatchNorm", options, use_running_average=False) for module in (OURS, LIBRARY)
    )
    assert_same(ours, library, args)


def test_pools_are_those_of_linen():
    for name in ("avg_pool", "max_pool", "min_pool"):
        assert getattr(OURS, name) is getattr(jaxconv.flax.linen, name)
