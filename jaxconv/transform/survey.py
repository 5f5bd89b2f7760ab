"""`survey`: the convolutions and pools of a function, and what `by_hand` does with each."""

import functools
import html
import json
import math
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
from jax import Array
from jax.extend.core import JaxprEqn, jaxpr_as_fun

from jaxconv._core.arguments import FLOATS
from jaxconv._core.types import Function, Values
from jaxconv.contraction import plan
from jaxconv.transform._interpreter import run
from jaxconv.transform._measure import draw, times_ms
from jaxconv.transform._occurrences import Occurrence, check_arrays, occurrences
from jaxconv.transform._replacing import (
    RefusedError,
    avals,
    conv_of,
    kind_of,
    op_for,
    sliding_axes,
)
from jaxconv.transform._tracing import Traced, trace


@dataclass(frozen=True)
class Row:
    """A convolution or a pool of the function, with all others that agree with it.

    Attributes:
        op: "conv", "max pool", "min pool", "sum pool", or JAX's name of a part of a gradient.
        operands: dtypes and shapes of what it reads.
        result: dtype and shape of what it computes.
        settings: stride, padding and the like, where they are not the default.
        where: the lines of the program that call it, in the order in which they run.
        layers: its names in profiles, which in most libraries are the paths of the layers.
        times: how often one call of the function computes it.
        at_least: whether it may be more often, because a loop ends by a condition.
        multiply_adds: the multiply-adds of computing it once; for a pool, the numbers it reads.
        replaced: whether `by_hand` replaces it.
        why_not: the reason if it is not replaced.
        y: the form of the forward pass, and when that form is taken; None if there are no forms.
        dx: the same for the gradient for the input.
        dw: the same for the gradient for the kernel.
        jax_ms: milliseconds of computing it and its gradient once as JAX does, if measured.
        ours_ms: the same with the rule, if it is replaced.
        share: `times` · `jax_ms` as a part of the function's time, if measured. Each is measured by
            itself, so the shares of all rows need not add up to 1.
    """

    op: str
    operands: tuple[str, ...]
    result: str
    settings: str
    where: tuple[str, ...]
    layers: tuple[str, ...]
    times: int
    at_least: bool
    multiply_adds: int | None
    replaced: bool
    why_not: str = ""
    y: tuple[str, str] | None = None
    dx: tuple[str, str] | None = None
    dw: tuple[str, str] | None = None
    jax_ms: float | None = None
    ours_ms: float | None = None
    share: float | None = None


@dataclass(frozen=True)
class Survey:
    """What `by_hand` finds in a function.

    Print it for a table. In a notebook it shows itself.

    Attributes:
        function: the name of the function.
        platform: the platform that the forms are for.
        rows: a row for each distinct convolution or pool, in the order of the program.
        jax_ms: milliseconds of the function and its gradient as it is, if measured.
        ours_ms: the same with `by_hand`.
    """

    function: str
    platform: str
    rows: tuple[Row, ...]
    jax_ms: float | None = None
    ours_ms: float | None = None

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    @property
    def summary(self) -> str:
        """What was found, in one sentence, and the time that is gained."""
        total = sum(row.times for row in self.rows)
        ours = sum(row.times for row in self.rows if row.replaced)
        text = (
            f"{self.function}: by_hand replaces {ours} of {total} convolutions and pools"
            f" ({len(self.rows)} distinct ones), on {self.platform}"
            if self.rows
            else f"{self.function}: no convolution and no pool was found"
        )
        if self.jax_ms is None or self.ours_ms is None:
            return text
        gain = self.jax_ms / self.ours_ms
        return (
            f"{text}; function and gradient take {self.jax_ms:.3g} ms,"
            f" {self.ours_ms:.3g} ms with by_hand ({gain:.2f} times as fast)"
        )

    @property
    def forms(self) -> dict[str, str]:
        """The names of the forms that are taken, each with the convolutions that it is for."""
        found = {}
        for row in self.rows:
            for name, form in (("y", row.y), ("dx", row.dx), ("dw", row.dw)):
                if form is not None:
                    found[f"{name} {form[0]}"] = form[1]
        return found

    def __str__(self) -> str:
        """Return three lines for each row, a line for each form, and the summary."""
        lines = []
        for row in self.rows:
            lines.append(f"{_times(row)} {row.op} {_shapes(row)}{_prefixed(', ', row.settings)}")
            lines.append(f"    {_rules(row)}{_prefixed('; ', _cost(row))}")
            lines.append(f"    {_where(row)}")
        reasons = [f"{name}: {when}" for name, when in self.forms.items()]
        parts = ["\n".join(part) for part in (lines, reasons, [self.summary]) if part]
        return "\n\n".join(parts)

    def __rich__(self) -> object:
        """Return a table of the package rich, for `rich.print`."""
        from rich.markup import escape
        from rich.table import Table

        table = Table(title=escape(self.summary), title_justify="left", show_lines=True)
        for name in _HEAD:
            table.add_column(name, overflow="fold")
        for row in self.rows:
            table.add_row(*(escape("\n".join(cell)) for cell in _cells(row)))
        return table

    def _repr_html_(self) -> str:
        """Return a table for a notebook."""
        head = "".join(f"<th>{name}</th>" for name in _HEAD)
        body = ""
        for row in self.rows:
            cells = ("<br>".join(map(html.escape, cell)) for cell in _cells(row))
            body += f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        caption = f"<caption>{html.escape(self.summary)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


_HEAD = ("times", "op", "by hand", "cost of one", "where")


def _cells(row: Row) -> list[list[str]]:
    """Return the cells of a row, each as lines."""
    return [
        [_times(row)],
        [line for line in (row.op, *row.operands, f"→ {row.result}", row.settings) if line],
        _rules(row).split(", ") if row.replaced else [_rules(row)],
        _cost(row).split("; "),
        [_where(row)],
    ]


def _times(row: Row) -> str:
    return f"{'≥ ' if row.at_least else ''}{row.times} ×"


def _shapes(row: Row) -> str:
    return f"{' * '.join(row.operands)} → {row.result}"


def _prefixed(separator: str, text: str) -> str:
    return separator + text if text else ""


def _rules(row: Row) -> str:
    if not row.replaced:
        return f"left as it is: {row.why_not}"
    forms = {"y": row.y, "dx": row.dx, "dw": row.dw}
    return ", ".join(f"{name} {form[0]}" for name, form in forms.items() if form) or "replaced"


def _cost(row: Row) -> str:
    said = []
    if row.multiply_adds is not None:
        unit = "multiply-adds" if row.op == "conv" else "numbers read"
        said.append(f"{_short(row.multiply_adds)} {unit}")
    if row.jax_ms is not None:
        ours = "" if row.ours_ms is None else f" → {row.ours_ms:.3g}"
        said.append(f"{row.jax_ms:.3g}{ours} ms with gradient")
    if row.share is not None:
        said.append(f"{row.share:.0%} of the time")
    return "; ".join(said)


def _where(row: Row) -> str:
    more = f" and {len(row.where) - 1} more" if len(row.where) > 1 else ""
    return row.where[0] + more


def _short(count: int) -> str:
    """Return a count with three digits and a unit: 1.23 M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def survey(function: Function, *args: Any, measure: bool = False, **kwargs: Any) -> Survey:
    """List the convolutions and pools of a function, and what `by_hand` does with each.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def loss(w, x):
        ...     return jnp.sum(jax.lax.conv(x, w, (1, 1), "SAME") ** 2)
        >>> found = survey(loss, jnp.ones((8, 3, 3, 3)), jnp.ones((2, 3, 8, 8)))
        >>> found.rows[0].result, found.rows[0].replaced, found.rows[0].multiply_adds
        ('float32[2,8,8,8]', True, 27648)

    Args:
        function: any function that JAX can trace.
        args: its positional arguments, as for a call.
        measure: whether to time each row, and the function, with their gradients. This runs them.
        kwargs: its keyword arguments.

    Returns:
        A `Survey`: `rows`, `str()`, `to_json()`, a table in a notebook and for `rich.print`.

    Raises:
        TypeError: `function` is not callable, or there is no array in the call.
    """
    if not callable(function):
        raise TypeError(f"survey: function must be callable, but got {function!r:.60}")
    traced = trace(function, args, kwargs)
    found = list(occurrences(traced.jaxpr.jaxpr))
    check_arrays("survey", traced, found)
    groups: dict[Hashable, list[Occurrence]] = {}
    for one in found:
        groups.setdefault(_key(one), []).append(one)
    rows = [_row(group) for group in groups.values()]
    name = getattr(function, "__name__", type(function).__name__)
    listed = Survey(name, jax.default_backend(), tuple(rows))
    if not measure:
        return listed
    jax_ms, ours_ms = _time_function(traced)
    timed = (
        _timed(row, group[0].eqn, jax_ms) for row, group in zip(rows, groups.values(), strict=True)
    )
    return replace(listed, rows=tuple(timed), jax_ms=jax_ms, ours_ms=ours_ms)


def _key(one: Occurrence) -> Hashable:
    """Return what rows that are put together have in common."""
    operands = tuple(map(str, avals(one.eqn.invars)))
    params = tuple((name, str(value)) for name, value in sorted(one.eqn.params.items()))
    return one.eqn.primitive.name, operands, params, one.kept_by, one.at_least


def _row(group: Sequence[Occurrence]) -> Row:
    first = group[0]
    eqn = first.eqn
    kind = kind_of(eqn)
    images = eqn.invars if kind == "conv" else eqn.invars[:1]
    row = Row(
        op="conv" if kind == "conv" else f"{kind} pool" if kind else eqn.primitive.name,
        operands=tuple(map(_type, avals(images))),
        result=_type(avals(eqn.outvars)[0]),
        settings=_settings(eqn),
        where=tuple(dict.fromkeys(one.where for one in group)),
        layers=tuple(dict.fromkeys(one.path for one in group)),
        times=sum(one.times for one in group),
        at_least=first.at_least,
        multiply_adds=_multiply_adds(eqn),
        replaced=False,
    )
    if first.kept_by:
        return replace(row, why_not=f"it is inside {first.kept_by}, which is left whole")
    if kind is None:
        return replace(row, why_not="it is the gradient of a pool, taken by JAX")
    try:
        op_for(eqn)
    except RefusedError as error:
        return replace(row, why_not=str(error))
    row = replace(row, replaced=True)
    if kind != "conv":
        return row
    call, batch = conv_of(eqn)
    forms = plan(call.spec, batch, avals(eqn.invars)[0].dtype)
    y, dx, dw = ((each.form.name, each.form.when) for each in (forms.y, forms.dx, forms.dw))
    return replace(row, y=y, dx=dx, dw=dw)


def _type(aval: jax.core.ShapedArray) -> str:
    return f"{aval.dtype.name}[{','.join(map(str, aval.shape))}]"


_DEFAULTS = {
    "window_dimensions": "window",
    "window_strides": "stride",
    "padding": "padding",
    "lhs_dilation": "input dilation",
    "rhs_dilation": "dilation",
    "feature_group_count": "groups",
    "batch_group_count": "batch groups",
    "base_dilation": "input dilation",
    "window_dilation": "dilation",
}


def _settings(eqn: JaxprEqn) -> str:
    """Return the parameters that are not 1 or 0, in words."""
    said = []
    for name, word in _DEFAULTS.items():
        value = _where_windows_slide(eqn, eqn.params.get(name))
        if value is None or all(v in (1, (0, 0)) for v in _items(value)):
            continue
        said.append(f"{word} {_text(value)}")
    return ", ".join(said)


def _where_windows_slide(eqn: JaxprEqn, value: Any) -> Any:
    """Return a parameter of a pool for the axes over which its windows slide."""
    names = "window_dimensions", "window_strides", "padding"
    if value is None or names[0] not in eqn.params:
        return value
    axes = sliding_axes(*(eqn.params[name] for name in names))
    return value[axes.start : axes.stop]


def _items(value: object) -> Values:
    return value if isinstance(value, (tuple, list)) else (value,)


def _text(value: object) -> str:
    """Return (2, 2) as 2×2, and pairs as low:high."""
    if not isinstance(value, (tuple, list)):
        return str(value)
    if value and isinstance(value[0], (tuple, list)):
        return " ".join(f"{low}:{high}" for low, high in value)
    return "×".join(map(str, value))


def _multiply_adds(eqn: JaxprEqn) -> int | None:
    """Return the multiply-adds of a convolution, or how many numbers a pool reads.

    Positions in the padding count as well. For other equations, and for symbolic sizes, it returns
    None.
    """
    (out,) = avals(eqn.outvars)
    if not all(isinstance(n, int) for a in avals([*eqn.invars, *eqn.outvars]) for n in a.shape):
        return None
    if kind_of(eqn) == "conv":
        kernel = avals(eqn.invars)[1]
        filters = eqn.params["dimension_numbers"].rhs_spec[0]
        return out.size * kernel.size // max(kernel.shape[filters], 1)
    if kind_of(eqn) is None:
        return None
    return out.size * math.prod(eqn.params["window_dimensions"])


def _time_function(traced: Traced) -> tuple[float, float]:
    jaxpr = traced.jaxpr

    def as_it_is(*arrays: Array) -> list[Array]:
        return jaxpr_as_fun(jaxpr)(*arrays)

    jax_ms, ours_ms = times_ms(
        [as_it_is, functools.partial(run, jaxpr.jaxpr, jaxpr.consts)], traced.arrays
    )
    return jax_ms, ours_ms


def _timed(row: Row, eqn: JaxprEqn, whole_ms: float) -> Row:
    """Return the row with its times; without them if it is a part of a gradient or of integers."""
    operands = avals(eqn.invars)
    if kind_of(eqn) is None or any(operand.dtype not in FLOATS for operand in operands):
        return row

    def as_it_is(*operands: Array) -> list[Array]:
        found = eqn.primitive.bind(*operands, **eqn.primitive.get_bind_params(eqn.params))
        return found if eqn.primitive.multiple_results else [found]

    calls = [as_it_is]
    if row.replaced:
        op = op_for(eqn)
        calls.append(lambda *operands: [op(*operands)])
    jax_ms, *ours_ms = times_ms(calls, draw(operands))
    share = row.times * jax_ms / whole_ms
    return replace(row, jax_ms=jax_ms, ours_ms=next(iter(ours_ms), None), share=share)
