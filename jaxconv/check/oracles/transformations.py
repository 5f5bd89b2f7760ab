"""The gradient under the transformations of JAX: jit, vmap, scan, checkpoint and others.

The function for each transformation yields (leaf, got, want, allowed). The expected gradient is
computed without the transformation, one example or step at a time, by the reference, or by the rule
itself if there is no reference.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxconv._core.types import Function
from jaxconv.check.arrays import Arrays, as_float64, root_mean_square
from jaxconv.check.compare import compare
from jaxconv.check.leaves import pullback
from jaxconv.check.state import Check, first_line
from jaxconv.check.trial import Trial

Outcome = tuple[int | str, np.ndarray, np.ndarray, np.ndarray]


def _outcomes(trial: Trial, got: Arrays, want: Arrays) -> Iterator[Outcome]:
    for leaf, (g, w) in enumerate(zip(got, want, strict=True)):
        g, w = as_float64(g), as_float64(w)
        w = np.where(np.isnan(w), g, w)
        yield leaf, g, w, 4 * trial.allowed(leaf, w, None)


def _jit(trial: Trial) -> Iterator[Outcome]:
    """Compare the compiled rule with the truth, and the uncompiled one too."""
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    want = trial.best(arrays, dy)[1]
    for run in (trial.compiled, trial.eager):
        yield from _outcomes(trial, run(arrays, dy)[1], want)


def _checkpoint(trial: Trial) -> Iterator[Outcome]:
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    _, got = jax.jit(pullback(jax.checkpoint(trial.bound)))(arrays, dy)
    yield from _outcomes(trial, got, trial.best(arrays, dy)[1])


def _vmap(trial: Trial) -> Iterator[Outcome]:
    """Map each argument alone, and all of them together with the cotangent.

    All these calls are compiled as one function.
    """
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    stacks = [jnp.stack([a, a * 0.99, a * 1.01]) for a in arrays]
    dys = [jnp.stack([d, -d, 0.5 * d]) for d in dy]
    alone = [tuple(i == j for j in range(len(arrays))) for i in range(len(arrays))]
    ways = [(chosen, False) for chosen in alone if len(arrays) > 1] + [
        ((True,) * len(arrays), True)
    ]

    def select(chosen: tuple[bool, ...], mapped_dy: bool) -> tuple[Arrays, Arrays]:
        given = [s if c else a for s, c, a in zip(stacks, chosen, arrays, strict=True)]
        return given, dys if mapped_dy else dy

    def all_ways(given: list[tuple[Arrays, Arrays]]) -> list[Arrays]:
        return [
            jax.vmap(
                pullback(trial.bound),
                in_axes=([0 if c else None for c in chosen], [0 if with_dy else None] * len(dy)),
            )(*args)[1]
            for (chosen, with_dy), args in zip(ways, given, strict=True)
        ]

    given = [select(*way) for way in ways]
    for (chosen, with_dy), args, got in zip(ways, given, jax.jit(all_ways)(given), strict=True):
        for i in range(3):
            one = [a[i] if c else a for a, c in zip(args[0], chosen, strict=True)]
            its = [d[i] for d in args[1]] if with_dy else args[1]
            yield from _outcomes(trial, [g[i] for g in got], trial.best(one, its)[1])


def _scan(trial: Trial) -> Iterator[Outcome]:
    """Sum the rule over three steps, each with arguments scaled differently."""
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    scales = jnp.asarray([1.0, 0.99, 1.01])

    def total(*arrays: Any) -> Any:
        def step(carry: Any, scale: Any) -> Any:
            y = trial.bound(*[(a * scale.astype(a.dtype)) for a in arrays])
            return [c + leaf for c, leaf in zip(carry, y, strict=True)], None

        start = [jnp.zeros(shape, dtype) for shape, dtype in trial.shapes]
        return jax.lax.scan(step, start, scales)[0]

    _, got = jax.jit(pullback(total))(arrays, dy)
    want = [np.zeros(a.shape) for a in arrays]
    for scale in scales:
        at = [a * scale.astype(a.dtype) for a in arrays]
        for w, g in zip(want, trial.best(at, dy)[1], strict=True):
            w += float(scale) * as_float64(g)
    yield from _outcomes(trial, got, want)


def _second_order(trial: Trial) -> Iterator[Outcome]:
    """Compare second derivatives: reverse over reverse and forward over reverse.

    Reverse over reverse is taken for the arguments and for the cotangent; without a reference,
    only forward over reverse is compared, with central differences.
    """
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    rng = np.random.default_rng(1)
    weights = [jnp.asarray(rng.standard_normal(a.shape)).astype(a.dtype) for a in arrays]

    def twice(bound: Function) -> Function:
        def gradients(arrays: Arrays, dy: Arrays) -> Arrays:
            return pullback(bound)(arrays, dy)[1]

        def bent(arrays: Arrays, dy: Arrays) -> Any:
            return sum(
                jnp.sum(w * jnp.sin(g)) for w, g in zip(weights, gradients(arrays, dy), strict=True)
            )

        def curved(arrays: Arrays) -> Any:
            # sin makes the cotangent depend on y, so that forward mode differentiates y too.
            return sum(jnp.sum(d * jnp.sin(y)) for d, y in zip(dy, bound(*arrays), strict=True))

        def both(arrays: Arrays, dy: Arrays) -> Any:
            forward = jax.jvp(jax.grad(curved), (arrays,), (weights,))[1]
            return (*jax.grad(bent, argnums=(0, 1))(arrays, dy), forward)

        return jax.jit(both)

    got = twice(trial.bound)(arrays, dy)
    if trial.reference is None:
        want = _differenced(trial, weights)
        pairs = [(got[2], want, 1e-5)]
    else:
        want = twice(trial.leaves.bind(trial.reference))(arrays, dy)
        pairs = [(g, w, 1e-8) for g, w in zip(got, want, strict=True)]
    names = trial.leaves.names
    for found, expected, relative in pairs:
        for i, (g, w) in enumerate(zip(found, expected, strict=True)):
            g, w = as_float64(g), as_float64(w)
            w = np.where(np.isnan(w), g, w)
            finite = np.where(np.isfinite(w), w, 0)
            allowed = relative * (np.abs(finite) + root_mean_square(w) + 1e-6)
            yield (names[i] if found is not got[1] else f"dy[{i}]"), g, w, allowed


def _differenced(trial: Trial, weights: Arrays) -> Arrays:
    """Estimate the gradients' derivative along the weights by central differences of the rule."""
    arrays, dy, h = trial.leaves.arrays, trial.dys[0], 1e-4
    sides = []
    for k in (-2, -1, 1, 2):
        moved = [a + k * h * w for a, w in zip(arrays, weights, strict=True)]
        bent = [d * jnp.cos(y) for d, y in zip(dy, trial.pull(moved, dy)[0], strict=True)]
        sides.append([as_float64(g) for g in trial.pull(moved, bent)[1]])
    return [(a - 8 * b + 8 * c - d) / (12 * h) for a, b, c, d in zip(*sides, strict=True)]


def _shard_map(trial: Trial) -> Iterator[Outcome]:
    """Replicate the arguments over two devices, which take ¼ and ¾ of the cotangent."""
    devices = jax.devices()[:2]
    mesh = Mesh(np.array(devices), ("devices",))
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    whole, split = PartitionSpec(), PartitionSpec("devices")

    @partial(jax.shard_map, mesh=mesh, in_specs=(whole, split), out_specs=whole)
    def shared(arrays: Arrays, shares: Any) -> Arrays:
        def loss(arrays: Arrays) -> Any:
            y = trial.bound(*arrays)
            return sum(jnp.sum(d * shares[0] * leaf) for d, leaf in zip(dy, y, strict=True))

        return jax.grad(loss)(arrays)

    shares = jnp.asarray(np.linspace(0.25, 0.75, len(devices)) if len(devices) > 1 else [1.0])
    got = jax.jit(shared)(arrays, shares.astype(trial.dtype))
    yield from _outcomes(trial, got, trial.best(arrays, dy)[1])


ASK: dict[str, Callable[[Trial], Iterator[Outcome]]] = {
    "jit": _jit,
    "vmap": _vmap,
    "scan": _scan,
    "checkpoint": _checkpoint,
    "second_order": _second_order,
    "shard_map": _shard_map,
}


def under(check: Check, names: Sequence[str]) -> None:
    """Check the gradients under each of these transformations."""
    trial = check.exact
    for name in names:
        try:
            outcomes = list(ASK[name](trial))
        except Exception as error:
            check.fail("", "autodiff", trial, f"it fails: {first_line(error)}", transform=name)
            continue
        for leaf, got, want, allowed in outcomes:
            check.report.checks += 1
            if isinstance(leaf, str):
                path, mismatch = leaf, compare(got, want, allowed)
            else:
                path, mismatch = trial.leaves.names[leaf], trial.off(leaf, got, want, allowed)
            if mismatch is not None:
                what = f"d({path})"
                check.fail_where(mismatch, path, "autodiff", trial, what, transform=name)
                break
