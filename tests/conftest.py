"""What all tests share: float64, four host devices, and strict promotion of dtypes and ranks."""

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def forget_what_was_compiled():
    """One file rarely needs what another compiled, and a worker would keep gigabytes of it."""
    yield
    jax.clear_caches()
