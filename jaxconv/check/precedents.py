"""`Precedents`: a reference's answers, shared by the checks of many rules against it."""

from collections.abc import Hashable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core.arguments import DType
from jaxconv._core.types import Function
from jaxconv.check.arrays import Arrays, as_exact
from jaxconv.check.differences import Differences
from jaxconv.check.leaves import Leaves, Pullback, pullback


class Precedents:
    """Compiled gradients of one reference and its answers, shared by the checks of many rules.

    The gradients are compiled once for each form of the arguments, and each answer is computed
    once. The rules themselves run uncompiled, since each would compile anew.
    """

    def __init__(self, reference: Function):
        self.reference = reference
        self._compiled: dict[Hashable, Pullback] = {}
        self._differences: dict[Hashable, Differences] = {}
        self._autodiff: dict[Hashable, Pullback] = {}

    def truth(self, exact: Leaves) -> Pullback:
        """Return the truth for these arguments and all others of their form."""
        form = _form(exact)
        if form not in self._compiled:
            self._compiled[form] = _remembered(jax.jit(pullback(exact.bind(self.reference))))
        return self._compiled[form]

    def autodiff(self, leaves: Leaves, dtype: DType) -> Pullback:
        """Return the pullback of the reference in this dtype."""
        form = (_form(leaves), dtype)
        if form not in self._autodiff:
            self._autodiff[form] = jax.jit(pullback(leaves.bind(self.reference)))
        return self._autodiff[form]

    def differences(self, exact: Leaves) -> Differences:
        """Return the reference's differences; the rule's value has been compared with its value."""
        form = _form(exact)
        if form not in self._differences:
            self._differences[form] = Differences(exact.bind(self.reference))
        return self._differences[form]


def _form(exact: Leaves) -> Hashable:
    """Return a key: the shapes of the differentiated arrays, and all other leaves by value."""
    rest = [leaf for i, leaf in enumerate(exact.leaves) if i not in exact.wanted]
    return (
        exact.tree,
        tuple(np.shape(a) for a in exact.arrays),
        tuple(leaf if isinstance(leaf, Hashable) else _content(leaf) for leaf in rest),
    )


def _content(array: Array | np.ndarray) -> tuple[tuple[int, ...], bytes]:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return np.shape(array), np.asarray(array).tobytes()


def _remembered(compiled: Pullback) -> Pullback:
    answers: dict[tuple[bytes, ...], tuple[Arrays, Arrays]] = {}

    def truth(arrays: Arrays, dy: Arrays) -> tuple[Arrays, Arrays]:
        given = [[as_exact(a) for a in group] for group in (arrays, dy)]
        question = tuple(a.tobytes() for group in given for a in group)
        if question not in answers:
            y, gradients = compiled(*given)
            answers[question] = list(map(np.asarray, y)), list(map(np.asarray, gradients))
        return answers[question]

    return truth
