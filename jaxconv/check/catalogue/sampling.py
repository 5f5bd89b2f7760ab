"""Random numbers and shapes for sample calls."""

from collections.abc import Iterable, Sequence

import numpy as np

Shape = Sequence[int]


def normal(seed: int, shape: Shape) -> np.ndarray:
    """Return standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


def positive(seed: int, shape: Shape) -> np.ndarray:
    """Return numbers from ½ to 2, for weights and variances."""
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape)


def distinct(seed: int, shape: Shape, gap: float = 0.1) -> np.ndarray:
    """Return numbers around 0, any two at least `gap` apart, so that a nudge moves no maximum."""
    count = int(np.prod(shape))
    order = np.random.default_rng(seed).permutation(count)
    return (gap * (order - count / 2 + 0.25)).reshape(shape)


def tied(seed: int, shape: Shape) -> np.ndarray:
    """Return whole numbers from −1 to 1, which make many ties."""
    return np.random.default_rng(seed).integers(-1, 2, shape).astype(float)


def away_from(points: Iterable[float], x: np.ndarray, margin: float = 0.05) -> np.ndarray:
    """Return x with every element that is too near one of `points` moved away from it."""
    for point in points:
        near = np.abs(x - point) < margin
        x = np.where(near, point + np.where(x < point, -2 * margin, 2 * margin), x)
    return x


def shape_of(seed: int, layout: str, size: Shape, channels: int) -> tuple[int, ...]:
    """Return the shape of images of this size, in this layout; every tenth batch is empty."""
    n = (2, 3, 1, 2, 3, 2, 1, 3, 2, 0)[seed % 10]
    return (n, *size, channels) if layout == "channels_last" else (n, channels, *size)


def layout_of(seed: int) -> str:
    """Return the layout of a sample; it changes at another pace than the dimensions do."""
    return ("channels_last", "channels_first")[seed // 3 % 2]
