"""Gradients that are right except for more rounding than their dtype explains."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from jaxconv._core.arguments import DType
from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypothesis import Guess, register

_NARROW = (jnp.float32, jnp.bfloat16, jnp.float16)


@register("precision_lost", scaled=False)
def precision_lost(evidence: Evidence) -> Iterator[Guess]:
    """Arguments, cotangent, gradient or an intermediate result are rounded to a narrow dtype."""
    leaf, names = evidence.leaf, evidence.names
    for dtype in _NARROW:
        eps, name = float(jnp.finfo(dtype).eps), jnp.dtype(dtype).name
        if eps <= 50 * evidence.exact:
            continue
        everything = tuple(range(len(names)))
        plans = [((), True), *(((i,), both) for i in everything for both in (False, True))]
        plans += [(everything, False), (everything, True)]
        for which, dy_too in plans:

            def predict(
                o: Observation,
                dtype: DType = dtype,
                which: tuple[int, ...] = which,
                dy_too: bool = dy_too,
            ) -> np.ndarray | None:
                arrays = [_rounded(a, dtype) if i in which else a for i, a in enumerate(o.arrays)]
                dy = [_rounded(d, dtype) for d in o.dy] if dy_too else o.dy
                return o.gradient(leaf, arrays=arrays, dy=dy)

            what = ["dy"] * dy_too
            what += [names[i] for i in which] if which != everything else ["all arguments"]
            yield Guess(
                f"d({names[leaf]}) is computed from {' and '.join(what)} rounded to {name}"
                f" (units of {eps:.1g})",
                predict,
            )
        yield Guess(
            f"d({names[leaf]}) is rounded to {name} (units of {eps:.1g})",
            lambda o, dtype=dtype: _rounded(o.want[leaf], dtype),  # type: ignore[misc]
        )
        if dtype is jnp.float32 or all(
            np.array_equal(_rounded(o.got[leaf], dtype), o.got[leaf], equal_nan=True)
            for o in evidence.observations
        ):
            yield Guess(
                f"precision is lost in d({names[leaf]}): its error is that of an intermediate in"
                f" {name} (units of {eps:.1g})",
                lambda o: o.want[leaf],
                tolerance=16 * eps,
            )


def _rounded(a: np.ndarray, dtype: DType) -> np.ndarray:
    return a.astype(dtype).astype(np.float64)
