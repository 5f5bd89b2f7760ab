"""`Leaves`: an argument tree as a list of named arrays to differentiate, plus other leaves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv._core.arguments import DType
from jaxconv._core.types import Function, Values
from jaxconv.check.arrays import Arrays

Pullback = Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]


def is_float(leaf: object) -> bool:
    """Whether this leaf of a tree is differentiated: an array of floats, real or complex."""
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.inexact)


@dataclass(frozen=True)
class Leaves:
    """A flattened argument tree.

    Attributes:
        names: the paths of the differentiated leaves, like "args[1]['w']".
        wanted: the positions of the differentiated leaves among all leaves.
        leaves: all leaves.
        tree: the tree structure.
    """

    names: tuple[str, ...]
    wanted: tuple[int, ...]
    leaves: tuple[Any, ...]
    tree: object

    @classmethod
    def of(cls, args: Values) -> "Leaves":
        """Flatten the argument tuple."""
        with_path, tree = jax.tree.flatten_with_path(tuple(args))
        wanted = tuple(i for i, (_, leaf) in enumerate(with_path) if is_float(leaf))
        names = tuple(f"args{jax.tree_util.keystr(with_path[i][0])}" for i in wanted)
        return cls(names, wanted, tuple(leaf for _, leaf in with_path), tree)

    @property
    def arrays(self) -> Arrays:
        """The differentiated leaves."""
        return [self.leaves[i] for i in self.wanted]

    def args(self, arrays: Values) -> tuple[Any, ...]:
        """Return the argument tuple with these arrays as its differentiated leaves."""
        leaves = list(self.leaves)
        for i, array in zip(self.wanted, arrays, strict=True):
            leaves[i] = array
        return jax.tree.unflatten(self.tree, leaves)

    def cast(self, dtype: DType) -> "Leaves":
        """Return a copy with the differentiated leaves in this dtype, complex ones in its pair."""
        pair = np.complex64 if jnp.finfo(dtype).bits < 64 else np.complex128
        arrays = [np.asarray(a).astype(pair if jnp.iscomplexobj(a) else dtype) for a in self.arrays]
        leaves = list(self.leaves)
        for i, array in zip(self.wanted, arrays, strict=True):
            leaves[i] = jnp.asarray(array)
        return Leaves(self.names, self.wanted, tuple(leaves), self.tree)

    def without_x64(self) -> "Leaves":
        """Return a copy whose integers have the dtypes that they have while x64 is off."""
        with jax.enable_x64(False):
            leaves = tuple(
                np.asarray(leaf).astype(jax.dtypes.canonicalize_dtype(leaf.dtype))
                if i not in self.wanted and _is_integer(leaf)
                else leaf
                for i, leaf in enumerate(self.leaves)
            )
        return Leaves(self.names, self.wanted, leaves, self.tree)

    def bind(self, function: Function) -> Callable[..., Arrays]:
        """Turn `function` into one from the differentiated leaves to its floating-point outputs."""

        def bound(*arrays: Any) -> Arrays:
            return [y for y in jax.tree.leaves(function(*self.args(arrays))) if is_float(y)]

        return bound


def _is_integer(leaf: object) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.integer)


def pullback(function: Callable[..., Arrays]) -> Pullback:
    """Return the function (arrays, cotangents) → (value, gradients).

    A cotangent gets the dtype of its output, which need not be that of the arguments.
    """

    def run(arrays: Arrays, dy: Arrays) -> tuple[Arrays, Arrays]:
        y, pull = jax.vjp(function, *arrays)
        return y, list(pull([d.astype(out.dtype) for d, out in zip(dy, y, strict=True)]))

    return run
