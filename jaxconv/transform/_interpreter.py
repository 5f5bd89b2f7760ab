"""Run a traced function with jaxconv's ops in place of its convolutions and pools.

Every equation is bound as JAX would bind it, in the same order, with its line in the user's source
and its name in profiles. If an equation calls other traced functions, as a loop does, these are
rewritten first; functions without convolutions and pools remain the same objects.
"""

import functools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax import lax
from jax.extend import source_info_util
from jax.extend.core import (
    ClosedJaxpr,
    Jaxpr,
    JaxprEqn,
    Literal,
    Primitive,
    Var,
    jaxprs_in_params,
)

from jaxconv._core.types import Function, Values
from jaxconv.contraction.contract import CONTRACTION
from jaxconv.transform._replacing import Op, RefusedError, kind_of, op_for


def run(jaxpr: Jaxpr, consts: Values, *args: object) -> list[object]:
    """Compute what the jaxpr computes."""
    known: dict[Var, object] = {}

    def value(v: Var | Literal) -> object:
        return v.val if isinstance(v, Literal) else known[v]

    known.update(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))
    unread = _unread_after(jaxpr)
    for eqn, done in zip(jaxpr.eqns, unread, strict=True):
        name = source_info_util.current_name_stack() + eqn.source_info.name_stack
        source = source_info_util.user_context(eqn.source_info.traceback, name_stack=name)
        with source, eqn.ctx.manager:
            found = _bind(eqn, [value(v) for v in eqn.invars])
        known.update(
            zip(eqn.outvars, found if eqn.primitive.multiple_results else [found], strict=True)
        )
        for v in done:
            known.pop(v, None)
    return [value(v) for v in jaxpr.outvars]


def _unread_after(jaxpr: Jaxpr) -> list[list[Var]]:
    """Return, for each equation, the variables that nothing reads after it."""
    seen = {v for v in jaxpr.outvars if isinstance(v, Var)}
    unread = []
    for eqn in reversed(jaxpr.eqns):
        used = {v for v in (*eqn.invars, *eqn.outvars) if isinstance(v, Var)}
        unread.append(list(used - seen))
        seen |= used
    return unread[::-1]


def _bind(eqn: JaxprEqn, values: Values) -> Any:
    """Compute one equation: by an op, with its functions rewritten, or as it is."""
    if kind_of(eqn) is not None:
        op = _op_or_none(eqn)
        if op is None:
            return _bind_as_it_is(eqn, values)
        y = op(*values)
        return [y] if eqn.primitive.multiple_results else y
    if enters(eqn) and any(has_candidates(jaxpr) for jaxpr in functions_in(eqn)):
        return _ENTERED[eqn.primitive.name](eqn, values)
    return _bind_as_it_is(eqn, values)


def _op_or_none(eqn: JaxprEqn) -> Op | None:
    try:
        return op_for(eqn)
    except RefusedError:
        return None


def _bind_as_it_is(eqn: JaxprEqn, values: Values, **changed: object) -> Any:
    params = eqn.primitive.get_bind_params(eqn.params | changed)
    return eqn.primitive.bind(*values, **params)


def enters(eqn: JaxprEqn) -> bool:
    """Return whether the functions that this equation calls are rewritten.

    Rules that other libraries define (`custom_jvp`, `custom_vjp`) are left whole, and so is what
    is differentiated already.
    """
    return eqn.primitive.name in _ENTERED and not eqn.params.get("differentiated", False)


def functions_in(eqn: JaxprEqn) -> Iterator[Jaxpr]:
    """Yield the traced functions among the parameters of an equation."""
    return jaxprs_in_params(eqn.params)


_FOUND: "weakref.WeakKeyDictionary[Jaxpr, bool]" = weakref.WeakKeyDictionary()


def has_candidates(jaxpr: Jaxpr) -> bool:
    """Return whether there is a convolution or a pool, here or in what is called and entered."""
    if jaxpr not in _FOUND:
        _FOUND[jaxpr] = any(
            kind_of(eqn) is not None
            or (enters(eqn) and any(has_candidates(inner) for inner in functions_in(eqn)))
            for eqn in jaxpr.eqns
        )
    return _FOUND[jaxpr]


_REWRITTEN: "weakref.WeakKeyDictionary[ClosedJaxpr, ClosedJaxpr]" = weakref.WeakKeyDictionary()


def rewritten(closed: ClosedJaxpr) -> ClosedJaxpr:
    """Return a traced function with ops in it. One object has one result, as JAX's caches need."""
    if not has_candidates(closed.jaxpr):
        return closed
    if closed not in _REWRITTEN:
        ours = jax.make_jaxpr(functools.partial(run, closed.jaxpr, closed.consts))(*closed.in_avals)
        _REWRITTEN[closed] = ours
    return _REWRITTEN[closed]


def _rewrite_params(*names: str) -> Callable[[JaxprEqn, Values], Any]:
    """Return the binding of an equation whose parameters of these names are traced functions."""

    def bind(eqn: JaxprEqn, values: Values) -> Any:
        changed = {name: jax.tree.map(rewritten, eqn.params[name]) for name in names}
        return _bind_as_it_is(eqn, values, **changed)

    return bind


def _checkpoint(eqn: JaxprEqn, values: Values) -> Any:
    again = jax.checkpoint(
        functools.partial(run, eqn.params["jaxpr"], ()),
        prevent_cse=eqn.params["prevent_cse"],
        policy=_as_for_lax(eqn.params["policy"]),
    )
    return again(*values)


def _as_for_lax(policy: Function | None) -> Function | None:
    """Return a policy that decides on our convolutions as `policy` decides on those of lax."""
    if policy is None:
        return None

    def decide(primitive: Primitive, *avals: object, **params: object) -> object:
        of_lax = lax.conv_general_dilated_p if primitive is CONTRACTION else primitive
        return policy(of_lax, *avals, **params)

    return decide


def _shard_map(eqn: JaxprEqn, values: Values) -> Any:
    params = eqn.params
    mapped = jax.shard_map(
        functools.partial(run, params["jaxpr"], ()),
        mesh=params["mesh"],
        in_specs=params["in_specs"],
        out_specs=list(params["out_specs"]),
        axis_names=set(params["newly_manual_axes"]),
        check_vma=params["check_vma"],
    )
    return mapped(*values)


_ENTERED: dict[str, Callable[[JaxprEqn, Values], Any]] = {
    "jit": _rewrite_params("jaxpr"),
    "closed_call": _rewrite_params("call_jaxpr"),
    "scan": _rewrite_params("jaxpr"),
    "while": _rewrite_params("cond_jaxpr", "body_jaxpr"),
    "cond": _rewrite_params("branches"),
    "remat2": _checkpoint,
    "checkpoint": _checkpoint,
    "shard_map": _shard_map,
}
