import numpy as np
import pytest
from PIL import Image, ImageCms

from jaxconv.train.data.picture import read

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)


def swapped():
    """A profile of a colour space whose red is blue, and whose blue is red."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(content[128:132], "big")
    entries = [slice(132 + 12 * i, 136 + 12 * i) for i in range(count)]
    names = {bytes(content[entry]): entry for entry in entries}
    content[names[b"rXYZ"]], content[names[b"bXYZ"]] = b"bXYZ", b"rXYZ"
    return bytes(content).replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))


def of(tmp_path, profile, pixels=PIXELS, **how):
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile)
    return read(tmp_path / "a.png", **how)


def test_another_colour_space_becomes_srgb(tmp_path):
    got = of(tmp_path, swapped()).astype(int)
    np.testing.assert_allclose(got, PIXELS[..., ::-1], atol=2)
    assert of(tmp_path, swapped(), size=(3, 3)).shape == (3, 3, 3)


@pytest.mark.parametrize("profile", [None, b"", b"no profile at all", "sRGB"])
def test_srgb_and_what_is_no_profile_change_nothing(tmp_path, profile):
    if profile == "sRGB":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(of(tmp_path, profile), PIXELS)


def test_a_grey_picture_has_no_colours(tmp_path):
    np.testing.assert_array_equal(of(tmp_path, swapped(), PIXELS[..., 0]), PIXELS[..., 0])
