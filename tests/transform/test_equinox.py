"""`by_hand` with the transformations of Equinox."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from rules import assert_trees_close, normal
from transform.network import value_and_gradients

from jaxconv.transform import by_hand


class TestEquinox:
    @pytest.fixture
    def eqx(self):
        return pytest.importorskip("equinox")

    @pytest.fixture
    def model(self, eqx):
        class Model(eqx.Module):
            layers: list
            name: str
            scale: float

            def __init__(self, key):
                keys = jax.random.split(key)
                self.layers = [
                    eqx.nn.Conv2d(2, 4, (3, 2), stride=(1, 2), groups=2, key=keys[0], dtype=float),
                    jax.nn.relu,
                    eqx.nn.MaxPool2d(2, stride=1),
                    eqx.nn.ConvTranspose2d(4, 1, 2, stride=2, key=keys[1], dtype=float),
                ]
                self.name, self.scale = "small", 2.0

            def __call__(self, x):
                for layer in self.layers:
                    x = layer(x)
                return self.scale * x

        return Model(jax.random.key(0))

    x = jnp.asarray(normal(1, (3, 2, 7, 9)))

    @staticmethod
    def loss(model, x):
        assert model.name == "small"
        y = jax.vmap(model)(x)
        return jnp.sum(jnp.sin(y) * normal(2, y.shape))

    def test_filtered_gradients_of_a_module(self, eqx, model):
        """The module, with its functions and strings, is an argument."""
        want = eqx.filter_jit(eqx.filter_value_and_grad(self.loss))(model, self.x)
        ours = eqx.filter_value_and_grad(by_hand(self.loss))
        value, gradient = eqx.filter_jit(ours)(model, self.x)
        assert_trees_close((value, eqx.filter(gradient, eqx.is_array)),
                           (want[0], eqx.filter(want[1], eqx.is_array)))  # fmt: skip
        assert type(gradient) is type(model)

    @pytest.mark.thorough
    def test_outside_of_jit(self, eqx, model):
        want = eqx.filter_jit(eqx.filter_grad(self.loss))(model, self.x)
        assert_trees_close(eqx.filter_grad(by_hand(self.loss))(model, self.x), want)

    @pytest.mark.thorough
    def test_around_a_jitted_loss(self, eqx, model):
        want = eqx.filter_jit(eqx.filter_grad(self.loss))(model, self.x)
        got = eqx.filter_jit(eqx.filter_grad(by_hand(eqx.filter_jit(self.loss))))(model, self.x)
        assert_trees_close(got, want)

    @pytest.mark.thorough
    def test_around_the_module(self, eqx, model):
        """A callable object. Equinox warns of it, as it does of jax.vmap(model)."""
        want = jax.jit(jax.vmap(model))(self.x)
        assert_trees_close(jax.jit(jax.vmap(by_hand(model)))(self.x), want)
        assert_trees_close(jax.jit(by_hand(eqx.filter_vmap(model)))(self.x), want)
        for mapped in (by_hand(eqx.filter_vmap(model)), jax.vmap(model)):
            with pytest.warns(UserWarning, match="JAX-transformed callable as an attribute"):
                assert_trees_close(eqx.filter_jit(mapped)(self.x), want)

    @pytest.mark.thorough
    def test_modules_as_results(self, eqx, model):
        """A step that takes and returns a module keeps all that is no array."""

        def step(model, x):
            y = jax.vmap(model)(x)
            return eqx.tree_at(lambda m: m.scale, model, jnp.mean(y)), y

        (new, y), (want, wanted) = by_hand(step)(model, self.x), step(model, self.x)
        assert new.name == "small"
        assert new.layers[1] is model.layers[1]
        assert_trees_close((eqx.filter(new, eqx.is_array), y),
                           (eqx.filter(want, eqx.is_array), wanted))  # fmt: skip

    @pytest.mark.thorough
    def test_checkpoint_and_scan_of_equinox(self, eqx):
        def make(key):
            return eqx.nn.Conv1d(3, 3, 3, padding="SAME", key=key, dtype=float)

        layers = eqx.filter_vmap(make)(jax.random.split(jax.random.key(0), 3))
        arrays, static = eqx.partition(layers, eqx.is_array)
        x = jnp.asarray(normal(3, (3, 7)))

        def loss(arrays, x):
            @eqx.filter_checkpoint
            def layer(x, arrays):
                return jnp.tanh(eqx.combine(arrays, static)(x)), None

            return jnp.sum(jnp.sin(lax.scan(layer, x, arrays)[0]) * normal(4, x.shape))

        want = jax.jit(value_and_gradients(loss))(arrays, x)
        assert_trees_close(jax.jit(value_and_gradients(by_hand(loss)))(arrays, x), want)

    @pytest.mark.thorough
    def test_while_loops_of_equinox_that_can_be_differentiated(self, eqx):
        """eqx.internal.while_loop has rules of its own, which are left whole."""
        kernel, x = jnp.asarray(normal(5, (2, 2, 3)) / 3), jnp.asarray(normal(6, (3, 2, 7)))

        def loss(kernel, x):
            def body(state):
                return state[0] + 1, jnp.tanh(lax.conv(state[1], kernel, (1,), "SAME"))

            _, y = eqx.internal.while_loop(
                lambda s: s[0] < 3, body, (jnp.int32(0), x), kind="checkpointed", max_steps=4
            )
            return jnp.sum(y * normal(7, y.shape))

        want = jax.jit(value_and_gradients(loss))(kernel, x)
        assert_trees_close(jax.jit(value_and_gradients(by_hand(loss)))(kernel, x), want)
