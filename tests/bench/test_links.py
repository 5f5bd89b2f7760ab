import jax
import pytest

from jaxconv.bench import links
from jaxconv.bench.links import (
    CLUSTERS,
    COUNTS,
    Cluster,
    Link,
    Network,
    Step,
    limits,
    network_of,
    step,
)
from jaxconv.models import find

FAST, SLOW = Link(100.0, 0.5), Link(10.0, 2.0)
SMALL = Cluster("small", operations=60.0, memory=50.0, group=4, inside=FAST, between=SLOW)
NETWORK = Network("small", parameters=100, multiply_adds=10, kept=2.0, norms=2, channels=30)


def test_arrays_that_nobody_shares_take_no_time():
    assert SMALL.sum_of(1e6, 1) == 0


def test_a_group_sends_all_parts_but_its_own_twice():
    # Three quarters of 200 bytes, twice, and two levels of a tree, up and down.
    assert SMALL.sum_of(200, 4) == pytest.approx(2 * 150 / 100 + 2 * 2 * 0.5)


def test_each_device_of_a_group_sends_its_part_to_the_others():
    between = 2 * (1 / 2) * (200 / 4) / 10 + 2 * 2.0
    assert SMALL.sum_of(200, 8) == pytest.approx(SMALL.sum_of(200, 4) + between)


def test_the_parts_of_a_step():
    # 6 operations a multiply-add, 10 bytes a number that is kept; the memory is the slower one.
    made = step(SMALL, NETWORK, 4, images=5)
    assert made.work == pytest.approx(max(6 * 10 * 5 / 60, 5 * 2 * 2.0 * 5 / 50))
    assert made.gradients == pytest.approx(SMALL.sum_of(400, 4))
    assert made.statistics == pytest.approx(6 * SMALL.sum_of(2 * 4 * 15, 4))


@pytest.mark.parametrize(
    ("parts", "least", "most"),
    [
        ((3.0, 0.0, 0.0), 1, 1),
        ((3.0, 2.0, 0.0), 3 / 5, 1),  # two seconds of the work are the backward pass
        ((3.0, 4.0, 0.0), 3 / 7, 3 / 5),
        ((3.0, 1.0, 2.0), 3 / 6, 3 / 5),
    ],
)
def test_statistics_cannot_hide(parts, least, most):
    made = Step(*parts)
    assert (made.least, made.most) == (pytest.approx(least), pytest.approx(most))


@pytest.mark.parametrize("cluster", CLUSTERS, ids=lambda cluster: cluster.name.split(":")[0])
def test_more_devices_are_never_more_efficient(cluster):
    shares = [step(cluster, NETWORK, count, 32).least for count in COUNTS]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1


def test_the_first_failure_is_named():
    batch, *_ = limits(SMALL, NETWORK, 2**7).values()
    assert batch == 2 * links.LARGEST // 2**7
    _, statistics, gradients = limits(SMALL, NETWORK, 1).values()
    assert statistics == gradients == 2


def test_a_network_is_known_by_its_arrays():
    network = network_of("resnet20")
    model = find("resnet20")
    params, state = model.init(jax.random.key(0), image_shape=(32, 32, 3), classes=10)
    assert network.parameters == sum(leaf.size for leaf in jax.tree.leaves(params))
    assert network.norms == len(state)
    assert network.channels == sum(layer["mean"].size for layer in state.values())
    assert network.kept > 32 * 32 * 16 * 7  # the outputs of the first stage are kept, at least
