"""Comparing a rule with its reference implementation.

What is compared, and how, is the checker's: this file compiles a sample once for many seeds, where
`check_rule` compiles each call anew and takes twenty times as long.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from quickly import AS_USERS_DO

from jaxconv.check.catalogue import Record, Sample
from jaxconv.check.compare import compare
from jaxconv.check.leaves import is_float


def assert_close(got, want, what="", tolerance=1e-10):
    """Elementwise: 1e-10 of the wanted value. The data is of order 1, so 1e-13 is rounding.

    The gradient checker's comparison judges, so a failure says where the elements lie.
    """
    got, want = (np.asarray(array, np.float64) for array in (got, want))
    assert got.shape == want.shape or want.ndim == 0, f"{what}: {got.shape}, expected {want.shape}"
    want = np.broadcast_to(want, got.shape)
    finite = np.where(np.isfinite(want), np.abs(want), 0)
    found = compare(got, want, tolerance * (finite + 1e-3))
    assert found is None, (
        f"{what}{list(found.index)} is {found.got:.17g}, expected {found.expected:.17g};"
        f" {found.off.sum():,} of {found.off.size:,} off: {found.where}"
    )


def assert_trees_close(got, want, what="", tolerance=1e-10):
    """The same for every leaf of two trees of one structure."""
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for (path, g), w in zip(jax.tree.leaves_with_path(got), jax.tree.leaves(want), strict=True):
        assert g.dtype == w.dtype, f"{what}{jax.tree_util.keystr(path)}"
        assert g.shape == w.shape, f"{what}{jax.tree_util.keystr(path)}"
        if g.dtype != jax.dtypes.float0:
            assert_close(g, w, f"{what}{jax.tree_util.keystr(path)}", tolerance)


@functools.partial(jax.jit, static_argnums=0)
def value_and_pullback(op, args, dy):
    """y and the cotangents of all args; one compilation for both."""
    y, pull = jax.vjp(op, *args)
    return y, pull(dy)


def normal(seed, shape, dtype=np.float64):
    """Standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def integers(seed, shape, limit=3, dtype=np.float64):
    """Whole numbers in [−limit, limit]: sums of their products are exact in any order."""
    return np.random.default_rng(seed).integers(-limit, limit + 1, shape).astype(dtype)


def float_leaves(tree):
    """What can be differentiated of an output."""
    return [leaf for leaf in jax.tree.leaves(tree) if is_float(leaf)]


# Samples of the catalogue. An op, the names of its arrays and its options are static, so calls
# that differ in numbers alone are compiled once.


class _Bound:
    """An op and the static part of a sample; two with the same parts are equal."""

    def __init__(self, op, sample):
        self.op, self.names = op, tuple(sample.arrays)
        self.options = tuple(sorted(sample.options.items()))

    def __call__(self, arrays, fixed):
        return self.op(**dict(zip(self.names, arrays, strict=True)), **fixed, **dict(self.options))

    def __hash__(self):
        return hash((self.op, self.names, self.options))

    def __eq__(self, other):
        return (self.op, self.names, self.options) == (other.op, other.names, other.options)


def cotangent_of(op, sample: Sample, seed):
    """Random cotangents of the output: a tree like it, float0 where it holds integers."""
    y = jax.eval_shape(lambda *arrays: sample.bind(op)(*arrays), *sample.arrays.values())
    leaves, tree = jax.tree.flatten(y)
    return jax.tree.unflatten(
        tree,
        [
            normal(1000 + 31 * seed + i, leaf.shape)
            if is_float(leaf)
            else np.zeros(leaf.shape, jax.dtypes.float0)
            for i, leaf in enumerate(leaves)
        ],
    )


def value_and_cotangents(op, sample: Sample, dy, *, optimized=False):
    """y and a gradient for each of the sample's arrays."""
    floats, rebuild = _without_float0(dy)
    compiled = _as_users_have_it if optimized else _quickly
    arrays, fixed = tuple(sample.arrays.values()), dict(sample.fixed)
    return compiled(_Bound(op, sample), rebuild, arrays, fixed, floats)


def lowered(op, sample: Sample, dy, platform):
    """`value_and_cotangents` as it goes to the compiler of another platform, as text."""
    floats, rebuild = _without_float0(dy)
    arrays, fixed = tuple(sample.arrays.values()), dict(sample.fixed)
    traced = _as_users_have_it.trace(_Bound(op, sample), rebuild, arrays, fixed, floats)
    return traced.lower(lowering_platforms=(platform,)).as_text()


def _value_and_cotangents(call, rebuild, arrays, fixed, dy):
    y, pull = jax.vjp(lambda *arrays: call(arrays, fixed), *arrays)
    return y, pull(rebuild(dy))


_quickly = jax.jit(_value_and_cotangents, static_argnums=(0, 1))
_as_users_have_it = jax.jit(
    _value_and_cotangents, static_argnums=(0, 1), compiler_options=AS_USERS_DO
)


def judged(record: Record, sample: Sample, dy, nudge=None):
    """y of the op alone, (y, gradients) of its rule and of its reference, and slopes.

    Slopes are per array (⟨dx, v⟩, the same by differences of the op alone) for a random v. The
    differences are calls of the same program: loops in it took as long to compile as the rest.
    """
    floats, rebuild = _without_float0(dy)
    names, arrays = tuple(sample.arrays), tuple(map(np.asarray, sample.arrays.values()))

    def run(*arrays):
        return _judged(
            _Bound(record.op, sample), _Bound(record.reference, sample), rebuild, arrays,
            dict(sample.fixed), floats,
        )  # fmt: skip

    alone, rule, reference = run(*arrays)
    _, gradients = rule
    slopes = {}
    for i, (name, gradient) in enumerate(zip(names, gradients, strict=True) if nudge else ()):
        step = _direction(i, arrays[i].shape) * nudge / 2
        total = 0.0
        for scale, weight in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
            far, *_ = run(*arrays[:i], arrays[i] + scale * step, *arrays[i + 1 :])
            total += weight * sum(map(np.vdot, floats, float_leaves(far))) / 12
        slopes[name] = np.vdot(gradient, step), total
    return alone, rule, reference, slopes


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _judged(call, reference, rebuild, arrays, fixed, dy):
    rule, of_reference = (
        _value_and_cotangents(f, rebuild, arrays, fixed, dy) for f in (call, reference)
    )
    return call(arrays, fixed), rule, of_reference


def _direction(seed, shape):
    """A random direction whose largest element is 1."""
    v = np.asarray(normal(500 + seed, shape))
    return v / max(np.abs(v).max(initial=0), 1e-300)


class _Rebuild:
    """Puts float0 cotangents, which jit does not take, back among the others."""

    def __init__(self, tree, shapes):
        self.tree, self.shapes = tree, shapes

    def __call__(self, floats):
        rest = iter(floats)
        leaves = [next(rest) if s is None else np.zeros(s, jax.dtypes.float0) for s in self.shapes]
        return jax.tree.unflatten(self.tree, leaves)

    def __hash__(self):
        return hash((self.tree, self.shapes))

    def __eq__(self, other):
        return (self.tree, self.shapes) == (other.tree, other.shapes)


def _without_float0(dy):
    leaves, tree = jax.tree.flatten(dy)
    is_float = [np.asarray(leaf).dtype != jax.dtypes.float0 for leaf in leaves]
    shapes = tuple(None if f else leaf.shape for f, leaf in zip(is_float, leaves, strict=True))
    floats = tuple(leaf for f, leaf in zip(is_float, leaves, strict=True) if f)
    return floats, _Rebuild(tree, shapes)


class Call:
    """One sample as losses with random cotangents that bend, so that second derivatives see it."""

    def __init__(self, record: Record, sample: Sample):
        self.record, self.sample = record, sample
        self.arrays = tuple(jnp.asarray(a) for a in sample.arrays.values())
        y = float_leaves(jax.eval_shape(lambda *a: sample.bind(record.op)(*a), *self.arrays))
        self.weights = [normal(900 + i, leaf.shape) for i, leaf in enumerate(y)]

    def loss(self, op):
        def loss(arrays):
            leaves = float_leaves(self.sample.bind(op)(*arrays))
            return sum(
                jnp.sum(c * jnp.sin(leaf)) for c, leaf in zip(self.weights, leaves, strict=True)
            )

        return loss

    @property
    def hand(self):
        return self.loss(self.record.op)

    @property
    def reference(self):
        return self.loss(self.record.reference)

    @functools.cached_property
    def reference_gradient(self):
        return jax.jit(jax.grad(self.reference))
