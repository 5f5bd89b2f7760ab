"""The ways to call a convolution, each as one call of an op.

All of them run the same contractions: a transposed convolution is called with y and computes x.
"""

from dataclasses import replace

import numpy as np

from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.types import Options
from jaxconv.check.catalogue.large import Large, large
from jaxconv.check.catalogue.record import Sample
from jaxconv.check.catalogue.sampling import normal


def conv_sample(number: int, layout: str) -> Sample:
    """Return a call of `conv`, which has no input dilation."""
    spec, batch = _undilated(number)
    arrays = {
        "x": _image(number, batch, spec.size, spec.channels_in, layout),
        "w": _kernel(number, spec, layout),
    }
    options = {
        "stride": spec.stride,
        "padding": spec.padding,
        "dilation": spec.dilation,
        "groups": spec.groups,
        "layout": layout,
    }
    return Sample(arrays, options=options)


def conv_transpose_sample(number: int, layout: str) -> Sample:
    """Return a call of `conv_transpose` that goes from the convolution's y to its x."""
    spec, batch = _undilated(number)
    arrays = {
        "x": _image(number, batch, spec.output, spec.channels_out, layout),
        "w": _kernel(number, spec, layout),
    }
    options = {
        "stride": spec.stride,
        "padding": tuple((low, max(high, 0)) for low, high in spec.covering),
        "output_padding": tuple(max(-high, 0) for _, high in spec.covering),
        "dilation": spec.dilation,
        "groups": spec.groups,
        "layout": layout,
    }
    return Sample(arrays, options=options)


def general_sample(number: int, *, flax: bool, transposed: bool) -> Sample:
    """Return a call of `conv_general_dilated`.

    With `flax`, channels are last and all dilations are given, as in Flax; otherwise channels are
    first and dilations of 1 are left out, as by default in lax. A transposed convolution is one
    with `lhs_dilation`.
    """
    spec, batch = large(number)
    spec = spec.transposed if transposed else spec
    layout = "channels_last" if flax else "channels_first"
    spatial = "DHW"[-spec.dims :]
    arguments: Options = {"window_strides": spec.stride, "padding": spec.padding}
    if flax or max(spec.input_dilation) > 1:
        arguments["lhs_dilation"] = spec.input_dilation
    if flax or max(spec.dilation) > 1:
        arguments["rhs_dilation"] = spec.dilation
    if flax:
        arguments["dimension_numbers"] = (f"N{spatial}C", f"{spatial}IO", f"N{spatial}C")
    arrays = {
        "lhs": _image(number, batch, spec.size, spec.channels_in, layout),
        "rhs": _kernel(number, spec, layout),
    }
    return Sample(arrays, options=arguments | {"feature_group_count": spec.groups})


def _undilated(number: int) -> Large:
    spec, batch = large(number)
    return Large(replace(spec, input_dilation=(1,) * spec.dims), batch)


def _image(seed: int, batch: int, size: tuple[int, ...], channels: int, layout: str) -> np.ndarray:
    shape = (batch, *size, channels) if layout == "channels_last" else (batch, channels, *size)
    return normal(seed, shape)


def _kernel(seed: int, spec: ConvSpec, layout: str) -> np.ndarray:
    *window, c_in, c_out = spec.kernel_shape
    shape = (*window, c_in, c_out) if layout == "channels_last" else (c_out, c_in, *window)
    return normal(seed + 1, shape)
