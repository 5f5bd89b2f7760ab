import re
import zipfile

import numpy as np
import pytest

from jaxconv.train import Config
from jaxconv.train.data import load
from jaxconv.train.data.npz import NAMES

RANDOM = np.random.default_rng(0)
TRAIN = RANDOM.integers(0, 256, (6, 5, 7, 3), np.uint8), np.array([0, 2, 1, 1, 2, 0])
TEST = RANDOM.integers(0, 256, (2, 5, 7, 3), np.uint8), np.array([[2], [0]])
FOUR = (*TRAIN, *TEST)


@pytest.fixture
def read(tmp_path):
    """The data set of these arrays in a file."""

    def write_and_read(**arrays):
        np.savez_compressed(tmp_path / "mine.npz", **arrays)
        return load(Config(dataset=str(tmp_path / "mine.npz")))

    return write_and_read


@pytest.mark.parametrize("names", [names for names in NAMES if len(names) == 4])
def test_two_parts(read, names):
    dataset = read(**dict(zip(names, FOUR, strict=True)), more=np.zeros(3))
    np.testing.assert_array_equal(dataset.train_images, TRAIN[0])
    np.testing.assert_array_equal(dataset.test_images, TEST[0])
    assert dataset.train_labels.tolist() == TRAIN[1].tolist()
    assert dataset.test_labels.tolist() == [2, 0]
    assert dataset.classes == 3


@pytest.mark.parametrize("names", [names for names in NAMES if len(names) == 2])
def test_one_part_of_which_a_fifth_is_held_out(read, names):
    dataset = read(**dict(zip(names, TRAIN, strict=True)))
    assert (len(dataset.train_images), len(dataset.test_images)) == (3, 3)  # one of each class
    together = np.concatenate([dataset.train_images, dataset.test_images])
    assert sorted(map(bytes, together)) == sorted(map(bytes, TRAIN[0]))


class Harmful:
    """Whose unpickling would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_python_objects_are_refused_unread(read, tmp_path):
    harm = tmp_path / "harm"
    with pytest.raises(ValueError, match=r"mine.npz cannot be read: x has Python objects, which"):
        read(x=np.array([Harmful(str(harm))] * 6), y=TRAIN[1])
    assert not harm.exists()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": TRAIN[0], "z": TRAIN[1]}, " should hold train_images, .*; or x, y, but holds x, z$"),
        ({}, " should hold .*, but holds nothing$"),
        ({"x": TRAIN[0][0, 0], "y": TRAIN[1]}, re.escape(": x should hold images (N, H, W) or")),
        ({"x": TRAIN[0], "y": TRAIN[1][:4]}, ": y should hold 6 labels, one per image, but holds"),
        (
            {"x_train": TRAIN[0], "y_train": TRAIN[1], "x_test": TEST[0], "y_test": TEST[1] + 1},
            ": an image to test on has the label 3, but none to train on has$",
        ),
    ],
)
def test_arrays_that_are_something_else(read, tmp_path, arrays, message):
    with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path / 'mine.npz'))}{message}"):
        read(**arrays)


def test_files_that_are_something_else(read, tmp_path):
    path = tmp_path / "mine.npz"

    def message():
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}") as error:
            load(Config(dataset=str(path)))
        return str(error.value).removeprefix(str(path))

    assert message() == " does not exist"
    path.write_bytes(b"no archive")
    assert message() == " is not a .npz file"
    with path.open("wb") as file:
        np.save(file, TRAIN[0])
    assert message() == " is not a .npz file"
    read(**dict(zip(NAMES[0], FOUR, strict=True)))
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes(40) + whole[240:])
    assert message().startswith(" cannot be read: ")
    path.unlink()
    path.mkdir()
    assert message() == " is not a .npz file"


def test_an_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.NPZ", "w") as archive:
        for name in ("images", "labels"):
            archive.writestr(f"{name}", b"text")
    with pytest.raises(ValueError, match=r"mine.NPZ cannot be read: images is not an array$"):
        load(Config(dataset=str(tmp_path / "mine.NPZ")))


def test_what_was_changed_is_said(read):
    floats = TRAIN[0].astype(np.float64).transpose(0, 3, 1, 2)
    dataset = read(x_train=floats, y_train=TRAIN[1] + 1, x_test=floats[:2] / 2, y_test=[3, 1])
    np.testing.assert_allclose(dataset.train_images, TRAIN[0] / 255, rtol=1e-6)
    np.testing.assert_allclose(dataset.test_images, TRAIN[0][:2] / 510, rtol=1e-6)
    assert dataset.names == ("1", "2", "3")
    assert dataset.test_labels.tolist() == [2, 0]
    ends = [re.split(": |; |, which ", note)[-1] for note in dataset.notes]
    assert ends == [
        "were divided by 255", "they were moved last", "they were moved last",
        "became 0 to 2",
    ]  # fmt: skip
