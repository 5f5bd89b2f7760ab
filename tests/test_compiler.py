"""compiler_options."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import normal

import jaxconv
import jaxconv.reference
from jaxconv import compiler


@pytest.mark.parametrize("ops", [jaxconv, jaxconv.reference], ids=lambda ops: ops.__name__)
def test_jit_takes_them_and_the_gradients_stay(ops):
    x, w = normal(0, (4, 9, 8, 8), np.float32), normal(1, (3, 3, 8, 8), np.float32)

    def gradient(x, w):
        return jax.grad(lambda w: jnp.sum(jnp.sin(ops.conv(x, w))))(w)

    fast = jax.jit(gradient, compiler_options=ops.compiler_options())(x, w)
    np.testing.assert_allclose(fast, jax.jit(gradient)(x, w), rtol=1e-4, atol=1e-4)


def test_the_default_is_the_backend():
    assert jaxconv.compiler_options() == jaxconv.compiler_options(jax.default_backend())
    assert jaxconv.compiler_options("CPU") == jaxconv.compiler_options("cpu")


@pytest.mark.parametrize("platform", ["gpu", "cuda", "tpu", "abacus"])
def test_nothing_where_nothing_is_known_to_help(platform):
    assert jaxconv.compiler_options(platform) == {}


def test_nothing_where_the_compiler_does_not_know_it(monkeypatch):
    monkeypatch.setattr(compiler, "_CPU", {"xla_cpu_option_that_is_gone": "yes"})
    assert jaxconv.compiler_options("cpu") == {}


def test_nothing_where_there_is_no_cpu(monkeypatch):
    def no_devices(platform):
        raise RuntimeError(f"Unknown backend {platform}")

    monkeypatch.setattr(compiler, "_CPU", {"another": "option"})  # not cached
    monkeypatch.setattr(jax, "devices", no_devices)
    assert jaxconv.compiler_options("cpu") == {}


def test_the_dict_is_the_callers_own():
    jaxconv.compiler_options("cpu")["more"] = "yes"
    assert "more" not in jaxconv.compiler_options("cpu")


def test_memory_comes_in_pieces_where_an_array_fits_into_one():
    """And where none does XLA is not asked: it would warn of each."""
    (name,) = set(jaxconv.compiler_options("cpu", largest_array=0)) - set(
        jaxconv.compiler_options("cpu")
    )
    of = {
        size: jaxconv.compiler_options("cpu", largest_array=size).get(name)
        for size in (1, 2**24, 2**24 + 1, 31 * 2**20, 31 * 2**20 + 1, 2**40)
    }
    assert list(of.values()) == ["16777216", "16777216", "16777217", "32505856", None, None]
    assert jaxconv.compiler_options("gpu", largest_array=1) == {}


def test_pieces_hold_what_one_piece_held():
    """A chain of arrays that live together, in pieces of which each holds but three of them."""
    x = normal(0, (1 << 20,), np.float32)

    def step(x):
        parts = [jnp.sin(x * (i + 1)) for i in range(12)]
        sums = [jnp.cumsum(part) for part in parts]  # not fused: all parts are arrays
        return jax.tree.reduce(jnp.add, [jnp.flip(s) * p for s, p in zip(sums, parts, strict=True)])

    options = jaxconv.compiler_options("cpu", largest_array=compiler.largest_array(step, x))
    whole, pieces = (jax.jit(step, compiler_options=o).lower(x).compile() for o in ({}, options))
    assert pieces.memory_analysis().temp_size_in_bytes > 2 * compiler.PIECE
    np.testing.assert_array_equal(pieces(x), whole(x))


def test_the_largest_array_is_found_inside_functions():
    def inside(x):
        def body(carry, _):
            return carry + jax.nn.relu(jnp.tile(x, (7, 1))).sum(), None

        return jax.lax.scan(body, jnp.zeros((), x.dtype), None, length=3)[0]

    x = jax.ShapeDtypeStruct((5, 11), np.float32)
    assert compiler.largest_array(jax.jit(inside), x) == 7 * 5 * 11 * 4
    assert compiler.largest_array(lambda x: x, x) == 0
    assert compiler.largest_array(lambda key: jax.random.split(key, 10), jax.random.key(0)) >= 80


@pytest.mark.parametrize("wrong", [1.0, "1", True])
def test_largest_array_is_a_number_of_bytes(wrong):
    with pytest.raises(TypeError, match=r"^compiler_options: largest_array must be an int, but"):
        jaxconv.compiler_options(largest_array=wrong)
    with pytest.raises(ValueError, match="largest_array must be at least 0, but got -1"):
        jaxconv.compiler_options(largest_array=-1)


def test_platform_is_a_name():
    with pytest.raises(TypeError, match=r"^compiler_options: platform must be a name or None"):
        jaxconv.compiler_options(3)
