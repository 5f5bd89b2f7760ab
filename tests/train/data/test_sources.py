import re
from pathlib import Path

import pytest

from jaxconv.train import Config
from jaxconv.train.data import load, sources


@pytest.mark.parametrize("name", ["imagenet", "", "folder/that/is/not/there", "MNIST"])
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
        ValueError, match=r"^digits should have a folder of pictures for each class"
    ):
        load(Config(dataset="./digits"))
