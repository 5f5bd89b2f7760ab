"""Mistakes that only some ops allow: missing terms of a normalization, thresholds, missing sums."""

from collections.abc import Iterator

import numpy as np

from jaxconv._core.geometry import Ints
from jaxconv.check.arrays import Arrays
from jaxconv.check.mutants.scene import Change, Scene, Seen

Changed = tuple[str, tuple[str, ...], Change]

RECTIFIERS = (
    "relu", "relu6", "leaky_relu", "prelu", "hard_sigmoid", "hard_silu", "hard_tanh",
    "softshrink", "hardshrink", "threshold", "elu", "celu", "selu",
)  # fmt: skip
FEW = 24
BIASES = ("b", "bias")
PATHS = {
    "the mean's path left out": ("mean_term_missing", False, True),
    "the variance's path left out": ("variance_term_missing", True, False),
    "both paths left out": ("statistics_constant", False, False),
}


def of_some(scene: Scene) -> Iterator[Changed]:
    """Yield the mistakes of this kind that the op allows."""
    yield from _of_normalizations(scene)
    if scene.record.name in RECTIFIERS:
        yield from _threshold(scene)
    for leaf, name in enumerate(scene.sample.arrays):
        if name in BIASES:
            yield from _slices(scene, leaf)


def _of_normalizations(scene: Scene) -> Iterator[Changed]:
    shape = _grouped_shape(scene)
    if shape is None:
        return
    centred = scene.record.name != "rms_norm"
    for what, (expected, mean, variance) in PATHS.items():
        if centred or expected == "variance_term_missing":

            def change(seen: Seen, mean: bool = mean, variance: bool = variance) -> Arrays:
                return [_normalized(scene, seen, mean, variance), *seen.gradients[1:]]

            yield what, (expected,), change
    whole = _normalized(scene, scene.seen, centred, True)
    size = np.max(np.abs(scene.seen.gradients[0]))
    assert np.allclose(whole, scene.seen.gradients[0], rtol=1e-8, atol=1e-8 * size), scene.call


def tells(scene: Scene) -> bool:
    """Whether the call is large enough; many wrong diagnoses fit a few numbers by chance."""
    grouped = _grouped_shape(scene)
    if grouped is not None:
        shape, axes = grouped
        if np.prod([shape[axis] for axis in axes]) < 4:
            return False  # any three numbers could be the gradient of a normalization
    return bool(scene.args[0].size >= FEW)


def _grouped_shape(scene: Scene, seen: Seen | None = None) -> tuple[Ints, Ints] | None:
    """Return (shape in which x is normalized, normalized axes); None if the op does not do so."""
    name, options = scene.record.name, scene.sample.options
    shape = (seen or scene.seen).arrays[0].shape
    rank, first = len(shape), options.get("layout") == "channels_first"
    spatial = tuple(range(2, rank)) if first else tuple(range(1, rank - 1))
    if name == "batch_norm":
        return shape, (0, *spatial)
    if name == "instance_norm":
        return shape, spatial
    if name == "weight_standardize":
        return shape, tuple(range(1, rank)) if first else tuple(range(rank - 1))
    if name in ("layer_norm", "rms_norm"):
        return shape, tuple(a % rank for a in np.atleast_1d(options.get("axis", -1)))
    if name == "group_norm":
        groups = options["groups"]
        if first:
            split = (shape[0], groups, shape[1] // groups, *shape[2:])
            return split, tuple(range(2, rank + 1))
        split = (*shape[:-1], groups, shape[-1] // groups)
        return split, (*range(1, rank - 1), rank)
    return None


def _normalized(scene: Scene, seen: Seen, mean: bool, variance: bool) -> np.ndarray:
    """Return dx of scale · x̂ + bias, with or without the paths through the statistics of x."""
    x, dy = seen.arrays[0], seen.dys[0]
    grouped, options = _grouped_shape(scene, seen), scene.sample.options
    assert grouped is not None
    shape, axes = grouped
    rms = scene.record.name == "rms_norm"
    g = dy
    if "scale" in scene.sample.arrays:
        scale = seen.arrays[list(scene.sample.arrays).index("scale")]
        if options.get("layout") == "channels_first":
            scale = scale.reshape(-1, *(1,) * (x.ndim - 2))
        elif scene.record.name in ("layer_norm", "rms_norm"):
            scale = scale.reshape([n if i in axes else 1 for i, n in enumerate(x.shape)])
        g = dy * scale
    x, g = x.reshape(shape), g.reshape(shape)

    def average(a: np.ndarray) -> np.ndarray:
        return a.mean(axes, keepdims=True)

    c = x if rms else x - average(x)
    r = 1 / np.sqrt(average(c**2) + options.get("eps", 1e-6 if rms else 1e-5))
    dx = g - (average(g) if mean and not rms else 0)
    dx = r * (dx - (c * r * average(g * c * r) if variance else 0))
    rest = 0
    if len(seen.dys) > 1:  # the statistics are outputs too; add the gradient through them
        others = [np.zeros_like(dy), *seen.dys[1:]]
        rest = seen.pull(seen.arrays, others)[0]
    return dx.reshape(seen.arrays[0].shape) + rest


def _threshold(scene: Scene) -> Iterator[Changed]:
    """Yield a mask with a wrong threshold: the slope is 0 up to a number that is too large."""
    x, right = scene.seen.arrays[0], scene.seen.gradients[0]
    sloped = np.sort(x[right != 0])
    if len(sloped) < 9:
        return
    threshold = (sloped[4] + sloped[5]) / 2
    yield (
        "another threshold",
        ("mask_threshold",),
        lambda s: [np.where(s.arrays[0] <= threshold, 0, s.gradients[0]), *s.gradients[1:]],
    )


def _slices(scene: Scene, leaf: int) -> Iterator[Changed]:
    """Yield gradients of a bias that are not summed over the batch, or over another axis."""
    name, y = list(scene.sample.arrays)[leaf], scene.seen.y[0]
    first = scene.sample.options.get("layout") == "channels_first"
    spatial = 2 if first else 1

    def of_first(axis: int) -> Change:
        def change(seen: Seen) -> Arrays:
            gradients, part = list(seen.gradients), np.zeros_like(seen.dys[0])
            here = (slice(None),) * axis + (slice(1),)
            part[here] = seen.dys[0][here]
            gradients[leaf] = seen.pull(seen.arrays, [part, *seen.dys[1:]])[leaf]
            return gradients

        return change

    if y.ndim > 1 and y.shape[0] > 1:
        # For a bias, taking one sample only is the same as not summing over the batch.
        yield f"d{name}: first example alone", ("reduction_missing", "one_sample_only"), of_first(0)
    grouped = _grouped_shape(scene)
    if scene.record.name == "layer_norm" and grouped is not None and spatial in grouped[1]:
        return  # the bias has this axis, so it is not summed over
    if y.ndim > 2 and y.shape[spatial] > 2:  # for two slices, a shift leaves the first one too
        yield f"d{name}: first slice of axis {spatial}", ("reduction_missing",), of_first(spatial)
