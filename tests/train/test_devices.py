import re
import subprocess
import sys

import jax
import pytest

from jaxconv.train import Config, devices


def test_more_devices_than_there_are():
    devices.check(Config(devices=2))
    there = len(jax.devices())
    message = f"--devices 8: there are {there} (cpu)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        devices.check(Config(devices=8))


def test_as_many_cpus_as_are_asked_for():
    """Before JAX has looked, which it has not when the command asks, and no harm afterwards."""
    program = """
import jax
import jaxconv.train.loop
from jaxconv.train import devices
devices.make_cpus(3)
print(len(jax.devices("cpu")))
devices.make_cpus(4)
print(len(jax.devices("cpu")))
"""
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["3", "3"]


def test_one_device_is_left_as_it_was():
    tree = {"a": 1}
    for place in (devices.on_all, devices.shared_out, devices.the_same):
        assert place(Config(), tree) is tree
