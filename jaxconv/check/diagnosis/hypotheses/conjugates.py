"""Mistakes with complex numbers: a conjugate is missing or too many, a part is dropped."""

from collections.abc import Iterator

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypothesis import Guess, register


@register("conjugate_missing", takes_complex=True)
def conjugate_missing(evidence: Evidence) -> Iterator[Guess]:
    """The gradient, the cotangent or the derivative is conjugated where it must not be."""
    leaf, name = evidence.leaf, evidence.name

    def of_conjugate(o: Observation) -> np.ndarray | None:
        return o.gradient(leaf, dy=[np.conj(d) for d in o.dy])

    def conjugated(o: Observation) -> np.ndarray | None:
        found = of_conjugate(o)
        return None if found is None else np.conj(found)

    if not evidence.has_complex:
        return
    yield Guess(f"d({name}) is the conjugate of what it should be", lambda o: np.conj(o.want[leaf]))
    yield Guess(f"d({name}) uses the conjugate of the cotangent", of_conjugate)
    yield Guess(f"d({name}) uses the conjugate of the derivative", conjugated)
    yield Guess(f"d({name}) lacks its imaginary part", lambda o: o.want[leaf].real.astype(complex))
