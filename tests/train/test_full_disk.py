"""A disk that is full: a file that may not grow is the same to a process."""

import subprocess
import sys

import pytest

from jaxconv.train.record import begun

pytest.importorskip("resource")

SHORT = ("--epochs", 1, "--model", "cs231n", "--batch-size", 256)

RUN = """
import resource, sys
most = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
from jaxconv.train import checkpoint
from jaxconv.train.cli import main
checkpoint.SECONDS = float(sys.argv[2])
main(sys.argv[3:])
"""


def run(most, seconds, *arguments):
    command = [sys.executable, "-c", RUN, most, seconds, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("most", "seconds", "where"),
    [
        (300, 1e9, "config.json"),
        (3_000, 1e9, "batch.png"),
        (30_000, 1e9, "best.safetensors"),
        (30_000, 0, "checkpoints"),
    ],
)
def test_a_full_disk_is_one_line_and_the_run_goes_on(tmp_path, most, seconds, where):
    out = tmp_path / "run"
    ended = run(most, seconds, *SHORT, "--out", out)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith(f"train: {out / where}"), ended.stderr
    names = {path.name for path in out.rglob("*") if path.is_file() and "check" not in str(path)}
    assert not any(name.startswith(".") for name in names)
    if where == "batch.png":
        return  # goes on as from the next one
    again = ("--out", out) if where == "config.json" else ("--resume", out)
    ended = run(10**9, 1e9, *SHORT, *again)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert begun(out).epochs == 1
    assert (out / "report.html").exists()


MANY = """
import resource, sys
from pathlib import Path
import numpy as np
from jaxconv.train.checkpoint import Checkpoints
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
rows = [60 + 400 * (i % 3) for i in range(int(sys.argv[2]))]
tree = {str(i): np.random.normal(size=(n, 100)) for i, n in enumerate(rows)}  # too little, too much
for i in range(10):
    try:
        Checkpoints(Path(sys.argv[1]) / str(i)).save(1, tree)
    except ValueError:
        print("cannot be written")
"""


@pytest.mark.thorough
@pytest.mark.parametrize("arrays", [6, 20])
def test_writes_under_way_when_one_fails_are_silent(tmp_path, arrays):
    command = [sys.executable, "-c", MANY, tmp_path, arrays]
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("cannot be written") == 10
