"""The convolutions of well-known networks, and the calls that are made of them."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import jaxconv
import jaxconv.reference
from jaxconv.bench.convolution import KINDS, Convolution
from jaxconv.bench.geometries import GEOMETRIES, PAPERS

each = pytest.mark.parametrize("name", GEOMETRIES)


def shapes_of(ops, geometry):
    function, args = geometry.on_jax(ops)["both"]
    return jax.eval_shape(function, *args)


def test_there_are_enough():
    assert len(PAPERS) >= 15
    assert len(GEOMETRIES) >= 48
    assert {geometry.kind for geometry in GEOMETRIES.values()} == set(KINDS)
    assert {len(geometry.size) for geometry in GEOMETRIES.values()} == {1, 2, 3}
    assert sum(geometry.channels_first for geometry in GEOMETRIES.values()) >= 3


def test_what_is_smaller_is_a_layer():
    for network, paper in PAPERS.items():
        assert set(paper.smaller) <= set(paper.layers), network
    assert "28×28 instead of 56×56" in GEOMETRIES["RepLKNet-31B: stage 1, depthwise 31×31"].source


@each
def test_ours_and_autodiff_make_the_same_of_it(name):
    geometry = replace(GEOMETRIES[name], batch=1)
    ours, theirs = shapes_of(jaxconv, geometry), shapes_of(jaxconv.reference, geometry)
    assert ours == theirs
    y, (dx, dw) = ours
    assert (dx.shape, dw.shape) == geometry.shapes
    assert min(y.shape) > 0


@each
def test_the_call_is_the_one_that_flax_makes(name):
    geometry = GEOMETRIES[name]
    arguments = geometry.arguments
    for key in ("window_strides", "lhs_dilation", "rhs_dilation"):
        assert len(arguments[key]) == geometry.dims
    x, w = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in geometry.shapes)
    made = jax.make_jaxpr(lambda x, w: lax.conv_general_dilated(x, w, **arguments))(x, w)
    options = {"rhs_dilation": arguments["rhs_dilation"]}
    options["dimension_numbers"] = arguments["dimension_numbers"]
    if geometry.up > 1:
        strides = (geometry.up,) * geometry.dims
        wanted = jax.make_jaxpr(
            lambda x, w: lax.conv_transpose(x, w, strides, geometry.padding, **options)
        )(x, w)
        assert str(made) == str(wanted)


def test_the_layers_of_flax():
    """Two of them, as `flax.linen` calls the convolution that it is given."""
    nn = pytest.importorskip("flax.linen")
    calls = []

    def spy(lhs, rhs, window_strides, padding, **options):
        calls.append({"window_strides": window_strides, "padding": padding, **options})
        return lax.conv_general_dilated(lhs, rhs, window_strides, padding, **options)

    geometry = GEOMETRIES["ResNet-50: conv3, 3×3 stride 2"]
    layer = nn.Conv(128, (3, 3), strides=2, padding=1, use_bias=False, conv_general_dilated=spy)
    x, w = (jnp.zeros(shape) for shape in replace(geometry, batch=1, size=(8, 8)).shapes)
    layer.apply({"params": {"kernel": w}}, x)
    (call,) = calls
    assert call.pop("precision", None) is None
    ours = dict(geometry.arguments)
    numbers, wanted = (
        lax.conv_dimension_numbers(x.shape, w.shape, c.pop("dimension_numbers"))
        for c in (call, ours)
    )
    assert numbers == wanted
    assert {key: _listed(value) for key, value in call.items()} == {
        key: _listed(value) for key, value in ours.items()
    }


def _listed(value):
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    ("layer", "kind", "text"),
    [
        (Convolution(2, (8, 8), (3, 3), 8, 16), "dense", "3×3 8→16, on 2×8×8"),
        (Convolution(2, (8, 8), (3, 3), 8, 8, groups=8, stride=2), "depthwise",
         "3×3 8→8, on 2×8×8, stride 2, 8 groups"),
        (Convolution(2, (8, 8), (1, 3), 8, 8, groups=2), "grouped", "1×3 8→8, on 2×8×8, 2 groups"),
        (Convolution(2, (8,), (4,), 8, 8, up=2), "transposed",
         "4 8→8, on 2×8, transposed, stride 2"),
        (Convolution(2, (8, 8), (3, 3), 8, 8, dilation=(2, 1)), "dilated",
         "3×3 8→8, on 2×8×8, dilation 2×1"),
        (Convolution(2, (8, 8), (4, 4), 3, 8, stride=4), "tiles", "4×4 3→8, on 2×8×8, stride 4"),
        (Convolution(2, (8, 8), (3, 3), 3, 8, stride=2), "few channels",
         "3×3 3→8, on 2×8×8, stride 2"),
        (Convolution(2, (8, 8), (3, 3), 8, 8, stride=2, channels_first=True), "strided",
         "3×3 8→8, on 2×8×8, stride 2, channels first"),
        (Convolution(2, (8, 8), (1, 1), 8, 8), "1×1", "1×1 8→8, on 2×8×8"),
        (Convolution(2, (8, 8, 8), (3, 3, 3), 8, 8), "3-D", "3×3×3 8→8, on 2×8×8×8"),
    ],
)  # fmt: skip
def test_kinds_and_names(layer, kind, text):
    assert (layer.kind, str(layer)) == (kind, text)


def test_more_examples():
    layer = Convolution(2, (8, 8), (3, 3), 8, 16)
    assert layer.of_batches(3).shapes == ((6, 8, 8, 8), (3, 3, 8, 16))
    assert layer.on_torch("cpu") == {}
