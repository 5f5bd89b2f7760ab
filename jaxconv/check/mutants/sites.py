"""Find the places in a function's source where a mutant can change it, and the replacements."""

import ast
import itertools
from collections.abc import Callable, Iterator

Site = tuple[int, str, str, Callable[[], None]]

STALE = "_jaxconv_stale"
"""The name of the function by which a mutant replaces residuals by those of another call."""

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


def sites(function: ast.FunctionDef, kept: bool) -> Iterator[Site]:
    """Yield the possible changes of the function: (line, kind, description, function to do it)."""
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
    """Yield all nodes with their parent and field, except those that are no arithmetic."""
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
    """Yield, for each residual that a forward rule returns, its replacement by another call's."""
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
