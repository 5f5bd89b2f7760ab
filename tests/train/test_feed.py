import numpy as np
import pytest
from train.data.test_stored import stored
from train.runs import train, without_speed

from jaxconv.train import Config, data, feed
from jaxconv.train.batch import NO_IMAGE, take
from jaxconv.train.data.stored import Stored
from jaxconv.train.feed import Kept, Streamed, feed_of

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (23, 4, 4, 1), np.uint8)
LABELS = RANDOM.integers(0, 3, 23).astype(np.int32)


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("first", [0, 2, 6])
def test_streamed_batches_are_the_kept_ones(devices, first):
    config = Config(batch_size=4, devices=devices)
    order = RANDOM.permutation(23).astype(np.int32)
    kept = list(Kept(config, IMAGES, LABELS).batches(order, first))
    streamed = list(Streamed(config, stored(IMAGES), LABELS).batches(order, first))
    assert len(kept) == len(streamed) == 6 - first
    for one, another in zip(kept, streamed, strict=True):
        (x, labels), (y, others) = take(one), take(another)
        present = np.asarray(labels) != NO_IMAGE
        np.testing.assert_array_equal(labels, others)
        np.testing.assert_array_equal(np.asarray(x)[present], np.asarray(y)[present])
        assert another.images.shape == (4, 4, 4, 1)


def test_what_is_streamed(monkeypatch):
    """What is on the disk, and what does not fit on the device."""
    config = Config()
    assert isinstance(feed_of(config, IMAGES, LABELS), Kept)
    assert isinstance(feed_of(config, stored(IMAGES), LABELS), Streamed)

    class Device:
        def memory_stats(self):
            return {"bytes_limit": 2 * IMAGES.size - 1}

    monkeypatch.setattr(feed.jax, "local_devices", lambda: [Device()])
    assert isinstance(feed_of(config, IMAGES, LABELS), Streamed)
    assert isinstance(feed_of(config, IMAGES[:-1], LABELS[:-1]), Kept)


@pytest.mark.thorough
def test_a_run_on_streamed_images_is_the_run_on_kept_ones(tmp_path):
    path = tmp_path / "a.npz"
    digits = data.load(Config())
    np.savez(path, images=digits.train_images[:200], labels=digits.train_labels[:200])
    fields = {"dataset": str(path), "epochs": 2, "batch_size": 30, "recipe": "objects"}
    kept, _ = train(**fields, out=tmp_path / "kept")
    streamed, text = train(**fields, memory=1e-6, out=tmp_path / "streamed")
    assert "GB of images are read from the disk (--memory)" in text
    assert without_speed(kept.epochs) == without_speed(streamed.epochs)
    for name in ("params.safetensors", "best.safetensors", "batch.png", "layers.png"):
        one, another = ((run.folder / name).read_bytes() for run in (kept, streamed))
        assert one == another, name
    # A run may go on with more memory, or less.
    more, _ = train(**(fields | {"epochs": 3}), memory=1e-6, out=kept.folder, resume=kept.folder)
    assert len(more.epochs) == 3
    assert isinstance(data.load(Config(dataset=str(path), memory=1e-6)).train_images, Stored)
