"""The pictures of a folder, by part and class, told from everything else that lies in it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from jaxconv._core.extras import needs

with needs("train"):
    from PIL import Image

SPELLINGS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""The names that the folder of a part may have, in upper or lower case."""

Classes = Mapping[str, list[Path]]


class Tree(NamedTuple):
    """The files of a data set.

    Attributes:
        root: the folder that holds the parts, or the classes.
        parts: by part, "train", "val" and "test", or "all", the pictures of each class.
        notes: what was left out, in sentences.
    """

    root: Path
    parts: Mapping[str, Classes]
    notes: tuple[str, ...]


def tree_of(folder: Path) -> Tree:
    """Find the pictures of each class: in the folder of the class, and in all folders below it.

    A folder that holds nothing but one folder, as archives are often unpacked, stands for that one.
    Hidden files, `__MACOSX`, files that are not pictures by their name, and classes without
    pictures are left out.

    Raises:
        ValueError: there are no two classes with pictures, or a part has a class that is not in
            `train`.
    """
    search = _Search()
    root = search.inner(folder)
    places = _places(search.folders(root))
    if "train" not in places:
        return Tree(root, {"all": search.classes_of(root)}, search.notes())
    parts = {"train": search.classes_of(places["train"])}
    for part in ("val", "test"):
        if part in places and any(search.folders(places[part])):
            parts[part] = search.classes(places[part])
        elif part in places:
            search.said.append(
                f"{places[part].name}/ has no folder for each class, so it is unused"
            )
    for part, classes in parts.items():
        for name in classes:
            if name not in parts["train"]:
                raise ValueError(
                    f"{places[part] / name} is not one of the classes of the training data:"
                    f" {', '.join(parts['train'])}"
                )
    return Tree(root, parts, search.notes())


def _places(folders: list[Path]) -> dict[str, Path]:
    """Return the folder of each part; none if there is no `train` and there are other folders."""
    places = {
        part: path
        for part, spellings in SPELLINGS.items()
        for path in folders
        if path.name.lower() in spellings
    }
    if places and "train" not in places:
        if len(folders) > len(places):
            return {}  # a class may be called "test"
        path = next(iter(places.values()))
        raise ValueError(f"{path.parent} has a folder {path.name}, but no folder train")
    return places


class _Search:
    """A walk through the folders, which remembers what it leaves out."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._junk: list[str] = []

    def notes(self) -> tuple[str, ...]:
        """Return what was left out, in sentences."""
        if not self._junk:
            return tuple(dict.fromkeys(self.said))
        count, names = len(self._junk), sorted(Counter(self._junk).items())
        each = [f"{name} ({times})" if times > 1 else name for name, times in names]
        named = ", ".join(each[:4]) + (", …" if len(each) > 4 else "")
        what = "file that is not a picture" if count == 1 else "files that are not pictures"
        return (*dict.fromkeys(self.said), f"left out {count} {what}: {named}")

    def inner(self, folder: Path) -> Path:
        """Return the first folder on the way down that holds more than one folder."""
        while len(inside := list(_visible(folder))) == 1 and inside[0].is_dir():
            if inside[0].name.lower() in SPELLINGS["train"]:
                break
            if not any(path.is_dir() for path in _visible(inside[0])):
                break  # a class
            folder = inside[0]
        return folder

    def folders(self, place: Path) -> list[Path]:
        """Return the folders in a place, by name, without those of training runs."""
        found = []
        for path in _visible(place):
            if path.is_dir() and _holds_runs(path):
                self.said.append(
                    f"{place.name}/{path.name} holds a training run, so it is not a class"
                )
            elif path.is_dir():
                found.append(path)
        return found

    def classes_of(self, place: Path) -> Classes:
        """Return the pictures of at least two classes.

        Raises:
            ValueError: there are fewer.
        """
        classes = self.classes(place)
        if len(classes) < 2:
            raise ValueError(
                f"{place} should have folders of pictures for at least two classes, but has"
                f" {', '.join(classes) or 'none'}"
            )
        return classes

    def classes(self, place: Path) -> Classes:
        """Return the pictures of each class that has some."""
        self._junk += [path.name for path in _visible(place) if not path.is_dir()]
        found = {path.name: list(pictures_below(path, self._junk)) for path in self.folders(place)}
        for name in found:
            if not found[name]:
                self.said.append(f"{place.name}/{name} holds no pictures, so it is not a class")
        return {name: pictures for name, pictures in found.items() if pictures}


def pictures_below(folder: Path, junk: list[str] | None = None) -> Iterator[Path]:
    """Yield the pictures in a folder and in all folders below it, by name.

    The names of other files are added to `junk`, if it is given.
    """
    for path in _visible(folder):
        if path.is_dir():
            yield from pictures_below(path, junk)
        elif _is_picture(path):
            yield path
        elif junk is not None:
            junk.append(path.name)


def _visible(folder: Path) -> Iterator[Path]:
    """Yield what lies in a folder, by name, without what systems hide or add."""
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(".") and path.name != "__MACOSX":
            yield path


def _holds_runs(folder: Path) -> bool:
    """Return whether this is the output folder of a run, or a folder of such folders."""
    return any(
        all((place / name).exists() for name in ("config.json", "data.json"))
        for place in (folder, *(path for path in folder.iterdir() if path.is_dir()))
    )


def _is_picture(path: Path) -> bool:
    """Return whether the name is that of a picture, or without an ending the content is."""
    if path.suffix:
        return Image.registered_extensions().get(path.suffix.lower()) in Image.OPEN
    try:
        with Image.open(path):
            return True
    except OSError:
        return False
