import numpy as np
import pytest
from PIL import Image
from pytorch_libraries import library

from jaxconv.train.data.picture import NoPictureError, head_of, read

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (6, 9, 3), np.uint8)
ORIENTATION = 0x0112


def saved(path, image, **options):
    image.save(path, **options)
    return read(path)


@pytest.mark.parametrize(
    ("number", "turn"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.swapaxes(0, 1)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].swapaxes(0, 1)),
        (8, lambda a: np.rot90(a, 1)),
        (77, lambda a: a),
    ],
)
def test_pictures_are_turned_upright(tmp_path, number, turn):
    """By the eight orientations of EXIF, in the words of its standard."""
    exif = Image.Exif()
    exif[ORIENTATION] = number
    got = saved(tmp_path / "a.png", Image.fromarray(COLOURS), exif=exif)
    np.testing.assert_array_equal(got, turn(COLOURS))
    assert head_of(tmp_path / "a.png").size == turn(COLOURS).shape[:2]


def on_white(colours, alpha):
    alpha = alpha[..., None] / 255
    return colours * alpha + 255 * (1 - alpha)


ALPHA = RANDOM.integers(0, 256, (6, 9), np.uint8)


def test_what_is_transparent_lies_on_white(tmp_path):
    image = Image.fromarray(COLOURS)
    image.putalpha(Image.fromarray(ALPHA))
    got = saved(tmp_path / "a.png", image)
    assert got.shape == (6, 9, 3)
    assert np.abs(got - on_white(COLOURS, ALPHA)).max() <= 1
    grey = Image.fromarray(COLOURS[..., 0])
    grey.putalpha(Image.fromarray(ALPHA))
    got = saved(tmp_path / "b.png", grey)
    assert got.shape == (6, 9)
    assert np.abs(got - on_white(COLOURS[..., :1], ALPHA)[..., 0]).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_transparent_colour_of_a_palette_is_white(tmp_path, suffix):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putpixel((1, 0), 1)
    got = saved(tmp_path / f"a.{suffix}", image, transparency=0)
    assert got.tolist() == [[[255, 255, 255], [200, 100, 0]]]


def test_a_transparent_colour_of_a_coloured_picture_is_white(tmp_path):
    image = Image.fromarray(COLOURS)
    got = saved(tmp_path / "a.png", image, transparency=tuple(COLOURS[0, 0].tolist()))
    assert got[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_array_equal(got[1:], COLOURS[1:])


def test_sixteen_bits_become_eight(tmp_path):
    deep = RANDOM.integers(0, 2**16, (6, 9), np.uint16)
    got = saved(tmp_path / "a.png", Image.fromarray(deep))
    np.testing.assert_array_equal(got, np.round(deep / 257).astype(np.uint8))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV"])
def test_modes(tmp_path, mode):
    image = Image.fromarray(COLOURS).convert(mode) if mode != "LAB" else Image.new("LAB", (9, 6))
    suffix = "png" if mode in ("1", "L", "P", "RGB") else "tiff"
    if mode == "HSV":
        image = image.convert("RGB")  # no format holds it
    got = saved(tmp_path / f"a.{suffix}", image)
    grey = mode in ("1", "L")
    assert got.shape == ((6, 9) if grey else (6, 9, 3))
    if mode not in ("LAB", "YCbCr"):
        np.testing.assert_array_equal(got, image.convert("L" if grey else "RGB"))


def test_the_first_of_several_frames(tmp_path):
    frames = [Image.new("RGB", (3, 2), (color, 0, 0)) for color in (10, 200)]
    got = saved(
        tmp_path / "a.webp", frames[0], save_all=True, append_images=frames[1:], lossless=True
    )
    assert got[0, 0].tolist() == [10, 0, 0]


@pytest.mark.parametrize("size", [(4, 4), (6, 3), (3, 6), (12, 12), (5, 20), (6, 9)])
def test_scaled_to_cover_and_cut_to_the_middle(tmp_path, size):
    """A ramp stays a ramp: what is scaled and cut is not squeezed, and its middle stays there."""
    height, width = 60, 90
    rows, columns = np.mgrid[0:height, 0:width]
    Image.fromarray((2 * rows).astype(np.uint8)).save(tmp_path / "rows.png")
    Image.fromarray((2 * columns).astype(np.uint8)).save(tmp_path / "columns.png")
    factor = max(size[0] / height, size[1] / width)
    for name, axis, middle in (("rows", 0, height - 1), ("columns", 1, width - 1)):
        got = read(tmp_path / f"{name}.png", size).astype(float)
        assert got.shape == size
        inner = got[tuple(slice(1, -1) if n > 2 else slice(None) for n in size)]
        assert abs(inner.mean() - middle) <= 2 / factor  # at most one pixel off the middle
        steps = np.diff(inner, axis=axis)
        if steps.size:
            assert abs(steps.mean() - 2 / factor) <= 0.15 * 2 / factor + 1


def test_torchvision_scales_and_cuts_alike(tmp_path):
    transforms = library("torchvision").transforms
    for shape in ((61, 97), (97, 61), (40, 41), (300, 33)):
        colours = RANDOM.integers(0, 256, (*shape, 3), np.uint8)
        Image.fromarray(colours).save(tmp_path / "a.png")
        theirs = transforms.Compose([transforms.Resize(32), transforms.CenterCrop(32)])
        want = np.asarray(theirs(Image.fromarray(colours)))
        np.testing.assert_array_equal(read(tmp_path / "a.png", (32, 32)), want)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_files_that_are_no_pictures(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    for function in (read, head_of):
        with pytest.raises(NoPictureError, match=r"^is not a picture that can be read: "):
            function(tmp_path / "a.png")


def test_numbers_that_are_no_colours(tmp_path):
    Image.fromarray(np.full((2, 2), 0.5, np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(NoPictureError, match=r"^has colour mode F, which is not a picture's$"):
        read(tmp_path / "a.tiff")
    Image.fromarray(np.full((2, 2), 70_000, np.int32)).save(tmp_path / "b.tiff")
    with pytest.raises(
        NoPictureError, match=r"^holds whole numbers from 70000 to 70000, more than"
    ):
        read(tmp_path / "b.tiff")
