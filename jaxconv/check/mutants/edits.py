"""Mistakes made by editing the steps of a rule: one node of its source, everything else as it is.

The modules of an op are run again from their source, with one function changed, so a mutant is an
op of its own and nothing of the package is touched.
"""

import ast
import copy
import inspect
import itertools
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

ROOT = Path(jaxconv.__file__).parent
Where = tuple[str, int]
"""A function: the name of its module and its first line."""


@dataclass(frozen=True)
class Edit:
    """One change of one function.

    Attributes:
        where: the function.
        site: the number of the change among those of this function.
        what: the line and the change, for people.
        kind: of the change.
    """

    where: Where
    site: int
    what: str
    kind: str


@dataclass(frozen=True)
class Steps:
    """The functions a rule is made of.

    Attributes:
        backward: those that run in the backward pass alone.
        forward: the forward rules, which choose what is kept.
        modules: all modules that define them or use them, dependencies first.
    """

    backward: tuple[Where, ...]
    forward: tuple[Where, ...]
    modules: tuple[str, ...]


def steps_of(op: Callable[..., Any], differentiate: Callable[[Callable[..., Any]], Any]) -> Steps:
    """Watch a differentiation of the op, run from its source anew: nothing is compiled yet."""
    modules = tuple(_modules(inspect.unwrap(op).__module__))
    before: set[Where] = set()
    during: set[Where] = set()
    forward: set[Where] = set()

    def watch(module: str, line: int) -> None:
        frame = sys._getframe(1)
        if _in_backward(frame):
            during.add((module, line))
            return
        before.add((module, line))
        if frame.f_code.co_name.endswith("forward"):
            forward.add((module, line))

    differentiate(getattr(rerun(modules, None, watch)[op.__module__], op.__name__))
    named = {where for where in during - before if _node(*where) is not None}
    return Steps(tuple(sorted(named)), tuple(sorted(forward)), modules)


def _in_backward(frame: FrameType | None) -> bool:
    while frame is not None:
        here = frame.f_globals.get("__name__", "").startswith("jaxconv.")
        if here and frame.f_code.co_name.endswith(("backward", "pull")):
            return not frame.f_globals["__name__"].startswith("jaxconv.check")
        frame = frame.f_back
    return False


@cache
def _modules(name: str) -> tuple[str, ...]:
    """The module and those of this package that it imports, dependencies first."""
    found: list[str] = []
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jaxconv."):
            module = sys.modules[str(node.module)]
            if ROOT in Path(str(module.__file__)).parents:
                found += [m for m in _modules(str(node.module)) if m not in found]
    return (*found, name)


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[module]))


@cache
def _node(module: str, line: int) -> ast.FunctionDef | None:
    """The function whose code begins there (its decorators count)."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.FunctionDef) and _first_line(node) == line:
            return node
    return None


@contextmanager
def _eager() -> Iterator[None]:
    """Compile nothing: step by step, what one mutant compiled serves all others."""

    def as_it_is(function: Any = None, **_: Any) -> Any:
        return function if function is not None else lambda function: function

    with mock.patch.object(jax, "jit", as_it_is):
        yield


def rerun(
    modules: Sequence[str], edit: Edit | None, watch: Callable[[str, int], None] | None = None
) -> dict[str, ModuleType]:
    """The modules run from their source again, one of them with an edit, or watched."""
    fresh: dict[str, ModuleType] = {}
    with _eager(), mock.patch.dict(sys.modules):
        for name in modules:
            original = sys.modules[name]
            tree = _tree(name)
            if edit is not None and edit.where[0] == name:
                tree = _edited(tree, edit)
            if watch is not None:
                tree = _watched(tree, name)
            module = ModuleType(name)
            module.__file__ = original.__file__
            module.__package__ = original.__package__
            if hasattr(original, "__path__"):
                module.__path__ = original.__path__
            module.__dict__[STALE] = _stale
            module.__dict__[WATCH] = watch
            sys.modules[name] = module
            exec(compile(tree, str(original.__file__), "exec"), module.__dict__)
            fresh[name] = module
    return fresh


def _watched(tree: ast.Module, name: str) -> ast.Module:
    """A copy in which every function says that it was called."""
    tree = copy.deepcopy(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            here: list[ast.expr] = [ast.Constant(name), ast.Constant(_first_line(node))]
            call = ast.Expr(ast.Call(ast.Name(WATCH, ast.Load()), here, []))
            node.body.insert(0, call)
    return ast.fix_missing_locations(tree)


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(d.lineno for d in node.decorator_list)])


def edited(op: Callable[..., Any], steps: Steps, edit: Edit | None) -> Callable[..., Any]:
    """The op with this edit; without one, the op step by step."""
    return getattr(rerun(steps.modules, edit)[op.__module__], op.__name__)


def edits(steps: Steps) -> Iterator[Edit]:
    """All edits of the backward functions, and of what the forward rules keep."""
    for where in steps.backward:
        yield from _edits_of(where, kept=False)
    for where in steps.forward:
        yield from _edits_of(where, kept=True)


def spread(every: Iterable[Edit]) -> list[Edit]:
    """In such an order that the first ones are of all kinds and from all functions."""
    seen: Counter[object] = Counter()
    order = []
    for number, edit in enumerate(every):
        kind, there = ("kind", edit.kind), (edit.where, edit.kind)
        order.append((seen[there], seen[kind], number, edit))
        seen.update((kind, there))
    return [edit for *_, edit in sorted(order, key=lambda entry: entry[:3])]


def _edits_of(where: Where, kept: bool) -> Iterator[Edit]:
    node = _node(*where)
    if node is None:
        return
    for number, (line, kind, what, _) in enumerate(_sites(node, kept)):
        yield Edit(where, number, f"{where[0].removeprefix('jaxconv.')}:{line} {what}", kind)


def _edited(tree: ast.Module, edit: Edit) -> ast.Module:
    """A copy of the module with one site of one function changed."""
    tree = copy.deepcopy(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or _first_line(node) != edit.where[1]:
            continue
        for kept in (False, True):
            sites = list(_sites(node, kept))
            if edit.site < len(sites) and edit.what.endswith(sites[edit.site][2]):
                sites[edit.site][3]()
                return ast.fix_missing_locations(tree)
    raise ValueError(f"there is no {edit.what}")


Site = tuple[int, str, str, Callable[[], None]]

STALE, WATCH = "_jaxconv_stale", "_jaxconv_watch"
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Eq: (ast.NotEq,),
}
FUNCTIONS = {"sum": "mean", "mean": "sum", "max": "min", "min": "max", "exp": "expm1"}
DROPPED = {"rot180": -1, "retract": 0, "flip": 0, "swapaxes": 0, "moveaxis": 0, "square": 0}


def _stale(kept: Any) -> Any:
    """What was kept, moved: another call's numbers in the same form."""

    def moved(leaf: Any) -> Any:
        if not hasattr(leaf, "dtype") or jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.extended):
            return leaf
        turned = jnp.roll(leaf.ravel(), 1).reshape(leaf.shape)
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return 1.25 * turned + 0.5
        return ~leaf if leaf.dtype == bool else turned

    return jax.tree.map(moved, kept)


def _sites(function: ast.FunctionDef, kept: bool) -> Iterator[Site]:
    """Where the function can be changed, and how: (line, kind, what, do it)."""
    if kept:
        yield from _kept_sites(function)
        return
    inner = [node for statement in function.body for node in _inside(statement)]
    for parent, field, index, node in inner:
        for what, new in _replacements(node):
            text = f"{_short(node)} → {what}"
            kind = type(getattr(node, "op", node)).__name__
            kind = getattr(getattr(node, "func", None), "attr", kind)
            yield getattr(node, "lineno", 0), kind, text, _replace(parent, field, index, new)


def _inside(root: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """All expressions and where they hang, but for those that are no arithmetic."""
    if isinstance(root, (ast.Assert, ast.Raise, ast.FunctionDef)):
        return
    for field, value in ast.iter_fields(root):
        if field in ("annotation", "slice", "decorator_list"):
            continue
        children = value if isinstance(value, list) else [value]
        for number, child in enumerate(children):
            if isinstance(child, ast.AST):
                yield root, field, number if isinstance(value, list) else None, child
                yield from _inside(child)


def _replace(parent: ast.AST, field: str, index: int | None, new: ast.AST) -> Callable[[], None]:
    def do() -> None:
        if index is None:
            setattr(parent, field, new)
        else:
            getattr(parent, field)[index] = new

    return do


def _replacements(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.BinOp):
        other = OPERATORS.get(type(node.op))
        if other is not None:
            new: ast.expr = ast.BinOp(node.left, other(), node.right)
            yield _short(new), new
            yield _short(node.left), node.left
            if not isinstance(node.op, ast.Div):
                yield _short(node.right), node.right
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Invert)):
        yield _short(node.operand), node.operand
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for change in COMPARISONS.get(type(node.ops[0]), ()):
            new = ast.Compare(node.left, [change()], node.comparators)
            yield _short(new), new
    elif isinstance(node, ast.Call):
        yield from _calls(node)


def _calls(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.func, ast.Attribute):
        name = node.func.attr
        if name in FUNCTIONS:
            new = ast.Call(
                ast.Attribute(node.func.value, FUNCTIONS[name], ast.Load()),
                node.args, node.keywords,
            )  # fmt: skip
            yield _short(new), new
    else:
        name = getattr(node.func, "id", "")
    if name == "where" and len(node.args) == 3:
        condition, yes, no = node.args
        new = ast.Call(node.func, [condition, no, yes], [])
        yield _short(new), new
        yield _short(yes), yes
    drop = DROPPED.get(name, 0 if name.startswith(("_swap", "_fit", "_split")) else None)
    if drop is not None and node.args:
        yield _short(node.args[drop]), node.args[drop]


def _kept_sites(function: ast.FunctionDef) -> Iterator[Site]:
    """Each part of what is kept, replaced by another call's."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Return) or not isinstance(node.value, ast.Tuple):
            continue
        if len(node.value.elts) != 2:
            continue
        saved = node.value.elts[1]
        parent, parts = (saved, saved.elts) if isinstance(saved, ast.Tuple) else (
            node.value, [node.value.elts[1]],
        )  # fmt: skip
        offset = 0 if parent is saved else 1
        for number, part in zip(itertools.count(offset), parts, strict=False):
            if isinstance(part, ast.Constant):
                continue
            new = ast.Call(ast.Name(STALE, ast.Load()), [part], [])
            text = f"keeps another {_short(part)}"
            yield node.lineno, "kept", text, _replace(parent, "elts", number, new)


def _short(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 48 else f"{text[:45]}…"
