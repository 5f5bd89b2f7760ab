"""Images with a line below them."""

import base64
import io
from collections.abc import Sequence

import numpy as np

from jaxconv._core.extras import needs
from jaxconv.train.pictures.tiles import note_on
from jaxconv.train.report.markup import text

with needs("train"):
    from PIL import Image

MOST = 24
"""Longer names of classes are shortened in the line below an image."""
THUMBNAIL = 64
"""The least height and width of an image on the page."""


def figures(images: Sequence[np.ndarray], captions: Sequence[str], titles: Sequence[str]) -> str:
    """Return images with a line below each, and a sentence about channels that are left out.

    Args:
        images: the images.
        captions: the lines below them.
        titles: what is shown where the pointer is, if it is not the line.
    """
    note = note_on(images[0].shape[-1])
    return "".join(map(_figure, images, captions, titles)) + (f"<p>{note}</p>" if note else "")


def png_url(content: bytes) -> str:
    """Return a URL that is the content of a PNG file."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _figure(image: np.ndarray, caption: str, title: str) -> str:
    """Return an image with a line below it."""
    height, width = image.shape[:2]
    times = max(1, -(-THUMBNAIL // max(height, width)))
    whole = "" if title == caption else f' title="{text(title)}"'
    picture = Image.fromarray(_bytes(image))
    written = io.BytesIO()
    picture.save(written, format="png")
    size = f'width="{width * times}" height="{height * times}"'
    return (
        f'<figure{whole}><img class="right" alt="" {size} src="{png_url(written.getvalue())}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def _bytes(image: np.ndarray) -> np.ndarray:
    """Return an image as bytes: (H, W) of one channel or of a number that is no colour, or RGB."""
    colours = image if image.shape[-1] == 3 else image[..., 0]
    if colours.dtype == np.uint8:
        return colours
    low, high = min(0.0, float(colours.min())), max(1.0, float(colours.max()))
    return np.round(255 * (colours - low) / (high - low)).astype(np.uint8)
