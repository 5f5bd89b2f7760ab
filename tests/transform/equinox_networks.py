"""Networks of Equinox, as examples of that library write them."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from transform.network import Network, drawn, in_zoo
from transform.network import random_x as _x

from jaxconv.check.leaves import is_float


def _equinox():
    return pytest.importorskip("equinox")


def _of_equinox(build, x, run=None, more=()):
    eqx = _equinox()
    model = eqx.filter_eval_shape(build, jax.random.key(0))
    floating = jax.tree.map(is_float_struct, model)
    params, static = eqx.partition(model, floating)

    def apply(params, x, *more):
        model = eqx.combine(params, static)
        return run(model, x, *more) if run else jax.vmap(model)(x)

    return Network(apply, drawn(params), x, more)


def is_float_struct(leaf):
    return isinstance(leaf, jax.ShapeDtypeStruct) and is_float(leaf)


@in_zoo
def _equinox_mnist():
    """The MNIST example of Equinox: a network for one image, under vmap."""
    eqx = _equinox()

    def build(key):
        keys = jax.random.split(key, 4)
        return eqx.nn.Sequential(
            [
                eqx.nn.Conv2d(1, 3, kernel_size=4, key=keys[0]),
                eqx.nn.MaxPool2d(kernel_size=2),
                eqx.nn.Lambda(jax.nn.relu),
                eqx.nn.Conv2d(3, 4, 2, stride=(2, 1), padding=1, groups=1, key=keys[1]),
                eqx.nn.AvgPool2d(kernel_size=(2, 3), stride=2, padding=1),
                eqx.nn.Lambda(jnp.ravel),
                eqx.nn.Linear(32, 5, key=keys[2]),
                eqx.nn.Lambda(jax.nn.log_softmax),
            ]
        )

    return _of_equinox(build, _x(3, 1, 9, 11))


@in_zoo
def _equinox_stateful():
    """Batch norm with a state over the axis of the vmap, and dropout with a key per example."""
    eqx = _equinox()

    class Model(eqx.Module):
        conv: Any
        norm: Any
        dropout: Any
        spectral: Any

        def __init__(self, key):
            keys = jax.random.split(key)
            self.conv = eqx.nn.Conv2d(2, 4, (3, 2), padding="SAME", groups=2, key=keys[0])
            self.norm = eqx.nn.BatchNorm(4, axis_name="batch", mode="batch")
            self.dropout = eqx.nn.Dropout(0.25)
            self.spectral = eqx.nn.Conv2d(4, 3, 2, padding_mode="REFLECT", padding=1, key=keys[1])

        def __call__(self, x, state, key):
            x, state = self.norm(self.conv(x), state)
            x = self.dropout(jax.nn.gelu(x), key=key)
            x = eqx.nn.AdaptiveMaxPool2d((3, 2))(self.spectral(x))
            return x, state

    model, state = eqx.nn.make_with_state(Model)(jax.random.key(0))
    params, static = eqx.partition((model, state), eqx.is_inexact_array)

    def apply(params, x, key):
        model, state = eqx.combine(params, static)
        keys = jax.random.split(key, len(x))
        y, state = jax.vmap(model, in_axes=(0, None, 0), out_axes=(0, None), axis_name="batch")(
            x, state, keys
        )
        return y, eqx.filter(state, eqx.is_inexact_array)

    return Network(apply, drawn(params), _x(3, 2, 7, 6), (jax.random.key(5),))


@in_zoo
def _equinox_sound():
    """1-D: grouped, dilated, circular and transposed; pools that keep the last window."""
    eqx = _equinox()

    def build(key):
        keys = jax.random.split(key, 3)
        return eqx.nn.Sequential(
            [
                eqx.nn.Conv1d(2, 4, 3, dilation=2, padding="SAME", groups=2, key=keys[0]),
                eqx.nn.Lambda(jax.nn.silu),
                eqx.nn.AvgPool1d(3, 2, padding=1, use_ceil=True),
                eqx.nn.GroupNorm(2, 4),
                eqx.nn.Conv1d(4, 3, 3, padding=1, padding_mode="CIRCULAR", key=keys[1]),
                eqx.nn.MaxPool1d(2, 1),
                eqx.nn.ConvTranspose1d(
                    3, 2, 3, stride=2, output_padding=1, padding=1, dilation=2, key=keys[2]
                ),
            ]
        )

    return _of_equinox(build, _x(3, 2, 13))


@in_zoo
def _equinox_volume():
    """3-D."""
    eqx = _equinox()

    def build(key):
        keys = jax.random.split(key, 2)
        return eqx.nn.Sequential(
            [
                eqx.nn.Conv3d(2, 3, (2, 3, 2), stride=(1, 2, 1), padding=1, key=keys[0]),
                eqx.nn.Lambda(jax.nn.celu),
                eqx.nn.MaxPool3d(2, stride=(2, 1, 1)),
                eqx.nn.ConvTranspose3d(3, 2, 2, stride=(1, 2, 1), key=keys[1]),
                eqx.nn.AvgPool3d((2, 2, 1), padding=((1, 0), (0, 0), (0, 0))),
            ]
        )

    return _of_equinox(build, _x(3, 2, 4, 5, 3))
