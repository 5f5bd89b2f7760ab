import numpy as np
import pytest

from jaxconv.train.data.split import held_out, stratified


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
