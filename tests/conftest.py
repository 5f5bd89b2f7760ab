"""What all tests share: float64, four host devices, strict promotion, and quick compilation."""

import zlib

import jax
import pytest
from quickly import compile_quickly

compile_quickly()
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def forget_what_was_compiled():
    """One file rarely needs what another compiled, and a worker would keep gigabytes of it."""
    yield
    jax.clear_caches()


def pytest_addoption(parser):
    parser.addoption(
        "--part",
        metavar="K/N",
        help="of the thorough tests only the K-th of N parts, K from 0; the parts are about equal",
    )


def pytest_collection_modifyitems(config, items):
    part = config.getoption("--part")
    if part is None:
        return
    which, parts = map(int, part.split("/"))

    def is_chosen(item):
        is_thorough = item.get_closest_marker("thorough") is not None
        return not is_thorough or zlib.crc32(item.nodeid.encode()) % parts == which

    config.hook.pytest_deselected(items=[item for item in items if not is_chosen(item)])
    items[:] = filter(is_chosen, items)
