"""Time one case for `against.py`, in a process of its own with its own checkout of jaxconv.

This file is run by its path, and the jaxconv that it imports may be older or newer. From the
package it therefore uses only the ops, and for a network `on_jax`, which every version has. Each
line of stdin is a question and each line of stdout an answer, both Python literals: the first
question is the case, which is compiled; each empty line after it asks for one call.
"""

import ast
import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxconv


def program(case: dict[str, Any]) -> tuple[Callable[..., object], tuple[jax.Array, ...]]:
    """Return the function to time, and its arguments.

    Args:
        case: "op", "shapes" of the differentiated arrays, "options" and "labels" (the number of
            classes of the labels that follow the arrays, 0 for no labels); or "module", "table" and
            "name" of a subject of the package's own benchmark.
    """
    if "module" in case:
        subject = getattr(importlib.import_module(case["module"]), case["table"])[case["name"]]
        function, args = list(subject.on_jax(jaxconv).values())[-1]
        return function, args
    op = getattr(jaxconv, case["op"])
    rng = np.random.default_rng(0)
    arrays = [jnp.asarray(rng.standard_normal(s, np.float32)) for s in case["shapes"]]
    count, rest = len(arrays), []
    if case["labels"]:
        rest = [jnp.arange(arrays[0].shape[0], dtype=jnp.int32) % case["labels"]]

    def call(*arrays: jax.Array) -> jax.Array:
        y = op(*arrays, **case["options"])
        return y[0] if isinstance(y, tuple) else y

    def both(dy: jax.Array, *args: jax.Array) -> object:
        y, pull = jax.vjp(lambda *some: call(*some, *args[count:]), *args[:count])
        return y, pull(dy)

    y = jax.eval_shape(call, *arrays, *rest)
    dy = jnp.asarray(rng.standard_normal(y.shape, np.float32), y.dtype)
    return both, (dy, *arrays, *rest)


def main() -> None:
    """Answer questions until stdin is closed."""
    case = ast.literal_eval(sys.stdin.readline())
    answers, sys.stdout = sys.stdout, sys.stderr  # other output must not mix with the answers
    with jax.default_device(jax.devices(case["device"])[0]):
        jax.jit(jnp.negative).lower(jnp.zeros(3)).compile()  # the first compilation is slower
        function, args = program(case)
        start = time.perf_counter()
        executable = jax.jit(function).lower(*args).compile()
        seconds = time.perf_counter() - start
        held = getattr(executable.memory_analysis(), "temp_size_in_bytes", None)
        about = {"package": jaxconv.__file__, "compile_s": seconds, "temporary_bytes": held}
        print(repr(about), file=answers, flush=True)
        for _ in sys.stdin:
            start = time.perf_counter()
            jax.block_until_ready(executable(*args))
            print(time.perf_counter() - start, file=answers, flush=True)


if __name__ == "__main__":
    main()
