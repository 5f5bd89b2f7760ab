"""Random, difficult geometries: pairwise different prime sizes and options that are no defaults."""

from typing import Any, NamedTuple

import numpy as np

from jaxconv._core.types import Options

PRIMES = {1: (11, 13, 17), 2: (5, 7, 11, 13), 3: (3, 5, 7)}
WINDOWS = {1: (1, 2, 3, 5), 2: (1, 2, 3, 4), 3: (1, 2, 3)}


class ConvCase(NamedTuple):
    """Shapes and keywords of one convolution."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    b: tuple[int, ...] | None
    keywords: Options


class PoolCase(NamedTuple):
    """Shape, window and keywords of one pooling."""

    x: tuple[int, ...]
    window: tuple[int, ...]
    keywords: Options


def conv_case(seed: int) -> ConvCase:
    """Return the convolution with this number; the dimensions take turns."""
    dims = 1 + seed % 3
    rng = np.random.default_rng((1, seed))
    while True:
        size, window = _distinct(rng, PRIMES[dims], dims), _distinct(rng, WINDOWS[dims], dims)
        stride = rng.integers(1, 5, dims)  # often larger than the window
        dilation = rng.integers(1, 4, dims)
        groups = int(rng.integers(1, 4))
        c_in, c_out = groups * rng.choice([1, 2, 3]), groups * rng.choice([1, 2, 5])
        padding = _padding(rng, dims, wide=int(max(window)) + 3)
        if _fits(size, window, stride, dilation, padding):
            break
    n = _batch(rng, seed)
    layout = str(rng.choice(["channels_last", "channels_first"]))
    if layout == "channels_last":
        x, w = (n, *size, c_in), (*window, c_in // groups, c_out)
    else:
        x, w = (n, c_in, *size), (c_out, c_in // groups, *window)
    keywords = {
        "stride": _ints(stride),
        "padding": padding,
        "dilation": _ints(dilation),
        "groups": groups,
        "padding_mode": str(rng.choice(["zeros", "reflect", "replicate", "circular"])),
        "flip_kernel": bool(rng.integers(2)),
        "layout": layout,
    }
    b = (int(c_out),) if rng.random() < 0.7 else None
    return ConvCase(_ints(x), _ints(w), b, keywords)


class GeneralCase(NamedTuple):
    """Shapes and arguments of one call with the signature of `lax.conv_general_dilated`."""

    lhs: tuple[int, ...]
    rhs: tuple[int, ...]
    arguments: Options


def general_case(seed: int) -> GeneralCase:
    """Return the general convolution with this number.

    Its axes may be in any order; it may have batch groups, and padding may be negative.
    """
    dims = 1 + seed % 3
    rng = np.random.default_rng((6, seed))
    spread = rng.integers(1, 4, dims) if seed % 4 < 2 else np.ones(dims, int)
    while True:
        size, window = _distinct(rng, PRIMES[dims], dims), _distinct(rng, WINDOWS[dims], dims)
        stride, dilation = rng.integers(1, 5, dims), rng.integers(1, 4, dims)
        full = spread * (np.array(size) - 1) + 1
        padding: Any = tuple(_ints(pair) for pair in rng.integers(-2, max(window) + 3, (dims, 2)))
        if np.all(full + np.sum(padding, axis=1) >= dilation * (np.array(window) - 1) + 1):
            break
    if set(_ints(spread)) == {1} and seed % 8 > 5:
        padding = str(rng.choice(["SAME", "SAME_LOWER"]))
    groups, parts = ((1, 1), (3, 1), (1, 2))[seed % 7 % 3]
    c_in, c_out = groups * rng.choice([1, 2, 3]), groups * parts * rng.choice([1, 2, 5])
    n = parts * _batch(rng, seed)
    letters = "XYZ"[:dims]
    numbers = (
        None,
        (f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        (f"C{letters}N", f"O{letters}I", f"{letters}NC"),
        (f"{letters}CN", f"I{letters}O", f"NC{letters}"),
    )[seed // 3 % 4]
    sizes = dict(zip(letters, size, strict=True)) | {"N": n, "C": c_in}
    kernel = dict(zip(letters, window, strict=True)) | {"I": c_in // groups, "O": c_out}
    images, kernels, _ = numbers or (f"NC{letters}", f"OI{letters}", "")
    arguments = {
        "window_strides": _ints(stride),
        "padding": padding,
        "lhs_dilation": None if set(_ints(spread)) == {1} else _ints(spread),
        "rhs_dilation": _ints(dilation),
        "dimension_numbers": numbers,
        "feature_group_count": groups,
        "batch_group_count": parts,
    }
    return GeneralCase(
        _ints(sizes[letter] for letter in images),
        _ints(kernel[letter] for letter in kernels),
        arguments,
    )


def transposed_case(seed: int) -> ConvCase:
    """Return the transposed convolution with this number."""
    dims = 1 + seed % 3
    rng = np.random.default_rng((3, seed))
    while True:
        window = _distinct(rng, WINDOWS[dims], dims)
        size = _distinct(rng, (2, 3, 4, 5), dims)
        stride, dilation = rng.integers(1, 5, dims), rng.integers(1, 4, dims)
        padding = _padding(rng, dims, wide=int(max(window)) + 1)
        reach = stride * (np.array(size) - 1) + dilation * (np.array(window) - 1) + 1
        if isinstance(padding, str) or np.all(reach > _total(padding, dims)):
            break
    extra = rng.integers(np.maximum(stride, dilation))
    if isinstance(padding, str) and padding.upper().startswith("SAME"):
        extra = 0 * extra
    groups = int(rng.integers(1, 4))
    c_in, c_out = groups * rng.choice([1, 2, 3]), groups * rng.choice([1, 2, 5])
    n = _batch(rng, seed)
    layout = str(rng.choice(["channels_last", "channels_first"]))
    if layout == "channels_last":
        x, w = (n, *size, c_in), (*window, c_out // groups, c_in)
    else:
        x, w = (n, c_in, *size), (c_in, c_out // groups, *window)
    keywords = {
        "stride": _ints(stride),
        "padding": padding,
        "output_padding": _ints(extra),
        "dilation": _ints(dilation),
        "groups": groups,
        "layout": layout,
    }
    b = (int(c_out),) if rng.random() < 0.7 else None
    return ConvCase(_ints(x), _ints(w), b, keywords)


def pool_case(seed: int, *, largest: bool) -> PoolCase:
    """Return the pooling with this number; with `largest`, only options that max_pool takes."""
    dims = 1 + seed % 3
    rng = np.random.default_rng((2, seed))
    while True:
        size, window = _distinct(rng, PRIMES[dims], dims), _distinct(rng, WINDOWS[dims], dims)
        stride = rng.integers(1, 5, dims)
        dilation = rng.integers(1, 4, dims) if largest else np.ones(dims, int)
        ceil_mode = bool(rng.integers(2))
        extent = dilation * (np.array(window) - 1) + 1
        if largest:
            padding = tuple(tuple(int(rng.integers(e // 2 + 1)) for _ in "lh") for e in extent)
        else:
            padding = _padding(rng, dims, wide=int(max(window)) + 2)
        if _fits(size, window, stride, dilation, padding):
            break
    n, c = _batch(rng, seed), int(rng.integers(1, 4))
    layout = str(rng.choice(["channels_last", "channels_first"]))
    keywords = {
        "stride": None if rng.random() < 0.2 else _ints(stride),
        "padding": padding,
        "ceil_mode": ceil_mode,
        "layout": layout,
    }
    if largest:
        keywords["dilation"] = _ints(dilation)
    else:
        keywords["count_include_pad"] = bool(rng.integers(2))
        keywords["divisor"] = 3 if rng.random() < 0.2 else None
    x = (n, *size, c) if layout == "channels_last" else (n, c, *size)
    return PoolCase(_ints(x), _ints(window), keywords)


def _batch(rng, seed):
    """Return the number of examples; it is 0 in every tenth case."""
    return 0 if seed % 10 == 9 else int(rng.integers(1, 4))


def _distinct(rng, values, dims):
    return tuple(rng.choice(values, dims, replace=False))


def _ints(values):
    return tuple(int(v) for v in values)


def _padding(rng, dims, wide):
    kind = rng.choice(["name", "int", "ints", "pairs"], p=[0.3, 0.1, 0.1, 0.5])
    if kind == "name":
        return str(rng.choice(["SAME", "same_lower", "Valid", *(["CAUSAL"] if dims == 1 else [])]))
    if kind == "int":
        return int(rng.integers(wide))
    if kind == "ints":
        return _ints(rng.integers(wide, size=dims))
    return tuple(_ints(pair) for pair in rng.integers(wide, size=(dims, 2)))


def _fits(size, window, stride, dilation, padding):
    if isinstance(padding, str):
        padding = 0 if padding == "Valid" else 99
    extent = np.array(dilation) * (np.array(window) - 1) + 1
    return bool(np.all(np.array(size) + _total(padding, len(size)) >= extent))


def _total(padding, dims):
    """Return low + high per dimension of a padding given in numbers."""
    pairs = np.array(padding).reshape(-1, 1 if np.ndim(padding) < 2 else 2)
    return np.broadcast_to(pairs, (dims, 2)).sum(1)
