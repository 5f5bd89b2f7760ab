"""`by_hand` with the transformations of Flax nnx."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from rules import assert_trees_close, normal

from jaxconv.transform import by_hand

pytestmark = pytest.mark.usefixtures("mixed_promotion")


class TestNnx:
    @pytest.fixture
    def nnx(self):
        return pytest.importorskip("flax.nnx")

    @pytest.fixture
    def build(self, nnx):
        class Network(nnx.Module):
            def __init__(self, rngs):
                self.conv = nnx.Conv(2, 3, (3, 2), strides=(2, 1), rngs=rngs)
                self.bn = nnx.BatchNorm(3, rngs=rngs)
                self.dropout = nnx.Dropout(0.3, rngs=rngs)
                self.calls = 0

            def __call__(self, x):
                self.calls += 1
                y = self.dropout(nnx.relu(self.bn(self.conv(x))))
                return nnx.max_pool(y, (2, 2), (1, 1))

        @nnx.jit
        def build():
            graph, state = nnx.split(Network(nnx.Rngs(0)))
            wide = jax.tree.map(
                lambda leaf: leaf.astype(float) if leaf.dtype == np.float32 else leaf, state
            )
            return nnx.merge(graph, wide)

        return build

    x = jnp.asarray(normal(1, (3, 7, 6, 2)))

    @staticmethod
    def loss(module, x):
        y = module(x)
        return jnp.sum(jnp.sin(y) * normal(2, y.shape))

    def compare(self, nnx, build, ours, plain):
        """Results of two calls, for the random numbers of the second, and the state after them."""
        ends = []
        for function in (ours, plain):
            module = build()
            results = [function(module, self.x) for _ in range(2)]
            ends.append((jax.tree.leaves(results), jax.tree.leaves(nnx.state(module))))
        ends = jax.tree.map(
            lambda a: jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a,
            ends,
        )
        assert_trees_close(*ends)

    @pytest.mark.thorough
    def test_gradients_of_a_module_and_its_new_state(self, nnx, build):
        want = nnx.jit(nnx.value_and_grad(self.loss))
        self.compare(nnx, build, nnx.jit(nnx.value_and_grad(by_hand(self.loss))), want)

    @pytest.mark.thorough
    def test_gradients_outside_of_jit(self, nnx, build):
        want = nnx.jit(nnx.value_and_grad(self.loss))
        self.compare(nnx, build, nnx.value_and_grad(by_hand(self.loss)), want)

    @pytest.mark.thorough
    def test_a_call(self, nnx, build):
        def call(module, x):
            return module(x)

        for ours in (by_hand(nnx.jit(call)), nnx.jit(by_hand(call))):
            self.compare(nnx, build, ours, nnx.jit(call))

    @pytest.mark.thorough
    def test_parts(self, nnx, build):
        """As the guides of Flax have it for jax.grad: split and merge."""

        def loss(wrap):
            def loss(params, rest, graph, x):
                module = nnx.merge(graph, params, rest, copy=True)
                return self.loss(module, x), nnx.state(module, nnx.BatchStat)

            return jax.value_and_grad(wrap(loss), has_aux=True)

        graph, params, rest = nnx.split(build(), nnx.Param, ...)
        want = loss(lambda f: f)(params, rest, graph, self.x)
        got = loss(by_hand)(params, rest, graph, self.x)
        assert_trees_close(jax.tree.leaves(got), jax.tree.leaves(want))

    @pytest.mark.thorough
    @pytest.mark.parametrize("as_module", [True, False])
    def test_gradients_of_jax_beside_a_module(self, nnx, as_module):
        """jax.grad for one argument, and a module or Variable that is read in another."""
        conv = nnx.Conv(2, 3, (3, 2), rngs=nnx.Rngs(0), param_dtype=float)
        other = conv if as_module else conv.kernel

        def loss(wrap):
            def loss(x, other):
                kernel = (other.kernel if as_module else other)[...]
                y = lax.conv_general_dilated(
                    x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
                )
                return jnp.sum(jnp.sin(y) * normal(3, y.shape))

            return jax.value_and_grad(wrap(loss))(self.x, other)

        assert_trees_close(loss(by_hand), loss(lambda f: f))

    @pytest.mark.thorough
    def test_attributes_of_python(self, nnx, build):
        """A counter that is no Variable stays, as docs/by_hand.md says."""
        module = build()
        by_hand(self.loss)(module, self.x)
        assert module.calls == 0

    @pytest.mark.thorough
    def test_a_module_that_is_closed_over(self, nnx, build):
        """nnx.jit refuses to change one in another trace, and so does by_hand."""
        module = build()
        with pytest.raises(Exception, match="trace level"):
            by_hand(lambda x: self.loss(module, x))(self.x)
        module = build()
        with pytest.raises(Exception, match="trace level"):
            jax.jit(lambda x: self.loss(module, x))(self.x)

    @pytest.mark.thorough
    def test_an_optimizer(self, nnx, build):
        """The training loop of the tutorial."""
        optax = pytest.importorskip("optax")
        ends = []
        for wrap in (by_hand, lambda f: f):
            module = build()
            optimizer = nnx.Optimizer(module, optax.adam(1e-2), wrt=nnx.Param)

            @nnx.jit
            def step(module, optimizer, x, wrap=wrap):
                value, gradient = nnx.value_and_grad(wrap(self.loss))(module, x)
                optimizer.update(module, gradient)
                return value

            ends.append([step(module, optimizer, self.x) for _ in range(3)])
        assert_trees_close(*ends)
