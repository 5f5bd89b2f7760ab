"""The arguments of a convolution, checked and resolved into one static value."""

from dataclasses import dataclass, replace

from jax import Array
from jax.sharding import NamedSharding

from jaxconv._core.arguments import (
    DType,
    IntOrInts,
    Layout,
    Padding,
    PaddingMode,
    PrecisionLike,
    Precisions,
    as_array,
    as_bool,
    as_int,
    as_precision,
    check_floating,
    check_option,
    per_dimension,
)
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints, check_output, image_axes, resolve_padding, spatial_axes
from jaxconv._core.types import Options


@dataclass(frozen=True, kw_only=True)
class ConvCall:
    """The only static argument of a convolution's `custom_vjp`: everything but the arrays.

    Attributes:
        spec: the static geometry.
        layout: which axis holds the channels.
        padding_mode: what the padding is filled with.
        flip_kernel: whether to compute the true convolution (the kernel rotated by 180°) instead
            of cross-correlation.
        precision: precision of the products, as in `jax.lax`.
        dtype: dtype of the output; None means that of the input.
    """

    spec: ConvSpec
    layout: Layout
    padding_mode: PaddingMode = "zeros"
    flip_kernel: bool = False
    precision: Precisions = None
    dtype: DType | None = None

    @property
    def spatial_axes(self) -> Ints:
        """The axes of an image that the windows slide over."""
        return spatial_axes(self.spec.dims, self.layout)[0]

    @property
    def channel_axis(self) -> int:
        """The axis of an image that holds the channels."""
        return spatial_axes(self.spec.dims, self.layout)[1]

    @property
    def bordered(self) -> ConvSpec:
        """The spec for x with its border copied in; a border of zeros remains padding."""
        if self.padding_mode == "zeros":
            return self.spec
        sizes = zip(self.spec.size, self.spec.padding, strict=True)
        size = tuple(n + low + high for n, (low, high) in sizes)
        return replace(self.spec, size=size, padding=((0, 0),) * self.spec.dims)

    def how(self, sharding: NamedSharding | None = None) -> Options:
        """Return the keyword arguments of a contraction, which takes a spec and factors besides.

        `sharding` is the sharding of its result on a mesh with Explicit axes.
        """
        return {"layout": self.layout, "precision": self.precision, "sharding": sharding}


def conv_call(
    op: str,
    x: object,
    w: object,
    b: object,
    *,
    stride: IntOrInts,
    padding: Padding,
    dilation: IntOrInts,
    groups: int,
    padding_mode: PaddingMode,
    flip_kernel: bool,
    layout: Layout,
    precision: PrecisionLike,
) -> tuple[ConvCall, Array, Array, Array | None]:
    """Check the arrays and resolve the keywords of a convolution.

    Returns:
        The call, and x, w and b as JAX arrays.
    """
    x, w, b = _arrays(op, x, w, b)
    axes, channel_axis = image_axes(op, x, layout)
    dims = len(axes)
    window, c_in, c_out = _kernel(op, x, w, layout, "C_in/groups", "C_out")
    groups = as_int(op, "groups", groups, 1)
    channels = x.shape[channel_axis]
    if channels != c_in * groups:
        raise ValueError(
            f"{op}: x has {channels} channels, but w expects {c_in * groups} (groups={groups})"
            f"{_hint(x, layout, c_in * groups)}"
        )
    if c_out < 1:
        raise ValueError(f"{op}: w must have at least 1 output channel, but its shape is {w.shape}")
    if c_out % groups:
        raise ValueError(
            f"{op}: w has {c_out} output channels, which is not a multiple of groups={groups}"
        )
    _check_bias(op, b, c_out)
    check_option(op, "padding_mode", padding_mode, PaddingMode)

    size = tuple(x.shape[axis] for axis in axes)
    s = per_dimension(op, "stride", stride, dims, 1)
    d = per_dimension(op, "dilation", dilation, dims, 1)
    pairs = resolve_padding(op, padding, size, window, s, d)
    if padding_mode != "zeros" and 0 in size and any(map(any, pairs)):
        raise ValueError(
            f"{op}: padding_mode {padding_mode!r} needs at least 1 position in each spatial"
            f" dimension, but x has shape {x.shape}"
        )
    spec = ConvSpec(
        size=size,
        window=window,
        stride=s,
        dilation=d,
        input_dilation=(1,) * dims,
        padding=pairs,
        groups=groups,
        channels_in=channels,
        channels_out=c_out,
    )
    check_output(op, spec)
    call = ConvCall(
        spec=spec,
        layout=layout,
        padding_mode=padding_mode,
        flip_kernel=as_bool(op, "flip_kernel", flip_kernel),
        precision=as_precision(op, precision),
    )
    return call, x, w, b


def transposed_call(
    op: str,
    x: object,
    w: object,
    b: object,
    *,
    stride: IntOrInts,
    padding: Padding,
    output_padding: IntOrInts,
    dilation: IntOrInts,
    groups: int,
    layout: Layout,
    precision: PrecisionLike,
) -> tuple[ConvCall, Array, Array, Array | None]:
    """Check the arrays and resolve the keywords of a transposed convolution.

    Returns:
        The call of the convolution that is transposed, which maps the shape of y to that of x, and
        x, w and b as JAX arrays.
    """
    x, w, b = _arrays(op, x, w, b)
    axes, channel_axis = image_axes(op, x, layout)
    dims = len(axes)
    window, c_out, c_in = _kernel(op, x, w, layout, "C_out/groups", "C_in")
    groups = as_int(op, "groups", groups, 1)
    channels = x.shape[channel_axis]
    if channels != c_in:
        raise ValueError(
            f"{op}: x has {channels} channels, but w expects {c_in}{_hint(x, layout, c_in)}"
        )
    if c_out < 1:
        raise ValueError(f"{op}: w must have at least 1 output channel, but its shape is {w.shape}")
    if c_in % groups:
        raise ValueError(f"{op}: x has {c_in} channels, which is not a multiple of groups={groups}")
    _check_bias(op, b, c_out * groups)

    positions = tuple(x.shape[axis] for axis in axes)
    s = per_dimension(op, "stride", stride, dims, 1)
    d = per_dimension(op, "dilation", dilation, dims, 1)
    extra = per_dimension(op, "output_padding", output_padding, dims, 0)
    for axis in range(dims):
        if extra[axis] >= max(s[axis], d[axis]):
            raise ValueError(
                f"{op}: output_padding must be less than stride or dilation, but got"
                f" {extra[axis]} with stride {s[axis]} and dilation {d[axis]} in spatial"
                f" dimension {axis}"
            )
    same = isinstance(padding, str) and padding.upper() in ("SAME", "SAME_LOWER")
    if same and any(extra):
        raise ValueError(
            f"{op}: output_padding must be 0 with padding {padding!r}, but got {extra}"
        )
    stretched = tuple(n * step for n, step in zip(positions, s, strict=True))
    pairs = resolve_padding(op, padding, stretched, window, s, d)
    size, reaching = [], []
    for axis, (n, k, step, hole, (low, high), more) in enumerate(
        zip(positions, window, s, d, pairs, extra, strict=True)
    ):
        reach = step * (n - 1) + hole * (k - 1) + 1
        out = stretched[axis] if same else reach - low - high + more
        if n < 1 or out < 1:
            raise ValueError(
                f"{op}: nothing is left of spatial dimension {axis}: {n} windows that span"
                f" {hole * (k - 1) + 1} positions reach {max(reach, 0)}, padding cuts {low + high}"
            )
        size.append(out)
        # The high padding with which exactly n windows fit; it may be negative.
        reaching.append((low, reach - low - out))
    spec = ConvSpec(
        size=tuple(size),
        window=window,
        stride=s,
        dilation=d,
        input_dilation=(1,) * dims,
        padding=tuple(reaching),
        groups=groups,
        channels_in=c_out * groups,
        channels_out=c_in,
    )
    return ConvCall(spec=spec, layout=layout, precision=as_precision(op, precision)), x, w, b


def _arrays(op: str, x: object, w: object, b: object) -> tuple[Array, Array, Array | None]:
    """Return x, w and b as JAX arrays of one floating dtype."""
    x, w = as_array(op, "x", x), as_array(op, "w", w)
    b = None if b is None else as_array(op, "b", b)
    check_floating(op, x=x, w=w, b=b)
    return x, w, b


def _kernel(
    op: str, x: Array, w: Array, layout: Layout, inner: str, outer: str
) -> tuple[Ints, int, int]:
    """Return the window of w and its two channel sizes, in the order (inner, outer)."""
    last = layout == "channels_last"
    if w.ndim != x.ndim:
        form = f"(*window, {inner}, {outer})" if last else f"({outer}, {inner}, *window)"
        raise ValueError(
            f"{op}: w must have {x.ndim} dimensions {form} to match x of shape {x.shape},"
            f" but its shape is {w.shape}"
        )
    window = w.shape[:-2] if last else w.shape[2:]
    if min(window) < 1:
        raise ValueError(f"{op}: w has an empty window, its shape is {w.shape}")
    first, second = w.shape[-2:] if last else w.shape[1::-1]
    return window, first, second


def _hint(x: Array, layout: Layout, channels: int) -> str:
    """Return what to say if x seems to have its channels first although `layout` says last."""
    if layout == "channels_first" or x.shape[1] != channels:
        return ""
    return "; if the channels of x come first, say layout='channels_first'"


def _check_bias(op: str, b: Array | None, channels: int) -> None:
    if b is not None and b.shape != (channels,):
        raise ValueError(f"{op}: b must have shape ({channels},), but its shape is {b.shape}")
