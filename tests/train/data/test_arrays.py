import re

import numpy as np
import pytest

from jaxconv.train.data.arrays import as_images, as_labels, numbered, scale_of

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (5, 3, 2, 4), np.uint8)


def test_bytes_stay_bytes():
    notes = []
    assert as_images("here", BYTES, notes) is not None
    np.testing.assert_array_equal(as_images("here", BYTES, notes), BYTES)
    assert scale_of("here", BYTES, notes) == 1
    assert notes == []


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_as_they_are(dtype):
    floats = RANDOM.standard_normal((2, 3, 4, 1)).astype(dtype)
    notes = []
    images = as_images("here", floats, notes, scale_of("here", floats, notes))
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, floats.astype(np.float32))
    assert notes == []


@pytest.mark.parametrize(
    ("array", "scale"),
    [
        (np.float64(BYTES), 255),
        (np.int64(BYTES), 255),
        (BYTES.astype(np.uint16) * 257, 65535),
        (np.float32(BYTES // 16), 16),
        (BYTES / np.float32(255), 1),
        (BYTES / np.float32(250), 1),  # a little above 1
        (np.float32(BYTES) * 1000, 1),  # of no known scale
        (BYTES > 3, 1),
    ],
)
def test_numbers_are_scaled_by_what_they_are(array, scale):
    notes = []
    assert scale_of("here", array, notes) == scale
    images = as_images("here", array, notes, scale)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, array.astype(np.float64) / scale, rtol=1e-6)
    assert notes == (
        [f"here holds numbers up to {array.max():g}, which were divided by {scale}"] * (scale > 1)
    )


def test_channels_first_become_last():
    notes = []
    got = as_images("here", BYTES[..., :3].transpose(0, 3, 1, 2), notes)
    np.testing.assert_array_equal(got, BYTES[..., :3])
    assert notes == ["here has its channels first, (5, 3, 3, 2); they were moved last"]


def test_one_channel_needs_no_axis():
    np.testing.assert_array_equal(as_images("here", BYTES[..., 0], []), BYTES[..., :1])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (BYTES[0, 0], " should hold images (N, H, W) or (N, H, W, C), but holds (2, 4)"),
        (BYTES[None], " should hold images (N, H, W) or (N, H, W, C), but holds (1, 5, 3, 2, 4)"),
        (BYTES[:0], " should hold images (N, H, W) or (N, H, W, C), but holds (0, 3, 2, 4)"),
        (BYTES.astype(str), " should hold numbers, but holds <U3"),
        (BYTES.astype(complex), " should hold numbers, but holds complex128"),
        (
            np.where(BYTES[0, 0, 0, 0] == BYTES, np.nan, BYTES),
            " should hold finite numbers, but NaN or infinity is among them",
        ),
    ],
)
def test_what_is_no_image(array, message):
    with pytest.raises(ValueError, match=f"^{re.escape(f'here{message}')}$"):
        as_images("here", array, [])


@pytest.mark.parametrize(
    "array", [[1, 0, 2], [[1], [0], [2]], [1.0, 0.0, 2.0], np.eye(3)[[1, 0, 2]]], ids=str
)
def test_labels(array):
    notes = []
    labels = as_labels("here", np.array(array), 3, notes)
    assert labels.dtype == np.int32
    assert labels.tolist() == [1, 0, 2]
    assert len(notes) == (np.shape(array) == (3, 3))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(2, int), " should hold 3 labels, one per image, but holds (2,)"),
        (np.zeros((3, 2), int), " should hold 3 labels, one per image, but holds (3, 2)"),
        (np.full(3, 0.5), " should hold whole numbers or names, but holds float64"),
        (np.array([1, 2**31, 0]), ": labels are below 2**31, but one is 2147483648"),
    ],
)
def test_what_is_no_label(array, message):
    with pytest.raises(ValueError, match=f"^{re.escape(f'here{message}')}$"):
        as_labels("here", array, 3, [])


def part(*labels):
    return np.zeros((len(labels), 1, 1, 1), np.uint8), np.array(labels)


def test_labels_get_numbers_without_gaps():
    notes = []
    parts, names = numbered("here", [part(1, 5, 3, 5), part(3, 3)], notes)
    assert [labels.tolist() for _, labels in parts] == [[0, 2, 1, 2], [1, 1]]
    assert names == ("1", "3", "5")
    assert notes == ["here: the labels are 1, 3, 5, which became 0 to 2"]


def test_names_as_labels():
    parts, names = numbered("here", [part("dog", "ant", "dog")], [])
    assert (parts[0][1].tolist(), names) == ([1, 0, 1], ("ant", "dog"))


def test_numbers_from_0_on_have_no_names():
    assert numbered("here", [part(1, 0, 2)], [])[1] == ()


def test_a_label_that_was_never_trained_on():
    with pytest.raises(ValueError, match=r"^here: an image to test on has the label 3, but none"):
        numbered("here", [part(0, 1), part(3)], [])
