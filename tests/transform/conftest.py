"""What the tests of `by_hand` with the libraries of others share."""

import jax
import pytest


@pytest.fixture
def mixed_promotion():
    """Flax, Haiku and stax mix dtypes and ranks."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
