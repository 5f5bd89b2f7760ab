"""The gradient checker must take what people write, and most of them let ranks be promoted."""

import jax
import pytest


@pytest.fixture(autouse=True)
def ranks_may_be_promoted():
    with jax.numpy_rank_promotion("allow"):
        yield
