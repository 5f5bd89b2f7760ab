"""How fast each op is, beside autodiff of its twin and PyTorch: `python scripts/bench.py --help`.

For every op, forward and forward + backward, of these five:

    ours, autodiff                the hand-written rule, and JAX's own gradient of the twin
    ours + options, autodiff + …  the same, compiled with `jaxconv.compiler_options()`
    PyTorch                       where it is installed

They take turns, one call each, so that whatever else the machine does meets them all; the
median over the rounds is reported. Autodiff takes part twice: how far it is from itself is the
noise, below which a difference means nothing.
"""

import argparse
import functools
import importlib
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxconv
import jaxconv.reference
from jaxconv.check.residuals import residual_bytes
from jaxconv.models import lenet

torch: Any
try:
    torch = importlib.import_module("torch")
except ImportError:
    torch = None

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One op on arrays of these shapes; `torch` is the same in PyTorch, channels first."""

    op: str
    shapes: tuple[Shape, ...]
    options: dict[str, Any] = field(default_factory=dict)
    torch: Callable[..., Any] | None = None
    labels: int = 0  # for losses: integers below this, one an example, follow the arrays


def torch_conv(name: str, **options: Any) -> Callable[..., Any]:
    """A convolution of `torch.nn.functional`."""
    return lambda x, w: getattr(torch.nn.functional, name)(x, w, **options)


def image(n: int, size: int, channels: int, dims: int = 2) -> Shape:
    """The shape of a batch of square images."""
    return (n, *(size,) * dims, channels)


def functional(name: str, **options: Any) -> Callable[..., Any]:
    """A function of `torch.nn.functional` of one array."""
    return lambda *arrays: getattr(torch.nn.functional, name)(*arrays, **options)


def _torch_batch_norm(x: Any, scale: Any, bias: Any) -> Any:
    return torch.nn.functional.batch_norm(x, None, None, scale, bias, training=True)


def _torch_group_norm(x: Any, scale: Any, bias: Any) -> Any:
    return torch.nn.functional.group_norm(x, 8, scale, bias)


CASES = {
    "conv 3x3 64": Case(
        "conv", (image(64, 32, 64), (3, 3, 64, 64)), {}, torch_conv("conv2d", padding=1)
    ),
    "conv 3x3 128": Case(
        "conv", (image(64, 16, 128), (3, 3, 128, 128)), {}, torch_conv("conv2d", padding=1)
    ),
    "conv 5x5 32-64": Case(
        "conv", (image(64, 14, 32), (5, 5, 32, 64)), {}, torch_conv("conv2d", padding=2)
    ),
    "conv 1x1 64-128": Case(
        "conv", (image(64, 32, 64), (1, 1, 64, 128)), {}, torch_conv("conv2d")
    ),
    "conv 3x3 stride 2": Case(
        "conv", (image(64, 32, 64), (3, 3, 64, 128)), {"stride": 2, "padding": 1},
        torch_conv("conv2d", padding=1, stride=2),
    ),
    "conv 5x5 1-32": Case(
        "conv", (image(128, 28, 1), (5, 5, 1, 32)), {}, torch_conv("conv2d", padding=2)
    ),
    "depthwise 3x3": Case(
        "conv", (image(32, 32, 64), (3, 3, 1, 64)), {"groups": 64},
        torch_conv("conv2d", padding=1, groups=64),
    ),
    "depthwise 7x7": Case(
        "conv", (image(8, 56, 96), (7, 7, 1, 96)), {"groups": 96},
        torch_conv("conv2d", padding=3, groups=96),
    ),
    "grouped 4": Case(
        "conv", (image(32, 32, 64), (3, 3, 16, 64)), {"groups": 4},
        torch_conv("conv2d", padding=1, groups=4),
    ),
    "dilated 2": Case(
        "conv", (image(32, 32, 64), (3, 3, 64, 64)), {"dilation": 2},
        torch_conv("conv2d", padding=2, dilation=2),
    ),
    "transposed 4x4 stride 2": Case(
        "conv_transpose", (image(32, 16, 64), (4, 4, 32, 64)), {"stride": 2, "padding": 1},
        torch_conv("conv_transpose2d", stride=2, padding=1),
    ),
    "conv3d 3x3x3": Case(
        "conv", (image(4, 16, 32, 3), (3, 3, 3, 32, 32)), {}, torch_conv("conv3d", padding=1)
    ),
    "max pool 2x2": Case(
        "max_pool", (image(64, 32, 64),), {"window": 2},
        functional("max_pool2d", kernel_size=2),
    ),
    "max pool 3x3 stride 2": Case(
        "max_pool", (image(64, 32, 64),), {"window": 3, "stride": 2, "padding": 1},
        functional("max_pool2d", kernel_size=3, stride=2, padding=1),
    ),
    "batch norm": Case(
        "batch_norm", (image(32, 32, 64), (64,), (64,)), {}, _torch_batch_norm
    ),
    "group norm": Case(
        "group_norm", (image(32, 32, 64), (64,), (64,)), {"groups": 8}, _torch_group_norm
    ),
    "cross-entropy 1000": Case(
        "softmax_cross_entropy", ((4096, 1000),), {}, functional("cross_entropy"), labels=1000
    ),
    "LeNet": Case("", (image(128, 28, 1),), labels=10),
}  # fmt: skip


@dataclass
class Timing:
    """What was measured of one contestant in one direction."""

    compile_s: float
    temporary_bytes: int | None
    seconds: list[float] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        """The median of all rounds."""
        return 1e3 * statistics.median(self.seconds)


def on_jax(case: Case, ops: ModuleType) -> tuple[Callable[..., Any], tuple[Any, ...], int]:
    """The op as a function of its arrays, these, and how many of them want a gradient."""
    rng = np.random.default_rng(0)
    arrays = tuple(jnp.asarray(rng.standard_normal(s), jnp.float32) for s in case.shapes)
    labels = jnp.arange(case.shapes[0][0], dtype=jnp.int32) % max(case.labels, 1)
    if not case.op:
        params = lenet.init(jax.random.key(0))

        def loss(params: Any, images: Array) -> Array:
            return ops.softmax_cross_entropy(lenet.apply(params, images, ops=ops), labels)

        return loss, (params, *arrays), 1
    op = getattr(ops, case.op)

    def call(*arrays: Array) -> Any:
        y = op(*arrays, labels, **case.options) if case.labels else op(*arrays, **case.options)
        return y[0] if isinstance(y, tuple) else y  # of batch norm, without its statistics

    return call, arrays, len(arrays)


def directions(call: Callable[..., Any], args: tuple[Any, ...], wanted: int) -> dict[str, Any]:
    """Forward alone, and forward + backward from a random cotangent."""
    y = jax.eval_shape(call, *args)
    dy = jnp.asarray(np.random.default_rng(1).standard_normal(y.shape), y.dtype)

    def both(*args: Any) -> Any:
        y, pull = jax.vjp(lambda *some: call(*some, *args[wanted:]), *args[:wanted])
        return y, pull(dy)

    return {"forward": call, "both": both}


def compiled(function: Callable[..., Any], args: Any, options: Any) -> tuple[Any, Timing]:
    """The function compiled for these arguments, as a call without any, run once."""
    start = time.perf_counter()
    executable = jax.jit(function, compiler_options=options).lower(*args).compile()
    seconds = time.perf_counter() - start
    memory = executable.memory_analysis()
    run = functools.partial(lambda *a: jax.block_until_ready(executable(*a)), *args)
    run()
    return run, Timing(seconds, getattr(memory, "temp_size_in_bytes", None))


def on_torch(case: Case, function: Callable[..., Any], device: str) -> dict[str, Callable[[], Any]]:
    """Forward, and forward + backward, in PyTorch; channels first, as it likes them."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in case.shapes]
    conv = case.op.startswith("conv")
    tensors = []
    for number, array in enumerate(arrays):
        if conv and number:
            array = np.moveaxis(array, (-1, -2), (0, 1))
        elif array.ndim > 2:
            array = np.moveaxis(array, -1, 1)
        tensor = torch.tensor(np.ascontiguousarray(array), device=device, requires_grad=True)
        tensors.append(tensor)
    labels = [torch.arange(len(arrays[0]), device=device) % case.labels] if case.labels else []
    call = functools.partial(function, *tensors, *labels)
    dy = torch.randn_like(call())

    def settle() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    def forward() -> None:
        with torch.no_grad():
            call()
        settle()

    def both() -> None:
        torch.autograd.grad(call(), tensors, dy)
        settle()

    return {"forward": forward, "both": both}


def measure(case: Case, rounds: int, device: str) -> dict[str, Any]:
    """All contestants on one op, in turns."""
    options = jaxconv.compiler_options(device)
    result: dict[str, Any] = {"residual_bytes": {}}
    runs: dict[str, dict[str, Callable[[], Any]]] = {"forward": {}, "both": {}}
    timings: dict[str, dict[str, Timing]] = {"forward": {}, "both": {}}
    for name, ops in (("ours", jaxconv), ("autodiff", jaxconv.reference)):
        call, args, wanted = on_jax(case, ops)
        if case.op:
            result["residual_bytes"][name] = residual_bytes(call, args)
        for direction, function in directions(call, args, wanted).items():
            settings = {name: {}, f"{name} + options": options}
            if name == "autodiff":
                settings["autodiff again"] = {}
            for contestant, extra in settings.items():
                run, timing = compiled(function, args, extra)
                runs[direction][contestant], timings[direction][contestant] = run, timing
    if torch is not None and case.torch is not None:
        where = "cpu" if device == "cpu" else "cuda"
        for direction, run in on_torch(case, case.torch, where).items():
            run()
            runs[direction]["PyTorch"], timings[direction]["PyTorch"] = run, Timing(0.0, None)
    for direction, contestants in runs.items():
        for _ in range(rounds):
            for contestant, run in contestants.items():
                start = time.perf_counter()
                run()
                timings[direction][contestant].seconds.append(time.perf_counter() - start)
        result[direction] = {
            contestant: {
                "median_ms": timing.median_ms,
                "compile_s": timing.compile_s,
                "temporary_bytes": timing.temporary_bytes,
            }
            for contestant, timing in timings[direction].items()
        }
    return result


COLUMNS = ("ours", "autodiff", "ours + options", "autodiff + options", "PyTorch")


def rows(results: dict[str, Any]) -> list[list[str]]:
    """The table: times in ms, then what they come to."""
    table = []
    for name, result in results.items():
        for direction in ("forward", "both"):
            got = result[direction]
            ms = {key: value["median_ms"] for key, value in got.items()}
            noise = abs(ms["autodiff again"] / ms["autodiff"] - 1)
            table.append(
                [
                    name if direction == "forward" else "  + backward",
                    *(f"{ms[key]:.3g}" if key in ms else "–" for key in COLUMNS),
                    f"{ms['autodiff'] / ms['ours']:.2f}",
                    f"{ms['autodiff + options'] / ms['ours + options']:.2f}",
                    f"{noise:.0%}",
                    f"{got['ours']['compile_s'] / got['autodiff']['compile_s']:.1f}",
                    megabytes(got["ours"]["temporary_bytes"], got["autodiff"]["temporary_bytes"]),
                    megabytes(*(result["residual_bytes"].get(k) for k in ("ours", "autodiff"))),
                ]
            )
    return table


HEADINGS = (
    "ms", *COLUMNS, "faster", "with options", "noise", "compile", "temporary MB", "residuals MB",
)  # fmt: skip


def megabytes(*values: int | None) -> str:
    """Ours / autodiff's."""
    return " / ".join("–" if value is None else f"{value / 1e6:.3g}" for value in values)


def show(results: dict[str, Any]) -> None:
    """The table on the terminal, with `rich` if it is there, and else in Markdown."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(markdown(results))
        return
    table = Table(*HEADINGS)
    for row in rows(results):
        table.add_row(*row)
    Console().print(table)


def markdown(results: dict[str, Any]) -> str:
    """The table as a page of the documentation shows it."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|---|" + "---:|" * (len(HEADINGS) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows(results))])


def plot(results: dict[str, Any], path: Path) -> None:
    """Forward + backward as bars, on a logarithmic scale."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.6 * len(results) + 1.5), layout="constrained")
    places = np.arange(len(results))[::-1]
    for number, column in enumerate(COLUMNS):
        found = [result["both"].get(column) for result in results.values()]
        times = [np.nan if one is None else one["median_ms"] for one in found]
        axes.barh(places + 0.32 - 0.16 * number, times, 0.16, label=column)
    axes.set(xscale="log", xlabel="forward + backward, ms", yticks=places, yticklabels=results)
    axes.legend()
    figure.savefig(path, dpi=150)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="*", metavar="TEXT", help="ops whose name has this in it")
    parser.add_argument("--rounds", type=int, default=9, help="calls of each contestant")
    parser.add_argument("--device", default=jax.default_backend(), help="cpu, gpu or tpu")
    parser.add_argument("--threads", type=int, help="threads of PyTorch")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    parser.add_argument("--plot", type=Path, help="also draw forward + backward into this file")
    chosen = parser.parse_args(arguments)
    if torch is not None and chosen.threads:
        torch.set_num_threads(chosen.threads)
    results = {}
    with jax.default_device(jax.devices(chosen.device)[0]):
        for name, case in CASES.items():
            if not chosen.only or any(text in name for text in chosen.only):
                results[name] = measure(case, chosen.rounds, chosen.device)
                print(markdown({name: results[name]}).split("\n", 2)[2], flush=True)
    show(results)
    about = {"jax": jax.__version__, "jaxconv": jaxconv.__version__}
    if torch is not None:
        about["torch"] = torch.__version__
    if chosen.json:
        chosen.json.write_text(json.dumps({"versions": about, "results": results}, indent=2))
    if chosen.markdown:
        chosen.markdown.write_text(markdown(results) + "\n")
    if chosen.plot:
        plot(results, chosen.plot)


if __name__ == "__main__":
    main()
