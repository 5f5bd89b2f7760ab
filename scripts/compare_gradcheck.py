"""Measure how long `check_rule` and PyTorch's `gradcheck` take for the same ops and numbers.

    python scripts/compare_gradcheck.py

Both run in float64 and in one process. Each op runs for the first time, so compile time counts.
PyTorch must be installed separately; no extra of jaxconv installs it.
"""

import importlib
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

import jaxconv
import jaxconv.reference
from jaxconv.check import check_rule

try:
    torch: Any = importlib.import_module("torch")
except ModuleNotFoundError:
    raise SystemExit("compare_gradcheck: torch is not installed: pip install torch") from None
functional: Any = torch.nn.functional
Op = Callable[..., Any]


@dataclass(frozen=True)
class Pair:
    """One op of both libraries, and the shapes of the arrays it is differentiated for."""

    name: str
    ours: Callable[[Any], Op]
    theirs: Op
    shapes: Sequence[tuple[int, ...]]


FIRST = "channels_first"
IMAGES = (2, 3, 10, 9)
LABELS = np.random.default_rng(1).integers(0, 7, 12)

PAIRS = (
    Pair(
        "conv, stride 2",
        lambda ops: lambda x, w, b: ops.conv(x, w, b, stride=2, padding=1, layout=FIRST),
        lambda x, w, b: functional.conv2d(x, w, b, stride=2, padding=1),
        (IMAGES, (4, 3, 3, 3), (4,)),
    ),
    Pair(
        "conv, larger",
        lambda ops: lambda x, w, b: ops.conv(x, w, b, stride=2, padding=1, layout=FIRST),
        lambda x, w, b: functional.conv2d(x, w, b, stride=2, padding=1),
        ((2, 3, 32, 32), (4, 3, 3, 3), (4,)),
    ),
    Pair(
        "conv_transpose",
        lambda ops: lambda x, w: ops.conv_transpose(x, w, stride=2, padding=1, layout=FIRST),
        lambda x, w: functional.conv_transpose2d(x, w, stride=2, padding=1),
        (IMAGES, (3, 4, 3, 3)),
    ),
    Pair(
        "max_pool",
        lambda ops: lambda x: ops.max_pool(x, 3, stride=2, layout=FIRST),
        lambda x: functional.max_pool2d(x, 3, stride=2),
        (IMAGES,),
    ),
    Pair(
        "avg_pool",
        lambda ops: lambda x: ops.avg_pool(x, 3, stride=2, layout=FIRST),
        lambda x: functional.avg_pool2d(x, 3, stride=2),
        (IMAGES,),
    ),
    Pair(
        "batch_norm",
        lambda ops: lambda x, scale, bias: ops.batch_norm(x, scale, bias, layout=FIRST)[0],
        lambda x, scale, bias: functional.batch_norm(x, None, None, scale, bias, training=True),
        (IMAGES, (3,), (3,)),
    ),
    Pair(
        "layer_norm",
        lambda ops: ops.layer_norm,
        lambda x, scale, bias: functional.layer_norm(x, (9,), scale, bias),
        ((24, 9), (9,), (9,)),
    ),
    Pair("gelu", lambda ops: ops.gelu, lambda x: functional.gelu(x, approximate="tanh"), ((540,),)),
    Pair(
        "gelu, larger",
        lambda ops: ops.gelu,
        lambda x: functional.gelu(x, approximate="tanh"),
        ((5400,),),
    ),
    Pair(
        "softmax_cross_entropy",
        lambda ops: lambda x: ops.softmax_cross_entropy(x, LABELS),
        lambda x: functional.cross_entropy(x, torch.from_numpy(LABELS)),
        ((12, 7),),
    ),
)


def seconds(do: Callable[[], Any]) -> float:
    """Return how long `do` takes; it must find the gradient right."""
    start = time.perf_counter()
    assert do()
    return time.perf_counter() - start


def compare(pair: Pair) -> list[float]:
    """Return the times of our checker without transformations, of ours with them, and of theirs."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in pair.shapes]
    tensors = [torch.from_numpy(a).requires_grad_() for a in arrays]
    ours, reference = pair.ours(jaxconv), pair.ours(jaxconv.reference)
    found = []
    for transforms in ((), ("jit", "vmap", "scan", "checkpoint", "second_order")):
        jax.clear_caches()
        check = partial(check_rule, ours, arrays, reference, transforms=transforms)
        found.append(seconds(lambda c=check: c().ok))  # type: ignore[misc]
    found.append(seconds(lambda: torch.autograd.gradcheck(pair.theirs, tensors)))
    return found


def main() -> None:
    """Print the table."""
    jax.config.update("jax_enable_x64", True)
    print(f"jax {jax.__version__}, torch {torch.__version__}, {platform.machine()}; seconds\n")
    print(
        "| op | numbers | check_rule, gradients | check_rule, all | gradcheck | all / gradcheck |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    rows = []
    for pair in PAIRS:
        rows.append(compare(pair))
        gradients, everything, theirs = rows[-1]
        size = sum(int(np.prod(shape)) for shape in pair.shapes)
        print(
            f"| {pair.name} | {size} | {gradients:.2f} | {everything:.2f} | {theirs:.2f}"
            f" | {everything / theirs:.1f} |",
            flush=True,
        )
    gradients, everything, theirs = np.sum(rows, axis=0)
    print(
        f"| all | | {gradients:.2f} | {everything:.2f} | {theirs:.2f} | {everything / theirs:.1f} |"
    )


if __name__ == "__main__":
    main()
