"""Mistakes in the gradient as a whole: its sign, a factor, or the gradient of another argument."""

from collections.abc import Iterator

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence
from jaxconv.check.diagnosis.hypothesis import Guess, register
from jaxconv.check.diagnosis.numbers import describe, factor_of, informative, number


@register("wrong_sign", scaled=False, takes_complex=True)
def wrong_sign(evidence: Evidence) -> Iterator[Guess]:
    """The gradient has the wrong sign: got = −want."""
    yield Guess(
        f"d({evidence.name}) has the wrong sign: it is −1 times what it should be",
        lambda o: -o.want[evidence.leaf],
    )


@register("argument_constant", scaled=False, takes_complex=True)
def argument_constant(evidence: Evidence) -> Iterator[Guess]:
    """The argument is treated as a constant: got = 0."""
    yield Guess(
        f"{evidence.name} is treated as a constant: its gradient is 0 everywhere",
        lambda o: np.zeros_like(o.want[evidence.leaf]),
    )


@register("constant_factor", scaled=False)
def constant_factor(evidence: Evidence) -> Iterator[Guess]:
    """The gradient is off by a factor: got = c·want, with c constant or explained by the shapes."""
    leaf = evidence.leaf
    factors = [factor_of(o.got[leaf], o.want[leaf]) for o in evidence.observations]
    if not all(factors) or not np.all(np.isfinite(factors)) or not informative(evidence, factors):
        return
    if np.allclose(factors, 1, rtol=1e-5) and not np.allclose(factors, factors[0], rtol=1e-9):
        return  # rounding of few numbers, not a factor
    said = describe(evidence, factors)
    if said is not None:
        yield Guess(
            f"d({evidence.name}) is {number(factors[0])} times what it should be{said}",
            lambda o: factor_of(o.got[leaf], o.want[leaf]) * o.want[leaf],
        )


@register("other_arguments_gradient", takes_complex=True)
def other_arguments_gradient(evidence: Evidence) -> Iterator[Guess]:
    """The gradient is that of another argument: the rule returns them in the wrong order."""
    for other, name in enumerate(evidence.names):
        if other != evidence.leaf:
            yield Guess(
                f"d({evidence.name}) is the gradient of {name}",
                lambda o, other=other: o.want[other],  # type: ignore[misc]
            )
