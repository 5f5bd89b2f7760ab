"""What the rules keep in memory: an array of its own where they say so, and nothing beside it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec
from quickly import AS_USERS_DO
from rules import assert_trees_close, normal

import jaxconv
from jaxconv._core import barriers
from jaxconv._core.barriers import LEAST_BYTES, call_unfused, materialize_on_cpu, pad_zeros
from jaxconv.contraction.library import SLOW_LIBRARY

ROWS, COLUMNS = 2, 5
MANY = LEAST_BYTES // 8 // ROWS // COLUMNS


def compute(x, y):
    return jnp.sin(x) * jnp.broadcast_to(y, x.shape) + x


@pytest.mark.parametrize("size", [1, MANY + 1], ids=["small", "large"])
def test_nothing_but_memory_changes(size):
    x, y = normal(0, (ROWS, size, COLUMNS)), normal(1, (COLUMNS,))

    def everything(f):
        def loss(x, y):
            return jnp.sum(jnp.cos(f(x, y)))

        def by_hand(x, y):
            split = PartitionSpec("batch")
            mesh = Mesh(np.array(jax.devices()[:2]), ("batch",))
            return jax.shard_map(f, mesh=mesh, in_specs=(split, PartitionSpec()), out_specs=split)(
                x, y
            )

        one = jax.vmap(f, in_axes=(0, None))(x, y)
        slope = jax.grad(lambda x, y: jnp.vdot(x, jax.grad(loss)(x, y)), argnums=(0, 1))(x, y)
        return f(x, y), jax.value_and_grad(loss, (0, 1))(x, y), slope, one, by_hand(x, y)

    got = jax.jit(lambda: everything(lambda x, y: materialize_on_cpu(compute, x, y)))()
    assert_trees_close(got, jax.jit(lambda: everything(compute))())


@pytest.mark.parametrize(
    "edges", [((0, 0), (1, 2), (3, 0), (0, 0)), ((0, 0), (0, 0), (0, 1), (2, 1))]
)
def test_padded(edges):
    """The copy of a large array is that of a small one, and so are its derivatives."""
    x = normal(0, (2, 3, LEAST_BYTES // 8 // 2 // 3 // 5 + 1, 5))

    def everything(x, pad):
        y, pull = jax.vjp(pad, x)
        return y, pull(jnp.sin(y)), jax.jvp(pad, (x,), (jnp.cos(x),))

    got = jax.jit(lambda x: everything(x, lambda x: pad_zeros(x, edges)))(x)
    assert_trees_close(got, jax.jit(lambda x: everything(x, lambda x: jnp.pad(x, edges)))(x))


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere XLA decides")
@pytest.mark.skipif(
    jax.__version_info__ < (0, 12) and not SLOW_LIBRARY,
    reason="XLA copies x for its library early there, whatever barriers there are",
)
def test_a_normalized_layer_keeps_two_arrays():
    """x − mean for batch norm, y for ReLU and the next layer; what x was, a convolution's, goes."""
    layers, shape = 6, (64, 16, 16, 16)
    array = 4 * np.prod(shape)
    x = normal(0, shape, np.float32)
    w = normal(1, (layers, 3, 3, 16, 16), np.float32)
    one = np.ones(16, np.float32)

    def loss(w, x):
        for kernel in w:
            x = jaxconv.relu(jaxconv.batch_norm(jaxconv.conv(x, kernel), one, one)[0])
        return jnp.sum(x * x)

    step = jax.jit(jax.grad(loss), compiler_options=AS_USERS_DO).lower(w, x).compile()
    temporary = step.memory_analysis().temp_size_in_bytes
    assert temporary <= (2 * layers + 4) * array < 3 * layers * array


@pytest.mark.parametrize("known", [True, False])
def test_a_jax_without_the_attribute_computes_the_same(monkeypatch, known):
    if not known:
        monkeypatch.setattr(barriers, "xla_metadata", None)
    x, y = normal(0, (3, 4)), normal(1, (4,))
    lowered = jax.jit(lambda x, y: call_unfused(compute, x, y)).lower(x, y)
    assert ('inlineable = "false"' in lowered.as_text()) == known
    assert_trees_close(lowered.compile()(x, y), compute(x, y))
