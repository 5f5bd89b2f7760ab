"""`check_rule`: every oracle asked, in the order in which their answers build on each other."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxconv.check.bench import Bench
from jaxconv.check.case import TRANSFORMS
from jaxconv.check.costs import compared_costs
from jaxconv.check.oracles.autodiff import autodiff
from jaxconv.check.oracles.determinism import again, beside
from jaxconv.check.oracles.differences import differences
from jaxconv.check.oracles.given import in_dtype
from jaxconv.check.oracles.kinks import on_kinks, step_aside
from jaxconv.check.oracles.linearity import linearity
from jaxconv.check.oracles.structure import gradients_of
from jaxconv.check.oracles.transformations import under
from jaxconv.check.oracles.value import value
from jaxconv.check.precedents import Precedents
from jaxconv.check.report import Report
from jaxconv.check.usage import check_usage, seed_of


def check_rule(
    rule: Callable[..., Any],
    args: Sequence[Any],
    reference: Callable[..., Any] | None = None,
    *,
    cotangents: int = 3,
    key: Any = 0,
    tolerance: float | None = None,
    transforms: Sequence[str] = TRANSFORMS,
    finite_differences: bool = True,
    name: str | None = None,
    others: Sequence[Sequence[Any]] = (),
    dtypes: Sequence[Any] = (),
    costs: bool = False,
) -> Report:
    """Put the gradient of `rule` at `args` on trial.

    Held against: the value and the gradients of `reference`, element by element, for several
    random cotangents, in float64 and in the dtype of the arguments; central differences of the
    rule's own forward pass; linearity in the cotangent; shapes and dtypes; itself, called twice.
    Then again under the transformations. A point at a kink or a tie is recognised, noted and moved
    away from. A wrong gradient is fitted against known mistakes.

    Args:
        rule: any callable that JAX can differentiate in reverse mode.
        args: its positional arguments, any pytrees. Floating-point arrays are differentiated;
            integers, booleans, keys, Python's numbers and None are not.
        reference: a callable of the same arguments and meaning, differentiated by JAX.
        cotangents: how many random cotangents are tried.
        key: the seed they are drawn from, an int or a `jax.random.key`.
        tolerance: relative error that is allowed in float64; None is 64 units in the last place
            and what the conditioning of the problem adds.
        transforms: of "jit", "vmap", "scan", "checkpoint", "second_order"; and "shard_map".
        finite_differences: whether to ask them.
        name: what the report calls the rule.
        others: further arguments, of other shapes, on which a diagnosis must hold too.
        dtypes: those in which it is judged beside float64 and the dtype of the arguments.
        costs: whether to say what rule and reference cost, in `Report.costs`.

    Returns:
        A `Report`: `.ok`, `.failures`, `.raise_if_failed()`.

    Raises:
        TypeError: rule or reference cannot be called, or args, transforms or dtypes are no
            sequence (a string is none).
        ValueError: nothing to differentiate, an unknown transformation, a dtype that is unknown or
            not floating-point, or a rule and a reference that cannot be called with these
            arguments.
    """
    check_usage(rule, reference, args, cotangents, transforms, dtypes)
    report = Report(name or str(getattr(rule, "__name__", type(rule).__name__)))
    with jax.enable_x64(True):
        bench = Bench(
            rule, reference, tuple(args), report, cotangents, seed_of(key), tolerance, others
        )
        ask(bench, finite_differences, dtypes, transforms)
        if costs:
            report.costs = compared_costs(rule, reference, args)
    return report


def try_gradient(
    rule: Callable[..., Any],
    args: Sequence[Any],
    precedents: Precedents,
    others: Sequence[Sequence[Any]],
    *,
    diagnosed: bool,
    name: str,
) -> Report:
    """The part of `check_rule` that is cheap if asked of many rules: in float64.

    Every oracle is asked, until its first failure: which of them would have noticed?
    """
    with jax.enable_x64(True):
        bench = Bench(
            rule, precedents.reference, tuple(args), Report(name), others=others,
            precedents=precedents, every_oracle=True, diagnosed=diagnosed,
        )  # fmt: skip
        in_float64(bench, finite_differences=True)
    return bench.report


def ask(
    bench: Bench, finite_differences: bool, dtypes: Sequence[Any], transforms: Sequence[str]
) -> None:
    """All oracles; until something does not hold."""
    in_float64(bench, finite_differences)
    for dtype in dict.fromkeys(map(jnp.dtype, (bench.given, *dtypes))):
        if bench.report.ok:
            in_dtype(bench, dtype)
    if bench.report.ok:
        under(bench, transforms)


def in_float64(bench: Bench, finite_differences: bool) -> None:
    """Value, gradients, differences, linearity, determinism; until something does not hold."""
    value(bench)
    if not bench.report.ok:
        return
    elsewhere = again(bench)
    gradients = gradients_of(bench, bench.exact) if elsewhere is not None else None
    if elsewhere is None or gradients is None:
        return
    aside = on_kinks(bench, gradients)
    if aside:
        gradients = step_aside(bench)
    autodiff(bench, gradients)
    if bench.goes_on and finite_differences:
        told = differences(bench, gradients)
        if bench.report.ok and not told and not aside:
            aside, gradients = True, step_aside(bench)
            autodiff(bench, gradients)
            differences(bench, gradients)
    if bench.goes_on:
        linearity(bench, gradients)
    if bench.report.ok and not aside:
        beside(bench, *elsewhere)
