"""How long a step of training takes on many devices, from the speeds of devices and links.

All devices have the same number of images, so that more devices take larger batches. A step ends
when each has computed its share and all have added up what they must know of each other: the
gradients, and the statistics of batch norm. Every figure is in bytes, seconds, and operations.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax

from jaxconv.models import find
from jaxconv.models.cost import BATCH, cost_of
from jaxconv.models.named import USUAL

SINGLE, HALF = 4, 2
"""Bytes of a number: gradients are float32, and layers compute with 16 bits."""

BACKWARD = 2
"""Gradients take this many times the multiply-adds of the forward pass."""

VISITS = 5
"""A number that is kept for the backward pass passes the memory this often: it is written and read
in the forward pass, and read in the backward pass, where its gradient is written and read, too."""

ROUNDS = 3
"""Batch norm adds up this often in a step, each time waiting for the last: the mean, the variance,
and both sums of the backward pass."""

LARGEST = 8192
"""Batches of this many images still train ImageNet as well as small ones (Goyal et al., 2017)."""

COUNTS = tuple(2**power for power in range(14))
"""How many devices there may be: 1 to 8,192."""


class Link(NamedTuple):
    """What joins devices, or groups of them.

    Attributes:
        speed: bytes a second that each device sends.
        delay: seconds of a message without content.
    """

    speed: float
    delay: float

    def sum_of(self, size: float, members: int) -> float:
        """Return the seconds in which members add up arrays of this size, so that all have the sum.

        Each sends and gets all parts of the array but its own twice (a ring), and messages pass a
        tree up and down.
        """
        return 2 * (1 - 1 / members) * size / self.speed + 2 * math.log2(members) * self.delay


class Cluster(NamedTuple):
    """Devices of one kind, in groups with fast links inside and slower ones between them.

    Attributes:
        name: what they are called.
        operations: operations of a device a second, two for each multiply-add.
        memory: bytes a second between a device and its memory.
        group: how many devices a group has.
        inside: the link of the devices of a group.
        between: the link of a device to other groups.
    """

    name: str
    operations: float
    memory: float
    group: int
    inside: Link
    between: Link

    def sum_of(self, size: float, devices: int) -> float:
        """Return the seconds in which devices add up arrays of this size, so that all have the sum.

        The devices of a group add up theirs first. Then each of them adds up its part of the array
        with the other groups.
        """
        inside = min(devices, self.group)
        groups = math.ceil(devices / self.group)
        return self.inside.sum_of(size, inside) + self.between.sum_of(size / inside, groups)


ETHERNET = Link(1.25e9, 50e-6)

CLUSTERS = (
    # Data sheets: H100 SXM 989 TFLOP/s (bfloat16), 3.35 TB/s, NVLink 450 GB/s a direction;
    # InfiniBand NDR 400 Gbit/s for each of eight. The delays are assumed.
    Cluster(
        "GPUs: H100, 8 a machine, InfiniBand of 400 Gbit/s each",
        operations=989e12,
        memory=3.35e12,
        group=8,
        inside=Link(450e9, 2e-6),
        between=Link(50e9, 5e-6),
    ),
    # Assumed: 4 TFLOP/s and 400 GB/s of a server with two processors; the delay of Ethernet.
    Cluster(
        "CPU servers: Ethernet of 10 Gbit/s",
        operations=4e12,
        memory=400e9,
        group=1,
        inside=ETHERNET,
        between=ETHERNET,
    ),
)


class Network(NamedTuple):
    """What the time of a step depends on.

    Attributes:
        name: the network.
        parameters: how many numbers are trained.
        multiply_adds: those of one image in the forward pass.
        kept: numbers of one image that the backward pass needs.
        norms: how many layers are batch norm.
        channels: how many channels these have in all.
    """

    name: str
    parameters: int
    multiply_adds: int
    kept: float
    norms: int
    channels: int


class Step(NamedTuple):
    """The time of a training step on many devices, in seconds.

    Attributes:
        work: the time in which a device computes its share of the batch, at its full speed.
        gradients: the time in which the devices add up their gradients.
        statistics: the time in which the devices add up their statistics of batch norm.
    """

    work: float
    gradients: float
    statistics: float

    @property
    def least(self) -> float:
        """The share of the step that is work, if nothing is added up meanwhile."""
        return self.work / sum(self)

    @property
    def most(self) -> float:
        """The share of the step that is work, if gradients are added up in the backward pass.

        Statistics cannot be: the next layer waits for them.
        """
        left = max(0.0, self.gradients - self.backward)
        return self.work / (self.work + left + self.statistics)

    @property
    def backward(self) -> float:
        """The seconds of the work that are the backward pass."""
        return self.work * BACKWARD / (1 + BACKWARD)


def network_of(name: str) -> Network:
    """Return the network with this name on images of its usual shape; nothing is computed."""
    shape, classes = USUAL[name]
    model = find(name)
    cost = cost_of(model, shape, classes)
    init = partial(model.init, image_shape=shape, classes=classes)
    _, state = jax.eval_shape(init, jax.random.key(0))
    kept = (cost.kept_bytes / SINGLE - cost.parameters) / BATCH
    means = [layer["mean"].size for layer in state.values()]
    return Network(name, cost.parameters, cost.multiply_adds, kept, len(means), sum(means))


def step(cluster: Cluster, network: Network, devices: int, images: int) -> Step:
    """Return the seconds of a step of the network; `images` is how many each of the devices has."""
    operations = 2 * (1 + BACKWARD) * network.multiply_adds * images
    traffic = VISITS * HALF * network.kept * images
    rounds = ROUNDS * network.norms
    small = 2 * SINGLE * network.channels / max(network.norms, 1)
    return Step(
        max(operations / cluster.operations, traffic / cluster.memory),
        cluster.sum_of(SINGLE * network.parameters, devices),
        rounds * cluster.sum_of(small, devices),
    )


def limits(cluster: Cluster, network: Network, images: int) -> dict[str, int | None]:
    """Return the first of COUNTS at which each assumption of good scaling fails, or None."""
    fails: dict[str, Callable[[Step, int], bool]] = {
        f"a batch has {LARGEST:,} images or fewer": lambda _, batch: batch > LARGEST,
        "statistics take less than a tenth of the work": lambda s, _: s.statistics > s.work / 10,
        "gradients are added up before the backward pass ends": lambda s, _: (
            s.gradients > s.backward
        ),
    }
    steps = {count: step(cluster, network, count, images) for count in COUNTS}
    return {
        name: next((n for n, each in steps.items() if failed(each, n * images)), None)
        for name, failed in fails.items()
    }
