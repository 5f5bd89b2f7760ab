"""`by_hand` with the transformations of Haiku."""

import jax
import jax.numpy as jnp
import pytest
from rules import assert_trees_close, normal

from jaxconv.transform import by_hand

pytestmark = pytest.mark.usefixtures("mixed_promotion")


@pytest.mark.thorough
def test_haiku_state_and_keys():
    """transform_with_state: the state that comes back, and the numbers that keys draw."""
    hk = pytest.importorskip("haiku")

    def function(x, *, is_training):
        x = hk.Conv2D(4, (3, 2), stride=(2, 1))(x)
        x = hk.BatchNorm(True, True, 0.9)(x, is_training)
        x = hk.dropout(hk.next_rng_key(), 0.5, jax.nn.relu(x)) if is_training else x
        return hk.max_pool(x, (1, 2, 2, 1), (1, 1, 2, 1), "SAME")

    model = hk.transform_with_state(function)
    x, key = jnp.asarray(normal(0, (3, 7, 6, 2))), jax.random.PRNGKey(1)
    params, state = jax.jit(model.init, static_argnames="is_training")(key, x, is_training=True)
    for is_training in (True, False):

        def loss(wrap, is_training=is_training):
            def loss(params, state, key, x):
                y, state = wrap(model.apply)(params, state, key, x, is_training=is_training)
                return jnp.sum(jnp.sin(y) * normal(2, y.shape)), state

            return jax.value_and_grad(loss, has_aux=True)

        want = jax.jit(loss(lambda f: f))(params, state, key, x)
        assert_trees_close(jax.jit(loss(by_hand))(params, state, key, x), want)
