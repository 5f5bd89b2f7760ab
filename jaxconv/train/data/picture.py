"""One picture as an array of bytes, as a viewer shows it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxconv._core.extras import needs
from jaxconv.train.data.colours import in_srgb

with needs("train"):
    from PIL import Image, ImageOps

GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
COLOURED = ("P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_WHITE = 255
_ORIENTATION = 0x0112  # the EXIF tag
_TURNED = (5, 6, 7, 8)  # its values where height and width change places


class NoPictureError(ValueError):
    """The file is not a picture, or not one that can be read."""


class Head(NamedTuple):
    """Height and width of a picture, upright, and whether it is grey."""

    size: tuple[int, int]
    grey: bool


def read(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return a picture as bytes: (H, W) if it is grey, otherwise (H, W, 3).

    It is turned upright as its EXIF data say, and what is transparent lies on white. Of several
    frames the first is read. 16 bits become 8, and the colours of other colour spaces become sRGB.
    With a `size` (height, width), it is scaled with a
    triangular filter until it just covers this size, and then cut to its middle: torchvision's
    Resize and CenterCrop.

    Raises:
        NoPictureError: the file cannot be read, or holds numbers that are no colours.
    """
    with _opened(path) as image:
        profile = image.info.get("icc_profile")
        picture = _flat(_upright(image))
    if size is not None:
        picture = _fitted(picture, size)
    return np.asarray(in_srgb(picture, profile))


def with_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """Return a picture as (H, W, channels): grey in every channel, or the brightness of colours."""
    if picture.ndim == 3 and channels == 1:
        picture = np.asarray(Image.fromarray(picture).convert("L"))
    size = picture.shape[:2]
    return np.array(np.broadcast_to(picture.reshape(*size, -1), (*size, channels)))


def head_of(path: Path) -> Head:
    """Return what the head of the file says of a picture, of which no more is read.

    Raises:
        NoPictureError: the file is not a picture.
    """
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION) in _TURNED
        return Head((width, height) if turned else (height, width), image.mode in GREY)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture, and say of every failure that it is not a picture."""
    try:
        with Image.open(path) as image:
            if image.mode not in GREY + COLOURED:
                raise NoPictureError(f"has colour mode {image.mode}, which is not a picture's")
            yield image
    except NoPictureError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        what = str(error).replace(f" {str(path)!r}", "")  # the caller names the file
        raise NoPictureError(f"is not a picture that can be read: {what}") from None


def _upright(image: Image.Image) -> Image.Image:
    """Return the picture turned and mirrored as its EXIF data say; broken EXIF data say nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, KeyError, TypeError):
        return image


def _flat(image: Image.Image) -> Image.Image:
    """Return the picture in mode L or RGB, on white where it is transparent."""
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image)))
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        grey = image.mode in ("1", "L", "LA", "La")
        opaque = image.convert("RGBA")
        on_white = Image.new("RGBA", opaque.size, (_WHITE,) * 4)
        on_white.alpha_composite(opaque)
        return on_white.convert("L" if grey else "RGB")
    return image.convert("L" if image.mode in GREY else "RGB")


def _eight_bits(array: np.ndarray) -> np.ndarray:
    """Return 16-bit grey values, from 0 to 65535, as the nearest of 8 bits."""
    if array.size and not 0 <= array.min() <= array.max() < 2**16:
        raise NoPictureError(
            f"holds whole numbers from {array.min()} to {array.max()}, more than 16 bits"
        )
    return np.round(array / 257).astype(np.uint8)


def _fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the picture scaled to cover (height, width), and cut to its middle."""
    height, width = size
    if height * image.width >= width * image.height:
        covering = int(height * image.width / image.height), height
    else:
        covering = width, int(width * image.height / image.width)
    if covering != image.size:
        image = image.resize(covering, Image.Resampling.BILINEAR)
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))
