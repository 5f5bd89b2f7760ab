"""Wrong rules after public bug reports: every one is caught.

They were written by somebody who had not read the hypotheses. Whoever writes a hypothesis should
not read them before, so that they show whether it knows other people's mistakes.
"""

import importlib

import jax
import pytest

from jaxconv.check import check_rule

FILES = [importlib.import_module(f"check.reported.rules_{number}") for number in range(1, 13)]
RULES = {wrong.name: wrong for file in FILES for wrong in file.RULES}

AT_A_KINK = {"variation_ties", "largest_ties"}
"""Any slope between those of the two sides is a gradient there; the report notes what differs."""


def test_a_set_of_many():
    assert len(RULES) == sum(len(file.RULES) for file in FILES) >= 60
    assert len({wrong.report.split()[0] for wrong in RULES.values()}) >= 60


@pytest.mark.thorough
@pytest.mark.parametrize("name", RULES)
def test_is_caught(name):
    wrong = RULES[name]
    options = {"transforms": (), **wrong.options}
    with jax.numpy_dtype_promotion("standard"):
        report = check_rule(wrong.rule, wrong.args, wrong.reference, **options)
    if name in AT_A_KINK:
        assert all("is at a kink or a tie: the rule says" in note for note in report.notes)
        assert report.notes
    else:
        assert not report.ok
