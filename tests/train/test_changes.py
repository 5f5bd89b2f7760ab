import re

import numpy as np
import pytest
from PIL import Image

from jaxconv.train import Config, changes
from jaxconv.train.balance import balanced_weights, seen_of
from jaxconv.train.data import load
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.normalize import normalized, scale_of

RANDOM = np.random.default_rng(0)


def dataset(low=0.0, high=1.0, labels=(0, 0, 0, 1)):
    images = RANDOM.uniform(low, high, (len(labels), 16, 24, 3)).astype(np.float32)
    images[0, 0, 0] = low, high, high
    labels = np.int32(labels)
    return Dataset(images, labels, images, labels, classes=3)


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({}, {"shift": 1}),
        ({"dataset": "mnist"}, {"shift": 1}),
        ({"dataset": "cifar10"}, {"shift": 2, "flip": True, "normalize": True}),
        ({"recipe": "none"}, {}),
        ({"recipe": "none", "rotate": 5.0, "mixup": 0.1}, {"rotate": 5.0, "mixup": 0.1}),
        ({"dataset": "cifar10", "shift": 0, "flip": False}, {"normalize": True}),
        ({"dataset": "cifar10", "recipe": "digits"}, {"shift": 1}),
    ],
)
def test_what_nobody_has_said_is_what_the_recipe_says(fields, changed):
    made = changes.decided(Config(**fields), dataset())
    want = changes.NONE | changed
    assert {name: getattr(made, name) for name in want} == want
    assert changes.decided(made, dataset()) == made


def test_a_folder_of_pictures_holds_photographs(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for n in range(3):
            pixels = RANDOM.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{n}.png")
    config = Config(dataset=str(tmp_path))
    made = changes.decided(config, load(config))
    assert (made.crop, made.flip, made.color, made.normalize) == (0.5, True, 0.2, True)
    assert changes.said(made) == (
        "cut to 50% or more, flipped, coloured by 20% or less, normalised"
    )


@pytest.mark.parametrize(
    ("fields", "data", "message"),
    [
        ({"shift": 16}, dataset(), "--shift 16 must be smaller than the images, 16 × 24"),
        ({"cutout": 16}, dataset(), "--cutout 16 must be smaller than the images, 16 × 24"),
        (
            {"color": 0.1},
            dataset(-1.0, 1.0),
            "--color 0.1 needs images with values from 0 to 1, but got values from -1 to 1",
        ),
    ],
)
def test_changes_that_do_not_fit_the_images(fields, data, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        changes.decided(Config(**fields), data)


def test_the_scale_of_the_training_images_alone(monkeypatch):
    known = dataset(high=0.7)._replace(test_images=np.ones((4, 16, 24, 3), np.float32))
    seen = seen_of(Config(normalize=True), known)
    pixels = known.train_images.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(seen.scale.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(seen.scale.deviation, pixels.std(axis=0), rtol=1e-12)
    made = np.asarray(normalized(known.train_images, seen.scale)).reshape(-1, 3)
    np.testing.assert_allclose(made.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(made.std(axis=0), 1, atol=1e-5)
    assert seen_of(Config(normalize=False), known).scale is None
    assert normalized(known.train_images, None) is known.train_images


def test_the_scale_of_bytes_and_of_a_channel_that_is_always_the_same():
    images = RANDOM.integers(0, 256, (9, 5, 5, 2), np.uint8)
    images[..., 1] = 77
    scale = scale_of(images)
    assert scale.mean[0] == pytest.approx(images[..., 0].mean() / 255)
    assert scale.deviation[0] == pytest.approx(images[..., 0].std() / 255)
    assert (scale.mean[1], scale.deviation[1]) == (pytest.approx(77 / 255), 1)


def test_rare_classes_count_more():
    known = dataset(labels=(0, 0, 0, 1))  # of three classes
    assert balanced_weights(known) == pytest.approx((4 / 9, 4 / 3, 0))
    assert seen_of(Config(class_weights="balanced"), known).weights == balanced_weights(known)
    assert seen_of(Config(), known).weights is None
