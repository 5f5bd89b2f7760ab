"""The resampling ops in PyTorch."""

import torch
import torch.nn.functional as F  # noqa: N812

WITHOUT = {}


def _first(op, layout):
    """`op` over channels first, on arrays that have them in this layout."""
    if layout == "channels_first":
        return op
    return lambda x: op(x.movedim(-1, 1)).movedim(1, -1)


def _dims(sample):
    return len(sample.options["window"])


def _padding(size, o):
    """(low, high) per dimension, from the definitions of the names."""
    padding, pairs = o["padding"], []
    for d, n in enumerate(size):
        s = o["stride"] if isinstance(o["stride"], int) else o["stride"][d]
        span = (o["dilation"][d] if "dilation" in o else 1) * (o["window"][d] - 1) + 1
        total = max((-(-n // s) - 1) * s + span - n, 0)
        if not isinstance(padding, str):
            entry = padding if isinstance(padding, int) else padding[d]
            pairs.append((entry, entry) if isinstance(entry, int) else entry)
        else:
            pairs.append(
                {
                    "VALID": (0, 0),
                    "CAUSAL": (span - 1, 0),
                    "SAME": (total // 2, total - total // 2),
                    "SAME_LOWER": (total - total // 2, total // 2),
                }[padding.upper()]
            )
    return pairs


def _windows(o):
    """Keywords of F.unfold and F.fold; a single dimension is the second of two."""
    dims = len(o["window"])
    stride = (o["stride"],) * dims if isinstance(o["stride"], int) else o["stride"]
    values = {
        "kernel_size": o["window"],
        "stride": stride,
        "dilation": o.get("dilation", (1,) * dims),
    }
    return {name: (1,) * (2 - dims) + tuple(v) for name, v in values.items()}


def _pixels_first(patches, offsets, layout):
    """Patches (N, L, offsets·C) from PyTorch's (N, C·offsets, L)."""
    if layout == "channels_first":
        return patches
    n, _, positions = patches.shape
    c = patches.shape[1] // offsets
    return patches.reshape(n, c, offsets, positions).permute(0, 3, 2, 1).reshape(n, positions, -1)


def unfold(sample):
    o = sample.options
    if _dims(sample) > 2 or sample.arrays["x"].size == 0:
        return None

    def op(x):
        x = x if o["layout"] == "channels_first" else x.movedim(-1, 1)
        pairs = _padding(x.shape[2:], o)
        x = F.pad(x, [width for pair in reversed(pairs) for width in pair])
        y = F.unfold(x[:, :, None] if x.ndim == 3 else x, **_windows(o))
        return _pixels_first(y, torch.Size(o["window"]).numel(), o["layout"])

    return op


def fold(sample):
    o = sample.options
    if _dims(sample) > 2 or sample.arrays["x"].size == 0:
        return None
    pairs = _padding(o["output_size"], o)

    def op(x):
        if o["layout"] == "channels_last":
            n, positions, row = x.shape
            offsets = torch.Size(o["window"]).numel()
            x = x.reshape(n, positions, offsets, row // offsets).permute(0, 3, 2, 1)
            x = x.reshape(n, row, positions)
        padded = [n + low + high for n, (low, high) in zip(o["output_size"], pairs, strict=True)]
        y = F.fold(x, (1,) * (2 - len(padded)) + tuple(padded), **_windows(o))
        for axis, (n, (low, _)) in enumerate(zip(o["output_size"], pairs, strict=True)):
            y = y.narrow(y.ndim - len(padded) + axis, low, n)
        y = y[:, :, 0] if len(padded) == 1 else y
        return y if o["layout"] == "channels_first" else y.movedim(1, -1)

    return op


LINEAR = ("linear", "bilinear", "trilinear")


def upsample(sample):
    if sample.arrays["x"].size == 0:
        return None
    o, dims = sample.options, sample.arrays["x"].ndim - 2
    factor = (o["factor"],) * dims if isinstance(o["factor"], int) else o["factor"]
    factor = tuple(map(float, factor))
    if o["method"] == "nearest":
        op = lambda x: F.interpolate(x, scale_factor=factor, mode="nearest")  # noqa: E731
    else:
        mode = LINEAR[dims - 1]
        op = lambda x: F.interpolate(x, scale_factor=factor, mode=mode, align_corners=False)  # noqa: E731
    return _first(op, o["layout"])


def resize(sample):
    if sample.arrays["x"].size == 0:
        return None
    o, dims = sample.options, sample.arrays["x"].ndim - 2
    modes = {"nearest": "nearest-exact", "nearest_floor": "nearest"}
    keywords = {"size": o["size"], "mode": modes.get(o["method"])}
    if o["method"] == "linear":
        keywords |= {"mode": LINEAR[dims - 1], "align_corners": o["align_corners"]}
    return _first(lambda x: F.interpolate(x, **keywords), o["layout"])


def _square(sample):
    """The factor, if PyTorch has it: the same along two dimensions."""
    factor, dims = sample.options["factor"], sample.arrays["x"].ndim - 2
    if dims != 2 or sample.arrays["x"].size == 0 or not isinstance(factor, int):
        return None
    return factor


def pixel_shuffle(sample):
    factor = _square(sample)
    return factor and _first(lambda x: F.pixel_shuffle(x, factor), sample.options["layout"])


def pixel_unshuffle(sample):
    factor = _square(sample)
    return factor and _first(lambda x: F.pixel_unshuffle(x, factor), sample.options["layout"])


TORCH = {
    "unfold": unfold,
    "fold": fold,
    "upsample": upsample,
    "resize": resize,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
}
