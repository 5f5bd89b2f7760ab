import re

import numpy as np
import pytest
from PIL import Image

from jaxconv.train import Config
from jaxconv.train.data import load
from jaxconv.train.data.form import KEPT, SIDE

SIZE = (4, 5)  # height, width


def picture(number, mode="L", size=SIZE):
    """A picture, different for each number."""
    random = np.random.default_rng(number)
    shape = (*size, 3) if mode == "RGB" else size
    return Image.fromarray(random.integers(0, 256, shape, np.uint8))


def write(folder, files):
    """Pictures by their paths."""
    for path, image in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / path)


def read(folder, **fields):
    return load(Config(dataset=str(folder), **fields))


def listing(images, labels):
    return sorted(
        (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )


def three_classes():
    return {
        f"train/{name}/{number}.png": picture(10 * place + number)
        for place, name in enumerate(("cat", "ant", "bee"))
        for number in range(3)
    }


@pytest.mark.parametrize("test", ["test", "val", "Valid", "Testing"])
def test_a_part_to_train_and_one_to_test(tmp_path, test):
    files = three_classes()
    files |= {f"{test}/bee/7.png": picture(77), f"{test}/cat/1.bmp": picture(78)}
    write(tmp_path, files)
    dataset = read(tmp_path)
    assert (dataset.classes, dataset.names) == (3, ("ant", "bee", "cat"))
    assert dataset.train_images.shape == (9, *SIZE, 1)
    assert dataset.train_images.dtype == np.uint8

    def expected(part):
        paths = [path for path in files if path.startswith(part)]
        images = [np.asarray(files[path])[..., None] for path in paths]
        return listing(images, [dataset.names.index(path.split("/")[1]) for path in paths])

    assert listing(*dataset[:2]) == expected("train")
    assert listing(*dataset[2:4]) == expected(test)
    assert dataset.last is None


def test_with_val_the_test_is_for_the_end(tmp_path):
    files = three_classes() | {"val/bee/7.png": picture(77), "test/cat/1.png": picture(78)}
    write(tmp_path, files)
    dataset = read(tmp_path)
    assert dataset.test_labels.tolist() == [1]
    images, labels = dataset.last
    np.testing.assert_array_equal(images[0, ..., 0], files["test/cat/1.png"])
    assert labels.tolist() == [2]


def test_classes_alone_of_which_a_fifth_is_held_out(tmp_path):
    write(tmp_path, {f"{name}/{n}.png": picture(n) for n in range(5) for name in ("a", "b")})
    dataset = read(tmp_path)
    assert np.bincount(dataset.train_labels).tolist() == [4, 4]
    assert np.bincount(dataset.test_labels).tolist() == [1, 1]
    both = (np.concatenate(arrays) for arrays in zip(dataset[:2], dataset[2:4], strict=True))
    assert [label for _, label in listing(*both)] == [0, 1] * 5


def test_a_train_alone_is_split(tmp_path):
    write(tmp_path, {f"train/{name}/{n}.png": picture(n) for n in range(5) for name in "ab"})
    assert len(read(tmp_path).test_images) == 2


def test_one_in_colour_makes_all_of_them_coloured(tmp_path):
    files = {f"{name}/{n}.png": picture(n) for n in range(3) for name in "ab"}
    write(tmp_path, files | {"b/9.png": picture(9, "RGB")})
    dataset = read(tmp_path)
    images = np.concatenate([dataset.train_images, dataset.test_images])
    assert images.shape == (7, *SIZE, 3)
    grey = [image for image in images if (image == image[..., :1]).all()]
    assert len(grey) == 6
    assert any(np.array_equal(image[..., 0], files["a/2.png"]) for image in grey)


def test_several_sizes_get_one(tmp_path):
    files = {f"{name}/{n}.png": picture(n, size=(5 + n, 7)) for n in range(3) for name in "ab"}
    write(tmp_path, files)
    dataset = read(tmp_path)
    side = SIDE
    assert dataset.train_images.shape[1:] == (side, side, 1)
    assert dataset.notes == (
        f"pictures have 3 sizes, 5 × 7 to 7 × 7; all are scaled and cut to {side} × {side}"
        " (--image-size)",
    )
    small = read(tmp_path, image_size=6)
    assert (small.train_images.shape[1:], small.notes) == ((6, 6, 1), ())


def test_large_pictures_of_one_size_become_small(tmp_path):
    size = (KEPT + 1, 20)
    write(tmp_path, {f"{name}/{n}.png": picture(n, size=size) for n in range(2) for name in "ab"})
    dataset = read(tmp_path)
    assert dataset.train_images.shape[1:3] == (SIDE,) * 2
    assert dataset.notes[0].startswith("pictures are 129 × 20; all are scaled and cut to 64 × 64")


def enough():
    return {f"{name}/{n}.png": picture(n) for n in range(3) for name in "ab"}


@pytest.mark.parametrize("fields", [{}, {"image_size": 4}])
def test_all_bad_files_are_named_at_once(tmp_path, fields):
    write(tmp_path, enough())
    whole = (tmp_path / "a" / "1.png").read_bytes()
    bad = {"a/4.png": b"", "b/5.jpg": b"text", "b/6.png": whole[:60]}
    for path, content in bad.items():
        (tmp_path / path).write_bytes(content)
    with pytest.raises(
        ValueError, match=r"^3 pictures cannot be read \(--skip-bad goes on"
    ) as error:
        read(tmp_path, **fields)
    for path in bad:
        assert f"{tmp_path}/{path} is not a picture that can be read: " in str(error.value)
    dataset = read(tmp_path, skip_bad=True, **fields)
    assert len(dataset.train_images) + len(dataset.test_images) == 6
    assert dataset.notes[-1].startswith(
        f"left out 3 pictures that cannot be read: {tmp_path}/a/4.png is not a picture"
    )


def test_one_bad_file_and_many(tmp_path):
    write(tmp_path, enough())
    (tmp_path / "a" / "bad.png").write_bytes(b"")
    message = (
        f"^{re.escape(str(tmp_path))}/a/bad.png is not a picture .*; --skip-bad goes on without it$"
    )
    with pytest.raises(ValueError, match=message):
        read(tmp_path)
    for n in range(14):
        (tmp_path / "b" / f"{n:02}.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"^15 pictures .*; and 5 more$"):
        read(tmp_path)


def test_a_part_of_bad_pictures_alone(tmp_path):
    write(tmp_path, three_classes())
    (tmp_path / "val" / "ant").mkdir(parents=True)
    (tmp_path / "val" / "ant" / "1.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r": no picture of val/ant can be read$"):
        read(tmp_path, skip_bad=True)


def test_a_class_of_bad_pictures_alone(tmp_path):
    write(tmp_path, enough())
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "1.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r": no picture of c can be read$"):
        read(tmp_path, skip_bad=True)
