"""`--missing` says nothing of a complete op, and names every place of one that does not exist."""

import pytest

import jaxconv
from jaxconv.check.missing import PLACES, missing, signature


@pytest.mark.parametrize("name", sorted(set(jaxconv.reference.__all__) - {"compiler_options"}))
def test_nothing_is_missing(name):
    assert missing(name) == []


def test_an_op_that_is_not_there_is_missing_everywhere():
    lines = missing("nothing")
    assert len(lines) == len(PLACES)
    assert all("must" in line for line in lines)


def test_a_signature_has_no_types():
    assert signature(jaxconv.elu) == "elu(x, alpha=1.0)"
