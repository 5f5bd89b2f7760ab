"""Three ways to write a sum: as text, as LaTeX, and as text with numbers for the letters."""

from collections.abc import Sequence

from jaxconv.explain.entry import Arrays, Entry, Factor
from jaxconv.explain.notation import Notation


class Text:
    """Plain text: `dZ[1,1]·W[1,2] + dZ[1,2]·W[1,1]`."""

    times, minus, infinity = "·", "−", "∞"

    def __init__(self, notation: Notation) -> None:
        self.notation = notation

    def factor(self, factor: Factor) -> str:
        """Return a factor of a product."""
        return factor.write(self)

    def letter(self, array: str) -> str:
        """Return the name of an array."""
        return self.notation.letter(array)

    def entry(self, entry: Entry) -> str:
        """Return an element of an array."""
        index = ",".join(map(str, self.notation.index(entry)))
        return self.letter(entry.array) + (f"[{index}]" if index else "")

    def fraction(self, above: str, below: str) -> str:
        """Return a quotient."""
        return f"{above}/{below}"

    def power(self, base: str, exponent: str) -> str:
        """Return a power."""
        return f"{base}^{exponent if exponent.isdecimal() else self.group(exponent)}"

    def size(self, inside: str) -> str:
        """Return an absolute value."""
        return f"|{inside}|"

    def group(self, inside: str) -> str:
        """Return an expression in parentheses."""
        return f"({inside})"

    def bracket(self, condition: str) -> str:
        """Return Iverson's bracket, 1 if the condition holds and 0 otherwise."""
        return f"[{condition}]"

    def call(self, function: str, arguments: str) -> str:
        """Return a named function of its arguments."""
        return f"{function}({arguments})"

    def argument(self, function: str) -> str:
        """Return arg max or arg min."""
        return f"arg {function}"

    def part(self, text: str, path: str) -> str:
        """Return one of several parts of a sum, which is the change on one path."""
        return f"{text}   ({path})"

    def several(self, parts: Sequence[str]) -> str:
        """Return all parts of a sum."""
        return "\n    ".join(parts)


class Latex(Text):
    r"""LaTeX: `dZ_{11} \cdot W_{12} + dZ_{12} \cdot W_{11}`."""

    times, minus, infinity = r" \cdot ", "-", r"\infty"

    def letter(self, array: str) -> str:
        r"""Return the name of an array: a letter as it is, a word in \mathrm, a hat as \hat."""
        name = super().letter(array)
        if name.endswith("\u0302"):
            return rf"\hat{{{name[:-1]}}}"
        before, word = ("d", name[1:]) if array not in self.notation.shapes else ("", name)
        word = word.replace("_", r"\_")
        return before + (word if len(word) == 1 else rf"\mathrm{{{word}}}")

    def entry(self, entry: Entry) -> str:
        """Return an element with its indices below, without commas if they are digits."""
        index = self.notation.index(entry)
        comma = "" if all(0 <= i < 10 for i in index) else ","
        below = comma.join(map(str, index))
        return self.letter(entry.array) + (f"_{{{below}}}" if below else "")

    def fraction(self, above: str, below: str) -> str:
        r"""Return \frac."""
        return rf"\frac{{{above}}}{{{below}}}"

    def power(self, base: str, exponent: str) -> str:
        """Return a power."""
        return f"{base}^{{{exponent}}}"

    def size(self, inside: str) -> str:
        """Return an absolute value."""
        return rf"\left|{inside}\right|"

    def group(self, inside: str) -> str:
        """Return an expression in parentheses of its height."""
        return rf"\left({inside}\right)"

    def call(self, function: str, arguments: str) -> str:
        """Return a named function of its arguments."""
        known = {"max": r"\max", "min": r"\min"}
        return known.get(function, rf"\operatorname{{{function}}}") + self.group(arguments)

    def argument(self, function: str) -> str:
        r"""Return \arg\max for "max", and \arg\min for "min"."""
        return rf"\arg\{function}"

    def part(self, text: str, path: str) -> str:
        """Return one of several parts of a sum, with its path below a brace."""
        return rf"\underbrace{{{text}}}_{{\text{{{path}}}}}"

    def several(self, parts: Sequence[str]) -> str:
        """Return all parts of a sum."""
        return " ".join(parts)


class Numbers(Text):
    """Plain text with each factor's value in its place: `0.5·2 + 0.25·(-1)`."""

    def __init__(self, notation: Notation, arrays: Arrays) -> None:
        super().__init__(notation)
        self.arrays = arrays

    def factor(self, factor: Factor) -> str:
        """Return the value of a factor; 1/4 remains a fraction."""
        exact = factor.write(Text(self.notation))
        if exact.replace("/", "").isdecimal():
            return exact
        number = format_number(factor.value(self.arrays))
        return f"({number})" if number.startswith("-") else number


def format_number(value: float) -> str:
    """Return a number as text, with up to six significant digits."""
    return f"{value:.6g}"
