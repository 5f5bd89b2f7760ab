"""Mistakes made by editing one node in the source of a rule.

The modules of an op are executed again from their source with one function changed. A mutant is
therefore a separate op, and the modules of the package stay as they are.
"""

import ast
import copy
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp

import jaxconv
from jaxconv._core.rule import Rule
from jaxconv._core.types import Function
from jaxconv.check.mutants.sites import STALE, sites

WATCH = "_jaxconv_watch"
ROOT = Path(jaxconv.__file__).parent
Where = tuple[str, int]
"""A function, given by the name of its module and its first line."""


@dataclass(frozen=True)
class Edit:
    """One change of one function.

    Attributes:
        where: the function.
        site: the number of the change among those of this function.
        what: the line and the change, in words.
        kind: the kind of the change, such as the name of the operator.
    """

    where: Where
    site: int
    what: str
    kind: str


@dataclass(frozen=True)
class Steps:
    """The functions of a rule.

    Attributes:
        backward: the functions that run in the backward pass only.
        forward: the forward rules, which choose the residuals.
        modules: the op's module and all it imports from this package, dependencies first.
    """

    backward: tuple[Where, ...]
    forward: tuple[Where, ...]
    modules: tuple[str, ...]


def steps_of(op: Function, differentiate: Callable[[Function], object]) -> Steps:
    """Find the functions of a rule by watching a fresh, uncompiled op being differentiated."""
    modules = tuple(modules_of(inspect.unwrap(op).__module__))
    rules: list[Rule] = []
    before: set[Where] = set()
    during: set[Where] = set()
    forward: set[Where] = set()

    def watch(module: str, line: int) -> None:
        frame = sys._getframe(1)
        if _in_backward(rules, frame):
            during.add((module, line))
            return
        before.add((module, line))
        if any(frame.f_code is rule.forward.__code__ for rule in rules):
            forward.add((module, line))

    fresh = rerun(modules, None, watch)
    rules += fresh[Rule.__module__].RULES
    differentiate(getattr(fresh[op.__module__], op.__name__))
    named = {where for where in during - before if _node(*where) is not None}
    return Steps(tuple(sorted(named)), tuple(sorted(forward)), modules)


def _in_backward(rules: list[Rule], frame: FrameType | None) -> bool:
    """Whether the frame is that of a rule's backward pass, or of a function called by one."""
    backward = {rule.backward.__code__ for rule in rules}
    while frame is not None:
        if frame.f_code in backward:
            return True
        frame = frame.f_back
    return False


@cache
def modules_of(name: str) -> tuple[str, ...]:
    """Return the module and those of this package that it imports, dependencies first."""
    found: list[str] = []
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jaxconv."):
            for needed in _imported(node):
                if ROOT in Path(str(sys.modules[needed].__file__)).parents:
                    found += [m for m in modules_of(needed) if m not in found]
    return (*found, name)


def _imported(node: ast.ImportFrom) -> Iterator[str]:
    """Yield imported modules; for `from package import module` not the package, to avoid cycles."""
    for alias in node.names:
        inner = f"{node.module}.{alias.name}"
        yield inner if inner in sys.modules else str(node.module)


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(Path(str(sys.modules[module].__file__)).read_text())


@cache
def _node(module: str, line: int) -> ast.FunctionDef | None:
    """Return the function that begins at this line, decorators included."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.FunctionDef) and first_line(node) == line:
            return node
    return None


@contextmanager
def _eager() -> Iterator[None]:
    """Turn `jax.jit` off: single operations, once compiled, serve all mutants."""

    def as_it_is(function: Any = None, **_: Any) -> Any:
        return function if function is not None else lambda function: function

    with mock.patch.object(jax, "jit", as_it_is):
        yield


def rerun(
    modules: Sequence[str], edit: Edit | None, watch: Callable[[str, int], None] | None = None
) -> dict[str, ModuleType]:
    """Execute the modules again from their source, with an edit in one of them, or watched."""
    with _eager(), mock.patch.dict(sys.modules):
        fresh = {name: _empty(sys.modules[name]) for name in modules}
        sys.modules.update(fresh)
        for name, module in fresh.items():
            package, _, inner = name.rpartition(".")
            if package in fresh:
                setattr(fresh[package], inner, module)
        for name, module in fresh.items():
            tree = _tree(name)
            if edit is not None and edit.where[0] == name:
                tree = _edited(tree, edit)
            if watch is not None:
                tree = _watched(tree, name)
            module.__dict__[STALE] = _stale
            module.__dict__[WATCH] = watch
            exec(compile(tree, str(module.__file__), "exec"), module.__dict__)
    return fresh


def _empty(original: ModuleType) -> ModuleType:
    """Return a module with the same name and file in which nothing has run yet."""
    module = ModuleType(original.__name__)
    module.__file__ = original.__file__
    module.__package__ = original.__package__
    if hasattr(original, "__path__"):
        module.__path__ = original.__path__
    return module


def _watched(tree: ast.Module, name: str) -> ast.Module:
    """Return a copy in which every function reports its calls."""
    tree = copy.deepcopy(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            here: list[ast.expr] = [ast.Constant(name), ast.Constant(first_line(node))]
            call = ast.Expr(ast.Call(ast.Name(WATCH, ast.Load()), here, []))
            node.body.insert(0, call)
    return ast.fix_missing_locations(tree)


def first_line(node: ast.FunctionDef) -> int:
    """Return the first line of a function, decorators included."""
    return min([node.lineno, *(d.lineno for d in node.decorator_list)])


def edited(op: Function, steps: Steps, edit: Edit | None) -> Function:
    """Return the op with this edit, or unchanged if it is None; either way without `jax.jit`."""
    return getattr(rerun(steps.modules, edit)[op.__module__], op.__name__)


def edits(steps: Steps) -> Iterator[Edit]:
    """Yield all edits of the backward functions and of the residuals of the forward rules."""
    for where in steps.backward:
        yield from _edits_of(where, kept=False)
    for where in steps.forward:
        yield from _edits_of(where, kept=True)


def spread(every: Iterable[Edit]) -> list[Edit]:
    """Sort edits so that the first ones cover all kinds and all functions."""
    seen: Counter[object] = Counter()
    order = []
    for number, edit in enumerate(every):
        kind, there = ("kind", edit.kind), (edit.where, edit.kind)
        order.append((seen[there], seen[kind], number, edit))
        seen.update((kind, there))
    return [edit for *_, edit in sorted(order, key=lambda entry: entry[:3])]


def _edits_of(where: Where, kept: bool) -> Iterator[Edit]:
    node = _node(*where)
    if node is not None:
        yield from edits_in(where, node, kept)


def edits_in(where: Where, node: ast.FunctionDef, kept: bool = False) -> Iterator[Edit]:
    """Yield all edits of one function."""
    for number, (line, kind, what, _) in enumerate(sites(node, kept)):
        yield Edit(where, number, f"{where[0].removeprefix('jaxconv.')}:{line} {what}", kind)


def _edited(tree: ast.Module, edit: Edit) -> ast.Module:
    """Return a copy of the module with one site of one function changed."""
    tree = copy.deepcopy(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or first_line(node) != edit.where[1]:
            continue
        for kept in (False, True):
            found = list(sites(node, kept))
            if edit.site < len(found) and edit.what.endswith(found[edit.site][2]):
                found[edit.site][3]()
                return ast.fix_missing_locations(tree)
    raise ValueError(f"there is no {edit.what}")


def _stale(kept: Any) -> Any:
    """Replace residuals by other numbers of the same shapes, like those of another call."""

    def moved(leaf: Any) -> Any:
        if not hasattr(leaf, "dtype") or jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.extended):
            return leaf
        turned = jnp.roll(leaf.ravel(), 1).reshape(leaf.shape)
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return 1.25 * turned + 0.5
        return ~leaf if leaf.dtype == bool else turned

    return jax.tree.map(moved, kept)
