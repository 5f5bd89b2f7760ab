"""How the tests compile: without optimization, which halves the time spent in the compiler.

Whether a rule is right does not hang on how fast its machine code is. Tests that compare accuracy
with that of autodiff, or bits, compile as users do: `AS_USERS_DO`.
"""

import os
import subprocess
import sys

# By the name of XLA's option: the value here, and XLA's own. Not every JAX has all of them.
_OPTIONS = {
    "xla_backend_optimization_level": (0, 3),
    "xla_cpu_use_fusion_emitters": (False, True),
    "xla_cpu_parallel_codegen_split_count": (1, 32),
}
_TAKEN = "JAXCONV_TESTS_TAKEN"


def compile_quickly():
    """Set XLA's options for this process and those that it starts; before JAX compiles anything."""
    if _TAKEN not in os.environ:
        # XLA ends a process that is given an unknown option, so another process asks.
        question = (
            "from jaxconv.compiler import is_taken\n"
            f"print(*[name for name, (value, _) in {_OPTIONS}.items() if is_taken(name, value)])"
        )
        command = [sys.executable, "-c", question]
        os.environ[_TAKEN] = subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout
        flags = [
            f"--{name}={str(_OPTIONS[name][0]).lower()}" for name in os.environ[_TAKEN].split()
        ]
        os.environ["XLA_FLAGS"] = " ".join([*flags, os.environ.get("XLA_FLAGS", "")])
    AS_USERS_DO.update((name, _OPTIONS[name][1]) for name in os.environ[_TAKEN].split())


AS_USERS_DO = {}
"""Compiler options for `jax.jit` that undo `compile_quickly`."""
