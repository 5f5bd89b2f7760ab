"""Random specs, small and awkward, and which forms a call takes."""

import jax
import numpy as np

import jaxconv.contraction.planning as planning
from jaxconv._core.conv_spec import ConvSpec


def ints(values):
    return tuple(int(v) for v in values)


def drawn(seed, *, groups=None, channels=None, **fixed):
    """A spec that fits somewhere, and the number of examples; `fixed` replaces what is drawn."""
    rng = np.random.default_rng((8, seed))
    dims = 1 + seed % 3
    while True:
        count = int(rng.choice([1, 1, 2, 3, 9])) if groups is None else groups
        c_in, c_out = rng.choice([1, 2, 3, 5], 2) if channels is None else channels
        numbers = {
            "size": ints(rng.integers(1, 9, dims)),
            "window": ints(rng.integers(1, 5, dims)),
            "stride": ints(rng.integers(1, 4, dims)),
            "dilation": ints(rng.integers(1, 4, dims)),
            "input_dilation": ints(rng.integers(1, 4, dims)),
            "padding": tuple(ints(pair) for pair in rng.integers(-1, 4, (dims, 2))),
        }
        numbers |= {
            name: value[:dims] if isinstance(value, tuple) else (value,) * dims
            for name, value in fixed.items()
        }
        spec = ConvSpec(
            **numbers, groups=count, channels_in=int(count * c_in), channels_out=int(count * c_out)
        )
        if 0 not in spec.output:
            return spec, int(rng.choice([1, 2, 3, 5, 8]))


def factors(spec, batch, dtype=np.float64, seed=0):
    """x, w and dy of whole numbers: sums of their products are exact in any order."""
    rng = np.random.default_rng(seed)
    shapes = (
        (batch, *spec.size, spec.channels_in),
        spec.kernel_shape,
        (batch, *spec.output, spec.channels_out),
    )
    return tuple(rng.integers(-3, 4, shape).astype(dtype) for shape in shapes)


def of(contraction, x, w, dy):
    """The two factors of a contraction."""
    return {"correlate": (x, w), "input_gradient": (w, dy), "kernel_gradient": (x, dy)}[contraction]


def recorded(monkeypatch):
    """A set to which every form that is chosen from now on is added, with its platform."""
    taken = set()
    jax.clear_caches()  # what has been traced is not asked again
    choose = planning.choose

    def and_note(contraction, spec, batch, dtype, platform):
        form, passed_over = choose(contraction, spec, batch, dtype, platform)
        taken.add((form.contraction, form.name, platform))
        return form, passed_over

    monkeypatch.setattr(planning, "choose", and_note)
    return taken


def lowered(function, *arrays):
    """Lower a function for every platform that has forms of its own: that is when JAX asks."""
    return jax.jit(function).trace(*arrays).lower(lowering_platforms=planning.PLATFORMS)
