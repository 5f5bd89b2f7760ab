"""`Leaves`: an argument tree as a list of named arrays to differentiate, plus other leaves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv._core.arguments import DType
from jaxconv._core.types import Function, Values
from jaxconv.check.arrays import Arrays, as_exact
from jaxconv.check.domains import Domain

Pullback = Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]


def is_float(leaf: object) -> bool:
    """Whether this leaf of a tree is differentiated: an array of floats, real or complex."""
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.inexact)


@dataclass(frozen=True)
class Leaves:
    """A flattened argument tree.

    Attributes:
        names: the paths of the differentiated leaves, like "params['w']".
        wanted: the positions of the differentiated leaves among all leaves.
        leaves: all leaves.
        tree: the tree structure.
        domains: for each leaf the domain that it stays in, or None.
    """

    names: tuple[str, ...]
    wanted: tuple[int, ...]
    leaves: tuple[Any, ...]
    tree: object
    domains: tuple[Domain | None, ...]

    @classmethod
    def of(
        cls, args: Values, called: Sequence[str] = (), domains: Sequence[Domain | None] = ()
    ) -> "Leaves":
        """Flatten the argument tuple.

        Args:
            args: the argument tuple.
            called: the names of its elements.
            domains: a domain, or None, for each leaf; () if there are none.
        """
        with_path, tree = jax.tree.flatten_with_path(tuple(args))
        wanted = tuple(i for i, (_, leaf) in enumerate(with_path) if is_float(leaf))
        called = called or [f"args[{i}]" for i in range(len(args))]
        paths = [with_path[i][0] for i in wanted]
        names = tuple(called[path[0].idx] + jax.tree_util.keystr(path[1:]) for path in paths)
        leaves = tuple(leaf for _, leaf in with_path)
        return cls(names, wanted, leaves, tree, tuple(domains) or (None,) * len(leaves))

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
            leaves[i] = jax.device_put(array)
        return replace(self, leaves=tuple(leaves))

    def without_x64(self) -> "Leaves":
        """Return a copy whose integers have the dtypes that they have while x64 is off."""
        with jax.enable_x64(False):
            leaves = tuple(
                np.asarray(leaf).astype(jax.dtypes.canonicalize_dtype(leaf.dtype))
                if i not in self.wanted and _is_integer(leaf)
                else leaf
                for i, leaf in enumerate(self.leaves)
            )
        return replace(self, leaves=leaves)

    def bind(self, function: Function) -> Callable[..., Arrays]:
        """Turn `function` into one from the differentiated leaves to its floating-point outputs.

        Leaves near those here are mapped into their domains before.
        """
        maps = self._maps

        def bound(*arrays: Any) -> Arrays:
            inside = [a if m is None else m(a) for m, a in zip(maps, arrays, strict=True)]
            return [y for y in jax.tree.leaves(function(*self.args(inside))) if is_float(y)]

        return bound

    @property
    def _maps(self) -> list[Callable[[Any], Any] | None]:
        pairs = [(self.domains[i], self.leaves[i]) for i in self.wanted]
        return [None if domain is None else domain.inside(x) for domain, x in pairs]

    def mapped(self, arrays: Values) -> Arrays:
        """Return leaves near those here, moved into their domains."""
        pairs = zip(self._maps, arrays, strict=True)
        return [a if m is None else m(jnp.asarray(a)) for m, a in pairs]

    @property
    def reaches(self) -> list[np.ndarray | None]:
        """How far each element of a differentiated leaf can be moved; None for any distance."""
        pairs = [(self.domains[i], self.leaves[i]) for i in self.wanted]
        return [None if domain is None else domain.reach(as_exact(x)) for domain, x in pairs]

    def settled(self) -> "Leaves":
        """Return a copy whose leaves are moved into their domains."""
        leaves = [
            leaf if domain is None else np.asarray(domain.settled(np.asarray(leaf)))
            for domain, leaf in zip(self.domains, self.leaves, strict=True)
        ]
        return replace(self, leaves=tuple(leaves))


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
