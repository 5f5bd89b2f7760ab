"""How arrays of several dtypes and ranks meet, whatever the user has asked of JAX."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def as_in_numpy() -> Iterator[None]:
    """Promote dtypes and ranks as NumPy does; also a decorator.

    Some of JAX's own image functions fail where a user is stricter.
    """
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
