"""y, dx and dw as correlations: the words, the grids, and the numbers that they say."""

import textwrap

import numpy as np
import pytest
from drawn_geometries import drawn
from rules import assert_close, normal

from jaxconv.explain import all_terms, as_convolution

POST = {"input": (3, 3), "kernel": 2, "padding": "VALID", "names": "X,W,Z", "one_based": True}
ONE = {"batch": 1, "channels_in": 1, "channels_out": 1, "groups": 1, "padding_mode": "zeros"}


def words(op, of, **geometry):
    (found,) = as_convolution(op, of=of, **geometry)
    return found.words


def test_post_000_in_words():
    assert [each.words for each in as_convolution("conv", **POST)] == [
        "Z = valid correlation of X, with W",
        "dX = full correlation of dZ, padded by (1, 1), with W turned by 180°",
        "dW = valid correlation of X, with dZ",
    ]
    flipped = [each.words for each in as_convolution("conv", **POST, flip_kernel=True)]
    assert flipped == [
        "Z = valid correlation of X, with W turned by 180°",
        "dX = full correlation of dZ, padded by (1, 1), with W",
        "dW = valid correlation of X, with dZ, and the result is turned by 180°",
    ]


def test_a_stride_spreads_the_cotangent():
    stride = {"input": 5, "kernel": 3, "stride": 2, "padding": "VALID"}
    assert words("conv", "dx", **stride) == (
        "dx = full correlation of dy, spread by zeros (1 between neighbours), padded by (2, 2),"
        " with w turned by 180°"
    )
    assert words("conv", "dw", **stride) == (
        "dw = valid correlation of x, with dy, spread by zeros (1 between neighbours)"
    )
    assert words("conv", "y", **stride) == "y = valid correlation of x, with w, in steps of 2"
    assert words("conv_transpose", "y", input=2, kernel=3, stride=2, padding="VALID") == (
        "y = full correlation of x, spread by zeros (1 between neighbours), padded by (2, 2),"
        " with w turned by 180°"
    )


def test_the_grid_has_zeros_where_zeros_are():
    (dx,) = as_convolution("conv", of="dx", input=4, kernel=2, stride=2, padding=0)
    sentence, _, grids = str(dx).partition("\n\n")
    assert sentence == dx.words
    assert grids == textwrap.dedent("""\
        0      dy[0]  0      dy[1]  0

        with

        w[1]  w[0]""")  # fmt: skip


def test_several_channels_are_described_in_words():
    many = {"input": 5, "kernel": 3, "padding": 1, "batch": 2, "channels_in": 4, "channels_out": 2}
    assert [str(each).partition("with ")[2] for each in as_convolution("conv", **many)] == [
        "w, summed over the channels of x",
        "w turned by 180°, summed over the channels of dy",
        "dy, summed over the examples, for each pair of channels",
    ]
    grouped = words("conv", "y", **many, groups=2)
    assert grouped.endswith("summed over the channels of x, in each of 2 groups")


def test_large_arrays_are_described_in_words():
    (y,) = as_convolution("conv", of="y", input=(30, 30), kernel=3)
    assert str(y) == "y = correlation of x, padded by (1, 1), with w"


@pytest.mark.parametrize("part", range(4))
def test_the_correlations_are_the_sums(part):
    tried = 0
    for seed in range(100 * part, 100 * (part + 1)):
        *_, op, told = drawn(seed)
        if op not in ("conv", "conv_transpose"):
            continue
        told = {**told, **{name: value for name, value in ONE.items() if name in told}}
        told["bias"] = False
        try:
            correlations = as_convolution(op, **told)
        except ValueError as error:
            assert "window" in str(error) or "left" in str(error)  # noqa: PT017
            continue
        for correlation in correlations:
            shapes = correlation.notation.shapes
            arrays = {
                name: normal(seed, shapes[name.removeprefix("d")].sizes)
                for name in ("x", "w", "dy")
            }
            got = correlation.evaluate(arrays)
            want = [s.evaluate(arrays) for s in all_terms(op, of=correlation.result, **told)]
            assert_close(got.ravel(), np.array(want), f"{op} {told} {correlation.result}")
            tried += 1
    assert tried > 60


@pytest.mark.parametrize(
    ("op", "geometry", "message"),
    [
        ("max_pool", {"input": 4, "window": 2}, "op must be conv or conv_transpose"),
        ("conv", {"input": 4, "kernel": 2, "padding_mode": "circular"}, "padding_mode must be"),
        (
            "conv",
            {"input": 4, "kernel": 2, "of": "db"},
            "of must be one of y, dx, dw, but got 'db'",
        ),
    ],
)
def test_errors(op, geometry, message):
    with pytest.raises(ValueError, match=message):
        as_convolution(op, **geometry)


def test_only_one_channel_is_evaluated():
    (dx,) = as_convolution("conv", of="dx", input=4, kernel=2, channels_in=2)
    with pytest.raises(ValueError, match="one channel"):
        dx.evaluate(w=np.ones((2, 2)), dy=np.ones(4))
    (dx,) = as_convolution("conv", of="dx", input=4, kernel=2)
    with pytest.raises(ValueError, match="the array dy is missing"):
        dx.evaluate(w=np.ones(2))
