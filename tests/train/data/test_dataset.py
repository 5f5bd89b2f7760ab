import re

import numpy as np
import pytest

from jaxconv.train.data.dataset import together


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
