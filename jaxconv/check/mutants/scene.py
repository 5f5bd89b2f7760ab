"""`Scene`: one call of an op with its right gradient, and rules that return a changed one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core.types import Function, Values
from jaxconv.check.arrays import Arrays
from jaxconv.check.catalogue import Record, Sample
from jaxconv.check.catalogue.cases import Call, arguments, further
from jaxconv.check.leaves import Leaves, is_float
from jaxconv.check.precedents import Precedents

Pull = Callable[[Values, Values], Arrays]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a backward pass gets and should return, as NumPy arrays.

    Attributes:
        arrays: the differentiated arguments.
        dys: the cotangents of the floating-point outputs.
        y: the floating-point outputs.
        gradients: the right gradients.
        pull: returns the right gradients for other arguments or cotangents.
    """

    arrays: Arrays
    dys: Arrays
    y: Arrays
    gradients: Arrays
    pull: Pull


Change = Callable[[Seen], Values]


class Scene:
    """One sample of an op, with all that its mutants need."""

    def __init__(self, record: Record, number: int):
        self.record, self.number = record, number
        self.sample: Sample = record.sample(number)
        self.call = Call.of(record.op, self.sample)
        self.args = tuple(jnp.asarray(a) for a in arguments(self.sample))
        self.others = further(record, self.sample)
        self.count = len(self.sample.arrays)
        self.precedents = Precedents(Call.of(record.reference, self.sample))

    @staticmethod
    def only_floats(y: object) -> Arrays:
        """Return the floating-point arrays of an output."""
        return [leaf for leaf in jax.tree.leaves(y) if is_float(leaf)]

    @cached_property
    def seen(self) -> Seen:
        """What a backward pass gets at the sample's arguments, for random cotangents."""
        y = self.only_floats(self.call(*self.args))
        rng = np.random.default_rng((self.number, 1))  # these differ from the arguments
        return self.at(self.args, [np.asarray(rng.standard_normal(a.shape)) for a in y])

    def at(self, args: Values, dys: Arrays) -> Seen:
        """Return what a backward pass gets at these arguments, for these cotangents."""
        truth = self.precedents.truth(Leaves.of(args))

        def pull(arrays: Values, dys: Values) -> Arrays:
            return list(truth(list(arrays), list(dys))[1])

        arrays = list(map(np.asarray, args[: self.count]))
        y, gradients = truth(arrays, dys)
        return Seen(arrays, dys, list(y), list(gradients), pull)

    def changed(self, change: Change, stale: bool = False) -> Function:
        """Return the op with a rule that applies `change` to the right gradient.

        With `stale`, the rule keeps its arguments in a list shared by all calls, so the backward
        pass finds those of the latest call.
        """
        last: list[tuple[Array, ...]] = []

        @jax.custom_vjp
        def rule(*args: Array) -> object:
            return self.call(*args)

        def forward(*args: Array) -> tuple[object, tuple[Array, ...]]:
            last[:] = [args]
            return self.call(*args), args

        def backward(kept: tuple[Array, ...], dy: object) -> tuple[Array | None, ...]:
            args = last[0] if stale else kept
            dys = [np.asarray(d) for d in jax.tree.leaves(dy) if d.dtype != jax.dtypes.float0]
            gradients = change(self.at(args, dys))
            return (*map(jnp.asarray, gradients), *[None] * (len(args) - self.count))

        rule.defvjp(forward, backward)
        return rule

    def differs(self, change: Change, stale: bool = False) -> bool:
        """Whether the change alters a gradient; otherwise it is no mistake."""
        seen = self.seen
        if stale:
            elsewhere = seen.pull([1.01 * a for a in seen.arrays], seen.dys)
            return not all_close(elsewhere, seen.gradients)
        return not all_close(change(seen), seen.gradients)


def all_close(got: Values, want: Values, relative: float = 1e-10) -> bool:
    """Whether these gradients are equal up to rounding."""
    for g, w in zip(got, want, strict=True):
        g, w = np.asarray(g), np.asarray(w)
        if g.shape != w.shape:
            return False
        size = float(np.max(np.abs(w[np.isfinite(w)]), initial=0.0)) or 1.0
        if not np.allclose(g, w, rtol=relative, atol=relative * size, equal_nan=True):
            return False
    return True
