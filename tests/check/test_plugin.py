"""The pytest fixture that the package brings."""

import importlib.metadata
import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

PREAMBLE = """
    import jax
    import jax.numpy as jnp

    @jax.custom_vjp
    def wrong(x):
        return x * x

    wrong.defvjp(lambda x: (x * x, x), lambda x, dy: (-2 * x * dy,))
    x = jnp.arange(1.0, 4.0)
"""


def test_the_installed_package_brings_the_plugin():
    brought = importlib.metadata.entry_points(group="pytest11", name="jaxconv")
    assert [entry.value for entry in brought] == ["jaxconv_pytest"]


@pytest.fixture
def run(pytester):
    def run(test):
        pytester.makepyfile(PREAMBLE + test)
        return pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:cacheprovider")

    return run


def test_a_wrong_rule_fails_the_test_with_the_report(run):
    result = run("""
    def test_it(check_rule):
        check_rule(wrong, (x,), jnp.square, transforms=())
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["wrong: does not hold*", "*d(x)*expected*"])
    result.stdout.no_fnmatch_line("*judge.py*")


def test_a_right_rule_passes_and_hands_back_its_report(run):
    result = run("""
    def test_it(check_rule):
        assert check_rule(jnp.square, (x,), transforms=("jit",)).ok
    """)
    result.assert_outcomes(passed=1)


def test_the_plugin_brings_no_jax_when_pytest_starts():
    code = "import sys, jaxconv_pytest; sys.exit('jax' in sys.modules or 'jaxconv' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
