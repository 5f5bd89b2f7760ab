"""python -m jaxconv.convert."""

import errno
import pickle
import subprocess
import sys

import numpy as np
import pytest
from convert.listings import made_up
from convert.test_arrays import assert_identical

from jaxconv._core import tensors
from jaxconv.convert import to_torch
from jaxconv.convert.cli import main
from jaxconv.models.leaves import by_name

NAME = "mobilenetv2"


@pytest.fixture(scope="module")
def ours():
    return {name: np.asarray(leaf) for name, leaf in by_name(made_up(NAME)).items()}


@pytest.fixture(scope="module")
def theirs():
    return {library: to_torch(NAME, made_up(NAME), library) for library in ("torchvision", "timm")}


def convert(source, target, *more, model=NAME):
    main([str(source), str(target), "--model", model, *more])


def refusal(capsys, *arguments, **options):
    with pytest.raises(SystemExit) as stop:
        convert(*arguments, **options)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert not out
    (line,) = err.splitlines()
    return line


@pytest.mark.parametrize(("flags", "library"), [([], "torchvision"), (["--names", "timm"], "timm")])
def test_there_and_back(flags, library, ours, theirs, tmp_path, capsys):
    first, there, back = (tmp_path / name for name in ("a.safetensors", "b", "c.safetensors"))
    tensors.write(first, ours)
    convert(first, there, *flags)
    assert_identical(tensors.read(there), theirs[library])
    convert(there, back, *flags)
    assert back.read_bytes() == first.read_bytes()
    assert capsys.readouterr().out == (
        f"{there} has the 314 arrays of mobilenetv2, for 7 classes, with {library}'s names\n"
        f"{back} has the 314 arrays of mobilenetv2, for 7 classes, with our own names\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.safetensors",
        "b",
        "c.safetensors",
    ]


def test_onto_itself(ours, theirs, tmp_path):
    path = tmp_path / "a.safetensors"
    tensors.write(path, ours)
    convert(path, path)
    assert_identical(tensors.read(path), theirs["torchvision"])


def test_names_of_the_other_library(theirs, tmp_path, capsys):
    tensors.write(path := tmp_path / "a.safetensors", theirs["timm"])
    said = refusal(capsys, path, tmp_path / "b", "--names", "torchvision")
    assert said == "convert: FROM has timm's names, not torchvision's"


def test_what_does_not_fit_leaves_no_file(ours, tmp_path, capsys):
    tensors.write(path := tmp_path / "a.safetensors", ours)
    said = refusal(capsys, path, tmp_path / "b", model="resnet18")
    assert said.startswith(f"convert: {path} has none of the names of resnet18, neither our own,")
    assert [*tmp_path.iterdir()] == [path]


def test_pickles_are_not_opened(tmp_path, capsys):
    path = tmp_path / "net.pth"
    for content in (pickle.dumps({"a": 1}), b"PK\x03\x04 a zip archive"):
        path.write_bytes(content)
        assert refusal(capsys, path, tmp_path / "b") == (
            f"convert: {path} is a pickle, which can run any code, so it is not opened; PyTorch"
            " makes a safetensors file of it: import torch, safetensors.torch as s;"
            " s.save_file(torch.load('net.pth', weights_only=True), 'net.safetensors')"
        )


@pytest.mark.parametrize("content", [b"", b"abc", b"\x80" + bytes(7) + b"{", bytes(100)])
def test_no_safetensors(content, tmp_path, capsys):
    path = tmp_path / "net"
    path.write_bytes(content)
    said = refusal(capsys, path, tmp_path / "b")
    assert said.startswith(f"convert: {path} is not a safetensors file: ")


def test_paths(tmp_path, capsys):
    missing = tmp_path / "a"
    assert refusal(capsys, missing, tmp_path / "b") == (
        f"convert: {missing}: No such file or directory"
    )
    assert refusal(capsys, tmp_path, tmp_path / "b") == f"convert: {tmp_path}: Is a directory"
    said = refusal(capsys, missing, tmp_path / "no" / "b")
    assert said == f"convert: argument TO: there is no folder {tmp_path / 'no'}"


def test_no_counterpart(tmp_path, capsys, ours):
    tensors.write(path := tmp_path / "a", ours)
    said = refusal(capsys, path, tmp_path / "b", model="lenet")
    assert said.startswith(
        "convert: the network 'lenet' has no counterpart in torchvision or timm;"
    )


def test_a_full_disk(ours, tmp_path, capsys, monkeypatch):
    tensors.write(path := tmp_path / "a", ours)

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    target = tmp_path / "b"
    assert refusal(capsys, path, target) == f"convert: {target}: No space left on device"
    assert [*tmp_path.iterdir()] == [path]


def test_it_needs_no_torch(tmp_path):
    code = (
        "import sys, jaxconv.convert.cli; sys.exit(any(name.split('.')[0] in"
        " ('torch', 'torchvision', 'timm', 'optax', 'rich') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_safetensors_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    said = refusal(capsys, tmp_path / "a", tmp_path / "b")
    assert said == (
        "convert: safetensors is not installed; it comes with: pip install 'jaxconv[train]'"
    )
