"""How elements are named: the user's letters, indices from 0 or 1, axes of size 1 left out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from jaxconv._core.geometry import Ints
from jaxconv.explain.entry import Entry

_ELEMENT = re.compile(r"\s*(\w+)\s*(?:\[([^\[\]]*)\])?\s*")
_LETTER = re.compile(r"[^\W\d]\w*")


class Shape(NamedTuple):
    """The sizes of an array, and the axes that are written even if their size is 1."""

    sizes: Ints
    always: Ints

    @property
    def written(self) -> Ints:
        """The axes that are written."""
        return tuple(a for a, n in enumerate(self.sizes) if n != 1 or a in self.always)


@dataclass(frozen=True)
class Notation:
    """The names of a layer's arrays and elements.

    Attributes:
        op: the layer, which error messages begin with.
        shapes: the shape of each array by the library's name; that of a gradient is its array's.
        letters: the user's names, by the library's.
        base: the first index, 0 or 1.
    """

    op: str
    shapes: Mapping[str, Shape]
    letters: Mapping[str, str] = field(default_factory=dict)
    base: int = 0

    def shape(self, array: str) -> Shape:
        """Return the shape of an array or of a gradient."""
        return self.shapes[array if array in self.shapes else array[1:]]

    def letter(self, array: str) -> str:
        """Return the user's name of an array; a gradient's is that of its array with a d."""
        if array in self.shapes:
            return self.letters.get(array, array)
        return "d" + self.letter(array[1:])

    def index(self, entry: Entry) -> Ints:
        """Return the indices of an element as they are written."""
        return tuple(entry.index[axis] + self.base for axis in self.shape(entry.array).written)

    def name(self, text: str) -> str:
        """Return the library's name of an array that the user may call by a letter of his own."""
        names = [*self.shapes, *("d" + array for array in self.shapes)]
        return {**{n: n for n in names}, **{self.letter(n): n for n in names}}.get(text, text)

    def parse(self, text: str, among: Sequence[str]) -> Entry:
        """Return the element that the user means, of one of these arrays.

        Raises:
            ValueError: the text is no element, the array is none of these, or has no such element.
        """
        match = _ELEMENT.fullmatch(text) if isinstance(text, str) else None
        name = self.name(match[1]) if match else ""
        if match is None or name not in among:
            raise ValueError(
                f"{self.op}: of must be an element of {', '.join(map(self.letter, among))}, such as"
                f" {self.example(among[len(among) > 1])!r}, but got {text!r}"
            )
        given = [part.strip() for part in match[2].split(",")] if match[2] else []
        return Entry(name, self._read(name, given, text))

    def example(self, name: str) -> str:
        """Return the first element of an array, as a user would write it."""
        indices = [str(self.base)] * len(self.shape(name).written)
        return self.letter(name) + (f"[{','.join(indices)}]" if indices else "")

    def _read(self, name: str, given: list[str], text: str) -> Ints:
        sizes, written = self.shape(name).sizes, self.shape(name).written
        axes = range(len(sizes)) if len(given) == len(sizes) else written
        if len(given) != len(axes) or not all(re.fullmatch(r"-?\d{1,18}", part) for part in given):
            raise ValueError(
                f"{self.op}: {self.letter(name)} needs {len(written)} whole numbers as indices,"
                f" as in {self.example(name)!r}, but got {text!r}"
            )
        index = [0] * len(sizes)
        for axis, part in zip(axes, given, strict=True):
            index[axis] = int(part) - self.base
            if not 0 <= index[axis] < sizes[axis]:
                raise ValueError(
                    f"{self.op}: {self.letter(name)} has shape {sizes}, so its index on axis {axis}"
                    f" must be from {self.base} to {sizes[axis] - 1 + self.base}, but got {text!r}"
                )
        return tuple(index)


def read_letters(
    op: str, names: str | Sequence[str] | None, roles: Sequence[str | None], arrays: Sequence[str]
) -> dict[str, str]:
    """Return the user's letters by the library's names.

    `names` are two, for the input and the output, or up to four, for the roles (input, parameter,
    output, bias), of which a layer may lack some. `arrays` are the names of all arrays.

    Raises:
        ValueError: their number is wrong, one is not a name, or two mean the same.
    """
    if names is None:
        return {}
    given = [part.strip() for part in names.split(",")] if isinstance(names, str) else list(names)
    wanted = {2: (roles[0], roles[2]), 3: roles[:3], 4: roles}.get(len(given))
    if wanted is None or not all(_LETTER.fullmatch(name) for name in given):
        raise ValueError(
            f"{op}: names must be 2 letters or words (input, output), 3 (input, parameter, output;"
            f" such as 'X,W,Z') or 4 (with the bias at the end), but got {names!r}"
        )
    letters = {role: name for role, name in zip(wanted, given, strict=True) if role}
    all_names = [letters.get(array, array) for array in arrays]
    if len({*all_names, *("d" + name for name in all_names)}) < 2 * len(all_names):
        raise ValueError(f"{op}: names must not give two arrays the same name, but got {names!r}")
    return letters
