import io
import os
import tempfile
import threading
import zipfile

import numpy as np
import pytest

from jaxconv.train import Config
from jaxconv.train.data import blocks, load, memory
from jaxconv.train.data.stored import Stored, chosen, spilled

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (23, 4, 5, 3), np.uint8)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """The user's cache, in a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def stored(array, before=b"head"):
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(before + array.tobytes())
    file.flush()
    return Stored(file, len(before), array.shape, array.dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, ">i2"])
@pytest.mark.parametrize(
    "index",
    [3, -1, slice(None), slice(2, 9), slice(20, 99), slice(5, 5), slice(None, None, -2)],
    ids=str,
)
def test_rows_are_those_of_the_array(dtype, index):
    array = IMAGES.astype(dtype)
    np.testing.assert_array_equal(stored(array)[index], array[index])


@pytest.mark.parametrize("index", [[], [0], [22, 0, 7, 8, 9, 9, 3]], ids=str)
def test_rows_in_any_order(index):
    index = np.array(index, int)
    rows = stored(IMAGES)
    np.testing.assert_array_equal(rows[index], IMAGES[index])
    assert (rows.shape, rows.dtype, rows.ndim, rows.size, len(rows)) == (
        IMAGES.shape, IMAGES.dtype, 4, IMAGES.size, 23,
    )  # fmt: skip


def test_chosen_and_changed():
    order, again = RANDOM.permutation(23)[:11], np.array([10, 2, 2, 5])
    halves = stored(IMAGES).chosen(order).then(lambda x: x[..., 0].astype(np.float32) / 2)
    want = IMAGES[order][..., 0].astype(np.float32) / 2
    assert (halves.shape, halves.dtype) == (want.shape, want.dtype)
    np.testing.assert_array_equal(halves[:], want)
    np.testing.assert_array_equal(halves.chosen(again)[1:], want[again][1:])
    np.testing.assert_array_equal(chosen(IMAGES, order), IMAGES[order])


@pytest.mark.parametrize("has_pread", [True, False])
def test_threads_read_at_once(monkeypatch, has_pread):
    if not has_pread:
        monkeypatch.delattr(os, "pread", raising=False)
    rows, wrong = stored(RANDOM.random((200, 50))), []

    def read(seed):
        random = np.random.default_rng(seed)
        for _ in range(100):
            index = random.integers(0, 200, 30)
            if not np.array_equal(rows[index], whole[index]):
                wrong.append(index)

    whole = rows[:]
    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_file_that_is_cut_off():
    rows = stored(IMAGES)
    rows._file.file.truncate(300)
    with pytest.raises(ValueError, match=r" has become shorter while it was read$"):
        rows[:]


def test_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BYTES", 4 * 5 * 3 * 5 + 1)
    for images in (IMAGES, stored(IMAGES)):
        parts = list(blocks.blocks(images))
        assert [len(part) for part in parts] == [5, 5, 5, 5, 3]
        np.testing.assert_array_equal(np.concatenate(parts), IMAGES)
        assert blocks.extremes(images) == (IMAGES.min(), IMAGES.max())
    monkeypatch.setattr(blocks, "BYTES", 1)
    assert len(list(blocks.blocks(IMAGES))) == 23


def test_no_room(monkeypatch, tmp_path):
    def full(**kwargs):
        class Full(io.BytesIO):
            def write(self, content):
                raise OSError(28, "No space left on device")

        return Full()

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(ValueError, match=r"cache/jaxconv has no room for the images: No space"):
        spilled([b"x"])


# ---- data sets ---------------------------------------------------------------------------


def assert_same(one, another):
    assert one.fingerprint == another.fingerprint
    for a, b in zip(one[:4], another[:4], strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a[:], b[:])


def arrays(kind):
    images = RANDOM.integers(0, 256, (40, 6, 7, 3), np.uint8)
    labels = np.arange(40) % 4
    if kind == "floats, channels first":
        images = images.transpose(0, 3, 1, 2).astype(np.float64)
    if kind == "16 bits, grey":
        images = images[..., 0].astype(np.uint16) * 257
    return {"images": images, "labels": labels}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kind", ["bytes", "floats, channels first", "16 bits, grey"])
def test_an_archive_on_the_disk_is_the_one_in_memory(tmp_path, save, kind):
    path = tmp_path / "a.npz"
    save(path, **arrays(kind))
    kept, streamed = (load(Config(dataset=str(path), memory=m)) for m in (1.0, 1e-6))
    assert isinstance(kept.train_images, np.ndarray)
    assert isinstance(streamed.train_images, Stored)
    assert_same(kept, streamed)
    assert streamed.notes[0].startswith(f"{path}: ")
    assert streamed.notes[0].endswith(" GB of images are read from the disk (--memory)")
    assert streamed.notes[1:] == kept.notes


@pytest.mark.parametrize(("dtype", "size"), [(np.uint8, 1), (np.int8, 4), (bool, 4), (float, 4)])
def test_what_arrays_take_as_images(tmp_path, dtype, size):
    """Bytes stay what they are, and all others become float32."""
    images = (np.arange(40 * 12).reshape(40, 3, 4) % 2).astype(dtype)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(40) % 2)
    for bytes_, kind in ((480 * size + 0.5, np.ndarray), (480 * size - 0.5, Stored)):
        config = Config(dataset=str(tmp_path / "a.npz"), memory=bytes_ / 1e9)
        assert isinstance(load(config).train_images, kind)


def test_an_archive_whose_names_are_long(tmp_path):
    """Where an array begins depends on the length of its name and of what follows it."""
    path, known = tmp_path / "a.npz", arrays("bytes")
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in known.items():
            content = io.BytesIO()
            np.save(content, array)
            info = zipfile.ZipInfo(f"{name}.npy")
            info.extra = b"\x99\x99\x05\x00abcde"
            archive.writestr(info, content.getvalue())
    assert_same(*(load(Config(dataset=str(path), memory=m)) for m in (1.0, 1e-6)))


def test_an_archive_stored_by_columns(tmp_path):
    path, known = tmp_path / "a.npz", arrays("bytes")
    np.savez(path, **(known | {"images": np.asfortranarray(known["images"])}))
    assert load(Config(dataset=str(path))).train_images.shape == (32, 6, 7, 3)
    with pytest.raises(ValueError, match=r"images is stored column by column and too large for"):
        load(Config(dataset=str(path), memory=1e-6))


@pytest.mark.parametrize("parts", [("",), ("train/", "val/", "test/")], ids=str)
def test_a_folder_on_the_disk_is_the_one_in_memory(tmp_path, parts):
    from PIL import Image

    for part in parts:
        for name in ("a", "b"):
            (tmp_path / "d" / part / name).mkdir(parents=True)
            for n in range(7):
                pixels = RANDOM.integers(0, 256, (9 + n, 8, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "d" / part / name / f"{n}.png")
    (tmp_path / "d" / parts[0] / "a" / "3.png").write_bytes(b"no picture")
    kept, streamed = (
        load(Config(dataset=str(tmp_path / "d"), memory=m, skip_bad=True)) for m in (1.0, 1e-6)
    )
    assert isinstance(streamed.train_images, Stored)
    assert_same(kept, streamed)
    assert list((tmp_path / "cache" / "jaxconv").iterdir()) == []  # the file has no name


# ---- memory ------------------------------------------------------------------------------


def test_what_the_images_may_take(monkeypatch):
    assert memory.allowed(0.5) == 5 * 10**8
    assert memory.allowed(1e300) > 10**300
    monkeypatch.setattr(memory, "free", lambda: 1000)
    assert memory.allowed(None) == 250


def test_what_is_free(monkeypatch):
    assert memory.free() > 10**6
    resource = pytest.importorskip("resource")
    most = {resource.RLIMIT_AS: resource.RLIM_INFINITY, resource.RLIMIT_DATA: 0}
    monkeypatch.setattr(resource, "getrlimit", lambda which: (most[which], 0))
    assert memory.free() == 0
