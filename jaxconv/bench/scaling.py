"""Measure training on several devices and processes: `python -m jaxconv.bench.scaling`.

The first table is measured: the training program takes the same batches of random images on 1, 2
and 4 devices of this machine, and then in as many processes. All share the machine's cores, so the
table shows what splitting a batch costs, and not what more machines gain.

The other tables are computed for up to 8,192 devices, from the speeds in `links.CLUSTERS`.
"""

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from jaxconv.bench import links
from jaxconv.train.record import METRICS, load_metrics

COUNTS = (1, 2, 4)
DATASET = "random.npz"
IMAGES, SIDE, CLASSES, BATCH, EPOCHS = 1024, 32, 10, 64, 4

EACH = (32, 256)
"""Images of each device in the computed tables."""


def main(arguments: list[str] | None = None) -> None:
    """Measure, compute, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m jaxconv.bench.scaling", description=__doc__)
    parser.add_argument("--models", nargs="*", default=("convnet", "resnet20"), metavar="NAME")
    parser.add_argument(
        "--computed", nargs="*", default=("resnet50", "convnext-tiny"), metavar="NAME"
    )
    options = parser.parse_args(arguments)
    if options.models:
        print("network | number | devices, images/s | of one | processes, images/s | of one")
    for model in options.models:
        _print_measured(model)
    for model in options.computed:
        for cluster in links.CLUSTERS:
            for images in EACH:
                print(*computed(model, cluster, images), sep="\n")


def _print_measured(model: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _write_images(Path(folder))
        one = measured(Path(folder), model, devices=1)
        for count in COUNTS:
            devices = one if count == 1 else measured(Path(folder), model, devices=count)
            processes = one if count == 1 else measured(Path(folder), model, processes=count)
            print(
                f"{model} | {count} | {devices:,.0f} | {devices / one:.0%}"
                f" | {processes:,.0f} | {processes / one:.0%}",
                flush=True,
            )


def measured(folder: Path, model: str, *, devices: int = 1, processes: int = 1) -> float:
    """Return the images a second of a run of the training program, the median of its epochs.

    The run takes the images that `folder` has, and writes into it.
    """
    out = folder / f"{model}-{devices}-{processes}"
    command = [
        *(sys.executable, "-m", "jaxconv.train", f"--dataset={folder / DATASET}", f"--out={out}"),
        *(f"--model={model}", "--recipe=none", f"--epochs={EPOCHS}", f"--batch-size={BATCH}"),
        f"--devices={devices * processes}",
    ]
    several: list[list[str]] = [[]]
    if processes > 1:
        where = [f"--coordinator=localhost:{free_port()}", f"--processes={processes}"]
        several = [[*where, f"--process-id={number}"] for number in range(processes)]
    runs = [
        subprocess.Popen(
            [*command, *own], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for own in several
    ]
    errors = [run.communicate()[1] for run in runs]  # if one fails, the others end, too
    for run, error in zip(runs, errors, strict=True):
        if run.returncode:
            raise RuntimeError(f"a process ended with the status {run.returncode}: {error}")
    epochs = load_metrics(out / METRICS, EPOCHS)
    return statistics.median(epoch.images_per_second for epoch in epochs[1:])


def computed(model: str, cluster: links.Cluster, images: int) -> list[str]:
    """Return the lines of a table: the parts of a step on up to 8,192 devices."""
    network = links.network_of(model)
    lines = [
        "",
        f"{model}, {images} images each, {cluster.name}",
        "devices | batch | work, ms | gradients, ms | statistics, ms | efficiency",
    ]
    for devices in links.COUNTS[::3] + links.COUNTS[-1:]:
        step = links.step(cluster, network, devices, images)
        work, gradients, norms = (f"{1e3 * seconds:.3g}" for seconds in step)
        lines.append(
            f"{devices:,} | {devices * images:,} | {work} | {gradients} | {norms}"
            f" | {step.least:.0%} to {step.most:.0%}"
        )
    for assumption, count in links.limits(cluster, network, images).items():
        fails = f"fails from {count:,} devices on" if count else "holds on all of them"
        lines.append(f"{assumption}: {fails}")
    return lines


def _write_images(folder: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES + BATCH, SIDE, SIDE, 3), np.uint8)
    labels = np.arange(IMAGES + BATCH) % CLASSES  # an image to test has a label of the others
    np.savez(
        folder / DATASET,
        train_images=images[BATCH:],
        train_labels=labels[BATCH:],
        test_images=images[:BATCH],
        test_labels=labels[:BATCH],
    )


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as any_port:
        any_port.bind(("localhost", 0))
        return int(any_port.getsockname()[1])


if __name__ == "__main__":
    main()
