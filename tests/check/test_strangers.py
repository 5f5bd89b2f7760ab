"""Gradient rules of published packages: the checker agrees with the verdicts argued by hand."""

import importlib

import jax
import jax.numpy as jnp
import pytest

from jaxconv.check import check_rule

FILES = [
    importlib.import_module(f"check.strangers.{field}")
    for field in (
        "layers_and_losses",
        "linear_algebra",
        "solvers",
        "special_functions",
        "distributions",
        "geometry",
    )
]
RULES = {f"{entry.package}-{entry.name}": entry for file in FILES for entry in file.RULES}


def made(entry):
    try:
        return entry.make()
    except ModuleNotFoundError as error:
        if error.name is None or "." in error.name:  # it is installed, but has no such module
            raise
        pytest.skip(f"{entry.package} is not installed: {error}")


def test_no_name_occurs_twice():
    assert len(RULES) == sum(len(file.RULES) for file in FILES)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", RULES.values(), ids=RULES)
def test_the_checker_agrees_with_the_verdict(entry):
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.enable_x64(entry.x64),
    ):
        rule, args, reference = made(entry)
        if not entry.x64:
            args = jax.tree.map(jnp.asarray, args)  # float32, as in a program without x64
        report = check_rule(rule, args, reference, **{"transforms": (), **entry.options})
    assert report.ok == entry.verdict, report
