import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from jaxconv.train import Config
from jaxconv.train.data import load, sources
from jaxconv.train.data.idx import PARTS, names


@pytest.mark.parametrize("name", ["imagenet", "", "MNIST"])
def test_a_name_that_says_nothing(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    message = (
        "--dataset must be digits, mnist, fashion-mnist, cifar10, an .npz file or a folder,"
        f" but got {name!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load(Config(dataset=name))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_files_are_fetched_only_if_no_folder_is_given(name, monkeypatch, tmp_path):
    asked = []

    def fetched(name):
        asked.append(name)
        return tmp_path / "fetched"

    monkeypatch.setattr(sources, "fetched", fetched)
    for data_dir, folder in ((tmp_path / "mine", "mine"), (None, "fetched")):
        with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path / folder))}/.* does not"):
            load(Config(dataset=name, data_dir=data_dir))
    assert asked == [name]


def test_a_folder_may_be_named_like_a_data_set(monkeypatch, tmp_path):
    """The name means the data set; a path means the folder."""
    monkeypatch.chdir(tmp_path)
    Path("digits").mkdir()
    assert load(Config(dataset="digits")).classes == 10
    with pytest.raises(
        ValueError, match=r"^digits should have folders of pictures for at least two"
    ):
        load(Config(dataset="./digits"))


def test_a_size_without_a_folder(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 5, 5), np.uint8), y=[0, 1, 0, 1])
    message = "--image-size is for a folder of pictures, but --dataset is "
    for name in (str(tmp_path / "a.npz"), "digit"):
        with pytest.raises(ValueError, match=f"^{re.escape(message + name)}$"):
            load(Config(dataset=name, image_size=8))


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(
        ValueError, match=rf"^--dataset {re.escape(str(tmp_path))}/no does not exist$"
    ):
        load(Config(dataset=f"{tmp_path}/no"))


def test_the_classes_of_published_data_sets_have_names(monkeypatch, tmp_path):
    images = np.zeros((20, 28, 28), np.uint8)
    for part in PARTS:
        for name, array in zip(names(part), (images, np.arange(20) % 10), strict=True):
            rank = bytes([0, 0, 8, array.ndim])
            sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
            content = rank + sizes + array.astype(np.uint8).tobytes()
            (tmp_path / name).write_bytes(gzip.compress(content))
    clothes = load(Config(dataset="fashion-mnist", data_dir=tmp_path))
    assert clothes.class_names[::9] == ("T-shirt", "ankle boot")
    numbers = load(Config(dataset="mnist", data_dir=tmp_path))
    assert numbers.class_names == tuple("0123456789")
