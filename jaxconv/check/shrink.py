"""Search for a smaller call that still fails, which is easier to look at."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxconv._core.types import Options, Values
from jaxconv.check.case import Case
from jaxconv.check.catalogue import Record
from jaxconv.check.catalogue.cases import arguments, case_of
from jaxconv.check.judge import check_rule
from jaxconv.check.leaves import is_float
from jaxconv.check.report import Report

TRIES = 6


def smallest_sample(record: Record, number: int, report: Report) -> int:
    """Return the number of the smallest of a few samples that fails like this one."""

    def size(number: int) -> int:
        return sum(int(np.size(a)) for a in arguments(record.sample(number)))

    smaller = sorted(
        (n for n in range(30) if 0 < size(n) < size(number)), key=lambda n: (size(n), n)
    )
    for candidate in smaller[:: max(1, len(smaller) // TRIES)]:
        if _fails(case_of(record, candidate), report):
            return candidate
    return number


def smallest_batch(case: Case, report: Report) -> Values:
    """Halve the batch axis for as long as the case still fails like this; return the arguments."""
    args = tuple(case.args)
    while True:
        half = _halved(args)
        if half is None or not _fails(_with(case, half), report):
            return args
        args = half


def _halved(args: Values) -> tuple[object, ...] | None:
    """Keep the first half of all arrays with the first one's batch size; None if that is 1."""
    leaves = [leaf for leaf in jax.tree.leaves(tuple(args)) if is_float(leaf)]
    if not leaves[0].ndim or leaves[0].shape[0] < 2:
        return None
    size = leaves[0].shape[0]

    def halve(leaf: Any) -> Any:
        shape = np.shape(leaf)
        return leaf[: size // 2] if shape and shape[0] == size else leaf

    return tuple(jax.tree.map(halve, tuple(args)))


def _with(case: Case, args: Values) -> Case:
    return Case(case.name, case.rule, args, case.reference, case.options)


def _fails(case: Case, like: Report) -> bool:
    """Whether the case fails at the same argument and for the same oracle as `like`."""
    first = like.failures[0]
    options: Options = {k: v for k, v in case.options.items() if k != "costs"}
    options["transforms"] = (first.transform,) if first.transform else ()
    options["dtypes"] = (first.dtype,)
    try:
        found = run(case, **options)
    except Exception:  # a call that the rule does not take is no smaller failure
        return False
    kinds = {(failure.argument, failure.oracle) for failure in found.failures}
    return (first.argument, first.oracle) in kinds


def run(case: Case, **options: Any) -> Report:
    """Run `check_rule` on a case."""
    check: Callable[..., Report] = check_rule
    return check(
        case.rule, case.args, case.reference, **{"name": case.name, **case.options, **options}
    )
