import re

import numpy as np
import pytest

from jaxconv.train.data.dataset import as_images, as_labels, held_out, together

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (5, 3, 2, 4), np.uint8)


def test_bytes_are_parts_of_255():
    images = as_images("here", BYTES)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, BYTES / 255, rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_as_they_are(dtype):
    floats = RANDOM.standard_normal((2, 3, 4, 1)).astype(dtype)
    images = as_images("here", floats)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, floats.astype(np.float32))


def test_one_channel_needs_no_axis():
    np.testing.assert_array_equal(
        as_images("here", BYTES[..., 0]), as_images("here", BYTES)[..., :1]
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (BYTES[0, 0], " should hold images (N, H, W) or (N, H, W, C), but holds (2, 4)"),
        (BYTES[None], " should hold images (N, H, W) or (N, H, W, C), but holds (1, 5, 3, 2, 4)"),
        (BYTES[:0], " should hold images (N, H, W) or (N, H, W, C), but holds (0, 3, 2, 4)"),
        (BYTES.astype(np.int16), " should hold bytes or floats, but holds int16"),
        (BYTES > 3, " should hold bytes or floats, but holds bool"),
        (
            np.where(BYTES[0, 0, 0, 0] == BYTES, np.nan, BYTES),
            " should hold finite numbers, but NaN or infinity is among them",
        ),
    ],
)
def test_what_is_no_image(array, message):
    with pytest.raises(ValueError, match=f"^{re.escape(f'here{message}')}$"):
        as_images("here", array)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_labels_are_a_row_or_a_column(dtype):
    labels = np.array([3, 0, 2], dtype)
    for array in (labels, labels[:, None]):
        got = as_labels("here", array, 3)
        assert got.dtype == np.int32
        assert got.tolist() == [3, 0, 2]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(2, int), " should hold 3 labels, one per image, but holds (2,)"),
        (np.zeros((3, 2), int), " should hold 3 labels, one per image, but holds (3, 2)"),
        (np.zeros(3), " should hold whole numbers, but holds float64"),
        (np.array([1, -2, 0]), ": labels begin at 0, but one is -2"),
        (np.array([1, 2**31, 0]), ": labels are below 2**31, but one is 2147483648"),
    ],
)
def test_what_is_no_label(array, message):
    with pytest.raises(ValueError, match=f"^{re.escape(f'here{message}')}$"):
        as_labels("here", array, 3)


def part(*labels, shape=(3, 2, 1)):
    return np.zeros((len(labels), *shape), np.float32), np.int32(labels)


def test_classes_are_those_of_the_training_labels():
    dataset = together("here", part(0, 2, 1), part(1, 1))
    assert dataset.classes == 3
    assert together("here", part(0, 2, 1), part(1, 1), classes=7).classes == 7


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (
            part(0, 1),
            part(0, shape=(3, 3, 1)),
            "images to train on are 3 × 2 × 1, those to test on 3 × 3 × 1",
        ),
        (part(0, 2), part(0), "labels go up to 2, but there are only 2 images to train on"),
        (part(0, 1), part(0, 3), "labels to train on go up to 1, but one to test on is 3"),
    ],
)
def test_parts_that_do_not_belong_together(train, test, message):
    with pytest.raises(ValueError, match=f"^{re.escape(f'here: {message}')}$"):
        together("here", train, test)


def test_a_fifth_is_held_out():
    count = 23
    images = np.arange(count, dtype=np.float32).reshape(count, 1, 1, 1)
    labels = np.arange(count, dtype=np.int32) % 3
    first, again = (held_out("here", images, labels) for _ in range(2))
    assert len(first.test_images) == 4
    seen = np.concatenate([first.train_images, first.test_images]).reshape(-1)
    assert sorted(seen) == list(range(count))
    for pictures, numbers in (first[:2], first[2:4]):
        np.testing.assert_array_equal(pictures.reshape(-1) % 3, numbers)
    for one, another in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, another)
    with pytest.raises(ValueError, match=r"^here should hold at least 5 images, .* but holds 4$"):
        held_out("here", images[:4], labels[:4])
