"""Contractions in a program that XLA splits over devices."""

import re
from functools import partial

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from rules import assert_trees_close

from contraction.calls import factors, of
from jaxconv.contraction import ConvSpec, correlate, input_gradient, kernel_gradient, plan
from jaxconv.contraction.factors import roles_of
from jaxconv.contraction.plan import GIVES

CONTRACTIONS = {
    "correlate": correlate,
    "input_gradient": input_gradient,
    "kernel_gradient": kernel_gradient,
}
COLLECTIVE = re.compile(r" (all-reduce|all-gather|all-to-all|collective-permute)(?:-start)?\(")


def square(channels_in, channels_out, size, window, *, stride=1, groups=1, padding=1, holes=1):
    return ConvSpec(
        size=(size, size), window=(window, window), stride=(stride, stride), dilation=(1, 1),
        input_dilation=(holes, holes), padding=((padding, padding),) * 2, groups=groups,
        channels_in=channels_in, channels_out=channels_out,
    )  # fmt: skip


# In loops over rows; over blocks of images; over single images, for each channel; over rows of a
# large window; over groups; and without any loop.
CALLS = {
    "rows": (square(16, 16, 32, 3), 32),
    "blocks": (square(8, 16, 32, 3), 96),
    "depthwise": (square(32, 32, 16, 3, groups=32), 16),
    "depthwise, large": (square(8, 8, 24, 9, groups=8, padding=4), 8),
    "pairs": (square(16, 32, 9, 3, groups=8, stride=2), 8),
    "groups": (square(160, 160, 7, 3, groups=40), 8),
    "holes": (square(4, 6, 8, 3, holes=2, stride=3), 8),
    "plain": (square(3, 5, 6, 3, stride=2), 4),
}

each_call = pytest.mark.parametrize("name", CALLS)
each_contraction = pytest.mark.parametrize("asked", CONTRACTIONS)


def mesh_of(count):
    devices = np.array(jax.devices()[:count])
    return Mesh(devices, ("there",), axis_types=(AxisType.Auto,))


def sharded(mesh, arrays, *specs):
    return [
        jax.device_put(array, NamedSharding(mesh, PartitionSpec(*spec)))
        for array, spec in zip(arrays, specs, strict=True)
    ]


def examples(asked, *how):
    """How each factor lies if its images lie in this way, and kernels on every device."""
    *roles, _ = roles_of(asked)
    return [how if role == "image" else () for role in roles]


def split_of(asked, pair, mesh):
    """The factors with their examples split over the devices."""
    return sharded(mesh, pair, *examples(asked, "there"))


def form_of(asked, spec, batch):
    return getattr(plan(spec, batch, "float64", "cpu"), GIVES[asked]).form.name


def inside_loops(text):
    """The collectives in the bodies of loops of a compiled program, and those in all of it."""
    computations, name = {}, ""
    for line in text.splitlines():
        if header := re.match(r"(?:ENTRY )?%?([\w.\-]+) .*\{$", line):
            name = header[1]
        computations.setdefault(name, []).append(line)

    def within(name):
        for line in computations.get(name, ()):
            yield from COLLECTIVE.findall(line)
            for inner in re.findall(r"(?:calls|to_apply|body)=%([\w.\-]+)", line):
                yield from within(inner)

    bodies = re.findall(r"body=%([\w.\-]+)", text)
    return [one for body in bodies for one in within(body)], COLLECTIVE.findall(text)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.thorough)])
@each_contraction
@each_call
def test_devices_meet_once(name, asked, count):
    """In the sum of a kernel gradient, and never in a loop."""
    spec, batch = CALLS[name]
    pair = of(asked, *factors(spec, batch))
    run = jax.jit(partial(CONTRACTIONS[asked], spec))
    split = split_of(asked, pair, mesh_of(count))
    looped, everywhere = inside_loops(run.lower(*split).compile().as_text())
    assert looped == []
    if asked == "kernel_gradient":
        assert everywhere == ["all-reduce"]
    elif form_of(asked, spec, batch) != "plain":  # XLA gathers the images of some plain forms
        assert everywhere == []
    got = run(*split)
    assert_trees_close(got, run(*pair))
    lies = () if asked == "kernel_gradient" else ("there",)
    assert got.sharding.is_equivalent_to(
        NamedSharding(mesh_of(count), PartitionSpec(*lies)), got.ndim
    )


def test_the_calls_take_forms_of_their_own():
    names = {form_of("kernel_gradient", *call) for call in CALLS.values()}
    assert {"blocks of images", "plain"} < names
    assert len(names) >= 4


@each_contraction
def test_arrays_may_lie_in_other_ways(asked):
    """A batch that the devices cannot share, channels or kernels that are split."""
    spec, mesh = square(4, 8, 6, 3, groups=2), mesh_of(2)
    run = jax.jit(partial(CONTRACTIONS[asked], spec))
    channels = (None, None, None, "there")
    for batch, how in ((3, ((), ())), (4, (channels, channels)), (4, ((), channels))):
        pair = of(asked, *factors(spec, batch))
        assert_trees_close(run(*sharded(mesh, pair, *how)), run(*pair))
    pair = of(asked, *factors(spec, 6))
    part = jax.jit(  # three examples on two devices
        lambda *pair: CONTRACTIONS[asked](spec, *(a[:3] if len(a) == 6 else a for a in pair))
    )
    assert_trees_close(part(*split_of(asked, pair, mesh)), part(*pair))


@pytest.mark.thorough
@each_contraction
@each_call
def test_over_two_axes_of_a_mesh(name, asked):
    """XLA's own kernel gradient of many groups is wrong here."""
    spec, batch = CALLS[name]
    devices = np.array(jax.devices()[:4]).reshape(2, 2)
    mesh = Mesh(devices, ("there", "here"), axis_types=(AxisType.Auto,) * 2)
    pair = of(asked, *factors(spec, batch))
    run = jax.jit(partial(CONTRACTIONS[asked], spec))
    for axes in (("there", "here"), "here"):
        split = sharded(mesh, pair, *examples(asked, axes))
        assert_trees_close(run(*split), run(*pair))


@each_contraction
def test_mapped(asked):
    spec, batch = CALLS["plain"]
    pair = [np.stack([a, 2 * a, -a]) for a in of(asked, *factors(spec, batch))]
    run = jax.jit(jax.vmap(partial(CONTRACTIONS[asked], spec)))
    split = sharded(mesh_of(2), pair, *examples(asked, None, "there"))
    assert_trees_close(run(*split), run(*pair))


@each_contraction
def test_an_exported_program_for_several_devices(asked):
    spec, batch = CALLS["rows"]
    pair = of(asked, *factors(spec, batch))
    run = jax.jit(partial(CONTRACTIONS[asked], spec))
    split = split_of(asked, pair, mesh_of(2))
    made = jax.export.deserialize(jax.export.export(run)(*split).serialize())
    assert_trees_close(jax.jit(made.call)(*split), run(*pair))
