"""Mistakes in the use of the cotangent: it is ignored, enters twice, or only in part."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypotheses.arrangement import with_cotangent
from jaxconv.check.diagnosis.hypothesis import Guess, register


@register("cotangent_ignored")
def cotangent_ignored(evidence: Evidence) -> Iterator[Guess]:
    """The rule replaces the cotangent by ones, its mean, its sum or its sign."""
    replaced: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "as if it were 1 everywhere": np.ones_like,
        "as its mean": lambda d: np.full_like(d, d.mean()),
        "as its sum": lambda d: np.full_like(d, d.sum()),
        "by its sign alone": np.sign,
    }
    for how, change in replaced.items():
        yield Guess(
            f"the cotangent is ignored in d({evidence.name}): it is used {how}",
            with_cotangent(evidence, change, all_ranks=True),
        )
    yield Guess(
        f"d({evidence.name}) does not depend on the cotangent: with 2·dy it is the same",
        partial(_if_scaled, leaf=evidence.leaf, power=0),
    )


def _if_scaled(o: Observation, leaf: int, power: int) -> np.ndarray | None:
    """Return the gradient itself if it grows with a power of dy that is not 1, otherwise None."""
    got = o.got[leaf]
    if o.pull is None or not np.any(got):
        return None
    doubled = o.pull([2 * d for d in o.dy])[leaf]
    return got if np.allclose(doubled, 2.0**power * got, rtol=1e-10, atol=0) else None


@register("cotangent_squared")
def cotangent_squared(evidence: Evidence) -> Iterator[Guess]:
    """The gradient is not linear in the cotangent."""
    yield Guess(
        f"d({evidence.name}) uses dy², so it is not linear in the cotangent",
        with_cotangent(evidence, np.square, all_ranks=True),
    )
    yield Guess(
        f"d({evidence.name}) uses |dy|, so it is not linear in the cotangent",
        with_cotangent(evidence, np.abs, all_ranks=True),
    )
    yield Guess(
        f"d({evidence.name}) is not linear in the cotangent: with 2·dy it is 4 times as large",
        partial(_if_scaled, leaf=evidence.leaf, power=2),
    )


@register("one_sample_only")
def one_sample_only(evidence: Evidence) -> Iterator[Guess]:
    """Only one example of the batch counts: a sum was assigned instead of added up."""
    for which, index in (("first", 0), ("last", -1)):

        def only(d: np.ndarray, index: int = index) -> np.ndarray | None:
            if d.ndim < 1 or d.shape[0] < 1:
                return None
            kept = np.zeros_like(d)
            kept[index] = d[index]
            return kept

        yield Guess(
            f"d({evidence.name}) is that of the {which} sample alone, not of the whole batch"
            " (axis 0)",
            with_cotangent(evidence, only),
        )


@register("output_ignored")
def output_ignored(evidence: Evidence) -> Iterator[Guess]:
    """The cotangent of one of several outputs is ignored, or only one of them is used."""
    leaf, count = evidence.leaf, len(evidence.first.dy)
    if count < 2:
        return

    def predict(o: Observation, used: Sequence[int]) -> np.ndarray | None:
        dy = [d if i in used else np.zeros_like(d) for i, d in enumerate(o.dy)]
        return o.gradient(leaf, dy=dy)

    for i in range(count):
        others = [j for j in range(count) if j != i]
        yield Guess(
            f"d({evidence.name}) ignores the cotangent of output {i}",
            partial(predict, used=others),
        )
        if count > 2:
            yield Guess(
                f"d({evidence.name}) uses the cotangent of output {i} alone",
                partial(predict, used=[i]),
            )
