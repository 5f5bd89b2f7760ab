"""These rules are layers and losses of neural networks, some with another gradient on purpose."""

import jax
import jax.numpy as jnp
import numpy as np
from check.strangers.stranger import LOOSE, Stranger, array, normal
from jax.lax import stop_gradient


# JAX
def attention():
    def rule(q, k, v):
        return jax.nn.dot_product_attention(q, k, v, is_causal=True)

    def reference(q, k, v):
        s = jnp.einsum("btnh,bsnh->bnts", q, k) / jnp.sqrt(q.shape[-1]).astype(q.dtype)
        s = jnp.where(jnp.tril(jnp.ones(s.shape[-2:], bool)), s, -jnp.inf)
        return jnp.einsum("bnts,bsnh->btnh", jax.nn.softmax(s, -1), v)

    args = normal(1, 4, 2, 3), normal(1, 4, 2, 3, seed=1), normal(1, 4, 2, 3, seed=2)
    return rule, args, reference


def attention_alone():
    rule, args, _ = attention()
    return rule, args, None


# Optax
def scale_gradient():
    import optax

    return lambda x: optax.scale_gradient(x, 0.3), (normal(4),), None


def scale_gradient_meant():
    rule, args, _ = scale_gradient()
    return rule, args, lambda x: 0.3 * x + 0.7 * stop_gradient(x)


def safe_cross_entropy():
    import optax

    labels = array([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0]])
    return (
        optax.losses.safe_softmax_cross_entropy,
        (normal(2, 3), labels),
        lambda x, t: -jnp.sum(t * jax.nn.log_softmax(x), -1),
    )


def ctc():
    import optax

    padding = np.zeros((2, 6))
    padding[1, 5] = 1
    labels, label_padding = np.array([[1, 2, 2], [3, 1, 0]]), np.array([[0, 0, 0], [0, 0, 1]])
    return (
        lambda x: optax.ctc_loss(x, padding, labels, label_padding),
        (normal(2, 6, 4),),
        None,
    )


# Equinox
def equinox_mlp():
    import equinox as eqx

    mlp = eqx.nn.MLP(3, 2, 5, 2, key=jax.random.key(0), activation=jax.nn.tanh)
    arrays, static = eqx.partition(mlp, eqx.is_array)
    return lambda m, x: jax.vmap(eqx.combine(m, static))(x), (arrays, normal(4, 3)), None


def equinox_while():
    import equinox.internal as eqxi

    def rule(x, w):
        def body(c):
            i, y = c
            return i + 1, jnp.tanh(w @ y)

        return eqxi.while_loop(
            lambda c: c[0] < 7, body, (0, x), kind="checkpointed", checkpoints=3, max_steps=16
        )[1]

    def reference(x, w):
        for _ in range(7):
            x = jnp.tanh(w @ x)
        return x

    return rule, (normal(3), normal(3, 3)), reference


def equinox_gru():
    import equinox as eqx

    cell = eqx.nn.GRUCell(3, 4, key=jax.random.key(0))
    return lambda c, x, h: c(x, h), (cell, normal(3), normal(4)), None


# Flax
def fp8():
    from flax.linen import fp8_ops

    return (
        lambda x, s, h: fp8_ops.in_qdq(x.dtype, jnp.float8_e4m3fn, x, s, h),
        (normal(3, 4), array([1.0]), np.ones(5)),
        None,
    )


def flax_attention():
    import flax.linen as nn

    layer = nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=4)
    x = normal(2, 3, 4)
    params = layer.init(jax.random.key(0), x)
    return lambda p, x: layer.apply(p, x), (params, x), None


def flax_batch_norm():
    import flax.linen as nn

    layer = nn.BatchNorm(use_running_average=False)
    x = normal(6, 3)
    variables = layer.init(jax.random.key(0), x)
    stats = variables["batch_stats"]

    def rule(p, x):
        y, _ = layer.apply({"params": p, "batch_stats": stats}, x, mutable=["batch_stats"])
        return y

    def reference(p, x):
        return (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-5) * p["scale"] + p["bias"]

    return rule, (variables["params"], x), reference


def flax_spectral_norm():
    import flax.linen as nn

    class Layer(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.SpectralNorm(nn.Dense(3))(x, update_stats=True)

    layer = Layer()
    x = normal(2, 4)
    variables = layer.init(jax.random.key(0), x)
    stats = variables["batch_stats"]
    return (
        lambda p, x: layer.apply({"params": p, "batch_stats": stats}, x, mutable=["batch_stats"])[
            0
        ],
        (variables["params"], x),
        None,
    )


def flax_lstm():
    import flax.linen as nn

    layer = nn.RNN(nn.OptimizedLSTMCell(3))
    x = normal(2, 4, 2)
    variables = layer.init(jax.random.key(0), x)
    return lambda v, x: layer.apply(v, x), (variables, x), None


# Haiku
def vector_quantizer():
    import haiku as hk

    net = hk.transform_with_state(
        lambda x: hk.nets.VectorQuantizer(2, 4, 0.25)(x, is_training=True)["quantize"]
    )
    x = normal(3, 2)
    params, state = net.init(jax.random.PRNGKey(0), x)
    return lambda x: net.apply(params, state, None, x)[0], (x,), None


def vector_quantizer_meant():
    rule, args, _ = vector_quantizer()
    return rule, args, lambda x: x + stop_gradient(rule(x) - x)


def haiku_gru():
    import haiku as hk

    net = hk.without_apply_rng(hk.transform(lambda x, h: hk.GRU(3)(x, h)[0]))
    x, h = normal(2, 4), normal(2, 3)
    return net.apply, (net.init(jax.random.PRNGKey(0), x, h), x, h), None


# RLax
ACTIONS = np.array([0, 2, 1])


def clip_gradient():
    import rlax

    return lambda x: 3.0 * rlax.clip_gradient(x, -0.5, 0.5) ** 2, (normal(5),), None


def policy_gradient():
    import rlax

    weights, actions = np.ones(3).astype("float32"), ACTIONS.copy()
    return (
        lambda logits, adv: rlax.policy_gradient_loss(logits, actions, adv, weights),
        (normal(3, 3), normal(3)),
        None,
    )


def policy_gradient_meant():
    rule, args, _ = policy_gradient()
    actions = ACTIONS.copy()

    def reference(logits, adv):
        chosen = jax.nn.log_softmax(logits)[jnp.arange(3), actions]
        return -jnp.mean(chosen * stop_gradient(adv))

    return rule, args, reference


# Others
def surrogate_spike():
    from spyx import axn

    return axn.superspike(), (normal(5),), None


def segment_softmax():
    import jraph

    ids = np.array([0, 0, 1, 1, 1])
    return lambda x: jraph.segment_softmax(x, jnp.asarray(ids), 2), (normal(5),), None


def keras_focal_loss():
    import keras

    return (
        lambda t, p: keras.losses.categorical_focal_crossentropy(t, p),
        (array([[0, 1.0, 0], [1.0, 0, 0]]), array([[0.2, 0.7, 0.1], [0.5, 0.3, 0.2]])),
        None,
    )


RULES = [
    Stranger(
        "jax",
        "jax.nn.dot_product_attention",
        attention,
        True,
        (
            "The softmax is computed in float32, whatever the dtype of the arguments. "
            "The gradients equal those of an attention in float64 to 2e-7."
        ),
        "float64 precision",
        x64=False,
        options=LOOSE,
    ),
    Stranger(
        "jax",
        "jax.nn.dot_product_attention, alone",
        attention_alone,
        True,
        (
            "The gradients equal those of an attention in float64 to 2e-7. "
            "Here they are compared with its own forward pass only."
        ),
        "float64 precision",
        x64=False,
        options=LOOSE,
    ),
    Stranger(
        "optax",
        "optax.scale_gradient",
        scale_gradient,
        False,
        "The value is x, but the gradient is 0.3 of the derivative, on purpose.",
    ),
    Stranger(
        "optax",
        "optax.scale_gradient, as meant",
        scale_gradient_meant,
        True,
        "The reference 0.3 x + 0.7 stop_gradient(x) has the same value and the intended gradient.",
        options={"finite_differences": False},
    ),
    Stranger(
        "optax",
        "optax.losses.safe_softmax_cross_entropy",
        safe_cross_entropy,
        True,
        (
            "The gradient of the logits is softmax(x) sum(t) - t, also where a label is 0. "
            "Both gradients equal those of the plain loss."
        ),
        "right second derivatives where a label is 0",
    ),
    Stranger(
        "optax",
        "optax.ctc_loss",
        ctc,
        True,
        "It is a plain scan over logarithms, and its gradient equals differences to 1e-10.",
    ),
    Stranger(
        "equinox",
        "nn.MLP",
        equinox_mlp,
        True,
        (
            "It is plain differentiable code with a module as an argument, "
            "and its gradients equal differences to 1e-10."
        ),
    ),
    Stranger(
        "equinox",
        "internal.while_loop, checkpointed",
        equinox_while,
        True,
        "The backward pass computes the steps again; the gradients equal those of a Python loop.",
        "forward mode",
    ),
    Stranger(
        "equinox",
        "nn.GRUCell",
        equinox_gru,
        True,
        (
            "It is plain differentiable code with a module as an argument, "
            "and its gradients equal differences to 1e-10."
        ),
    ),
    Stranger(
        "flax",
        "linen.fp8_ops.in_qdq",
        fp8,
        False,
        (
            "The gradient of x is the cotangent, although the value is rounded to 8 bits. "
            "What is returned as the gradients of scale and history are their new values."
        ),
        x64=False,
    ),
    Stranger(
        "flax",
        "linen.MultiHeadDotProductAttention",
        flax_attention,
        True,
        (
            "It is plain differentiable code with a dictionary of parameters, "
            "and its gradients equal differences to 1e-9."
        ),
        x64=False,
    ),
    Stranger(
        "flax",
        "linen.BatchNorm, training",
        flax_batch_norm,
        True,
        (
            "The variance is computed as E[x^2] - E[x]^2, "
            "and the gradients equal those of the formula in textbooks."
        ),
        x64=False,
    ),
    Stranger(
        "flax",
        "linen.SpectralNorm",
        flax_spectral_norm,
        False,
        (
            "The vectors u and v of the power iteration are held constant. "
            "After one iteration the value depends on the kernel through u and v too, "
            "which the gradient leaves out."
        ),
        x64=False,
    ),
    Stranger(
        "flax",
        "linen.RNN(OptimizedLSTMCell)",
        flax_lstm,
        True,
        (
            "It is a plain scan with a carry in float32. "
            "With param_dtype=float64 the gradients equal differences."
        ),
        x64=False,
    ),
    Stranger(
        "dm-haiku",
        "nets.VectorQuantizer",
        vector_quantizer,
        False,
        "The value is constant between its jumps, but the gradient is that of the identity.",
        x64=False,
    ),
    Stranger(
        "dm-haiku",
        "nets.VectorQuantizer, as meant",
        vector_quantizer_meant,
        True,
        "The reference x + stop_gradient(value - x) has the same value and the intended gradient.",
        options={"finite_differences": False},
        x64=False,
    ),
    Stranger(
        "dm-haiku",
        "GRU",
        haiku_gru,
        True,
        "It is plain differentiable code, and its gradients equal differences to 1e-10.",
        x64=False,
    ),
    Stranger(
        "rlax",
        "clip_gradient",
        clip_gradient,
        False,
        "The gradient is clipped to [-0.5, 0.5], so it is not even linear in the cotangent.",
        x64=False,
    ),
    Stranger(
        "rlax",
        "policy_gradient_loss",
        policy_gradient,
        False,
        "The advantage is behind a stop_gradient: its gradient is 0 instead of -log(pi) / 3.",
        x64=False,
    ),
    Stranger(
        "rlax",
        "policy_gradient_loss, as meant",
        policy_gradient_meant,
        True,
        "The reference stops the gradient of the advantage too.",
        options={"finite_differences": False},
        x64=False,
    ),
    Stranger(
        "spyx",
        "axn.superspike",
        surrogate_spike,
        False,
        "The value is a step function with derivative 0, and the gradient is a smooth substitute.",
        x64=False,
    ),
    Stranger(
        "jraph",
        "segment_softmax",
        segment_softmax,
        True,
        (
            "The maximum of a segment is subtracted, which cancels. "
            "The gradient equals differences to 1e-9."
        ),
    ),
    Stranger(
        "keras",
        "losses.categorical_focal_crossentropy",
        keras_focal_loss,
        True,
        "With JAX as the backend it is plain differentiable code.",
        x64=False,
    ),
]
