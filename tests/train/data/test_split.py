import numpy as np
import pytest

from jaxconv.train.data.dataset import Dataset
from jaxconv.train.data.split import held_out, stratified, with_validation


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


@pytest.mark.parametrize("seed", [0, 1])
def test_a_fifth_of_each_class_is_held_out(seed):
    labels = np.repeat(np.int32([0, 1, 2, 3]), [30, 3, 1, 8])
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    made = stratified("here", images, labels, seed)
    assert np.bincount(made.test_labels, minlength=4).tolist() == [6, 1, 0, 2]
    seen = np.concatenate([made.train_images, made.test_images]).reshape(-1)
    assert sorted(seen) == list(range(len(labels)))
    np.testing.assert_array_equal(labels[made.test_images.reshape(-1)], made.test_labels)
    other = stratified("here", images, labels, seed + 1)
    assert not np.array_equal(other.test_images, made.test_images)
    np.testing.assert_array_equal(
        stratified("here", images, labels, seed).test_images, made.test_images
    )


def test_one_image_of_each_class_is_too_few():
    with pytest.raises(ValueError, match=r"^here should hold two images or more of a class"):
        stratified("here", np.zeros((3, 2, 2, 1), np.uint8), np.int32([0, 1, 2]), 0)


@pytest.mark.parametrize("count", [1, 10, 41])
def test_images_for_validation(count):
    labels = np.repeat(np.int32([0, 1, 2, 3]), [30, 3, 1, 8])
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    test = images[:5] + 100, labels[:5]
    dataset = Dataset(images, labels, *test, classes=4, names=tuple("abcd"))
    made = with_validation("here", dataset, count, 0)
    assert (len(made.test_labels), len(made.train_labels)) == (count, len(labels) - count)
    share = np.bincount(labels) * count / len(labels)
    assert np.all(np.abs(np.bincount(made.test_labels, minlength=4) - share) <= 1)
    for pictures, numbers in (made[:2], made[2:4]):
        np.testing.assert_array_equal(labels[pictures.reshape(-1)], numbers)
    assert len(np.unique(np.concatenate([made.train_images, made.test_images]))) == len(labels)
    assert made.last[0] is test[0]
    assert made.names == dataset.names
    again, other = (with_validation("here", dataset, count, seed) for seed in (0, 1))
    np.testing.assert_array_equal(again.test_images, made.test_images)
    assert not np.array_equal(other.train_images, made.train_images)


def test_validation_where_there_is_none_to_take():
    images, labels = np.zeros((4, 1, 1, 1), np.uint8), np.int32([0, 1, 0, 1])
    dataset = Dataset(images, labels, images, labels, classes=2)
    with pytest.raises(ValueError, match=r"^here has 4 images to train on, of which --validation"):
        with_validation("here", dataset, 4, 0)
    with pytest.raises(ValueError, match=r"^here has images for validation already"):
        with_validation("here", dataset._replace(last=(images, labels)), 1, 0)
