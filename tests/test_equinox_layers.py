"""The layers of jaxconv.equinox: those of equinox.nn with other backward passes."""

import io
import re
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layers import assert_as_precise, assert_same, exact, has_rule, in_words, randomize
from quickly import AS_USERS_DO
from rules import assert_trees_close, normal

import jaxconv.equinox

OURS, LIBRARY = jaxconv.equinox, eqx.nn
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def standard_promotion():
    """Equinox mixes dtypes."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def apply(module, name, args, options, batch=True):
    """A layer as a function of the list of its arrays and of a batch (or one example)."""
    arrays, static = eqx.partition(getattr(module, name)(*args, **options), eqx.is_array)
    structure = jax.tree.structure(arrays)

    def run(leaves, x):
        layer = eqx.combine(jax.tree.unflatten(structure, leaves), static)
        return jax.vmap(layer)(x) if batch else layer(x)

    return run


def arguments(name, args, options, x, seed=0):
    """Random arrays for a layer, and x."""
    arrays = eqx.filter(getattr(LIBRARY, name)(*args, **options), eqx.is_array)
    return randomize(jax.tree.leaves(arrays), seed), x


# Name, arguments, options, and the shape of an example.
NORMS = [
    ("LayerNorm", (6,), {}, (6,)),
    ("LayerNorm", ((4, 5),), {"eps": 0.1}, (4, 5)),
    ("LayerNorm", ((),), {}, ()),
    ("LayerNorm", ((4, 5),), {"use_weight": False}, (4, 5)),
    ("LayerNorm", (6,), {"use_bias": False}, (6,)),
    ("LayerNorm", ((2, 3, 4),), {"use_weight": False, "use_bias": False}, (2, 3, 4)),
    ("RMSNorm", (6,), {}, (6,)),
    ("RMSNorm", ((4, 5),), {"eps": 0.1}, (4, 5)),
    ("RMSNorm", ((4, 5),), {"use_weight": False}, (4, 5)),
    ("RMSNorm", (6,), {"use_bias": False}, (6,)),
    ("RMSNorm", ((2, 3, 4),), {"use_weight": False, "use_bias": False}, (2, 3, 4)),
    ("GroupNorm", (3, 6), {}, (6, 4, 5)),
    ("GroupNorm", (2, 6), {"eps": 0.1}, (6,)),
    ("GroupNorm", (6, 6), {}, (6, 7)),
    ("GroupNorm", (1, 4), {}, (4, 3, 2, 2)),
    ("GroupNorm", (3,), {"channelwise_affine": False}, (6, 4, 5)),
]

# Values may tie: the gradients say who gets what.
POOLS = [
    ("MaxPool1d", (3,), {}, (2, 7)),
    ("MaxPool1d", (2, 3), {"padding": ((1, 0),)}, (2, 7)),
    ("MaxPool2d", (2, 2), {}, (3, 6, 7)),
    ("MaxPool2d", ((3, 2), (2, 1)), {"padding": (1, 0)}, (3, 7, 6)),
    ("MaxPool2d", (3, 2), {"padding": ((1, 0), (0, 1)), "use_ceil": True}, (3, 8, 7)),
    ("MaxPool2d", (2, 2), {"use_ceil": True}, (3, 5, 6)),
    ("MaxPool3d", ((2, 1, 3), (1, 2, 1)), {}, (2, 4, 3, 5)),
    ("AvgPool1d", (3,), {}, (2, 7)),
    ("AvgPool1d", (2, 3), {"padding": ((2, 0),)}, (2, 7)),
    ("AvgPool2d", (2, 2), {}, (3, 6, 7)),
    ("AvgPool2d", ((3, 2), (2, 1)), {"padding": (2, 1)}, (3, 7, 6)),
    ("AvgPool2d", (3, 2), {"padding": ((1, 0), (0, 1)), "use_ceil": True}, (3, 8, 7)),
    ("AvgPool2d", (2, 2), {"use_ceil": True}, (3, 5, 6)),
    ("AvgPool3d", ((2, 1, 3), (1, 2, 1)), {}, (2, 4, 3, 5)),
    *((f"Adaptive{kind}Pool{len(shape) - 1}d", (target,), {}, shape)
      for kind in ("Avg", "Max")
      for target, shape in [(3, (2, 6)), (3, (2, 8)), (7, (2, 7)), (1, (2, 5)),
                            (2, (3, 4, 6)), ((3, 4), (3, 8, 4)), ([2, 3], (2, 7, 3)),
                            (2, (2, 2, 3, 5))]),
]  # fmt: skip
# Where Equinox's own code runs.
OTHER_POOLS = [
    ("MaxPool2d", (2, 1, ((2, 0), (0, 0))), {}, (3, 6, 7)),
    ("MaxPool1d", (2, 1, ((-1, 0),)), {}, (3, 6)),
    ("AvgPool1d", (2, 1, ((-1, 0),)), {}, (3, 6)),
    ("MaxPool1d", (5,), {}, (3, 2)),
    ("AvgPool1d", (5,), {}, (3, 2)),
]


def name_of(case):
    name, args, options, shape = case
    return in_words(f"{name}{args}{shape}{options}")


@pytest.mark.parametrize("batch", [True, False], ids=["batch", "example"])
@pytest.mark.parametrize("case", [*NORMS, *POOLS], ids=name_of)
def test_same_as_equinox(case, batch):
    name, args, options, shape = case
    x = exact(1, (4, *shape) if batch else shape)
    x = jnp.round(2 * x) if case in POOLS else 1 + x
    ours, library = (apply(module, name, args, options, batch) for module in (OURS, LIBRARY))
    of_layer = arguments(name, args, options, x)
    assert has_rule(ours, of_layer)
    assert not has_rule(library, of_layer)
    assert_same(ours, library, of_layer)


@pytest.mark.parametrize("case", OTHER_POOLS, ids=name_of)
def test_equinoxs_own_code(case):
    name, args, options, shape = case
    ours, library = (apply(module, name, args, options) for module in (OURS, LIBRARY))
    of_layer = arguments(name, args, options, exact(1, (4, *shape)))
    assert not has_rule(ours, of_layer)
    assert_trees_close(ours(*of_layer), library(*of_layer))


@pytest.mark.parametrize("dtype", [jnp.complex64, jnp.int32])
@pytest.mark.parametrize(
    ("name", "args", "shape"),
    [("LayerNorm", (6,), (6,)), ("RMSNorm", (6,), (6,)), ("GroupNorm", (3, 6), (6, 4)),
     ("MaxPool1d", (2,), (2, 6)), ("AvgPool1d", (2,), (2, 6)), ("AdaptiveAvgPool1d", (2,), (2, 5)),
     ("AdaptiveMaxPool1d", (2,), (2, 5))],
)  # fmt: skip
def test_equinoxs_own_code_for_what_is_no_float(name, args, shape, dtype):
    if (name, dtype) == ("MaxPool1d", jnp.complex64):
        pytest.skip("complex numbers have no order")
    x = 5 * normal(1, shape) + 2j * normal(2, shape)
    x = (x if dtype == jnp.complex64 else x.real).astype(dtype)
    ours, library = (apply(module, name, args, {}, batch=False) for module in (OURS, LIBRARY))
    of_layer = arguments(name, args, {}, jnp.asarray(x))
    assert not has_rule(ours, of_layer)
    got, want = ours(*of_layer), library(*of_layer)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "args", "options", "shape"),
    [
        ("LayerNorm", ((8, 32, 32),), {}, (8, 32, 32)),
        ("LayerNorm", ((8, 32, 32),), {"use_weight": False, "use_bias": False}, (8, 32, 32)),
        ("RMSNorm", ((8, 32, 32),), {}, (8, 32, 32)),
        ("GroupNorm", (4, 64), {}, (64, 8, 8)),
        ("AvgPool2d", (3, 2, 1), {}, (3, 9, 9)),
        ("AdaptiveAvgPool2d", (3,), {}, (3, 9, 10)),
    ],
    ids=in_words,
)
@pytest.mark.parametrize(
    ("of_x", "of_layer"),
    [
        ("float32", "float32"),
        ("bfloat16", "float32"),
        *(pytest.param(*dtypes, marks=pytest.mark.thorough) for dtypes in [
            ("bfloat16", "bfloat16"), ("float16", "float32"), ("float32", "bfloat16"),
            ("float32", "float64"), ("bfloat16", "float64"),
        ]),
    ],
)  # fmt: skip
def test_as_precise_as_equinox(name, args, options, shape, of_x, of_layer):
    has_arrays = bool(arguments(name, args, options, None)[0])
    if not has_arrays and of_layer != "float32":
        pytest.skip("a layer without arrays has no dtype")

    def layer(module, dtype):
        return apply(module, name, args, {**options, "dtype": dtype} if has_arrays else options)

    def sample(seed):
        with_dtype = {**options, "dtype": of_layer} if has_arrays else options
        return arguments(name, args, with_dtype, 1 + exact(seed, (4, *shape), of_x), seed)

    assert has_rule(layer(OURS, of_layer), sample(0))
    assert_as_precise(
        layer(OURS, of_layer), layer(LIBRARY, of_layer), layer(LIBRARY, "float64"), sample
    )


def test_a_network_loads_the_leaves_of_equinox():
    """Stored by tree_serialise_leaves; under filter_jit and filter_grad."""

    def network(module):
        keys = jax.random.split(jax.random.key(0), 2)
        return LIBRARY.Sequential([
            LIBRARY.Conv2d(3, 6, 3, padding=1, key=keys[0]),
            module.GroupNorm(3, 6), module.MaxPool2d(2, 2), module.RMSNorm((6, 4, 4)),
            module.AvgPool2d(2, 2), module.LayerNorm((6, 2, 2)), module.AdaptiveMaxPool2d(1),
        ])  # fmt: skip

    stored, file = randomize(network(LIBRARY)), io.BytesIO()
    eqx.tree_serialise_leaves(file, stored)
    file.seek(0)
    loaded = eqx.tree_deserialise_leaves(file, network(OURS))

    # Without optimization XLA makes NaN of the gradients of Equinox's own network.
    @eqx.filter_jit(compiler_options=AS_USERS_DO)
    @eqx.filter_value_and_grad
    def loss(network, x):
        return jnp.sum(jnp.sin(jax.vmap(network)(x)))

    got, want = (loss(of, exact(1, (5, 3, 8, 8))) for of in (loaded, stored))
    assert_trees_close(got[0], want[0])
    assert_trees_close(jax.tree.leaves(got[1]), jax.tree.leaves(want[1]))


@pytest.mark.parametrize("name", jaxconv.equinox.__all__)
def test_a_layer_is_one_of_equinox(name):
    args = {"BatchNorm": (6, "batch"), "GroupNorm": (3, 6)}.get(name, (2,))
    options = {"mode": "batch"} if name == "BatchNorm" else {}
    ours, library = (getattr(module, name)(*args, **options) for module in (OURS, LIBRARY))
    assert isinstance(ours, type(library))
    assert type(ours).__name__ == name
    printed = (re.sub("0x[0-9a-f]+", "", eqx.tree_pformat(layer)) for layer in (ours, library))
    assert len(set(printed)) == 1


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "GroupNorm"])
@pytest.mark.parametrize("shape", [(6,), (6, 2)])
def test_a_state_passes_through(name, shape):
    layer = getattr(OURS, name)(*((3, 6) if name == "GroupNorm" else (shape,)))
    x = exact(1, shape)
    for state in ("anything", None):
        y, returned = layer(x, state)
        assert returned is state
        assert_trees_close(y, layer(x, key=jax.random.key(0)))


def test_errors_are_those_of_equinox():
    x = jnp.ones((6, 5))
    for module in (OURS, LIBRARY):
        for name in ("LayerNorm", "RMSNorm"):
            with pytest.raises(ValueError, match="must satisfy the invariant"):
                getattr(module, name)(6)(x)
        with pytest.raises(ValueError, match=r"Incompatible shapes|broadcast"):
            module.GroupNorm(3, 6)(x[:3])
        with pytest.raises(AssertionError, match="spatial dimensions"):
            module.MaxPool2d(2)(x)
        with pytest.raises(RuntimeError, match="Paddings should be less"):
            module.AvgPool1d(2, padding=3)(x)
        with pytest.raises(RuntimeError, match="Paddings should be less"):
            module.MaxPool1d(2, 3, use_ceil=True)(jnp.ones((6, 7)))
        with pytest.raises(ValueError, match="Expected input with 2"):
            module.AdaptiveAvgPool2d(2)(x)
        with pytest.raises(ZeroDivisionError):
            module.AdaptiveMaxPool1d(7)(x)


# Batch norm.


def with_state(module, options):
    options = {"input_size": 6, "axis_name": "i", **options}
    layer, state = eqx.nn.make_with_state(module.BatchNorm)(**options)
    arrays, static = eqx.partition(layer, eqx.is_array)
    return arrays, static, state


def batch_norm(module, options, names=("i",), **call):
    """Batch norm as a function of its arrays, its state and a batch, with an axis for each name."""
    arrays, static, state = with_state(module, options)
    of_arrays, of_state = jax.tree.structure(arrays), jax.tree.structure(state)

    def run(leaves, state_leaves, x):
        mapped = eqx.Partial(eqx.combine(jax.tree.unflatten(of_arrays, leaves), static), **call)
        for name in names:
            mapped = jax.vmap(mapped, axis_name=name, in_axes=(0, None), out_axes=(0, None))
        y, new = mapped(x, jax.tree.unflatten(of_state, state_leaves))
        return y, jax.tree.leaves(new)

    return run


def statistics(options, x, seed=0):
    """Random arrays for batch norm, its state after 3 batches, and x."""
    arrays, _, state = with_state(LIBRARY, options)
    after = [
        jnp.asarray(3 if leaf.dtype == int else False) if leaf.ndim == 0 else leaf
        for leaf in jax.tree.leaves(state)
    ]
    return randomize(jax.tree.leaves(arrays), seed), randomize(after, seed + 1), x


BATCH, EMA = {"mode": "batch"}, {"mode": "ema"}
TRAINED = [
    *((mode, (5, 6, 4, 3)) for mode in (BATCH, EMA)),
    *(({**mode, "eps": 0.1, "momentum": 0.3}, (5, 6)) for mode in (BATCH, EMA)),
    *(({**mode, "channelwise_affine": False}, (5, 6, 4)) for mode in (BATCH, EMA)),
    *((mode, (3, 6, 2, 3, 2)) for mode in (BATCH, EMA)),
]


@pytest.mark.parametrize("inference", [False, True], ids=["training", "inference"])
@pytest.mark.parametrize(("options", "shape"), TRAINED, ids=in_words)
def test_batch_norm_same_as_equinox(options, shape, inference):
    args = statistics(options, 1 + exact(1, shape))
    ours, library = (
        batch_norm(module, {**options, "inference": inference}) for module in (OURS, LIBRARY)
    )
    assert has_rule(ours, args)
    assert_same(ours, library, args)


@pytest.mark.parametrize("options", [BATCH, EMA], ids=in_words)
@pytest.mark.parametrize("inference", [False, True], ids=["training", "inference"])
def test_batch_norm_from_its_first_state(options, inference):
    """In mode "ema" the running statistics begin with those of the first batch."""
    args = statistics(options, 1 + exact(1, (5, 6, 4, 3)))
    args = args[0], jax.tree.leaves(with_state(LIBRARY, options)[2]), args[2]
    if inference and options is EMA:
        return  # they are not there yet
    ours, library = (batch_norm(module, options, inference=inference) for module in (OURS, LIBRARY))
    got, want = jax.jit(ours)(*args), jax.jit(library)(*args)
    assert_trees_close(got, want)


@pytest.mark.parametrize("options", [BATCH, EMA], ids=in_words)
def test_batch_norm_over_two_axes(options):
    options = {**options, "axis_name": ["i", "j"]}
    args = statistics(options, 1 + exact(1, (2, 3, 6, 4)))
    ours, library = (batch_norm(module, options, names=("i", "j")) for module in (OURS, LIBRARY))
    assert has_rule(ours, args)
    assert_same(ours, library, args)


@pytest.mark.parametrize("options", [BATCH, EMA], ids=in_words)
def test_gradients_for_each_example(options):
    """vmap of grad: here the mapped axis lies outside of the derivative."""

    def of(module):
        arrays, static, state = with_state(module, options)
        state = jax.tree.unflatten(jax.tree.structure(state), args[1])

        def loss(leaves, x, dy):
            layer = eqx.combine(jax.tree.unflatten(jax.tree.structure(arrays), leaves), static)
            return jnp.sum(dy * layer(x, state)[0])

        gradient = jax.value_and_grad(loss, (0, 1))
        return jax.jit(jax.vmap(gradient, axis_name="i", in_axes=(None, 0, 0)))

    args = statistics(options, 1 + exact(1, (5, 6, 4, 3)))
    dy = exact(2, args[2].shape)
    assert_trees_close(of(OURS)(args[0], args[2], dy), of(LIBRARY)(args[0], args[2], dy))


@pytest.mark.parametrize(
    ("options", "shape", "names"),
    [
        (BATCH, (3, 6, 2, 3, 2, 2), ("i",)),
        ({**EMA, "axis_name": b"i"}, (5, 6), (b"i",)),
        ({**BATCH, "eps": -0.01}, (5, 6), ("i",)),
    ],
    ids=in_words,
)
def test_equinoxs_own_batch_norm(options, shape, names):
    args = statistics(options, 1 + exact(1, shape))
    ours, library = (batch_norm(module, options, names) for module in (OURS, LIBRARY))
    assert not has_rule(ours, args)
    assert_same(ours, library, args)


def test_equinoxs_own_batch_norm_of_complex_numbers():
    arrays, state, x = statistics({**BATCH, "dtype": complex}, exact(1, (5, 6)) + 1j)
    ours, library = (batch_norm(module, {**BATCH, "dtype": complex}) for module in (OURS, LIBRARY))
    assert not has_rule(ours, (arrays, state, x))
    for got, want in zip(
        *(jax.tree.leaves(f(arrays, state, x)) for f in (ours, library)), strict=True
    ):
        np.testing.assert_array_equal(got, want)


def test_errors_of_batch_norm_are_those_of_equinox():
    arrays, state, x = statistics(BATCH, exact(1, (5, 6)))
    for module in (OURS, LIBRARY):
        with pytest.raises(NameError, match="unbound axis name: i"):
            batch_norm(module, BATCH, names=())(arrays, state, x[0])
    arrays, state, x = statistics(EMA, exact(1, (5, 6), np.float32))
    for module in (OURS, LIBRARY):
        with pytest.raises(TypeError, match="select requires arguments to have the same dtypes"):
            batch_norm(module, EMA)(arrays, state, x)


@pytest.mark.thorough
@pytest.mark.parametrize("inference", [False, True], ids=["training", "inference"])
@pytest.mark.parametrize(
    ("mode", "of_x", "of_layer"),
    [("batch", "float32", "float32"), ("batch", "bfloat16", "float32"),
     ("batch", "bfloat16", "bfloat16"), ("ema", "float32", "float32"),
     ("ema", "bfloat16", "bfloat16")],
)  # fmt: skip
def test_batch_norm_is_as_precise_as_equinox(mode, of_x, of_layer, inference):
    options = {"input_size": 48, "mode": mode, "dtype": of_layer, "inference": inference}

    def sample(seed):
        return statistics(options, 1 + exact(seed, (8, 48, 12, 12), of_x), seed)

    ours, library, exactly = (
        batch_norm(module, {**options, "dtype": of})
        for module, of in ((OURS, of_layer), (LIBRARY, of_layer), (LIBRARY, "float64"))
    )
    assert has_rule(ours, sample(0))
    assert_as_precise(ours, library, exactly, sample)


def test_without_equinox_an_error_names_it():
    program = """
import sys
sys.modules["equinox"] = None
try:
    import jaxconv.equinox
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert (
        done.stdout == "equinox is not installed; it comes with: pip install 'jaxconv[equinox]'\n"
    )
