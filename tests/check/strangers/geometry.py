"""These rules compute rotations, angles, norms, spherical harmonics and signatures of paths."""

import jax.numpy as jnp
import numpy as np
from check.strangers.stranger import Stranger, array, normal
from jax.lax import stop_gradient


# JAX MD
def quaternion():
    from jax_md import rigid_body

    q = normal(4)
    q /= np.linalg.norm(q)
    return rigid_body._quaternion_rotate, (q, normal(3)), None


def quaternion_meant():
    from jax_md import rigid_body

    rule, args, _ = quaternion()

    def reference(q, v):
        p = stop_gradient(q)
        along = (p @ (q - p)) * p
        return rigid_body._quaternion_rotate_raw(p + (q - p) - along, v)

    return rule, args, reference


def transform():
    from jax_md import space

    return space.transform, (normal(3, 3) + 3 * np.eye(3), normal(5, 3)), None


def segment_product():
    from jax_md._nn.uma import kernels

    sizes = np.array([2, 0, 3])

    def reference(x, w):
        which = np.repeat(np.arange(3), sizes)
        return jnp.einsum("ni,noi->no", x, w[which])

    return (
        lambda x, w: kernels._segment_mm_2d(x, w, jnp.asarray(sizes)),
        (normal(5, 3), normal(3, 4, 3)),
        reference,
    )


def safe_atan2():
    from jax_md._nn.uma.common import rotation

    return rotation.safe_atan2, (normal(5), normal(5, seed=1)), jnp.arctan2


# e3nn-jax
def spherical_harmonics():
    import e3nn_jax as e3nn

    def rule(x):
        return e3nn.spherical_harmonics(
            "0e+1o+2e+3o", x, normalize=True, normalization="component"
        ).array

    return rule, (normal(2, 3),), None


def legendre_harmonics():
    import e3nn_jax as e3nn

    def rule(x):
        return e3nn.spherical_harmonics(
            "1o+2e+4e",
            x,
            normalize=False,
            normalization="norm",
            algorithm=("legendre", "dense", "custom_jvp"),
        ).array

    return rule, (normal(2, 3),), None


def irreps_norm():
    import e3nn_jax as e3nn

    def rule(x):
        return e3nn.norm(e3nn.IrrepsArray("2x0e + 2x1o", x)).array

    def reference(x):
        v = x[:, 2:].reshape(-1, 2, 3)
        return jnp.concatenate([jnp.abs(x[:, :2]), jnp.sqrt(jnp.sum(v**2, -1))], 1)

    return rule, (normal(3, 8),), reference


# Brax, JaxSim and jaxoplanet
def safe_arccos():
    from brax import math

    return math.safe_arccos, (array([0.3, -0.9, 0.0]),), jnp.arccos


def arccos_near_one():
    from brax import math

    return math.safe_arccos, (array([0.3, 1 - 1e-9]),), jnp.arccos


def arccos_near_one_alone():
    rule, args, _ = arccos_near_one()
    return rule, args, None


def safe_norm():
    from jaxsim.math import utils

    return lambda x: utils.safe_norm(x, axis=-1), (normal(3, 3),), None


def kepler():
    from jaxoplanet.core.kepler import kepler as solve

    def reference(m, e):  # Kepler's equation by Newton's method, unrolled
        x = m + e * jnp.sin(m)
        for _ in range(30):
            x = x - (x - e * jnp.sin(x) - m) / (1 - e * jnp.cos(x))
        d = 1 - e * jnp.cos(x)
        return jnp.sqrt(1 - e**2) * jnp.sin(x) / d, (jnp.cos(x) - e) / d

    return solve, (array([0.3, 2.0, 5.0]), array([0.1, 0.5, 0.8])), reference


# Jaxlie and signax
def rotate():
    import jaxlie

    return lambda t, v: jaxlie.SO3.exp(t) @ v, (normal(3), normal(3)), None


def rotate_at_zero():
    import jaxlie

    return lambda t: jaxlie.SO3.exp(t).as_matrix(), (np.zeros(3),), None


def motions():
    import jaxlie

    return (
        lambda t, u: (jaxlie.SE3.exp(t) @ jaxlie.SE3.exp(u)).log(),
        (normal(6, scale=0.4), normal(6, seed=1, scale=0.4)),
        None,
    )


def signature():
    import signax

    return lambda x: signax.signature(x, 3), (normal(5, 2),), None


RULES = [
    Stranger(
        "jax-md",
        "rigid_body._quaternion_rotate",
        quaternion,
        False,
        (
            "The gradient of q is projected onto the tangents of the unit sphere, "
            "but the value is quadratic in |q|."
        ),
    ),
    Stranger(
        "jax-md",
        "rigid_body._quaternion_rotate, as meant",
        quaternion_meant,
        True,
        "The reference moves q only along the tangents of the unit sphere.",
        "right gradients unless |q| is 1; second derivatives",
        options={"finite_differences": False, "transforms": ("jit",)},
    ),
    Stranger(
        "jax-md",
        "space.transform",
        transform,
        False,
        (
            "The gradient of the positions is the cotangent as it is, not multiplied by the box, "
            "on purpose: forces are those of real space."
        ),
    ),
    Stranger(
        "jax-md",
        "_nn.uma.kernels._segment_mm_2d",
        segment_product,
        True,
        "Each block of rows is multiplied by its weights, and the gradients are those of einsum.",
        "forward mode",
    ),
    Stranger(
        "jax-md",
        "_nn.uma.common.rotation.safe_atan2",
        safe_atan2,
        True,
        "Away from the origin the gradients equal those of jnp.arctan2.",
    ),
    Stranger(
        "e3nn-jax",
        "spherical_harmonics",
        spherical_harmonics,
        True,
        "The JVP uses Clebsch-Gordan coefficients, and the gradient equals differences.",
    ),
    Stranger(
        "e3nn-jax",
        "spherical_harmonics, legendre",
        legendre_harmonics,
        True,
        "The JVP uses Clebsch-Gordan coefficients, and the gradient equals differences.",
    ),
    Stranger(
        "e3nn-jax",
        "norm",
        irreps_norm,
        True,
        "The square root is guarded at 0, and elsewhere the gradient equals that of the formula.",
    ),
    Stranger(
        "brax",
        "math.safe_arccos",
        safe_arccos,
        True,
        "The gradient is exact for |x| below 1 - 1e-7.",
    ),
    Stranger(
        "brax",
        "math.safe_arccos near 1",
        arccos_near_one,
        False,
        "At 1 - 1e-9 the slope is that at 1 - 1e-7: it is -2236 instead of -22361.",
    ),
    Stranger(
        "brax",
        "math.safe_arccos near 1, alone",
        arccos_near_one_alone,
        False,
        (
            "At 1 - 1e-9 the slope is that at 1 - 1e-7: it is -2236 instead of -22361. "
            "Here it is compared with its own forward pass only."
        ),
    ),
    Stranger(
        "jaxsim",
        "math.utils.safe_norm",
        safe_norm,
        True,
        "The gradient is x / |x|, and it equals differences to 1e-12.",
    ),
    Stranger(
        "jaxoplanet",
        "core.kepler.kepler",
        kepler,
        True,
        "The gradients have a closed form and equal those of Newton's method unrolled.",
    ),
    Stranger(
        "jaxlie",
        "SO3.exp @ v",
        rotate,
        True,
        "It is Rodrigues' formula, and its gradients equal differences to 1e-12.",
    ),
    Stranger(
        "jaxlie",
        "SO3.exp at 0",
        rotate_at_zero,
        True,
        "At 0 the value is a Taylor series, and its gradient equals differences to 1e-12.",
        "second derivatives at 0",
    ),
    Stranger(
        "jaxlie",
        "SE3.log of a product",
        motions,
        True,
        "It is plain differentiable code, and its gradients equal differences to 1e-11.",
    ),
    Stranger(
        "signax",
        "signature",
        signature,
        True,
        "The value is a polynomial in the path, and its gradient equals differences to 1e-11.",
    ),
]
