"""Convolutions that are large enough for the fast forms.

The samples of `geometries.py` are small, and most of them take the plain form. Those here reach the
forms of `jaxconv.contraction.registry`; a test checks that every form is reached.
"""

from typing import NamedTuple

import numpy as np

from jaxconv._core.conv_spec import ConvSpec

LARGE = 1_000_000
"""The number of the first large sample."""


class Large(NamedTuple):
    """A convolution and the number of its examples."""

    spec: ConvSpec
    batch: int


def _spec(
    size: tuple[int, ...],
    window: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    channels: tuple[int, int],
    *,
    groups: int = 1,
    stride: tuple[int, ...] | None = None,
    dilation: tuple[int, ...] | None = None,
    input_dilation: tuple[int, ...] | None = None,
) -> ConvSpec:
    ones = (1,) * len(size)
    return ConvSpec(
        size=size,
        window=window,
        stride=stride or ones,
        dilation=dilation or ones,
        input_dilation=input_dilation or ones,
        padding=padding,
        groups=groups,
        channels_in=channels[0],
        channels_out=channels[1],
    )


# For each form, at least one convolution slightly above its limits uses it for y, dx or dw.
EVERY_FORM = {
    "depthwise": Large(_spec((9, 10), (3, 2), ((1, 1), (0, 1)), (12, 24), groups=12), 2),
    "depthwise, many elements": Large(
        _spec((39,), (53,), ((50, 56),), (12, 12), groups=12, dilation=(2,)), 3
    ),
    "depthwise with a stride": Large(
        _spec((9, 10), (3, 4), ((1, 1), (0, 1)), (20, 20), groups=20, stride=(2, 3)), 2
    ),
    "depthwise with a stride and holes": Large(
        _spec(
            (9, 10), (3, 2), ((1, 1), (2, 1)), (20, 40), groups=20, stride=(2, 3), dilation=(2, 1)
        ),
        2,
    ),
    "many groups of few channels": Large(
        _spec((8, 9), (3, 2), ((1, 1), (0, 1)), (27, 18), groups=9), 4
    ),
    "many groups to one channel": Large(
        _spec((7, 8, 3), (3, 2, 1), ((1, 1), (0, 1), (0, 0)), (117, 9), groups=9), 2
    ),
    "few groups": Large(_spec((16, 17), (3, 3), ((1, 1), (0, 1)), (48, 40), groups=2), 4),
    "many groups of many channels": Large(
        _spec((9, 10), (3, 3), ((1, 1), (0, 1)), (429, 429), groups=33), 2
    ),
    "few input channels": Large(_spec((20, 21), (3, 2), ((1, 1), (0, 1)), (3, 40)), 16),
    "few input channels with a stride": Large(
        _spec((14, 15), (3, 4), ((1, 1), (2, 1)), (3, 16), stride=(2, 3)), 8
    ),
    "few output channels": Large(_spec((9, 10), (3, 2), ((1, 1), (0, 1)), (20, 3)), 5),
    "windows side by side": Large(
        _spec((24, 27), (4, 3), ((1, 0), (0, 2)), (3, 20), stride=(4, 3)), 8
    ),
    "more windows side by side": Large(
        _spec((21, 14), (3, 2), ((2, 0), (1, 1)), (5, 12), stride=(3, 2)), 12
    ),
    "windows side by side, in groups": Large(
        _spec((12, 15), (4, 3), ((1, 0), (0, 2)), (6, 10), groups=2, stride=(4, 3)), 3
    ),
    "one window": Large(_spec((8, 6), (7, 1), ((1, 0), (0, 0)), (24, 36), stride=(3, 8)), 36),
    "one window of all": Large(_spec((6, 4), (7, 5), ((1, 0), (0, 1)), (12, 9)), 36),
    "one element": Large(_spec((12, 13), (1, 1), ((1, 0), (0, 2)), (20, 30), stride=(2, 1)), 12),
    "three dimensions": Large(
        _spec((4, 5, 6), (2, 3, 2), ((1, 0), (1, 1), (0, 1)), (10, 11), dilation=(2, 1, 1)), 3
    ),
    "along the depth": Large(
        _spec((7, 5, 6), (4, 1, 1), ((2, 1), (0, 0), (0, 0)), (9, 10), stride=(2, 1, 1)), 5
    ),
    "a stride": Large(_spec((16, 17), (3, 4), ((1, 2), (0, 1)), (16, 20), stride=(2, 3)), 8),
    "a stride and holes": Large(
        _spec((16, 17), (4, 5), ((4, 2), (0, 3)), (16, 20), stride=(3, 2), dilation=(2, 3)),
        8,
    ),
    "holes": Large(_spec((20, 21), (3, 3), ((2, 1), (0, 1)), (12, 16), dilation=(2, 1)), 16),
    "many images": Large(_spec((20, 21), (3, 2), ((1, 1), (0, 1)), (12, 16)), 56),
    "holes across": Large(
        _spec((14, 15), (3, 3), ((2, 1), (2, 3)), (12, 16), stride=(2, 1), dilation=(1, 3)), 16
    ),
    "much padding": Large(_spec((9, 10), (3, 4), ((2, 2), (3, 3)), (10, 12)), 17),
    "much padding, one image": Large(_spec((19, 20), (3, 4), ((2, 2), (3, 3)), (10, 12)), 1),
    "a line": Large(_spec((1500,), (2,), ((1, 0),), (17, 25)), 31),
    "a large kernel": Large(
        _spec((8, 5), (3, 4), ((1, 2), (2, 1)), (201, 220), stride=(2, 1), dilation=(3, 1)), 2
    ),
    "many channels": Large(_spec((14, 15), (3, 3), ((1, 1), (0, 1)), (20, 28)), 32),
    "many channels, few images": Large(_spec((14, 15), (3, 3), ((1, 1), (0, 1)), (20, 28)), 8),
    "a stride, an input dilation and holes": Large(
        _spec(
            (14, 15),
            (5, 4),
            ((3, 2), (0, 1)),
            (16, 20),
            stride=(3, 2),
            dilation=(2, 3),
            input_dilation=(2, 4),
        ),
        6,
    ),
    "a stride and an input dilation": Large(
        _spec((14, 15), (3, 4), ((1, 2), (0, 1)), (16, 20), stride=(2, 3), input_dilation=(3, 2)),
        6,
    ),
    "windows larger than the image": Large(
        _spec((3, 4), (4, 5), ((1, 2), (4, 3)), (17, 18), dilation=(1, 2)), 11
    ),
    "many rows": Large(_spec((87, 87), (3, 2), ((1, 1), (0, 1)), (2, 9), stride=(2, 2)), 16),
    "many rows, no padding": Large(_spec((66, 67), (3, 2), ((0, 0), (0, 0)), (2, 4)), 16),
    "a stride, an input dilation and much padding": Large(
        _spec(
            (11, 10),
            (4, 4),
            ((0, 2), (8, 13)),
            (6, 13),
            stride=(3, 1),
            dilation=(2, 2),
            input_dilation=(2, 3),
        ),
        9,
    ),
}


def large(number: int) -> Large:
    """Return the convolution with this number: first those of `EVERY_FORM`, then drawn ones."""
    known = tuple(EVERY_FORM.values())
    return known[number] if number < len(known) else _drawn(number)


def _drawn(number: int) -> Large:
    """Draw a variant of one in `EVERY_FORM`: other sizes, windows and padding, similar work."""
    rng = np.random.default_rng((7, number))
    spec, batch = tuple(EVERY_FORM.values())[number % len(EVERY_FORM)]
    dims = spec.dims
    while True:
        window = tuple(int(rng.integers(max(1, k - 1), k + 2)) if k > 1 else 1 for k in spec.window)
        sideways = spec.stride == spec.window
        dilation = (1,) * dims if sideways else tuple(int(d) for d in rng.integers(1, 3, dims))
        stride = window if sideways else tuple(int(rng.integers(1, s + 2)) for s in spec.stride)
        # Autodiff's gradient of such windows with padding crashes XLA (jax 0.10.2).
        apart = any(s >= k > 1 for s, k in zip(stride, window, strict=True))
        drawn = ConvSpec(
            size=tuple(int(rng.integers(max(1, n - 3), n + 4)) for n in spec.size),
            window=window,
            stride=stride,
            dilation=dilation,
            input_dilation=tuple(
                int(rng.integers(2, e + 2)) if e > 1 else 1 for e in spec.input_dilation
            ),
            padding=tuple(
                (0, 0) if apart else (int(low), int(high))
                for low, high in (
                    rng.integers(0, d * (k - 1) + 2, 2)
                    for d, k in zip(dilation, window, strict=True)
                )
            ),
            groups=spec.groups,
            channels_in=spec.channels_in,
            channels_out=spec.channels_out,
        )
        if 0 not in drawn.output:
            break
    work = max(1, drawn.multiply_adds(1))
    return Large(drawn, int(np.clip(spec.multiply_adds(batch) // work + 1, 1, 64)))
