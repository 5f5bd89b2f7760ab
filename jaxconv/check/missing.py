"""Find the places from which an op is still absent.

    python -m jaxconv.check --missing gelu

A new op needs a rule, a reference implementation, a record in the catalogue, and pages that name
it. Each of these is one entry of `PLACES`.
"""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jaxconv
import jaxconv.reference
from jaxconv._core.types import Function
from jaxconv.check.catalogue import CATALOGUE

CHECKOUT = Path(jaxconv.__file__).parent.parent
DOCS = CHECKOUT / "docs"
"""The pages of the checkout. An installed package has none beside it."""


class Place(NamedTuple):
    """One place where every op must be found.

    Attributes:
        where: the file.
        what: what has to stand there, after "must".
        has: whether the op of this name is found there.
    """

    where: str
    what: str
    has: Callable[[str], bool]


def missing(name: str) -> list[str]:
    """Return one line for each place from which the op of this name is absent."""
    return [
        f"{place.where} must {place.what.format(name=name)}"
        for place in PLACES
        if not place.has(name)
    ]


def signature(function: Function) -> str:
    """Return the line of docs/api.md for this function: its name and signature without types."""
    known = inspect.signature(function)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in known.parameters.values()]
    short = known.replace(parameters=bare, return_annotation=inspect.Signature.empty)
    return f"{function.__name__}{short}"


def _page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _is_documented(name: str) -> bool:
    text = inspect.getdoc(getattr(jaxconv, name, None)) or ""
    sections = re.findall(r"^(Example|Args|Returns|Raises):$", text, re.M)
    return sections == ["Example", "Args", "Returns", "Raises"]


def _is_derived(name: str) -> bool:
    text = inspect.getdoc(getattr(jaxconv, name, None)) or ""
    named = re.search(r"docs/(derivations/\w+\.md)", text)
    return named is not None and re.search(rf"`{name}[`(]", _page(named[1])) is not None


def _is_compared(name: str) -> bool:
    tables = (CHECKOUT / "tests" / "torch_ops").glob("*.py")
    return any(f'"{name}"' in table.read_text(encoding="utf-8") for table in tables)


def _has_signature(name: str) -> bool:
    lines = _page("api.md").splitlines()
    return name in jaxconv.__all__ and signature(getattr(jaxconv, name)) in lines


PLACES = (
    Place(
        "jaxconv/",
        "define {name} in the file of its family and name it in that file's or folder's `__all__`",
        lambda name: name in jaxconv.__all__,
    ),
    Place(
        "the docstring of the op",
        "have the sections Example, Args, Returns and Raises, in this order",
        _is_documented,
    ),
    Place(
        "jaxconv/reference/",
        "define {name} in plain lax and jax.numpy, and name it in `__all__`",
        lambda name: name in jaxconv.reference.__all__,
    ),
    Place(
        "jaxconv/check/catalogue/",
        "have a Record of {name}",
        lambda name: name in CATALOGUE,
    ),
    Place("docs/api.md", "have the signature of {name} on a line", _has_signature),
    Place(
        "docs/derivations/",
        "derive `{name}` on the page that its docstring names",
        _is_derived,
    ),
    Place(
        "docs/residuals.md",
        "have a row for {name}: python -m jaxconv.check.residuals prints the table",
        lambda name: f"| `{name}` |" in _page("residuals.md"),
    ),
    Place(
        "tests/torch_ops/",
        "have {name} in a `TORCH` or, with the reason, in a `WITHOUT`",
        _is_compared,
    ),
)
