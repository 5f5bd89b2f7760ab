import gzip
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from jaxconv.train import Config
from jaxconv.train.data import load, read_idx


def test_digits_are_those_of_scikit_learn_a_fifth_held_out():
    from sklearn.datasets import load_digits

    digits = load(Config())
    assert digits.train_images.shape == (1438, 8, 8, 1)
    assert digits.test_images.shape == (359, 8, 8, 1)  # ⌊1797/5⌋
    for images, labels in (digits[:2], digits[2:4]):
        assert images.dtype == np.float32
        assert labels.dtype == np.int32
        assert labels.shape == images.shape[:1]
        assert images.min() == 0.0
        assert images.max() == 1.0
        assert set(labels) == set(range(10))
    assert digits.classes == 10

    # Both parts together are the published set: none lost, none twice, none mislabelled.
    def listing(images, labels):
        return sorted((image.tobytes(), label) for image, label in zip(images, labels, strict=True))

    published = load_digits()
    sixteenths = np.concatenate([digits.train_images, digits.test_images])[..., 0] * 16
    together = np.concatenate([digits.train_labels, digits.test_labels])
    assert listing(sixteenths, together) == listing(
        published.images.astype(np.float32), published.target.astype(np.int32)
    )
    # No image of the one part is in the other (the published images are all different).
    train, test = ({image.tobytes() for image in digits[i]} for i in (0, 2))
    assert len(train | test) == 1797


def test_the_split_of_digits_is_the_same_whatever_the_run():
    first = load(Config())
    other = load(Config(seed=7, model="lenet", batch_size=5, data_dir=Path("elsewhere")))
    for a, b in zip(first, other, strict=True):
        np.testing.assert_array_equal(a, b)
    # Held out for good: another shuffle would make accuracies incomparable with earlier ones.
    assert first.test_labels[:12].tolist() == [6, 6, 6, 2, 5, 6, 6, 2, 2, 1, 1, 9]


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
        assert images.dtype == np.float32
        np.testing.assert_allclose(images[..., 0], IMAGES[part] / 255, rtol=1e-7)
    assert loaded.train_images.max() <= 1.0
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
NO_GZIP = " is no whole gzip file: "
NO_IDX = " is no IDX file of bytes"
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
    message = f"{folder}: 6 × 4 and 5 × 4 are the sizes of train and t10k images"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load(Config(dataset="mnist", data_dir=folder))
