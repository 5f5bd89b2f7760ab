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


def test_platform_is_a_name():
    with pytest.raises(TypeError, match=r"^compiler_options: platform must be a name or None"):
        jaxconv.compiler_options(3)
