"""The pytest fixture `check_rule`, which is installed with the package.

    def test_my_rule(check_rule):
        check_rule(my_rule, (x, w), reference)

pytest imports this file when it starts, in every project where jaxconv is installed, and before
coverage is measured. So it is not part of the package, because that imports JAX.
"""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="session")
def check_rule() -> Callable[..., Any]:
    """Return `jaxconv.check.check_rule`, which here fails the test with its report if not ok."""
    from jaxconv.check import check_rule as check

    def checked(*args: Any, **keywords: Any) -> Any:
        __tracebackhide__ = True
        report = check(*args, **keywords)
        if not report.ok:
            pytest.fail(str(report), pytrace=False)
        return report

    return checked
