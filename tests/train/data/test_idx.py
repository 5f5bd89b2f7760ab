import gzip
import re
import struct

import numpy as np
import pytest

from jaxconv.train import Config
from jaxconv.train.data import load
from jaxconv.train.data.idx import read_idx


def idx(array, shape=None):
    """The content of an IDX file of bytes."""
    shape = array.shape if shape is None else shape
    return b"\0\0\x08" + struct.pack(f">B{len(shape)}I", len(shape), *shape) + array.tobytes()


def zipped(content):
    """The same bytes whenever it is called: no time of day in the header."""
    return gzip.compress(content, mtime=0)


def random_bytes(seed, shape):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


IMAGES = {"train": random_bytes(0, (5, 6, 4)), "t10k": random_bytes(1, (3, 6, 4))}
LABELS = {"train": np.uint8([3, 0, 9, 1, 3]), "t10k": np.uint8([8, 8, 2])}


def names(part):
    return f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"


TRAIN_IMAGES, TRAIN_LABELS = names("train")
TEST_IMAGES, TEST_LABELS = names("t10k")


@pytest.fixture
def folder(tmp_path):
    """A folder of the four files, each as it should be."""
    for part in ("train", "t10k"):
        image_file, label_file = (tmp_path / name for name in names(part))
        image_file.write_bytes(zipped(idx(IMAGES[part])))
        label_file.write_bytes(zipped(idx(LABELS[part])))
    return tmp_path


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist"])
def test_idx_files(folder, dataset):
    loaded = load(Config(dataset=dataset, data_dir=folder))
    for part, images, labels in (("train", *loaded[:2]), ("t10k", *loaded[2:4])):
        np.testing.assert_array_equal(labels, LABELS[part])
        assert labels.dtype == np.int32
        assert images.shape == (*IMAGES[part].shape, 1)
        assert images.dtype == np.uint8
        np.testing.assert_allclose(images[..., 0], IMAGES[part], rtol=1e-7)
    assert loaded.train_images.max() <= 255.0
    assert loaded.classes == 10


def test_of_any_rank(tmp_path):
    for shape in ((4,), (2, 3), (1, 2, 1, 3), (0, 2)):
        array = random_bytes(2, shape)
        (tmp_path / "file").write_bytes(zipped(idx(array)))
        np.testing.assert_array_equal(read_idx(tmp_path / "file"), array)


def damaged(gz):
    """A gzip file whose checksum is right for another content."""
    return gz[:-8] + bytes(8)


WHOLE = zipped(idx(IMAGES["train"]))
HEADER = b"\0\0\x08\x03" + struct.pack(">3I", 5, 6, 4)
NO_GZIP = " is not a complete gzip file: "
NO_IDX = " is not an IDX file of bytes"
NOT_IMAGES = " should hold images (N, H, W), but holds "


BROKEN = [
    (None, " does not exist"),
    (b"", NO_IDX),
    (idx(IMAGES["train"]), f"{NO_GZIP}Not a gzipped file"),
    (WHOLE[:-20], f"{NO_GZIP}Compressed file ended"),
    (WHOLE[:5], f"{NO_GZIP}Compressed file ended"),
    (damaged(WHOLE), f"{NO_GZIP}CRC check failed"),
    (WHOLE[:10] + b"\xff" * 20 + WHOLE[30:], f"{NO_GZIP}Error -3 while decompressing"),
    (zipped(b""), NO_IDX),
    (zipped(b"\0\0\x08"), NO_IDX),
    (zipped(b"\0\0\x0d" + HEADER[3:] + bytes(480)), NO_IDX),  # floats
    (zipped(b"\1" + idx(IMAGES["train"])[1:]), NO_IDX),
    (zipped(b"\0\0\x08\0" + bytes(1)), NO_IDX),
    (zipped(HEADER[:4]), NO_IDX),
    (zipped(HEADER[:-1]), NO_IDX),
    (zipped(HEADER), " should hold (5, 6, 4) bytes, but holds 0"),
    (zipped(HEADER + bytes(119)), " should hold (5, 6, 4) bytes, but holds 119"),
    (zipped(HEADER + bytes(121)), " should hold (5, 6, 4) bytes, but holds 121"),
    (  # 2^64 bytes, which 64 bits count as 0
        zipped(b"\0\0\x08\x04" + struct.pack(">4I", *[2**16] * 4)),
        " should hold (65536, 65536, 65536, 65536) bytes, but holds 0",
    ),
]


@pytest.mark.parametrize(
    ("content", "message"), BROKEN, ids=[f"{i}:{m}" for i, (_, m) in enumerate(BROKEN)]
)
@pytest.mark.parametrize("file", [TRAIN_IMAGES, TEST_LABELS])
def test_files_that_are_something_else(folder, file, content, message):
    path = folder / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}{message}')}"):
        load(Config(dataset="mnist", data_dir=folder))


def test_a_folder_in_place_of_a_file_and_a_file_in_place_of_the_folder(folder):
    path = folder / TRAIN_IMAGES
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path} cannot be read: ')}"):
        load(Config(dataset="mnist", data_dir=folder))
    path = folder / TEST_IMAGES
    with pytest.raises(ValueError, match=re.escape(f"{path}/")):
        load(Config(dataset="mnist", data_dir=path))


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        (TRAIN_IMAGES, IMAGES["train"][..., 0], f"{NOT_IMAGES}(5, 6)"),
        (TRAIN_IMAGES, IMAGES["train"][:, :0], f"{NOT_IMAGES}(5, 0, 4)"),
        (TEST_IMAGES, IMAGES["t10k"][:0], f"{NOT_IMAGES}(0, 6, 4)"),
        (TRAIN_LABELS, LABELS["train"][:4], " should hold 5 labels, one per image, but holds (4,)"),
        (TEST_LABELS, LABELS["t10k"][:1], " should hold 3 labels, one per image, but holds (1,)"),
        (TEST_LABELS, IMAGES["t10k"], " should hold 3 labels, one per image, but holds (3, 6, 4)"),
        (TEST_LABELS, np.uint8([0, 10, 1]), ": labels are 0 to 9, but one is 10"),
    ],
)
def test_files_that_do_not_belong_together(folder, file, array, message):
    (folder / file).write_bytes(zipped(idx(array)))
    with pytest.raises(ValueError, match=f"^{re.escape(f'{folder / file}{message}')}$"):
        load(Config(dataset="mnist", data_dir=folder))


def test_train_and_test_images_of_different_sizes(folder):
    (folder / TEST_IMAGES).write_bytes(zipped(idx(IMAGES["t10k"][:, :5])))
    message = f"{folder}: images to train on are 6 × 4 × 1, those to test on 5 × 4 × 1"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load(Config(dataset="mnist", data_dir=folder))


def test_another_mnist(folder):
    """Whose classes are as many as its labels say."""
    labels = np.uint8([3, 0, 4, 1, 2])
    (folder / TRAIN_LABELS).write_bytes(zipped(idx(labels)))
    (folder / TEST_LABELS).write_bytes(zipped(idx(labels[:3])))
    loaded = load(Config(dataset=str(folder)))
    assert loaded.classes == 5
    np.testing.assert_array_equal(loaded.train_labels, labels)
    np.testing.assert_allclose(loaded.test_images[..., 0], IMAGES["t10k"], rtol=1e-7)

    (folder / TEST_LABELS).write_bytes(zipped(idx(np.uint8([0, 5, 1]))))
    message = f"{folder}: labels to train on go up to 4, but one to test on is 5"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load(Config(dataset=str(folder)))
