"""Where the windows of a convolution land, counted one by one, and seen from the other side."""

import dataclasses
import itertools

import pytest
from contraction.calls import drawn

SEEDS = range(60)


def meetings(n, k, s, d, e, low, out):
    """All (p, i, a) at which position p, window i and element a meet, in one dimension."""
    return {
        (p, i, a)
        for p, i, a in itertools.product(range(n), range(out), range(k))
        if e * p == s * i + d * a - low
    }


def dimensions(spec):
    return zip(
        spec.size, spec.window, spec.stride, spec.dilation, spec.input_dilation, spec.padding,
        spec.output, strict=True,
    )  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_as_many_windows_as_fit(seed):
    spec, _ = drawn(seed)
    for n, k, s, d, e, (low, high), out in dimensions(spec):
        last = e * (n - 1) + high  # the last position of the padded input
        fitting = [i for i in range(60) if s * i + d * (k - 1) - low <= last]
        assert out == len(fitting)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_transposed_spec_has_the_same_meetings_with_roles_exchanged(seed):
    """Its windows are read backwards: a' = K − 1 − a."""
    spec, _ = drawn(seed)
    other = spec.transposed
    assert other.output == spec.size
    assert (other.channels_in, other.channels_out) == (spec.channels_out, spec.channels_in)
    for mine, theirs in zip(dimensions(spec), dimensions(other), strict=True):
        n, k, s, d, e, (low, _), out = mine
        back_n, _, back_s, _, back_e, (back_low, _), back_out = theirs
        found = meetings(back_n, k, back_s, d, back_e, back_low, back_out)
        assert {(i, p, k - 1 - a) for p, i, a in found} == meetings(n, k, s, d, e, low, out)
    again = other.transposed
    assert dataclasses.replace(again, padding=spec.padding) == spec
    assert again.output == spec.output


def test_a_value_that_is_hashable_and_frozen():
    spec, _ = drawn(3)
    same, _ = drawn(3)
    assert (spec, hash(spec)) == (same, hash(same))
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.groups = 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stride": (1,)}, "every field must have one entry per spatial dimension"),
        ({"window": (0, 1)}, "window must be at least 1"),
        ({"input_dilation": (1, 0)}, "input_dilation must be at least 1"),
        ({"groups": 0}, "channels_in must be a multiple of groups"),
        ({"groups": 2, "channels_in": 4, "channels_out": 3}, "channels_out must be a multiple"),
    ],
)
def test_what_is_no_convolution(change, message):
    spec, _ = drawn(1, groups=1, channels=(2, 3))
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(spec, **change)


@pytest.mark.parametrize("size", ["size", "channels_in", "channels_out"])
def test_sizes_of_zero_are_empty(size):
    spec, _ = drawn(1, groups=1, channels=(2, 3))
    zero = (0, spec.size[1]) if size == "size" else 0
    assert dataclasses.replace(spec, **{size: zero}).is_empty
    assert not spec.is_empty
