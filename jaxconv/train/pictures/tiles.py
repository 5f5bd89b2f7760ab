"""Images as people see them."""

import numpy as np


def input_of(image: np.ndarray) -> np.ndarray:
    """Return the image within [0, 1]: all of three channels, otherwise only the first."""
    tile = image if image.shape[-1] == 3 else image[..., 0]
    low, high = min(0.0, float(tile.min())), max(1.0, float(tile.max()))
    return (tile - low) / (high - low)


def note_on(channels: int) -> str:
    """Return a sentence about the channels that `input_of` leaves out, "" if there are none."""
    return (
        ""
        if channels in (1, 3)
        else f"Each image is shown as the first of its {channels:,} channels."
    )


def height_of(tile: np.ndarray) -> float:
    """Return the height of a tile as a share of its width, within bounds that can be drawn."""
    height, width = tile.shape[:2]
    return min(2.0, max(0.2, height / width))
