"""Every flag with values that mean nothing: one line, exit status 2, nothing left behind."""

import dataclasses
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from jaxconv.train import Config
from jaxconv.train.cli import main
from jaxconv.train.flags import flag

NUMBERS = {int: ["x", "-1", "1.5"], float: ["x", "nan", "-1"], bool: ["maybe", "2", ""]}
BAD = {
    "model": ["x", "nowhere:network", "json:loads"],
    "dataset": ["nowhere/at/all", "nothing.npz", ""],
    "data_dir": ["nowhere", "file", ""],
    "weights": ["nowhere", "file", ""],
    "out": ["full", "file", "file/below"],
    "resume": ["nowhere", "file", "full"],
    "image_size": ["x", "3", "5000"],
    "crop": ["0", "1.1", "x"],
    "seed": ["-1", str(2**32), "x"],
    "devices": ["0", "x", "1000"],
    "coordinator": ["here", "here:0", "here:1"],
    "processes": ["0", "x", "2"],
    "process_id": ["-1", "x", "0"],
    "batch_size": ["0", "x", "-3"],
    "shift": ["-1", "x", "8"],
    "cutout": ["-1", "x", str(10**12)],
    "warmup": ["-1", "40", "nan"],
}
BESIDE = {"data_dir": ["--dataset", "mnist"]}


def values(name):
    """Three values that the flag cannot have."""
    if name in BAD:
        return BAD[name]
    annotation = get_type_hints(Config)[name]
    if get_origin(annotation) is Literal:
        return ["x", "", get_args(annotation)[0].upper()]
    kind = annotation if isinstance(annotation, type) else get_args(annotation)[0]
    return NUMBERS[kind]


CASES = [
    (field.name, value) for field in dataclasses.fields(Config) for value in values(field.name)
]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_one_line_and_nothing_left_behind(name, value, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("here")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "other").write_text("there")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as stop:
        main([*BESIDE.get(name, ()), f"{flag(name)}={value}"])
    said = capsys.readouterr()
    assert (stop.value.code, said.out) == (2, "")
    assert said.err.startswith("train: ")
    assert said.err.count("\n") == 1, said.err
    assert flag(name) in said.err or value in said.err, said.err
    assert sorted(tmp_path.rglob("*")) == before


def test_each_flag_has_three_values():
    assert len(set(CASES)) == 3 * len(dataclasses.fields(Config))
