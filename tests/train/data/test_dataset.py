import re

import numpy as np
import pytest

from jaxconv.train.data.dataset import held_out, stratified, together


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


def test_a_fingerprint_sees_every_change():
    made = together("here", part(0, 1, 1), part(1, 0))
    others = [
        made._replace(train_labels=np.int32([0, 1, 0])),
        made._replace(test_images=made.test_images + 1),
        made._replace(train_images=made.train_images.reshape(3, 2, 3, 1)),
        made._replace(names=("a", "b")),
        made._replace(last=part(0)),
    ]
    assert made.fingerprint == together("here", part(0, 1, 1), part(1, 0)).fingerprint
    assert len({each.fingerprint for each in (made, *others)}) == 6
