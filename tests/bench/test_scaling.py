import re

import pytest

from jaxconv.bench import links, scaling


@pytest.mark.thorough
def test_devices_and_processes_are_measured(monkeypatch, capsys):
    small = {"IMAGES": 16, "SIDE": 8, "CLASSES": 3, "BATCH": 4, "EPOCHS": 2, "COUNTS": (1, 2)}
    for name, value in small.items():
        monkeypatch.setattr(scaling, name, value)
    scaling.main(["--models", "lenet", "--computed"])
    lines = capsys.readouterr().out.splitlines()
    number = r"[\d,]+ \| \d+%"
    assert re.fullmatch(rf"lenet \| 1 \| {number} \| {number}", lines[1])
    assert re.fullmatch(rf"lenet \| 2 \| {number} \| {number}", lines[2])


def test_a_process_that_fails_is_told(tmp_path):
    with pytest.raises(RuntimeError, match=r"status 2: .*random\.npz"):
        scaling.measured(tmp_path, "lenet")


def test_computed_tables(capsys):
    scaling.main(["--models", "--computed", "resnet20"])
    out = capsys.readouterr().out
    assert out.count("\n8,192 | ") == len(scaling.EACH) * len(links.CLUSTERS)
    assert "a batch has 8,192 images or fewer: fails from 512 devices on" in out
