"""The gradient under the transformations of JAX: jit, vmap, scan, checkpoint and others.

The function for each transformation yields (leaf, got, want, allowed). The expected gradient is
computed without the transformation, one example or step at a time, by the reference, or by the rule
itself if there is no reference.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxconv._core.types import Function, Values
from jaxconv.check.arrays import Arrays, as_exact, placed, sizes
from jaxconv.check.compare import compare
from jaxconv.check.compiling import quick_jit
from jaxconv.check.differences import EXACT
from jaxconv.check.leaves import pullback
from jaxconv.check.levels import ORDERS
from jaxconv.check.report import Diagnosis
from jaxconv.check.state import Check, first_line
from jaxconv.check.trial import Trial

FUSED = 1e-9
"""The relative error of what XLA computes in another way, such as 1 − c² in one rounding.

Where c is a constant near 1, moving the arguments does not show how much that changes. A gradient
that a transformation makes wrong is wrong by far more.
"""

MOST_ALONE = 4
"""At most this many arguments are mapped one by one."""

Outcome = tuple[int | str, np.ndarray, np.ndarray, np.ndarray]


def _outcomes(trial: Trial, got: Arrays, want: Arrays) -> Iterator[Outcome]:
    for leaf, (g, w) in enumerate(zip(got, want, strict=True)):
        g, w = as_exact(g), as_exact(w)
        w = np.where(np.isnan(w), g, w)
        yield leaf, g, w, 4 * trial.allowed(leaf, w) + FUSED * sizes(w)


def _jit(trial: Trial) -> Iterator[Outcome]:
    """Compare the compiled rule with the truth, and the uncompiled one too."""
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    want = trial.best(arrays, dy)[1]
    for run in (trial.compiled, trial.eager):
        yield from _outcomes(trial, run(arrays, dy)[1], want)


def _checkpoint(trial: Trial) -> Iterator[Outcome]:
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    _, got = quick_jit(pullback(jax.checkpoint(trial.bound)), arrays)(arrays, dy)
    yield from _outcomes(trial, got, trial.best(arrays, dy)[1])


def _vmap(trial: Trial) -> Iterator[Outcome]:
    """Map each argument alone, and all of them together with the cotangent.

    Of more than four arguments, halves are mapped. All these calls are compiled as one function.
    """
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    stacks = [_stacked(a, [1, 0.99, 1.01]) for a in arrays]
    dys = [_stacked(d, [1, -1, 0.5]) for d in dy]
    several = range(len(arrays))
    alone = [tuple(i == j for j in several) for i in several]
    if len(arrays) > MOST_ALONE:
        alone = [tuple(j % 2 == i for j in several) for i in range(2)]
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
    for (chosen, with_dy), args, got in zip(
        ways, given, quick_jit(all_ways, arrays)(given), strict=True
    ):
        for i in range(3):
            one = [_at(i, a) if c else a for a, c in zip(args[0], chosen, strict=True)]
            its = [_at(i, d) for d in args[1]] if with_dy else args[1]
            yield from _outcomes(trial, [_at(i, g) for g in got], trial.best(one, its)[1])


def _stacked(array: jax.Array, factors: Sequence[float]) -> jax.Array:
    return placed(np.stack([k * as_exact(array) for k in factors]), array.dtype)


def _at(i: int, stack: jax.Array) -> jax.Array:
    return placed(np.asarray(stack)[i], stack.dtype)


def _scan(trial: Trial) -> Iterator[Outcome]:
    """Sum the rule over three steps, each with arguments scaled differently."""
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    scales = np.array([1.0, 0.99, 1.01])

    def total(*arrays: Any) -> Any:
        def step(carry: Any, scale: Any) -> Any:
            y = trial.bound(*[(a * scale.astype(a.dtype)) for a in arrays])
            return [c + leaf for c, leaf in zip(carry, y, strict=True)], None

        start = [jnp.zeros(shape, dtype) for shape, dtype in trial.shapes]
        return jax.lax.scan(step, start, scales)[0]

    _, got = quick_jit(pullback(total), arrays)(arrays, dy)
    want = [np.zeros_like(as_exact(a)) for a in arrays]
    for scale in scales:
        factors = [as_exact(np.asarray(scale, a.dtype)) for a in arrays]  # rounded as in the loop
        at = [placed(as_exact(a) * k, a.dtype) for a, k in zip(arrays, factors, strict=True)]
        for w, k, g in zip(want, factors, trial.best(at, dy)[1], strict=True):
            w += k * as_exact(g)
    yield from _outcomes(trial, got, want)


def _second_order(trial: Trial, orders: Sequence[str] = ORDERS) -> dict[str, list[Outcome]]:
    """Compare second derivatives: reverse over reverse and forward over reverse.

    Reverse over reverse is taken for the arguments and for the cotangent. Without a reference both
    are compared with central differences of the gradients, for the arguments alone.
    """
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    rng = np.random.default_rng(1)
    weights = [placed(rng.standard_normal(a.shape), a.dtype) for a in arrays]

    def twice(bound: Function) -> Callable[[Arrays, Arrays], dict[str, Arrays]]:
        run = pullback(bound)

        def bent(arrays: Arrays, dy: Arrays) -> Any:
            return _summed(weights, map(jnp.sin, run(arrays, dy)[1]))

        def curved(arrays: Arrays) -> Any:
            # sin makes the cotangent depend on y, so that forward mode differentiates y too.
            return _summed(dy, map(jnp.sin, bound(*arrays)))

        def along(arrays: Arrays) -> Any:
            return _summed(weights, _slopes(curved, arrays))

        def reverse(arrays: Arrays, dy: Arrays) -> Arrays:
            if trial.reference is None:
                return _slopes(along, arrays)
            value, pull = jax.vjp(bent, arrays, dy)
            return [leaf for tree in pull(jnp.ones_like(value)) for leaf in tree]

        def forward(arrays: Arrays, dy: Arrays) -> Arrays:
            return jax.jvp(partial(_slopes, curved), (arrays,), (weights,))[1]

        ways = dict(zip(ORDERS, (reverse, forward), strict=True))
        return quick_jit(lambda *args: {order: ways[order](*args) for order in orders}, arrays)

    got = twice(trial.bound)(arrays, dy)
    if trial.reference is None:
        slopes, errors = _differenced(trial, weights)
        want = dict.fromkeys(orders, slopes)
        relative = 1e-5
    else:
        want = twice(trial.leaves.bind(trial.reference))(arrays, dy)
        errors, relative = [0.0] * (len(arrays) + len(dy)), 1e-8
    names = [*trial.leaves.names, *(f"dy[{i}]" for i in range(len(dy)))]
    relative = trial.tolerance.widened(max(relative, 100 * trial.eps))
    found: dict[str, list[Outcome]] = {order: [] for order in orders}
    for order in orders:
        for i, (g, w) in enumerate(zip(got[order], want[order], strict=True)):
            g, w = as_exact(g), as_exact(w)
            w = np.where(np.isnan(w), g, w)
            allowed = relative * (sizes(w) + 1e-6) + 20 * errors[i] + trial.tolerance.absolute
            found[order].append((names[i], g, w, allowed))
    return found


def _summed(weights: Values, arrays: Iterable[Any]) -> Any:
    """Return the real part of Σ weight·array, in float64 even if outputs have other dtypes."""
    pairs = zip(weights, arrays, strict=True)
    return sum(jnp.sum(w * a).real.astype(float) for w, a in pairs)


def _slopes(function: Callable[[Arrays], Any], arrays: Arrays) -> Arrays:
    """Return the gradients of a function with a real result, as `jax.vjp` defines them."""
    value, pull = jax.vjp(function, arrays)
    return pull(jnp.ones_like(value))[0]


def _differenced(trial: Trial, weights: Arrays) -> tuple[Arrays, Arrays]:
    """Estimate the gradients' derivative along the weights, and the error of the estimate."""
    arrays, dy = trial.leaves.arrays, trial.dys[0]

    def at(step: float) -> Arrays:
        moved = [
            placed(as_exact(a) + step * as_exact(w), a.dtype)
            for a, w in zip(arrays, weights, strict=True)
        ]
        slopes = [np.cos(as_exact(y)) for y in trial.pull(moved, dy)[0]]
        bent = [placed(as_exact(d) * k, d.dtype) for d, k in zip(dy, slopes, strict=True)]
        return [as_exact(g) for g in trial.pull(moved, bent)[1]]

    def slopes(h: float) -> Arrays:
        sides = zip(*(at(k * h) for k in (-2, -1, 1, 2)), strict=True)
        return [(a - 8 * b + 8 * c - d) / (12 * h) for a, b, c, d in sides]

    wide, narrow = slopes(2e-4), slopes(1e-4)
    return narrow, [np.abs(n - w) for n, w in zip(narrow, wide, strict=True)]


def _shard_map(trial: Trial) -> Iterator[Outcome]:
    """Replicate the arguments over two devices, which take ¼ and ¾ of the cotangent."""
    devices = jax.devices()[:2]
    mesh = Mesh(np.array(devices), ("devices",))
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    whole, split = PartitionSpec(), PartitionSpec("devices")

    @partial(jax.shard_map, mesh=mesh, in_specs=(whole, split), out_specs=whole)
    def shared(arrays: Arrays, shares: Any) -> Arrays:
        def loss(arrays: Arrays) -> Any:
            share = shares[0]
            return _summed([(d * share).astype(d.dtype) for d in dy], trial.bound(*arrays))

        return _slopes(loss, arrays)

    shares = np.linspace(0.25, 0.75, len(devices)) if len(devices) > 1 else np.ones(1)
    got = jax.jit(shared)(arrays, placed(shares, trial.dtype))
    yield from _outcomes(trial, got, trial.best(arrays, dy)[1])


ASK: dict[str, Callable[[Trial], Iterator[Outcome]]] = {
    "jit": _jit,
    "vmap": _vmap,
    "scan": _scan,
    "checkpoint": _checkpoint,
    "shard_map": _shard_map,
}


def under(check: Check, names: Sequence[str]) -> None:
    """Check the gradients under each of these transformations."""
    for name in names:
        if name == "second_order" and check.reference is None and check.exact.eps > EXACT:
            # Without a reference they are compared with differences of differences.
            check.note("second derivatives need float64, or a reference; not tried")
            continue
        for level, outcomes in _asked(check.exact, name).items():
            if isinstance(outcomes, Exception):
                _missing(check, name, level, outcomes)
            else:
                _compared(check, name, level, outcomes)
            check.holds(level)


def _asked(trial: Trial, name: str) -> dict[str, list[Outcome] | Exception]:
    """Return what was found for each level of a transformation, or the error that was raised."""
    if name != "second_order":
        return {name: _tried(lambda: list(ASK[name](trial)))}
    both = _tried(lambda: _second_order(trial))
    if not isinstance(both, Exception):
        return dict(both)
    found = {order: _tried(partial(_second_order, trial, [order])) for order in ORDERS}
    return {k: v if isinstance(v, Exception) else v[k] for k, v in found.items()}


def _tried(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return error


def _missing(check: Check, name: str, level: str, error: Exception) -> None:
    said = first_line(error).rstrip(".")
    what = f"it fails: {said}"
    if level in ORDERS:
        what = f"not differentiable twice, {_WORDS[level]}: {said}"
        what += _CHANGE if "jvp" in str(error) and "custom_vjp" in str(error) else ""
    check.fail("", "autodiff", check.exact, what, transform=name, level=level, is_missing=True)


_WORDS = {
    "reverse_over_reverse": "reverse over reverse (jax.grad of jax.grad)",
    "forward_over_reverse": "forward over reverse (jax.hessian, jax.jvp of jax.grad)",
}
_CHANGE = (
    ". Its forward pass calls a custom_vjp function, often itself: let it call the function"
    " without the decorator"
)


def _compared(check: Check, name: str, level: str, outcomes: list[Outcome]) -> None:
    trial = check.exact
    for leaf, got, want, allowed in outcomes:
        check.report.checks += 1
        if isinstance(leaf, str):
            path, mismatch = leaf, compare(got, want, allowed)
        else:
            path, mismatch = trial.leaves.names[leaf], trial.off(leaf, got, want, allowed)
        if mismatch is not None:
            what = f"d({path})" if level == name else f"{_WORDS[level]}: d({path})"
            check.fail_where(
                mismatch, path, "autodiff", trial, what, transform=name, level=level,
                diagnosis=_named(level, path),
            )  # fmt: skip
            return


def _named(level: str, path: str) -> Diagnosis | None:
    """Return the diagnosis of a gradient that is right, and wrong only under a transformation."""
    if level in ORDERS:
        sentence = f"the first derivative is right, and the second wrong: {_WORDS[level]}"
        return Diagnosis("second_order_wrong", sentence, 0.0)
    if level == "vmap":
        sentence = f"d({path}) is right for one call, and wrong if vmap maps over several"
        return Diagnosis("batch_wrong", sentence, 0.0)
    if level == "jit":
        return Diagnosis("compiled_only", f"d({path}) is right, and wrong only under jit", 0.0)
    return None
