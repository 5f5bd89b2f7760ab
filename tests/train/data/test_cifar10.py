import io
import re
import tarfile

import numpy as np
import pytest

from jaxconv.train import Config
from jaxconv.train.data import cifar10, load

FILES = (*cifar10.TRAIN, *cifar10.TEST)
COUNT = 2  # images a file


@pytest.fixture(scope="module")
def published():
    """Images (N, H, W, C) and labels of every file, and the file."""
    random = np.random.default_rng(0)
    files = {}
    for name in FILES:
        images = random.integers(0, 256, (COUNT, 32, 32, 3), np.uint8)
        labels = random.integers(0, 10, COUNT, np.uint8)
        content = b"".join(
            bytes([label]) + b"".join(image[..., c].tobytes() for c in range(3))
            for image, label in zip(images, labels, strict=True)
        )
        files[name] = images, labels, content
    return files


def write_files(folder, published):
    folder.mkdir(exist_ok=True)
    for name, (*_, content) in published.items():
        (folder / name).write_bytes(content)


def write_archive(folder, published, without=()):
    with tarfile.open(folder / cifar10.ARCHIVE, "w:gz") as archive:
        for name in ("readme.html", *published):
            if name not in without:
                content = published[name][2] if name in published else b"<html>"
                member = tarfile.TarInfo(f"{cifar10.INSIDE}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("layout", ["files", "folder", "archive"])
def test_wherever_the_files_are(published, tmp_path, layout):
    if layout == "archive":
        write_archive(tmp_path, published)
    else:
        write_files(tmp_path / (cifar10.INSIDE if layout == "folder" else ""), published)
    before = sorted(tmp_path.rglob("*"))
    dataset = load(Config(dataset="cifar10", data_dir=tmp_path))
    assert sorted(tmp_path.rglob("*")) == before  # nothing was unpacked
    assert dataset.classes == 10
    for names, images, labels in (
        (cifar10.TRAIN, *dataset[:2]),
        (cifar10.TEST, *dataset[2:4]),
    ):
        assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
        want = np.concatenate([published[name][0] for name in names])
        np.testing.assert_allclose(images, want, rtol=1e-7)
        np.testing.assert_array_equal(labels, np.concatenate([published[n][1] for n in names]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", " should hold records of 3073 bytes, but holds 0"),
        (bytes(3072), " should hold records of 3073 bytes, but holds 3072"),
        (b"\x0a" + bytes(3072), ": labels are 0 to 9, but one is 10"),
        (None, f" does not exist, nor does {cifar10.ARCHIVE}"),
    ],
)
def test_files_that_are_something_else(published, tmp_path, content, message):
    write_files(tmp_path, published)
    path = tmp_path / "data_batch_3.bin"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}{message}')}$"):
        load(Config(dataset="cifar10", data_dir=tmp_path))


def test_archives_that_are_something_else(published, tmp_path):
    path = tmp_path / cifar10.ARCHIVE
    write_archive(tmp_path, published, without=("test_batch.bin",))
    message = f"{path} has no {cifar10.INSIDE}/test_batch.bin"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load(Config(dataset="cifar10", data_dir=tmp_path))
    write_archive(tmp_path, published)
    whole = path.read_bytes()
    for content in (
        b"",
        b"no archive",
        whole[: len(whole) // 2],
        whole[:99] + bytes(9) + whole[108:],
    ):
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=f"^{re.escape(f'{path} is not a complete archive: ')}"
        ):
            load(Config(dataset="cifar10", data_dir=tmp_path))
