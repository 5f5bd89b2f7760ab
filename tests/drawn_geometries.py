"""Geometries drawn at random, as `jaxconv.explain` is told of them and as calls of the ops."""

import numpy as np

import jaxconv


class Draw:
    """Random options, all of them small."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.dims = self.pick(1, 1, 2, 2, 3)
        self.layout = self.pick("channels_last", "channels_first")
        self.batch = self.pick(1, 1, 2)
        self.size = self.ints(1, 4 if self.dims == 3 else 6)
        self.window = self.ints(1, 2 if self.dims == 3 else 3)

    def pick(self, *values):
        return values[self.rng.integers(len(values))]

    def flip(self):
        return self.pick(False, True)

    def ints(self, low, high):
        """One int per spatial dimension, from low to high."""
        return tuple(self.rng.integers(low, high + 1, self.dims).tolist())

    def pairs(self, low, high):
        return tuple(zip(self.ints(low, high), self.ints(low, high), strict=True))

    def channels(self):
        """groups, and how many channels go in and come out."""
        groups = self.pick(1, 1, 2)
        return groups, groups * self.pick(1, 2), groups * self.pick(1, 2)

    def padding(self):
        named = ["SAME", "SAME_LOWER", "VALID", *["CAUSAL"] * (self.dims == 1)]
        return self.pick(self.pick(*named), self.pick(0, 1, 2), self.pairs(0, 3))

    def image(self, channels):
        """The shape of x."""
        first = self.layout == "channels_first"
        return (self.batch, channels, *self.size) if first else (self.batch, *self.size, channels)

    def kernel(self, inner, outer):
        """The shape of w."""
        first = self.layout == "channels_first"
        return (outer, inner, *self.window) if first else (*self.window, inner, outer)


def drawn(seed):
    """A function of arrays that calls an op, their shapes, the op's name, what `explain` is told.

    Of some draws no window fits, or the op takes no such padding: then its own error is raised.
    """
    draw = Draw(seed)
    make = draw.pick(_conv, _conv, _dilated, _conv_transpose, _extreme, _avg_pool, _lp_pool)
    return make(draw)


def _conv(draw):
    groups, c_in, c_out = draw.channels()
    options = {
        "stride": draw.ints(1, 3), "padding": draw.padding(), "dilation": draw.ints(1, 2),
        "groups": groups, "layout": draw.layout, "flip_kernel": draw.flip(),
        "padding_mode": draw.pick("zeros", "zeros", "reflect", "replicate", "circular"),
    }  # fmt: skip
    bias = draw.flip()
    told = {
        "input": draw.size, "kernel": draw.window, "batch": draw.batch, "channels_in": c_in,
        "channels_out": c_out, "bias": bias,
    }  # fmt: skip
    shapes = [draw.image(c_in), draw.kernel(c_in // groups, c_out), *[(c_out,)] * bias]
    return lambda *arrays: jaxconv.conv(*arrays, **options), shapes, "conv", {**options, **told}


def _dilated(draw):
    """What `conv` has not: a dilated input, and padding that crops."""
    groups, c_in, c_out = draw.channels()
    told = {
        "input": draw.size, "kernel": draw.window, "batch": draw.batch, "channels_in": c_in,
        "channels_out": c_out, "groups": groups, "stride": draw.ints(1, 3),
        "padding": draw.pairs(-2, 4), "dilation": draw.ints(1, 2),
        "input_dilation": draw.ints(1, 3), "layout": draw.layout,
    }  # fmt: skip
    spatial = "DHW"[: draw.dims]
    first = draw.layout == "channels_first"
    image, kernel = (f"NC{spatial}", f"OI{spatial}") if first else (f"N{spatial}C", f"{spatial}IO")

    def call(x, w):
        return jaxconv.conv_general_dilated(
            x, w, told["stride"], told["padding"], told["input_dilation"], told["dilation"],
            (image, kernel, image), groups,
        )  # fmt: skip

    return call, [draw.image(c_in), draw.kernel(c_in // groups, c_out)], "conv", told


def _conv_transpose(draw):
    groups, c_in, c_out = draw.channels()
    options = {
        "stride": draw.ints(1, 3), "padding": draw.padding(), "dilation": draw.ints(1, 2),
        "groups": groups, "layout": draw.layout,
    }  # fmt: skip
    if not isinstance(options["padding"], str) and draw.flip():
        options["output_padding"] = tuple(s - 1 for s in options["stride"])
    told = {
        "input": draw.size, "kernel": draw.window, "batch": draw.batch, "channels_in": c_in,
        "channels_out": c_out,
    }  # fmt: skip
    shapes = [draw.image(c_in), draw.kernel(c_out // groups, c_in)]
    op = "conv_transpose"
    return lambda *arrays: jaxconv.conv_transpose(*arrays, **options), shapes, op, options | told


def _pool(draw, op, **more):
    options = {
        "window": draw.window, "stride": draw.pick(None, draw.ints(1, 3)), "layout": draw.layout,
        "padding": draw.pick("VALID", "SAME", draw.pairs(0, 1)), "ceil_mode": draw.flip(), **more,
    }  # fmt: skip
    channels = draw.pick(1, 2)
    told = {"input": draw.size, "batch": draw.batch, "channels": channels}
    call = getattr(jaxconv, op)
    return lambda x: call(x, **options), [draw.image(channels)], op, options | told


def _extreme(draw):
    ties = draw.pick("first", "all", "split")
    return _pool(draw, draw.pick("max_pool", "min_pool"), dilation=draw.ints(1, 2), ties=ties)


def _avg_pool(draw):
    divisor = draw.pick(None, None, 2.5)
    return _pool(draw, "avg_pool", count_include_pad=draw.flip(), divisor=divisor)


def _lp_pool(draw):
    return _pool(draw, "lp_pool", p=draw.pick(1, 1.5, 2, 3))
