"""Broken rules of a few ops; all of them: `python -m jaxconv.check --mutants -j 2`."""

import jax
import jax.numpy as jnp
import pytest

import jaxconv
from jaxconv.check.catalogue import CATALOGUE
from jaxconv.check.mutants import Matrix, OpTrial, Verdict, try_op
from jaxconv.check.mutants.edits import edited, edits, modules_of, rerun, spread, steps_of
from jaxconv.check.mutants.forms import fast_forms, try_form

# op: mutants whose mistake has a name, which are all named right; there must not be fewer.
NAMED = {
    "relu": 10, "prelu": 18, "threshold": 10, "gelu": 10, "glu": 9, "softmax": 11, "dense": 25,
    "conv": 34, "rms_norm": 18, "global_avg_pool": 10,
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("op", NAMED)
def test_no_mutant_survives(op):
    trial = try_op(op)
    assert not [v.mutant for v in trial.verdicts if not v.caught]
    assert {v.kind for v in trial.verdicts} == {"changed", "edited"}
    assert not [v.mutant for v in trial.verdicts if v.expected and not v.right]
    assert sum(v.right for v in trial.verdicts) >= NAMED[op]
    assert {v.oracles for v in trial.verdicts if "kept beside" in v.mutant} <= {("determinism",)}


def test_modules_that_import_each_other_are_run_again_in_order():
    every = modules_of("jaxconv.conv.conv")
    parts = (".plain", ".registry", ".planning", "")
    order = [every.index(f"jaxconv.contraction{part}") for part in parts]
    assert order == sorted(order)
    fresh = rerun(every, None)
    planning = fresh["jaxconv.contraction.planning"]
    assert planning.plain is fresh["jaxconv.contraction.plain"]


def test_a_broken_form_is_seen_by_the_large_samples():
    """Of one form all mutants, and none that only other convolutions see."""
    names = [form.name for form in fast_forms()]
    trial = try_form(names.index("outer products"))
    assert trial.survived == ()
    assert trial.caught >= 5
    assert trial.line.startswith("correlate, outer products: ")


def differentiate_relu(op):
    return jax.grad(lambda x: op(x).sum())(jnp.array([-1.0, 2.0]))


def test_edits_are_tried_of_all_kinds_first():
    every = list(edits(steps_of(CATALOGUE["gelu"].op, differentiate_gelu)))
    order = spread(every)
    kinds = {edit.kind for edit in every}
    assert len(kinds) > 3
    assert set(order) == set(every)
    assert {edit.kind for edit in order[: len(kinds)]} == kinds


def differentiate_gelu(op):
    return jax.grad(lambda x: op(x).sum())(jnp.array([-1.0, 2.0]))


def test_an_edit_changes_the_copy_and_not_the_op():
    record = CATALOGUE["relu"]
    steps = steps_of(record.op, differentiate_relu)
    changed = next(e for e in edits(steps) if e.what.endswith("y > 0 → y >= 0"))
    assert differentiate_relu(edited(record.op, steps, changed)).tolist() == [1.0, 1.0]
    assert differentiate_relu(jaxconv.relu).tolist() == [0.0, 1.0]


def test_the_matrix_fails_if_one_survives_or_too_few_are_named():
    def verdict(caught=True, named="wrong_sign"):
        return Verdict(
            "dx: sign", "changed", ("wrong_sign",), caught, False, ("autodiff",), named, 0
        )

    def ok(*verdicts):
        return Matrix([OpTrial("op", verdicts, 0, 0, 1.0)]).ok

    assert ok(verdict())
    assert not ok(verdict(), verdict(caught=False))
    assert ok(*[verdict()] * 99, verdict(named=""))
    assert not ok(*[verdict()] * 98, *[verdict(named="")] * 2)
