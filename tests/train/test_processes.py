"""Several real processes on this machine that train one network together."""

import csv
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxconv.bench.scaling import free_port
from jaxconv.train import Config, processes

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
SECONDS = 240
NETWORK = """
from jaxconv.models import described

def layers_of(layers, x):
    x = layers.relu(layers.batch_norm("norm", layers.conv("conv", x, 4, 3)))
    return layers.logits("dense", x.reshape(x.shape[0], -1))

network = described(layers_of)
"""


@pytest.fixture
def here(tmp_path):
    """A folder with a network of one's own, and images of a bright spot, whose place is the label.

    The last batch of an epoch is not full.
    """
    random = np.random.default_rng(0)
    labels = np.arange(76) % 3
    images = random.integers(0, 100, (76, 8, 8))
    images[np.arange(76), 2 * labels + 1, 2 * labels] += 150
    np.savez(tmp_path / "spots.npz", images=images.astype(np.uint8), labels=labels)
    (tmp_path / "mine.py").write_text(NETWORK)
    return tmp_path


def start(here, count, *flags, epochs=2):
    """Begin a run of `count` processes."""
    command = [sys.executable, "-m", "jaxconv.train", "--epochs", epochs]
    if "--resume" not in flags:
        command += ["--dataset", "spots.npz", "--model", "mine:network", "--batch-size", 16]
    command += flags
    several = (
        ["--coordinator", f"localhost:{free_port()}", "--processes", count] if count > 1 else []
    )
    return [
        subprocess.Popen(
            [*map(str, (*command, *several, *(["--process-id", number] if several else [])))],
            cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(count)
    ]  # fmt: skip


def ended(running):
    """What each process has printed, after all of them have ended well."""
    said = [process.communicate(timeout=SECONDS) for process in running]
    assert [process.returncode for process in running] == [0] * len(running), said
    return said


def epochs_of(folder):
    """The numbers of metrics.csv, without the speed."""
    with (folder / "metrics.csv").open() as file:
        return [
            [float(value) for name, value in row.items() if name != "images_per_second"]
            for row in csv.DictReader(file)
        ]


def assert_same_run(one, other):
    np.testing.assert_allclose(epochs_of(one), epochs_of(other), rtol=2e-5)
    a, b = (load_file(folder / "params.safetensors") for folder in (one, other))
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-3, atol=1e-4, err_msg=name)


def wait_for(path, running):
    for _ in range(SECONDS * 20):
        if path.exists() or any(process.poll() is not None for process in running):
            break
        time.sleep(0.05)
    assert path.exists(), [process.communicate() for process in running]


@pytest.mark.thorough
@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_take_the_steps_of_one(here, count):
    ended(start(here, 1, "--out", "one"))
    said = ended(start(here, count, "--out", "several"))
    assert_same_run(here / "one", here / "several")
    names = [sorted(path.name for path in (here / run).iterdir()) for run in ("one", "several")]
    assert names[0] == names[1]
    assert f"{count} × cpu" in said[0][0]
    assert [out + err for out, err in said[1:]] == [""] * (count - 1)  # only the first one speaks
    assert said[0][1] == ""


@pytest.mark.thorough
@pytest.mark.parametrize("victim", [0, 1])
def test_one_is_killed_and_the_other_one_ends(here, victim):
    """Also if it is the first one, which the others are connected with."""
    running = start(here, 2, "--out", "run", epochs=9999)
    wait_for(here / "run" / "metrics.csv", running)
    running[victim].kill()
    begin = time.monotonic()
    _, said = running[1 - victim].communicate(timeout=SECONDS)
    assert time.monotonic() - begin < 30
    assert running[1 - victim].returncode == processes.LOST
    assert said == (
        f"train: process {1 - victim}: another process has ended;"
        " to continue: python -m jaxconv.train --resume run\n"
    )
    running[victim].communicate()
    done = len(epochs_of(here / "run"))
    ended(start(here, 1, "--resume", "run", epochs=done + 1))
    assert len(epochs_of(here / "run")) == done + 1


@pytest.mark.thorough
def test_one_is_told_to_stop_and_all_do(here):
    running = start(here, 2, "--out", "run", epochs=9999)
    wait_for(here / "run" / "metrics.csv", running)
    running[1].send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=SECONDS) for process in running]
    assert [process.returncode for process in running] == [130, 130], said
    assert "to continue: python -m jaxconv.train --resume run" in said[0][0]
    taken = int(os.listdir(here / "run" / "checkpoints")[0])
    done = len(epochs_of(here / "run"))
    assert done * 4 <= taken < done * 4 + 4
    ended(start(here, 1, "--resume", "run", epochs=done + 1))
    assert len(epochs_of(here / "run")) == done + 1


@pytest.mark.thorough
def test_kernel_gradients_of_large_images_beside_batch_norm(here):
    """One process computes them in loops over rows, where several would mix up their sums."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (192, 32, 32, 3), np.uint8)
    labels = np.arange(192) % 3
    np.savez(here / "large.npz", images=images, labels=labels)
    flags = ("--dataset", "large.npz", "--model", "resnet20", "--batch-size", 64)
    for count in (1, 2):
        ended(start(here, count, *flags, "--out", count, epochs=1))
    loss = [epochs_of(here / name)[0][1] for name in "12"]
    np.testing.assert_allclose(*loss, rtol=1e-4)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--coordinator localhost:9 --processes 2 --process-id 1", "localhost:9: the other"),
        ("--coordinator localhost:{port} --processes 2 --process-id 0", "{port}: the other"),
        ("--coordinator auto", "auto: the variables of Slurm, Open MPI and Kubernetes do not say"),
    ],
)
def test_the_others_are_not_there(tmp_path, flags, said):
    """While JAX waits for them, nothing may ask it anything: it would wait for ever."""
    program = (
        "from jaxconv.train import cli, processes\n"
        "processes.CONNECTING = 2\n"
        f"cli.main({flags.format(port=free_port())!r}.split())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("train: --coordinator ")
    assert said.replace("{port}", "") in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"processes": 2}, "--processes and --process-id need --coordinator HOST:PORT"),
        ({"coordinator": "auto", "process_id": 0}, "--processes and --process-id need"),
        ({"coordinator": "here:1"}, "--coordinator HOST:PORT needs --processes and --process-id"),
        ({"coordinator": "here"}, "--coordinator must be HOST:PORT or auto, not 'here'"),
        (
            {"coordinator": "here:1", "processes": 2, "process_id": 2},
            "--process-id must be below --processes, but is 2 of 2",
        ),
    ],
)
def test_flags_that_do_not_fit(flags, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Config(**flags)


def test_a_process_that_is_alone():
    def fail():
        raise ValueError("no")

    assert processes.join(Config()) == Config()
    assert not processes.are_several()
    assert processes.is_first()
    assert processes.agreed(3, True, False) == processes.in_any(True, False) == (True, False)
    assert processes.of_the_first(lambda: "text") == "text"
    assert processes.share(6) == slice(0, 6)
    with pytest.raises(ValueError, match="no"):
        processes.of_the_first(fail)
    with pytest.raises(ValueError, match="Gloo"), processes.ending_if_lost("run"):
        raise ValueError("Gloo failed")
