"""What a measurement comes from."""

import os
import subprocess

import jax
import pytest

from jaxconv.bench import machine
from jaxconv.bench.floors import Ceilings
from jaxconv.bench.machine import Machine, this_machine, this_run


def test_this_machine_and_this_run_are_known():
    found = this_machine(jax.devices("cpu")[0])
    assert found.processor
    assert found.cores >= 1
    assert found.slug
    run = this_run(9, 2, Ceilings(1, 1))
    assert run.versions["JAX"] == jax.__version__
    assert "rounds or more, 2 times as many examples. Ceilings" in str(run)
    assert os.uname().nodename not in f"{found}{run}"


@pytest.mark.parametrize(
    ("device", "text", "slug"),
    [
        ("cpu", "Intel(R) Xeon(R) Processor, AVX-512, 2 cores", "intel-xeon-avx-512-2-cores"),
        ("NVIDIA H100 80GB HBM3", "Intel(R) Xeon(R) Processor, AVX-512, 2 cores, NVIDIA H100 80GB"
         " HBM3", "nvidia-h100-80gb-hbm3"),
    ],
)  # fmt: skip
def test_names(device, text, slug):
    found = Machine("Intel(R) Xeon(R) Processor", "AVX-512", 2, device)
    assert (str(found), found.slug) == (text, slug)


def test_without_cpuinfo(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "none")
    found = this_machine(jax.devices("cpu")[0])
    assert found.processor
    assert found.vectors == ""


def test_the_commit_says_whether_files_were_changed(monkeypatch, tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(machine.jaxconv, "__file__", str(package / "__init__.py"))
    assert machine._commit() == ""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@x"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    clean = machine._commit()
    assert clean
    assert not clean.endswith("+")
    (package / "__init__.py").write_text("x = 1\n")
    assert machine._commit() == clean + "+"
