import re

import numpy as np
import pytest
from PIL import Image

from jaxconv.train import Config
from jaxconv.train.data import load

SIZE = (4, 3)  # height, width


def picture(number, mode="L", size=SIZE):
    """A picture, different for each number."""
    random = np.random.default_rng(number)
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (*size, channels) if channels > 1 else size
    array = random.integers(0, 256, shape, np.uint8)
    if mode == "1":
        return Image.fromarray(array).convert("1", dither=Image.Dither.NONE)
    return Image.fromarray(array) if mode in ("L", "RGB") else Image.fromarray(array).convert(mode)


def write(folder, files):
    """Pictures by their paths."""
    for path, image in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / path)


def listing(images, labels):
    return sorted(
        (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )


@pytest.mark.parametrize("test", ["test", "val"])
def test_a_part_to_train_and_one_to_test(tmp_path, test):
    files = {
        f"train/{name}/{number}.png": picture(10 * place + number)
        for place, name in enumerate(("cat", "ant", "bee"))
        for number in range(3)
    }
    files |= {f"{test}/bee/7.png": picture(77), f"{test}/cat/1.bmp": picture(78)}
    write(tmp_path, files)
    (tmp_path / "train" / ".hidden").write_text("not looked at")
    (tmp_path / "train" / "ant" / ".hidden").write_text("not looked at")
    dataset = load(Config(dataset=str(tmp_path)))
    assert dataset.classes == 3
    assert dataset.train_images.shape == (9, *SIZE, 1)
    assert dataset.train_images.dtype == np.float32
    order = ["ant", "bee", "cat"]  # by name

    def expected(part):
        paths = [path for path in files if path.startswith(part)]
        images = [np.asarray(files[path])[..., None] / np.float32(255) for path in paths]
        return listing(images, [order.index(path.split("/")[1]) for path in paths])

    assert listing(*dataset[:2]) == expected("train")
    assert listing(*dataset[2:4]) == expected(test)


def test_classes_alone_of_which_a_fifth_is_held_out(tmp_path):
    write(tmp_path, {f"{name}/{n}.png": picture(n) for n in range(5) for name in ("a", "b")})
    dataset = load(Config(dataset=str(tmp_path)))
    assert (len(dataset.train_images), len(dataset.test_images)) == (8, 2)
    both = (np.concatenate(arrays) for arrays in zip(dataset[:2], dataset[2:4], strict=True))
    assert [label for _, label in listing(*both)] == [0, 1] * 5


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
def test_modes(tmp_path, mode):
    suffix = "tiff" if mode == "CMYK" else "png"
    images = [picture(n, "RGB").convert(mode) if mode != "1" else picture(n, "1") for n in range(6)]
    write(tmp_path, {f"{'ab'[n % 2]}/{n}.{suffix}": image for n, image in enumerate(images)})
    dataset = load(Config(dataset=str(tmp_path)))
    wide = "L" if mode in ("1", "L") else "RGB"
    want = [np.asarray(image.convert(wide)).reshape(*SIZE, -1) for image in images]
    got = np.concatenate([dataset.train_images, dataset.test_images])
    assert sorted(map(bytes, got)) == sorted(bytes(w / np.float32(255)) for w in want)


def test_one_in_colour_makes_all_of_them_coloured(tmp_path):
    files = {f"{name}/{n}.png": picture(n) for n in range(3) for name in "ab"}
    write(tmp_path, files | {"b/9.png": picture(9, "RGB")})
    dataset = load(Config(dataset=str(tmp_path)))
    images = np.concatenate([dataset.train_images, dataset.test_images])
    assert images.shape == (7, *SIZE, 3)
    grey = [image for image in images if (image == image[..., :1]).all()]
    assert len(grey) == 6
    want = np.asarray(files["a/2.png"]) / np.float32(255)
    assert any(np.array_equal(image[..., 0], want) for image in grey)


def enough():
    return {f"{name}/{n}.png": picture(n) for n in range(3) for name in "ab"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a/1.png": picture(1)}, " should have a folder for each class, but has a"),
        ({}, " should have a folder for each class, but has none"),
        ({"train/a/1.png": picture(1)}, " has a folder train, but no folder test or val"),
        (
            {f"train/{n}": image for n, image in enough().items()} | {"test/c/1.png": picture(1)},
            "/test/c is no class of the training data: a, b",
        ),
        (
            enough() | {"b/9.png": picture(9, size=(4, 5))},
            "/b/9.png is 4 × 5, but {folder}/a/0.png is 4 × 3",
        ),
        (
            enough() | {"a/9.png": Image.fromarray(np.zeros(SIZE, np.uint16))},
            "/a/9.png has colour mode I;16, not 8 bits per colour",
        ),
    ],
)
def test_folders_that_are_something_else(tmp_path, files, message):
    write(tmp_path, files)
    message = f"{tmp_path}{message.format(folder=tmp_path)}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load(Config(dataset=str(tmp_path)))


def test_files_that_are_something_else(tmp_path):
    write(tmp_path, enough())
    whole = (tmp_path / "a" / "1.png").read_bytes()
    for content in (b"", b"text", whole[:60]):
        (tmp_path / "b" / "2.png").write_bytes(content)
        message = f"{tmp_path}/b/2.png is no picture that can be read: "
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            load(Config(dataset=str(tmp_path)))


def test_classes_without_pictures(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path))} holds no pictures$"):
        load(Config(dataset=str(tmp_path)))
