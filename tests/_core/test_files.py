"""Files that are whole or not there."""

import json
import os

import pytest

from jaxconv._core.files import replacing, write_json


def listing(folder):
    """Every file, hidden ones too."""
    return sorted(os.listdir(folder))


def test_an_interrupted_writing_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "curves.png"
    path.write_text("old")

    def write_half():
        with replacing(path) as beside:
            beside.write_text("ha")
            assert path.read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert listing(tmp_path) == ["curves.png"]

    with pytest.raises(OSError, match="disk"), replacing(tmp_path / "new.png"):
        raise OSError("disk full")
    assert listing(tmp_path) == ["curves.png"]

    with replacing(path) as beside:
        assert beside.suffix == ".png"  # what draws a picture goes by the name
        beside.write_text("new")
    assert path.read_text() == "new"
    assert listing(tmp_path) == ["curves.png"]


def test_json_is_what_every_reader_takes(tmp_path):
    path = tmp_path / "out.json"
    write_json(path, {"a": [1, None, 0.5]})
    assert json.loads(path.read_text()) == {"a": [1, None, 0.5]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": [1, None, 0.5]}
    assert listing(tmp_path) == ["out.json"]
