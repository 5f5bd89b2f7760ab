from pathlib import Path

import numpy as np

from jaxconv.train import Config
from jaxconv.train.data import load


def test_digits_are_those_of_scikit_learn_a_fifth_held_out():
    from sklearn.datasets import load_digits

    digits = load(Config())
    assert digits.train_images.shape == (1438, 8, 8, 1)
    assert digits.test_images.shape == (359, 8, 8, 1)  # ⌊1797/5⌋
    for images, labels in (digits[:2], digits[2:4]):
        assert images.dtype == np.float32
        assert labels.dtype == np.int32
        assert labels.shape == images.shape[:1]
        assert images.min() == 0.0
        assert images.max() == 1.0
        assert set(labels) == set(range(10))
    assert digits.classes == 10

    # Both parts together are the published set: none lost, none twice, none mislabelled.
    def listing(images, labels):
        return sorted((image.tobytes(), label) for image, label in zip(images, labels, strict=True))

    published = load_digits()
    sixteenths = np.concatenate([digits.train_images, digits.test_images])[..., 0] * 16
    together = np.concatenate([digits.train_labels, digits.test_labels])
    assert listing(sixteenths, together) == listing(
        published.images.astype(np.float32), published.target.astype(np.int32)
    )
    # No image of the one part is in the other (the published images are all different).
    train, test = ({image.tobytes() for image in digits[i]} for i in (0, 2))
    assert len(train | test) == 1797


def test_the_split_of_digits_is_the_same_whatever_the_run():
    first = load(Config())
    other = load(Config(seed=7, model="lenet", batch_size=5, data_dir=Path("elsewhere")))
    for a, b in zip(first, other, strict=True):
        np.testing.assert_array_equal(a, b)
    # Held out for good: another shuffle would make accuracies incomparable with earlier ones.
    assert first.test_labels[:12].tolist() == [6, 6, 6, 2, 5, 6, 6, 2, 2, 1, 1, 9]
