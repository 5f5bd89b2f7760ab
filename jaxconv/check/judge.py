"""`check_rule`: run every oracle, in an order in which each may rely on those before it."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxconv._core.types import Function, Values
from jaxconv.check.case import TRANSFORMS
from jaxconv.check.compiling import quickly_called
from jaxconv.check.costs import compared_costs
from jaxconv.check.levels import required
from jaxconv.check.naming import argument_names, defined_in
from jaxconv.check.oracles.autodiff import autodiff
from jaxconv.check.oracles.determinism import again, beside
from jaxconv.check.oracles.differences import differences
from jaxconv.check.oracles.given import in_dtype
from jaxconv.check.oracles.kinks import on_kinks, step_aside
from jaxconv.check.oracles.linearity import linearity
from jaxconv.check.oracles.structure import gradients_of
from jaxconv.check.oracles.transformations import under
from jaxconv.check.oracles.unused import unused
from jaxconv.check.oracles.value import value
from jaxconv.check.precedents import Precedents
from jaxconv.check.report import Report
from jaxconv.check.state import Check, CoarserError
from jaxconv.check.usage import check_usage, domains_of, seed_of, tolerance_of


def check_rule(
    rule: Function,
    args: Values,
    reference: Function | None = None,
    *,
    cotangents: int = 3,
    key: Any = 0,
    tolerance: float | None = None,
    transforms: Sequence[str] = TRANSFORMS,
    finite_differences: bool = True,
    name: str | None = None,
    others: Sequence[Values] = (),
    dtypes: Sequence[Any] = (),
    costs: bool = False,
    rtol: float | None = None,
    atol: float = 0.0,
    require: Sequence[str] | None = None,
    domain: Any = None,
) -> Report:
    """Check the gradient of `rule` at `args`.

    The value and the gradients are compared with those of `reference`, element by element, for
    several random cotangents, in float64 and in the dtype of the arguments. The gradients are also
    compared with central differences of the rule's own forward pass and with a second call of the
    rule; they must be linear in the cotangent and have the shapes and dtypes of the arguments. If
    all this holds, the gradients are checked again under the transformations. Where the arguments
    lie at a kink or a tie, the report notes it and the check goes on at a point nearby. If a
    gradient is wrong, known mistakes are tried as an explanation.

    Args:
        rule: any callable that JAX can differentiate in reverse mode.
        args: its positional arguments, any pytrees. Floating-point arrays are differentiated;
            integers, booleans, keys, Python's numbers and None are not.
        reference: a callable that takes the same arguments, computes the same value and is
            differentiated by JAX.
        cotangents: how many random cotangents are tried.
        key: the seed of the cotangents, an int or a `jax.random.key`.
        tolerance: another name of `rtol`.
        transforms: any of "jit", "vmap", "scan", "checkpoint", "second_order" and "shard_map".
        finite_differences: whether to compare with central differences.
        name: the name of the rule in the report.
        others: further arguments of other shapes, which a diagnosis must explain too.
        dtypes: dtypes to check besides float64 and the dtype of the arguments.
        costs: whether to put the costs of rule and reference into `Report.costs`.
        rtol: the relative error allowed in every comparison. None means what rounding explains in
            the dtype in which the rule works, for example 64 units in the last place of float64.
            What the conditioning of the problem adds is allowed on top.
        atol: the absolute error allowed in every comparison, on top.
        require: the levels that must hold besides value and gradient: names of transformations, or
            "reverse_over_reverse" and "forward_over_reverse", the two ways to a second derivative.
            What is wrong or missing at another level is a note. None means all but these two.
        domain: where the arguments have to stay. A domain is one of "positive", "probability",
            "sorted", "symmetric", "positive_definite", "unit_sphere", "simplex" and "permutation",
            an interval (low, high) where None is no bound, or a function that projects arrays to
            the domain, written with jax.numpy. Give one domain for all arguments, a list with a
            domain or None for each, or a dict from names or positions of arguments to domains.
            Gradients are compared in the tangent space of the domain.

    Returns:
        A `Report`: `.ok`, `.failures`, `.raise_if_failed()`.

    Raises:
        TypeError: `rule` or `reference` is not callable, or `args`, `transforms` or `dtypes` is
            not a tuple or list (a string is neither).
        ValueError: there is nothing to differentiate, a transformation is unknown, a dtype is
            unknown or not floating-point, an argument does not lie in its domain, or calling the
            rule or the reference with these arguments fails.
    """
    check_usage(rule, reference, args, cotangents, transforms, dtypes, require)
    allowed = tolerance_of(tolerance, rtol, atol)
    named = name or str(getattr(rule, "__name__", type(rule).__name__))
    report = Report(named, defined=defined_in(rule))
    x64 = bool(jax.config.read("jax_enable_x64"))
    with jax.enable_x64(True):
        check = Check(
            rule, reference, tuple(args), report, cotangents, seed_of(key), allowed, others,
            required=required(None if require is None else tuple(require)), x64=x64,
            domains=domains_of(domain, args, argument_names((rule, reference), len(args))),
        )  # fmt: skip
        ask(check, finite_differences, dtypes, transforms)
        if costs:
            report.costs = compared_costs(rule, reference, args)
    return report


def try_gradient(
    rule: Function,
    args: Values,
    precedents: Precedents,
    others: Sequence[Values],
    *,
    diagnosed: bool,
    name: str,
) -> Report:
    """Run the float64 part of `check_rule`, which is cheap when many rules share a reference.

    The oracles autodiff, differences and linearity all run, even if one of them fails, to show
    which of them notice the mistake. Each stops at its first failure.
    """
    with jax.enable_x64(True):
        check = Check(
            rule, precedents.reference, tuple(args), Report(name), others=others,
            precedents=precedents, every_oracle=True, diagnosed=diagnosed,
        )  # fmt: skip
        in_float64(check, finite_differences=True)
    return check.report


def ask(
    check: Check, finite_differences: bool, dtypes: Sequence[Any], transforms: Sequence[str]
) -> None:
    """Run all oracles until one fails.

    They start again if the rule turns out to work in a narrower dtype than it was compared in.
    """
    notes = list(check.report.notes)
    try:
        _ask(check, finite_differences, dtypes, transforms)
    except CoarserError as found:
        check.start_again([*notes, str(found)])
        _ask(check, finite_differences, dtypes, transforms)


def _ask(
    check: Check, finite_differences: bool, dtypes: Sequence[Any], transforms: Sequence[str]
) -> None:
    in_float64(check, finite_differences)
    if not check.report.ok and check.gives_up_float64():
        in_float64(check, finite_differences)
    for dtype in dict.fromkeys(map(jnp.dtype, (check.given, *dtypes))):
        if check.report.ok:
            in_dtype(check, dtype)
    if check.report.ok and check.precedents is None:
        with quickly_called(check.exact.leaves.arrays):
            unused(check)
    if check.report.ok:
        check.holds("gradient" if check.reference is None else "value", "gradient")
        under(check, transforms)


def in_float64(check: Check, finite_differences: bool) -> None:
    """Run the oracles for value, gradients, differences, linearity and determinism.

    They run until one fails. With `check.every_oracle`, autodiff, differences and linearity all
    run, even if one of them fails.
    """
    with quickly_called(check.exact.leaves.arrays):
        value(check)
        if not check.report.ok:
            return
        elsewhere = again(check)
    gradients = gradients_of(check, check.exact) if elsewhere is not None else None
    if elsewhere is None or gradients is None:
        return
    aside = on_kinks(check, gradients)
    if aside:
        gradients = step_aside(check)
    autodiff(check, gradients)
    if check.goes_on and finite_differences:
        told = differences(check, gradients)
        if check.report.ok and not told and not aside:
            check.report.levels.clear()
            aside, gradients = True, step_aside(check)
            autodiff(check, gradients)
            differences(check, gradients)
    if check.goes_on:
        linearity(check, gradients)
    if check.report.ok and not aside:
        beside(check, *elsewhere)
