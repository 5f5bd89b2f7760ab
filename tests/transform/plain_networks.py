"""Networks of plain JAX, as examples of that library write them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from transform.network import Network, drawn, in_zoo
from transform.network import random_x as _x


@in_zoo
def _stax_vgg():
    """jax.example_libraries.stax."""
    from jax.example_libraries import stax

    init, apply = stax.serial(
        stax.Conv(3, (3, 3), padding="SAME"),
        stax.Relu,
        stax.Conv(3, (3, 3), padding="SAME"),
        stax.Relu,
        stax.MaxPool((2, 2), strides=(2, 2)),
        stax.Conv(4, (3, 2), strides=(1, 2), padding="VALID"),
        stax.Softplus,
        stax.AvgPool((2, 2), padding="SAME"),
        stax.Flatten,
        stax.Dense(3),
        stax.LogSoftmax,
    )
    return _of_stax(init, apply, _x(3, 9, 11, 2))


@in_zoo
def _stax_resnet():
    """examples/resnet50.py of JAX: HWCN images, and sums of branches."""
    from jax.example_libraries import stax

    def block(out, strides=(2, 2)):
        main = stax.serial(
            stax.Conv(2, (1, 1), strides),
            stax.BatchNorm(),
            stax.Relu,
            stax.Conv(out, (3, 3), padding="SAME"),
            stax.BatchNorm(),
        )
        shortcut = stax.serial(stax.Conv(out, (1, 1), strides), stax.BatchNorm())
        return stax.serial(stax.FanOut(2), stax.parallel(main, shortcut), stax.FanInSum, stax.Relu)

    init, apply = stax.serial(
        stax.GeneralConv(("HWCN", "OIHW", "NHWC"), 3, (5, 5), (2, 2), "SAME"),
        stax.MaxPool((3, 3), strides=(2, 2)),
        block(4, (1, 2)),
        stax.AvgPool((2, 1)),
        stax.GeneralConvTranspose(("NHWC", "HWIO", "NHWC"), 2, (3, 3), (2, 1), "SAME"),
    )
    return _of_stax(init, apply, _x(13, 11, 2, 3))


def _of_stax(init, apply, x):
    params = jax.eval_shape(lambda: init(jax.random.key(0), x.shape)[1])
    return Network(apply, drawn(params), x)


@in_zoo
def _plain_squeezenet():
    """Fire modules by lax.conv, channels first, in a list of dicts."""

    def fire(p, x):
        s = jax.nn.relu(lax.conv(x, p["squeeze"], (1, 1), "VALID"))
        a = lax.conv(s, p["one"], (1, 1), "SAME")
        b = lax.conv_with_general_padding(s, p["three"], (1, 1), ((1, 1), (1, 1)), None, None)
        return jax.nn.relu(jnp.concatenate([a, b], axis=1))

    def apply(params, x):
        x = fire(params[0], x)
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 3, 3), (1, 1, 2, 2), "VALID")
        x = fire(params[1], x)
        window = (1, 1, *x.shape[2:])
        return lax.reduce_window(x, 0.0, lax.add, window, window, "VALID")

    shapes = [{"squeeze": (3, c, 1, 1), "one": (3, 3, 1, 1), "three": (2, 3, 3, 3)} for c in (3, 5)]
    params = jax.tree.map(
        lambda s: jax.ShapeDtypeStruct(s, np.float64), shapes, is_leaf=lambda s: type(s) is tuple
    )
    return Network(apply, drawn(params, seed=1), _x(3, 3, 9, 8))


@in_zoo
def _plain_signal():
    """Filters by jax.scipy.signal and jnp.convolve, under vmap and jit."""
    signal = jax.scipy.signal

    @functools.partial(jax.vmap, in_axes=(None, 0))
    def apply(params, x):
        blurred = jnp.stack([signal.convolve(c, params["blur"], mode="same") for c in x])
        edges = jnp.tanh(signal.correlate2d(blurred[0], params["edge"], mode="valid"))
        rows = jax.vmap(lambda row: jnp.convolve(row, params["row"], "full"))(edges)
        whole = signal.convolve(rows, edges[:2], mode="full")
        return whole, jnp.correlate(rows[0], params["row"])

    params = {
        "blur": _x(3, 3, seed=1),
        "edge": _x(2, 3, seed=2),
        "row": _x(4, seed=3),
    }
    return Network(apply, params, _x(3, 2, 7, 6))


@in_zoo
def _plain_dcgan():
    """A generator by lax.conv_transpose and a critic that strides."""

    def apply(params, x):
        a, b, c, d = params
        y = jax.nn.leaky_relu(x @ a).reshape(-1, 3, 2, 3)
        y = jax.nn.relu(lax.conv_transpose(y, b, (2, 2), "SAME"))
        y = lax.conv_transpose(y, c, (2, 1), "VALID", rhs_dilation=(1, 2), transpose_kernel=True)
        h = lax.conv_general_dilated(
            y, d, (2, 3), ((2, 1), (0, 2)), dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y, jax.nn.leaky_relu(h)

    params = [
        _x(4, 18, seed=1),
        _x(3, 3, 3, 2, seed=2) / 3,
        _x(3, 2, 1, 2, seed=3) / 2,
    ]
    return Network(apply, [*params, _x(4, 4, 1, 2, seed=4) / 4], _x(3, 4))


@in_zoo
def _plain_patches():
    """Convolutions as products of patches, and kernels of every place."""

    def apply(params, x):
        patches = lax.conv_general_dilated_patches(
            x, (3, 2), (2, 1), ((1, 1), (0, 1)), rhs_dilation=(1, 2)
        )
        y = jnp.einsum("nphw,po->nohw", patches, params["patch"])
        return lax.conv_general_dilated_local(jnp.tanh(y), params["local"], (1, 2), "VALID", (2, 2))

    params = {"patch": _x(12, 3, seed=1) / 3, "local": _x(2, 12, 3, 3, seed=2) / 3}
    return Network(apply, params, _x(3, 2, 7, 7))


@in_zoo
def _plain_pools():
    """Windows over other axes than a network's, and images without batch or channels."""

    def pool(x, init, reducer, window, strides, padding="VALID"):
        return lax.reduce_window(x, init, reducer, window, strides, padding)

    def apply(params, x):
        x = x * params
        a = pool(x, -jnp.inf, lax.max, (2, 1, 3, 1), (1, 1, 2, 1), "SAME")
        b = pool(x, jnp.inf, lax.min, (1, 3, 2, 2), (1, 1, 2, 1), ((0, 0), (1, 1), (0, 1), (0, 0)))
        c = pool(x, 0.0, lax.add, (1, 2, 1, 3), (1, 2, 1, 1), "SAME")
        d = pool(x[0, 0], -jnp.inf, lax.max, (2, 3), (2, 2))
        e = pool(x[0, 0, 0], 0.0, lax.add, (3,), (1,), ((2, 0),))
        f = pool(x**2, 0.0, lax.add, (1, 1, 1, 4), (1, 1, 1, 1)) ** 0.5
        return (
            a,
            b,
            c,
            d,
            e,
            f,
            pool(x[..., None, None], 0.0, lax.add, (2, 2, 1, 2, 1, 1), (1,) * 6),
        )

    return Network(apply, _x(6, seed=1).reshape(1, 1, 1, 6), _x(3, 4, 5, 6), left=1)


@in_zoo
def _plain_layouts():
    """Odd layouts, groups of the batch, all dilations, and padding that crops."""

    def conv(x, w, strides, padding, layouts, **options):
        return lax.conv_general_dilated(
            x, w, strides, padding, dimension_numbers=layouts, **options
        )

    def apply(params, x):
        a, b, c, d = params
        x = conv(x, a, (1, 2), "SAME", ("CHWN", "IHWO", "HWCN"), rhs_dilation=(2, 1))
        x = jnp.tanh(x)
        y = conv(x, b, (2, 1), ((-1, 2), (1, -1)), ("HWCN", "WOIH", "NWHC"), lhs_dilation=(1, 2))
        z = conv(x[..., :2], c, (1, 1), "SAME", ("HWCN", "HWIO", "NCHW"), batch_group_count=2)
        options = {"lhs_dilation": (3, 2), "rhs_dilation": (2, 2), "feature_group_count": 2}
        return y, conv(z, d, (2, 2), ((1, 0), (4, -2)), ("NCHW", "OIHW", "NHWC"), **options)

    shapes = (2, 3, 3, 4), (3, 3, 4, 2), (2, 3, 4, 4), (4, 2, 2, 2)
    params = [_x(*s, seed=i) / 3 for i, s in enumerate(shapes)]
    return Network(apply, params, _x(2, 7, 6, 3))


@in_zoo
def _plain_ssim():
    """The SSIM of two images: depthwise Gaussian windows, quotients of their moments."""

    def blur(kernel, x):
        c = x.shape[-1]
        for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
            k = jnp.tile(kernel.reshape(shape), (1, 1, 1, c))
            x = lax.conv_general_dilated(
                x, k, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=c,
            )  # fmt: skip
        return x

    def apply(kernel, images):
        kernel = jax.nn.softmax(kernel)
        a, b = images
        ma, mb = blur(kernel, a), blur(kernel, b)
        va, vb = blur(kernel, a * a) - ma**2, blur(kernel, b * b) - mb**2
        vab = blur(kernel, a * b) - ma * mb
        return (2 * ma * mb + 0.1) * (2 * vab + 0.3) / ((ma**2 + mb**2 + 0.1) * (va + vb + 0.3))

    return Network(apply, _x(5, seed=1), (_x(3, 9, 8, 2, seed=2), _x(3, 9, 8, 2, seed=3)))


@in_zoo
def _plain_automaton():
    """A neural cellular automaton: perception, update and a mask by a pool, in a loop."""

    def apply(params, x):
        perceive, update = params

        def step(i, x):
            alive = lax.reduce_window(
                x[..., :1], -jnp.inf, lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME"
            )
            y = lax.conv_general_dilated(
                x, perceive, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=3,
            )  # fmt: skip
            return x + jax.nn.sigmoid(alive) * jnp.tanh(y @ update) / (1 + i)

        return lax.fori_loop(0, 3, step, x)

    return Network(apply, (_x(3, 3, 1, 6, seed=1) / 3, _x(6, 3, seed=2) / 2), _x(3, 5, 6, 3))


@in_zoo
def _plain_dynamic_filters():
    """Kernels that a network computes for each example, so convolutions under vmap."""

    def apply(params, x):
        made, pooled = params
        kernels = jnp.tanh(x.mean((1, 2)) @ made).reshape(-1, 3, 2, 2, 3)

        @jax.vmap
        def one(x, kernel):
            y = lax.conv_general_dilated(
                x[None], kernel, (2, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NCHW")
            )
            return lax.reduce_window(y, -jnp.inf, lax.max, (1, 1, 2, 3), (1, 1, 1, 2), "VALID")[0]

        return one(x, kernels) @ pooled

    return Network(apply, (_x(2, 36, seed=1), _x(2, 3, seed=2)), _x(3, 7, 6, 2))
