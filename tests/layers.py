"""Comparing a layer with the layer of another library whose place it takes.

A layer is given as a function of trees of arrays. All that goes in, and all cotangents, are numbers
that bfloat16 holds exactly, so every precision sees the same ones.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
from rules import assert_trees_close, normal

from jaxconv.check.leaves import is_float

SEEDS = range(5)


def exact(seed, shape, dtype=np.float64):
    """Standard normal numbers that bfloat16 holds exactly."""
    return jnp.asarray(normal(seed, shape)).astype(jnp.bfloat16).astype(dtype)


def randomize(tree, seed=0):
    """A tree like this one, whose float leaves are random numbers from 1 on."""

    def random(i, leaf):
        return (1 + jnp.abs(exact(100 * seed + i, leaf.shape)) / 4).astype(jnp.bfloat16)

    leaves, structure = jax.tree.flatten(tree)
    changed = [
        random(i, leaf).astype(leaf.dtype) if is_float(leaf) else leaf
        for i, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, changed)


def as_float64(tree):
    def widened(a):
        return a.astype(np.float64) if is_float(a) and not jnp.iscomplexobj(a) else a

    return jax.tree.map(widened, tree)


def has_rule(layer, args):
    """Whether the layer has a backward pass by hand."""
    return "custom_vjp" in str(jax.make_jaxpr(layer)(*args))


def cotangents_of(layer, args, seed):
    """One random cotangent for each float of the outputs."""
    outputs = [y for y in jax.tree.leaves(jax.eval_shape(layer, *args)) if is_float(y)]
    return [exact(1000 + 100 * seed + i, y.shape) for i, y in enumerate(outputs)]


def values_and_gradients(*layers, compiled=jax.jit):
    """A compiled function of args and cotangents: all outputs and all gradients of each layer."""

    def run(layer, args, cotangents):
        def floats(*args):
            outputs = layer(*args)
            return [y for y in jax.tree.leaves(outputs) if is_float(y)], outputs

        ys, pull, outputs = jax.vjp(floats, *args, has_aux=True)
        gradients = pull([d.astype(y.dtype) for d, y in zip(cotangents, ys, strict=True)])
        of_floats = [g for g in jax.tree.leaves(gradients) if g.dtype != jax.dtypes.float0]
        return outputs, of_floats

    return compiled(lambda args, cotangents: [run(layer, args, cotangents) for layer in layers])


def assert_same(ours, library, args):
    """The values, and the gradients for random cotangents, agree to 1e-10."""
    got, want = values_and_gradients(ours, library)(args, cotangents_of(library, args, 0))
    assert_trees_close(got, want)


def assert_as_precise(ours, library, exactly, sample):
    """No output and no gradient is further from the truth than the library's, by 10 %.

    `exactly` is the library's layer, computing in float64, and sample(seed) returns the arguments.
    """
    both = values_and_gradients(ours, library, compiled=jax.jit)  # as users compile them
    precise = values_and_gradients(exactly)
    errors = []
    for seed in SEEDS:
        args = sample(seed)
        cotangents = cotangents_of(library, args, seed)
        (got, want), (truth,) = both(args, cotangents), precise(as_float64(args), cotangents)
        assert jax.tree.map(dtype_and_shape, got) == jax.tree.map(dtype_and_shape, want)
        errors.append([
            (squared(g, t), squared(w, t), (float(jnp.finfo(g.dtype).eps) / 16) ** 2 * squared(t))
            for g, w, t in zip(*map(jax.tree.leaves, (got, want, truth)), strict=True)
            if is_float(g)
        ])  # fmt: skip
    ours, library, negligible = np.sqrt(np.sum(errors, 0)).T
    assert np.all(ours <= 1.1 * library + negligible), f"{ours}, the library {library}"


def dtype_and_shape(array):
    return array.dtype, array.shape


def squared(array, from_array=0.0):
    return np.sum((np.asarray(array, np.float64) - np.asarray(from_array, np.float64)) ** 2)


def in_words(value):
    """Return a parameter of a test as text, without addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))
