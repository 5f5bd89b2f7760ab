"""Count which wrong gradients `check_rule`, `check_grads` and PyTorch's `gradcheck` catch.

    python scripts/compare_checkers.py

The rules are those of tests/check/reported, written after public bug reports, in float64. Each
checker runs with its defaults; `check_grads` in reverse mode, and for the first derivative, since
most of the rules have no others. PyTorch must be installed separately; without it, its column is
left out.
"""

import importlib
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.test_util import check_grads

from jaxconv.check import check_rule
from jaxconv.check.leaves import Leaves

ROOT = Path(__file__).parents[1]

try:
    torch: Any = importlib.import_module("torch")
except ModuleNotFoundError:
    torch = None


def by_us(wrong: Any) -> bool:
    """Whether `check_rule` passes the rule; also with what its report needs."""
    options = {"transforms": (), **wrong.options}
    with jax.numpy_dtype_promotion("standard"):
        return check_rule(wrong.rule, wrong.args, wrong.reference, **options).ok


def by_jax(wrong: Any) -> bool:
    """Whether `jax.test_util.check_grads` passes the rule."""
    leaves = Leaves.of(wrong.args)
    check_grads(lambda *a: wrong.rule(*leaves.args(a)), tuple(leaves.arrays), 1, ["rev"])
    return True


def by_torch(wrong: Any) -> bool:
    """Whether PyTorch's `gradcheck` passes the rule, called from PyTorch through NumPy."""
    leaves = Leaves.of(wrong.args)
    bound = leaves.bind(wrong.rule)

    class Rule(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, *arrays: Any) -> Any:
            y, context.pull = jax.vjp(bound, *[a.detach().numpy() for a in arrays])
            return tuple(torch.from_numpy(np.array(out)) for out in y)

        @staticmethod
        def backward(context: Any, *dy: Any) -> Any:
            found = context.pull([d.numpy() for d in dy])
            return tuple(torch.from_numpy(np.array(g)) for g in found)

    arrays = [torch.from_numpy(np.array(a)).requires_grad_() for a in leaves.arrays]
    return bool(torch.autograd.gradcheck(Rule.apply, arrays))


def passes(checker: Callable[[Any], bool], wrong: Any) -> bool:
    """Whether a checker passes a rule; an exception of whatever kind says that it does not."""
    try:
        return checker(wrong)
    except Exception:
        return False


def main() -> None:
    """Try all rules with all checkers, and print a table by the kind of mistake."""
    warnings.simplefilter("ignore")
    sys.path[0] = str(ROOT / "tests")  # in place of this folder, which has a check.py, too
    jax.config.update("jax_enable_x64", True)
    files = [importlib.import_module(f"check.reported.rules_{number}") for number in range(1, 13)]
    rules = [wrong for file in files for wrong in file.RULES]
    checkers = {"check_rule": by_us, "check_grads": by_jax}
    if torch is not None:
        checkers["gradcheck"] = by_torch
    caught: dict[str, Counter[str]] = {name: Counter() for name in checkers}
    kinds: Counter[str] = Counter()
    seconds = dict.fromkeys(checkers, 0.0)
    missed: dict[str, list[str]] = {name: [] for name in checkers}
    for wrong in rules:
        kind = wrong.kinds[0] if wrong.kinds else "others"
        kinds[kind] += 1
        for name, checker in checkers.items():
            start = time.perf_counter()
            if passes(checker, wrong):
                missed[name].append(wrong.name)
            else:
                caught[name][kind] += 1
            seconds[name] += time.perf_counter() - start
        jax.clear_caches()
    print("| mistake | rules | " + " | ".join(checkers) + " |")
    print("|---|---:|" + "---:|" * len(checkers))
    for kind, count in kinds.most_common():
        print(f"| {kind} | {count} | " + " | ".join(str(c[kind]) for c in caught.values()) + " |")
    totals = " | ".join(str(sum(c.values())) for c in caught.values())
    print(f"| all | {len(rules)} | {totals} |")
    print("| seconds | | " + " | ".join(f"{s:.0f}" for s in seconds.values()) + " |")
    for name, names in missed.items():
        print(f"missed by {name}: {', '.join(names)}")


if __name__ == "__main__":
    main()
