"""Validation of the arguments of `check_rule`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxconv._core.arguments import DType
from jaxconv._core.types import Values
from jaxconv.check.arrays import as_exact
from jaxconv.check.case import ON_REQUEST, TRANSFORMS
from jaxconv.check.domains import Domain, domain_of, is_interval
from jaxconv.check.leaves import is_float
from jaxconv.check.levels import LEVELS
from jaxconv.check.tolerance import Tolerance


def check_usage(
    rule: object, reference: object, args: object, cotangents: object, transforms: object,
    dtypes: object, require: object,
) -> None:  # fmt: skip
    """Raise `TypeError` or `ValueError` for invalid arguments."""
    for what, function in (("rule", rule), ("reference", reference)):
        if not callable(function) and not (what == "reference" and function is None):
            raise TypeError(f"check_rule: {what} must be callable, but got {function!r:.60}")
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"check_rule: args must be a tuple or a list, but got {args!r:.60}")
    if not any(is_float(leaf) for leaf in jax.tree.leaves(tuple(args))):
        raise ValueError("check_rule: args hold no floating-point array, nothing to differentiate")
    if not isinstance(cotangents, int) or cotangents < 1:
        raise ValueError(
            f"check_rule: cotangents must be an int of 1 or more, but got {cotangents!r}"
        )
    known = (*TRANSFORMS, *ON_REQUEST)
    expected = ", ".join(map(repr, known))
    _check_each("transforms", transforms, f"of {expected}", lambda name: name in known)
    _check_each("dtypes", dtypes, "floating-point dtypes of JAX", _is_dtype)
    if require is not None:
        levels = (*LEVELS, "second_order")
        expected = ", ".join(map(repr, levels))
        _check_each("require", require, f"of {expected}", lambda name: name in levels)


def _check_each(what: str, given: object, expected: str, meant: Callable[[Any], bool]) -> None:
    # A string is a sequence too, namely of its letters, but nobody means those.
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise TypeError(f"check_rule: {what} must be a tuple or a list, but got {given!r:.60}")
    for one in given:
        if not meant(one):
            raise ValueError(f"check_rule: {what} must be {expected}, but got {one!r:.60}")


def _is_dtype(dtype: DType) -> bool:
    """Whether this is a floating-point dtype of at most 64 bits; None, NumPy's float64, is not."""
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        return False
    return dtype is not None and jnp.issubdtype(found, jnp.floating) and found.itemsize <= 8


def tolerance_of(tolerance: float | None, rtol: float | None, atol: float) -> Tolerance:
    """Return the errors allowed; raise `TypeError` or `ValueError` for what is no error."""
    for name, value in (("tolerance", tolerance), ("rtol", rtol), ("atol", atol)):
        if value is None and name != "atol":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise TypeError(f"check_rule: {name} must be a number, but got {value!r:.60}")
        if not 0 <= value < math.inf:
            raise ValueError(f"check_rule: {name} must be finite and at least 0, but got {value}")
    if tolerance is not None and rtol is not None:
        raise ValueError(
            f"check_rule: tolerance ({tolerance}) and rtol ({rtol}) are the same: give one of them"
        )
    relative = tolerance if rtol is None else rtol
    return Tolerance(None if relative is None else float(relative), float(atol))


def seed_of(key: int | Array) -> int:
    """Return an int as it is, and of a JAX key the last word of its data."""
    if isinstance(key, (int, np.integer)):
        return int(key)
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return int(np.asarray(data).ravel()[-1])


def domains_of(given: object, args: Values, names: Sequence[str]) -> tuple[Domain | None, ...]:
    """Return the domain of each leaf of the arguments, or None.

    Args:
        given: what the user gave: one domain for all, one for each argument, or a dict from
            positions, names or paths like "params['w']" to domains.
        args: the arguments.
        names: their names.

    Raises:
        ValueError: a domain or an argument is unknown, or an argument does not lie in its domain.
    """
    with_path, _ = jax.tree.flatten_with_path(tuple(args))
    if given is None:
        return (None,) * len(with_path)
    by_name = _by_name(given, names)
    for_all = not isinstance(given, dict | list | tuple) or is_interval(given)
    found = []
    for path, leaf in with_path:
        position = path[0].idx
        whole = names[position] + jax.tree_util.keystr(path[1:])
        named = by_name.pop(whole, None) if whole != names[position] else None
        domain = domain_of(named if named is not None else by_name.get(names[position]))
        if not hasattr(leaf, "shape") or (for_all and not is_float(leaf)):
            domain = None
        why_not = "" if domain is None else domain.why_not(_wide(leaf))
        if domain is not None and why_not:
            raise ValueError(f"check_rule: {whole} is not in its domain, {domain.name}: {why_not}")
        found.append(domain)
    unknown = [name for name in by_name if name not in names]
    if unknown:
        raise ValueError(
            f"check_rule: domain must name arguments, {', '.join(names)}, but got {unknown[0]!r}"
        )
    return tuple(found)


def _by_name(given: object, names: Sequence[str]) -> dict[str, object]:
    if isinstance(given, dict):
        positions = [k for k in given if isinstance(k, int) and not -1 < k < len(names)]
        if positions:
            raise ValueError(
                f"check_rule: domain must name arguments 0 to {len(names) - 1}, but got"
                f" {positions[0]}"
            )
        return {names[k] if isinstance(k, int) else k: domain for k, domain in given.items()}
    if isinstance(given, (tuple, list)) and not is_interval(given):
        if len(given) != len(names):
            raise ValueError(
                f"check_rule: domain must have an entry for each of the {len(names)} arguments,"
                f" but got {len(given)}"
            )
        return dict(zip(names, given, strict=True))
    return dict.fromkeys(names, given)


def _wide(leaf: ArrayLike) -> np.ndarray:
    return as_exact(leaf) if is_float(leaf) else np.asarray(leaf)
