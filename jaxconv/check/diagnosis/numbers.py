"""Find the factor of a wrong gradient and name it by a size: N, H·W, the area of a window."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation

PLAIN = (2.0, 0.5, 1.0)
"""Factors that need no other explanation."""


def factor_of(got: np.ndarray, of: np.ndarray) -> float:
    """Return the c for which got = c·of, computed at the largest element of `of`."""
    values = np.ma.filled(of, 0.0)
    if not values.size or values.shape != got.shape:
        return 0.0
    size = np.where(np.isfinite(values), np.abs(values), 0.0)
    index = np.unravel_index(int(np.argmax(size)), size.shape)
    return float(got[index] / values[index]) if size[index] else 0.0


def informative(evidence: Evidence, factors: list[float]) -> bool:
    """Whether a factor explains enough numbers; a single number is a multiple of any other."""
    if len(evidence.shapes) > 1 and np.allclose(factors, factors[0], rtol=evidence.exact):
        return True
    first = [o for o in evidence.observations if o.got[0].shape == evidence.first.got[0].shape]
    cotangents = min(len(first), sum(d.size for d in evidence.first.dy))
    return bool(np.count_nonzero(evidence.first.got[evidence.leaf]) * cotangents >= 3)


def describe(evidence: Evidence, factors: list[float]) -> str | None:
    """Return what the factors of all calls are, like ", which is 1/N, …".

    Return "" for a constant factor without a name, and None if the factors differ without one.
    """
    near = 1e-6 if evidence.exact < 1e-6 else 1e-2
    sizes = [abs(f) for f in factors]
    if any(math.copysign(1, f) != math.copysign(1, factors[0]) for f in factors):
        return None
    constant = bool(np.allclose(sizes, sizes[0], rtol=near, atol=0))
    if constant and any(math.isclose(sizes[0], p, rel_tol=near) for p in PLAIN):
        return ""
    tables = [dict(_named(evidence, o)) for o in evidence.observations]
    for shape, formula in _FORMULAS.items():
        for name in tables[0]:
            numbers = [table.get(name, 0) for table in tables]
            if min(numbers) < (2 if "1)" in shape else 1) or max(numbers) == 1:
                continue
            if all(
                math.isclose(formula(n), size, rel_tol=near)
                for n, size in zip(numbers, sizes, strict=True)
            ):
                short, _, long = name.partition("|")
                sign = "−" if factors[0] < 0 else ""
                if shape == "{}":
                    return f", which is {sign}{short}{long}"
                value = round(tables[0][name], 6)
                return f", which is {sign}{shape.format(short)}, where {short} = {value:g}{long}"
    if not constant:
        return None
    for side in range(3, 8):
        for size in (side**2, 1 / side**2):
            if math.isclose(sizes[0], size, rel_tol=near):
                one = "" if size > 1 else "1/"
                return f", {one}{side**2} as of a window of {side} × {side}"
    return ""


_FORMULAS = {
    "{}": lambda n: n,
    "1/{}": lambda n: 1 / n,
    "2/{}": lambda n: 2 / n,
    "{}/2": lambda n: n / 2,
    "√{}": math.sqrt,
    "1/√{}": lambda n: 1 / math.sqrt(n),
    "{0}²": lambda n: n**2,
    "1/{0}²": lambda n: n**-2,
    "{0}/({0} − 1)": lambda n: n / (n - 1),
    "({0} − 1)/{0}": lambda n: (n - 1) / n,
}


def _named(evidence: Evidence, o: Observation) -> Iterator[tuple[str, float]]:
    """Yield sizes and products of sizes with their names, like ("N| (axis 0 of args[0])", 4)."""
    names = evidence.names
    x, y = o.arrays[0], o.dy[0]
    if x.ndim:
        yield f"N| (axis 0 of {names[0]})", x.shape[0]
    if x.ndim >= 4:
        yield f"H·W| (axes 1 and 2 of {names[0]})", math.prod(x.shape[1:3])
        yield f"H·W| (axes 2 and 3 of {names[0]})", math.prod(x.shape[2:4])
    for name, a in zip(names[1:], o.arrays[1:], strict=True):
        if a.ndim >= 3:
            yield f"the window area| (all but the last two axes of {name})", math.prod(a.shape[:-2])
            yield f"the window area| (all but the first two axes of {name})", math.prod(a.shape[2:])
    if x.ndim == y.ndim and y.size:
        yield f"the window area| (elements of {names[0]} for one of y)", x.size / y.size
        windows = [a - b + 1 for a, b in zip(x.shape, y.shape, strict=True) if a != b]
        yield f"the window area| (what y is smaller than {names[0]}, by axis)", math.prod(windows)
    for name, a in (*zip(names, o.arrays, strict=True), ("y", y)):
        yield f"the number of elements of {name}|", a.size
        for count in range(1, a.ndim):
            for start in range(a.ndim - count + 1):
                axes = list(range(start, start + count))
                product = math.prod(a.shape[start : start + count])
                yield f"the size of {axis_words(axes)} of {name}|", product
    if x.ndim:
        yield f"N times the outputs of one| (axis 0 of {names[0]}, and y)", x.shape[0] * y.size


def number(value: float) -> str:
    """Return a factor as people write it: −1, ½, 4/9, 1.7."""
    near = Fraction(value).limit_denominator(400)
    if near and math.isclose(float(near), value, rel_tol=1e-9):
        sign, near = ("−" if near < 0 else ""), abs(near)
        return sign + {Fraction(1, 2): "½", Fraction(1, 4): "¼"}.get(near, str(near))
    return f"{value:.6g}".replace("-", "−")


def axis_words(axes: list[int] | tuple[int, ...]) -> str:
    """Return the axes in words, like "axis 1" or "axes 1 and 2"."""
    if len(axes) == 1:
        return f"axis {axes[0]}"
    return "axes " + ", ".join(map(str, axes[:-1])) + f" and {axes[-1]}"
