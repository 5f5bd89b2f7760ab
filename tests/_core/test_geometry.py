"""Where windows land: sizes and padding against the windows themselves, counted one by one."""

import dataclasses
import itertools

import jax.numpy as jnp
import pytest
from naive import resolve

from jaxconv._core.geometry import make_windows


def geometry(n, k, s, d, padding, ceil_mode=False):
    return make_windows(
        "op", jnp.zeros((1, n, 1)), k, stride=s, padding=padding, dilation=d,
        ceil_mode=ceil_mode, layout="channels_last",
    )  # fmt: skip


@pytest.mark.parametrize("padding", ["SAME", "SAME_LOWER", "VALID", "CAUSAL", 0, 2, ((0, 3),)])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_every_small_size(padding, ceil_mode):
    for n, k, s, d in itertools.product(range(1, 8), range(1, 4), range(1, 5), range(1, 4)):
        ((low, high),) = resolve(padding, (n,), (k,), (s,), (d,))
        span = d * (k - 1) + 1
        inside = [i for i in range(n + 20) if s * i + span <= n + low + high]
        if not inside and not ceil_mode:
            continue  # no window fits: an error, and tests/test_errors.py has it
        if ceil_mode:
            reached = s * (len(inside) - 1) + span if inside else 0
            starts_inside = s * len(inside) < n + low
            if reached < n + low + high and starts_inside and span - (n + low + high) < s:
                inside.append(len(inside))
            if not inside:
                continue
        g = geometry(n, k, s, d, padding, ceil_mode)
        assert g.padding == ((low, high),)
        assert g.output == (len(inside),)
        assert g.extent == (span,)
        assert g.reach == (s * (len(inside) - 1) + span,)


@pytest.mark.parametrize("name", ["SAME", "SAME_LOWER"])
def test_same_gives_size_over_stride(name):
    for n, k, s, d in itertools.product(range(1, 12), range(1, 5), range(1, 5), range(1, 3)):
        assert geometry(n, k, s, d, name).output == (-(-n // s),)


def test_one_static_value():
    """Hashable, comparable, frozen, and without arrays: what a static argument has to be."""
    g = geometry(7, 3, 2, 1, "SAME")
    assert g == geometry(7, 3, 2, 1, ((1, 1),))
    assert hash(g) == hash(geometry(7, 3, 2, 1, ((1, 1),)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        g.size = (8,)


@pytest.mark.parametrize(
    ("layout", "spatial", "channel", "on_axes"),
    [
        ("channels_last", (1, 2), 3, (0, 5, 6, 0)),
        ("channels_first", (2, 3), 1, (0, 0, 5, 6)),
    ],
)
def test_axes(layout, spatial, channel, on_axes):
    g = make_windows(
        "op", jnp.zeros((2, 5, 6, 7)), 1, stride=None, padding=0, dilation=1,
        ceil_mode=False, layout=layout,
    )  # fmt: skip
    assert (g.spatial_axes, g.channel_axis) == (spatial, channel)
    assert g.on_axes((5, 6), 0) == on_axes
