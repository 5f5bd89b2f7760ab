import re

import pytest
from PIL import Image

from jaxconv.train.data.folder import pictures_below, tree_of

PICTURE = Image.new("L", (4, 4))


def make(folder, *paths):
    """Pictures, and empty files where the name is none of a picture; a final / makes a folder."""
    for name in paths:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in (".png", ".jpg", ".webp"):
            PICTURE.save(path)
        else:
            path.write_bytes(b"")


def listing(tree):
    return {
        part: {
            name: [
                str(path.relative_to(tree.root / (part if part != "all" else ""))) for path in found
            ]
            for name, found in classes.items()
        }
        for part, classes in tree.parts.items()
    }


def test_folders_below_a_class_belong_to_it(tmp_path):
    make(tmp_path, "a/1.png", "a/x/2.PNG", "a/x/y/3.webp", "b/1.jpg")
    tree = tree_of(tmp_path)
    assert listing(tree) == {
        "all": {"a": ["a/1.png", "a/x/2.PNG", "a/x/y/3.webp"], "b": ["b/1.jpg"]}
    }
    assert tree.notes == ()


def test_what_systems_add_is_left_out(tmp_path):
    make(tmp_path, "a/1.png", "b/1.png", "a/.DS_Store", "__MACOSX/a/._1.png", ".git/1.png",
         "a/Thumbs.db", "b/desktop.ini", "b/Thumbs.db", "README.txt", "b/list.csv",
         "b/x.py")  # fmt: skip
    tree = tree_of(tmp_path)
    assert listing(tree) == {"all": {"a": ["a/1.png"], "b": ["b/1.png"]}}
    assert tree.notes == (
        "left out 6 files that are not pictures:"
        " README.txt, Thumbs.db (2), desktop.ini, list.csv, …",
    )


def test_a_picture_may_have_no_ending(tmp_path):
    make(tmp_path, "a/1.png", "b/1.png", "b/notes")
    (tmp_path / "a" / "1.png").rename(tmp_path / "a" / "1")
    tree = tree_of(tmp_path)
    assert listing(tree) == {"all": {"a": ["a/1"], "b": ["b/1.png"]}}
    assert tree.notes == ("left out 1 file that is not a picture: notes",)


def test_an_empty_folder_is_no_class(tmp_path):
    make(tmp_path, "a/1.png", "b/1.png", "c/", "d/readme.md")
    tree = tree_of(tmp_path)
    assert list(tree.parts["all"]) == ["a", "b"]
    assert f"{tmp_path.name}/c holds no pictures, so it is not a class" in tree.notes
    assert f"{tmp_path.name}/d holds no pictures, so it is not a class" in tree.notes


@pytest.mark.parametrize("inside", ["photos/", "photos/photos/"])
@pytest.mark.parametrize("part", ["", "Train/"])
def test_as_archives_are_unpacked(tmp_path, inside, part):
    make(
        tmp_path, f"{inside}{part}a/1.png", f"{inside}{part}b/1.png", "__MACOSX/x.png", ".DS_Store"
    )
    tree = tree_of(tmp_path)
    assert tree.root == tmp_path / inside
    (classes,) = tree.parts.values()
    assert list(classes) == ["a", "b"]


@pytest.mark.parametrize(
    ("spelling", "part"),
    [
        ("validation", "val"),
        ("VALID", "val"),
        ("dev", "val"),
        ("Test", "test"),
        ("testing", "test"),
    ],
)
@pytest.mark.parametrize("train", ["train", "Training"])
def test_spellings_of_the_parts(tmp_path, train, spelling, part):
    make(tmp_path, f"{train}/a/1.png", f"{train}/b/1.png", f"{spelling}/b/2.png")
    tree = tree_of(tmp_path)
    assert {name: list(classes) for name, classes in tree.parts.items()} == {
        "train": ["a", "b"], part: ["b"],
    }  # fmt: skip


def test_a_test_without_classes_is_said(tmp_path):
    make(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png", "test/2.png")
    tree = tree_of(tmp_path)
    assert list(tree.parts) == ["train"]
    assert tree.notes == ("test/ has no folder for each class, so it is unused",)


def test_a_class_may_be_called_test(tmp_path):
    make(tmp_path, "test/1.png", "a/1.png", "b/1.png")
    assert list(tree_of(tmp_path).parts["all"]) == ["a", "b", "test"]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a/1.png"], " should have folders of pictures for at least two classes, but has a"),
        (["a/1.png", "b/"], " should have folders of pictures for at least two classes, but has a"),
        (
            ["1.png", "2.png"],
            " should have folders of pictures for at least two classes, but has none",
        ),
        ([], " should have folders of pictures for at least two classes, but has none"),
        (["test/a/1.png", "test/b/1.png", "val/a/1.png"], " has a folder val, but no folder train"),
        (
            ["train/a/1.png", "train/b/1.png", "val/c/1.png"],
            "/val/c is not one of the classes of the training data: a, b",
        ),
    ],
)
def test_folders_that_are_something_else(tmp_path, paths, message):
    make(tmp_path, *paths)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{tmp_path}{message}')}$"):
        tree_of(tmp_path)


def test_pictures_below(tmp_path):
    make(tmp_path, "b/2.png", "1.jpg", "b/c/.x.png", "notes.txt")
    assert [path.name for path in pictures_below(tmp_path)] == ["1.jpg", "2.png"]


@pytest.mark.parametrize("place", ["runs", "runs/mine"])
def test_runs_beside_the_classes_are_no_class(tmp_path, place):
    make(tmp_path, "a/1.png", "b/1.png", f"{place}/config.json", f"{place}/data.json",
         f"{place}/curves.png")  # fmt: skip
    tree = tree_of(tmp_path)
    assert list(tree.parts["all"]) == ["a", "b"]
    assert tree.notes == (f"{tmp_path.name}/runs holds a training run, so it is not a class",)
