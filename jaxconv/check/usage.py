"""What `check_rule` can be called with, and what it answers to anything else."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.check.case import FLOATS, ON_REQUEST, TRANSFORMS
from jaxconv.check.leaves import is_float


def check_usage(
    rule: Any, reference: Any, args: Any, cotangents: Any, transforms: Any, dtypes: Any
) -> None:
    """Raise `TypeError` or `ValueError` for what cannot be meant."""
    for what, function in (("rule", rule), ("reference", reference)):
        if not callable(function) and not (what == "reference" and function is None):
            raise TypeError(f"check_rule: {what} must be callable, but {function!r:.60} came")
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"check_rule: args must be a tuple or a list, but {args!r:.60} came")
    if not any(is_float(leaf) for leaf in jax.tree.leaves(tuple(args))):
        raise ValueError("check_rule: args hold no floating-point array, nothing to differentiate")
    if not isinstance(cotangents, int) or cotangents < 1:
        raise ValueError(
            f"check_rule: cotangents must be an int of 1 or more, but {cotangents!r} came"
        )
    _check_each("transforms", transforms, (*TRANSFORMS, *ON_REQUEST), lambda name: name)
    _check_each("dtypes", dtypes, FLOATS, _name_of_dtype)


def _check_each(
    what: str, given: Any, known: tuple[str, ...], name_of: Callable[[Any], Any]
) -> None:
    # A string is a sequence, too: of its letters, none of which was meant.
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise TypeError(f"check_rule: {what} must be a tuple or a list, but {given!r:.60} came")
    expected = ", ".join(map(repr, known))
    for one in given:
        if name_of(one) not in known:
            raise ValueError(f"check_rule: {what} must be of {expected}, but {one!r:.60} came")


def _name_of_dtype(dtype: Any) -> str | None:
    """None if it is none; None itself is float64 to NumPy, which nobody means here."""
    try:
        return None if dtype is None else jnp.dtype(dtype).name
    except TypeError:
        return None


def seed_of(key: Any) -> int:
    """The seed that an int or a key of JAX stands for."""
    if isinstance(key, (int, np.integer)):
        return int(key)
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return int(np.asarray(data).ravel()[-1])
