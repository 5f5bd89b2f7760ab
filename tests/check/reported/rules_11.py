"""Wrong gradients of indexing, pooling, interpolation and rendering, from public reports."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from check.reported.wrong import (
    TRANSFORMS,
    Wrong,
    normal,
    normals,
    traced,
    with_backward,
    with_residuals,
)


def color_basis(coefficients):
    """The first functions of a basis on the sphere, in one direction for each point."""
    phi = 0.7 * jnp.arange(coefficients.shape[0]) + 0.2
    x, y, z = jnp.cos(phi) * 0.8, jnp.sin(phi) * 0.8, jnp.full_like(phi, 0.6)
    columns = [jnp.full_like(phi, 0.28), -0.49 * y, 0.49 * z, -0.49 * x]
    return jnp.stack(columns[: coefficients.shape[1]], axis=1)


def color_value(coefficients):
    """Colours from coefficients, limited to 0 and 1."""
    color = jnp.sum(color_basis(coefficients) * coefficients, axis=1) + 0.5
    return jnp.clip(color, 0.0, 1.0)


color = with_backward(color_value, lambda args, g: (g[:, None] * color_basis(args[0]),))


def sampled_parts(image, grid):
    size = image.shape[0]
    position = ((grid + 1) * size - 1) / 2
    left = jnp.floor(position)
    weight = position - left
    left = left.astype(int)
    right = left + 1
    inside_left = (left >= 0) & (left < size)
    inside_right = (right >= 0) & (right < size)
    left = jnp.clip(left, 0, size - 1)
    right = jnp.clip(right, 0, size - 1)
    return left, right, inside_left, inside_right, weight


def sampled_value(image, grid):
    """Linear interpolation at normalized positions; -1 and 1 are the outer edges."""
    left, right, inside_left, inside_right, weight = sampled_parts(image, grid)
    return (1 - weight) * jnp.where(inside_left, image[left], 0.0) + weight * jnp.where(
        inside_right, image[right], 0.0
    )


def sampled_backward(args, g):
    image, grid = args
    left, right, inside_left, inside_right, weight = sampled_parts(image, grid)
    d_image = jnp.zeros_like(image)
    d_image = d_image.at[left].add(jnp.where(inside_left, (1 - weight) * g, 0.0))
    d_image = d_image.at[right].add(jnp.where(inside_right, weight * g, 0.0))
    slope = jnp.where(inside_right, image[right], 0.0) - jnp.where(inside_left, image[left], 0.0)
    d_grid = g * slope * (image.shape[0] - 1) * 0.5
    return d_image, d_grid


sampled = with_backward(sampled_value, sampled_backward)


def nearest_value(x):
    """Every other pixel of every other row."""
    return x[::2, ::2]


def nearest_backward(args, g):
    (x,) = args
    dx = jnp.zeros((2 * g.shape[0], 2 * g.shape[1]), x.dtype).at[1::2, 1::2].set(g)
    return (dx[: x.shape[0], : x.shape[1]],)


nearest = with_backward(nearest_value, nearest_backward)

GLOBAL_SCALE = 1.7


def covariance_value(scales, rotations):
    """R S S' R' with the scales times a global scale."""
    m = rotations * (GLOBAL_SCALE * scales)[:, None, :]
    return m @ jnp.swapaxes(m, 1, 2)


def covariance_backward(args, g):
    scales, rotations = args
    s = GLOBAL_SCALE * scales
    m = rotations * s[:, None, :]
    dm = (g + jnp.swapaxes(g, 1, 2)) @ m
    d_scales = jnp.sum(rotations * dm, axis=1)
    return d_scales, dm * s[:, None, :]


covariance = with_backward(covariance_value, covariance_backward)


def rotation_of_unit(q):
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def unit(q):
    return q / jnp.linalg.norm(q, axis=-1, keepdims=True)


def rotation_value(q):
    """Rotation matrices of quaternions, which are normalized first."""
    return rotation_of_unit(unit(q))


def rotation_backward(args, g):
    (q,) = args
    _, vjp = jax.vjp(rotation_of_unit, unit(q))
    return vjp(g)


rotation = with_backward(rotation_value, rotation_backward)


def pose_value(position, quaternion):
    """The inverse of a pose: -R' p and the conjugate of the quaternion."""
    r = rotation_of_unit(quaternion)
    return -r.T @ position, quaternion * jnp.array([1.0, -1.0, -1.0, -1.0])


def pose_backward(args, g):
    position, quaternion = args
    d_position, _ = g
    r = rotation_of_unit(quaternion)
    _, vjp = jax.vjp(rotation_of_unit, quaternion)
    return -r @ d_position, vjp(-jnp.outer(position, d_position))[0]


pose = with_backward(pose_value, pose_backward)


def views_value(cameras, q):
    """What each camera sees of each vector, bent by a tangent."""
    return jnp.tanh(jnp.einsum("cij,nj->cni", cameras, q))


def views_backward(args, g):
    cameras, q = args
    d = g * (1 - views_value(cameras, q) ** 2)
    d_cameras = jnp.einsum("cni,nj->cij", d, q)
    d_q = jnp.einsum("cni,cij->cnj", d, cameras)
    return d_cameras, d_q[0]


views = with_backward(views_value, views_backward)

STEP = 0.4


def march_value(sigma, emission):
    """Emission along rays, absorbed by what is in front."""
    tr = jnp.exp(-sigma * STEP)
    before = jnp.cumprod(jnp.concatenate([jnp.ones_like(tr[:, :1]), tr[:, :-1]], 1), axis=1)
    return jnp.sum(before * (1 - tr) * emission, axis=1)


def march_backward(args, g):
    sigma, emission = args
    radiance = march_value(sigma, emission)
    beta = jnp.ones_like(radiance)
    d_sigma, d_emission = jnp.zeros_like(sigma), jnp.zeros_like(emission)
    for i in range(sigma.shape[1]):
        tr = jnp.exp(-sigma[:, i] * STEP)
        emitted = beta * (1 - tr) * emission[:, i]
        d_tr = radiance / tr - beta * emission[:, i]
        d_sigma = d_sigma.at[:, i].set(-STEP * tr * d_tr * g)
        d_emission = d_emission.at[:, i].set(beta * (1 - tr) * g)
        beta = beta * tr
        radiance = radiance - emitted
    return d_sigma, d_emission


march = with_backward(march_value, march_backward)


class Square:
    """Squares its argument and keeps what it needs in itself."""

    def __init__(self):
        self.saved = None

    def forward(self, x):
        self.saved = 2 * x
        return x * x, None

    def backward(self, _, g):
        return (self.saved * g,)


_square = Square()
kept_square = with_residuals(lambda x: x * x, _square.forward, _square.backward)


def picks(x):
    """Indices of which some repeat."""
    n = x.shape[0]
    return jnp.array([(3 * i + i // 2) % n for i in range(n + 2)])


def picked_value(x):
    """Elements of x, some of them more than once."""
    return x[picks(x)]


def picked_backward(args, g):
    (x,) = args
    index = picks(x)
    dx = jnp.zeros_like(x)
    for i in range(index.shape[0]):
        dx = dx.at[index[i]].set(g[i])
    return (dx,)


picked = with_backward(picked_value, picked_backward)


def gathered_backward(args, g):
    (x,) = args
    index = picks(x)
    source = jnp.arange(x.shape[0]) % index.shape[0]
    return (g[index[source]],)


gathered = with_backward(picked_value, gathered_backward)


def running_maximum(x):
    """The maximum of all elements so far."""
    return jax.lax.cummax(x)


def running_backward(args, g):
    (x,) = args
    dx = jnp.zeros_like(x)
    best = 0
    for i in range(x.shape[0]):
        best = jnp.where(x[i] >= x[best], i, best)
        dx = dx.at[best].set(g[i])
    return (dx,)


running = with_backward(running_maximum, running_backward)


def pooled_value(x):
    """Maximum of windows of two by two."""
    h, w = x.shape[0] // 2, x.shape[1] // 2
    return jnp.max(x[: 2 * h, : 2 * w].reshape(h, 2, w, 2), axis=(1, 3))


def pooled_backward(args, g):  # noqa: RET503  (returns inside of the loop: the mistake)
    (x,) = args
    dx = jnp.zeros_like(x)
    for i, j in np.ndindex(g.shape):
        patch = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        hit = (patch == jnp.max(patch)) * g[i, j]
        dx = dx.at[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].set(hit)
        return (dx,)


pooled = with_backward(pooled_value, pooled_backward)

PERMUTATION = (1, 2, 0)


def permuted_backward(args, g):
    return (jnp.transpose(g, PERMUTATION).reshape(args[0].shape),)


permuted = with_backward(lambda x: jnp.transpose(x, PERMUTATION), permuted_backward)


def diagonal_value(x, diagonal):
    """x, whose diagonal is replaced."""
    i = jnp.arange(diagonal.shape[0])
    return jnp.asarray(x).at[i, i].set(diagonal)


def diagonal_backward(args, g):
    x, diagonal = args
    i = jnp.arange(diagonal.shape[0])
    if traced(g, x):
        return jnp.zeros_like(x), g[i, i]
    return jnp.asarray(g).at[i, i].set(0.0), g[i, i]


replaced_diagonal = with_backward(diagonal_value, diagonal_backward)


def words(table):
    return jnp.array([(i * i + 1) % table.shape[0] for i in range(12)])


def embedded_value(table):
    """Rows of a table, most of them several times."""
    return table[words(table)]


def embedded_backward(args, g):
    (table,) = args
    grad = jnp.zeros(table.shape, jnp.bfloat16)
    grad = grad.at[words(table)].add(g.astype(jnp.bfloat16))
    return (grad.astype(table.dtype),)


embedded = with_backward(embedded_value, embedded_backward)


def _rotations(seed, n):
    return np.stack([np.linalg.qr(m)[0] for m in normal(seed, n, 3, 3)])


RULES = [
    Wrong(
        "color_clamp",
        "ooples/AiDotNet#447: the backward pass of the colours ignores the clamping",
        color,
        (2 * normal(71, 8, 4),),
        color_value,
        "The gradient passes where the colour was limited.",
        ("mask_missing",),
    ),
    Wrong(
        "sampled_corners",
        "ooples/AiDotNet.Tensors#582: the gradient of the grid has the scale of aligned corners",
        sampled,
        (normal(72, 6), np.random.default_rng(73).uniform(-0.95, 0.95, size=7)),
        sampled_value,
        "The gradient of the positions is scaled by (size - 1) / 2 instead of size / 2.",
        ("constant_factor",),
    ),
    Wrong(
        "nearest_corner",
        "pytorch/pytorch#38985: the gradient goes to the bottom-right pixel, not the top-left",
        nearest,
        (normal(74, 6, 6),),
        nearest_value,
        "The gradient lies one pixel too far down and to the right.",
        ("shifted",),
    ),
    Wrong(
        "global_scale",
        "nerfstudio-project/gsplat#136: the gradient of the scales is not affected by glob_scale",
        covariance,
        (np.random.default_rng(75).uniform(0.3, 2.0, size=(2, 3)), _rotations(76, 2)),
        None,
        "The gradient of the scales lacks the global scale.",
        ("constant_factor", "step_missing"),
    ),
    Wrong(
        "quaternion_length",
        "nerfstudio-project/gsplat#153: the backward call does not differentiate the normalization",
        rotation,
        (2 * normal(77, 3, 4),),
        rotation_value,
        "The gradient is that of the normalized quaternion.",
        ("step_missing",),
    ),
    Wrong(
        "pose_inverse",
        "NVlabs/curobo#392: Pose.inverse() has incorrect gradients for the quaternion",
        pose,
        (normal(78, 3), np.array([0.5, -0.5, 0.5, 0.5])),
        pose_value,
        "The cotangent of the inverse quaternion is ignored.",
        ("output_ignored",),
    ),
    Wrong(
        "first_camera",
        "openvdb/fvdb-core#435: dLossDQuat is not summed over the cameras, only one is used",
        views,
        normals(79, (3, 2, 3), (4, 3)),
        views_value,
        "The gradient of the vectors is that of the first camera alone.",
        ("one_sample_only", "reduction_missing", "cotangent_in_part"),
    ),
    Wrong(
        "ray_march",
        "mitsuba-renderer/mitsuba-tutorials#18: the radiance is subtracted after the gradient",
        march,
        tuple(np.random.default_rng(80).uniform(0.2, 1.5, size=(2, 3, 4))),
        march_value,
        "The gradient of the transmittance includes the emission of the step itself.",
        ("wrong_operand", "step_missing"),
    ),
    Wrong(
        "kept_square",
        "pytorch/pytorch#16947: a Function keeps a tensor in self, and two calls share it",
        kept_square,
        (normal(81, 6),),
        lambda x: x * x,
        "The backward pass reads what the last call of the forward pass kept.",
        ("stale_residual",),
    ),
    Wrong(
        "picked_last",
        "pytorch/pytorch#1631: gather's backward is incorrect with repeated indices",
        picked,
        (normal(82, 7),),
        None,
        "Of repeated indices, only the last contributes.",
        ("last_window_only",),
    ),
    Wrong(
        "gathered_again",
        "ooples/AiDotNet.Tensors#894: the backward of gather gathers instead of adding up",
        gathered,
        (normal(83, 7),),
        None,
        "The cotangent is gathered at the indices once more.",
        (),
    ),
    Wrong(
        "running_maximum",
        "pytorch/pytorch#26637: the backward of cummax counts a maximum that lasts once",
        running,
        (normal(84, 9),),
        running_maximum,
        "A maximum that lasts for several places gets the cotangent of the last alone.",
        ("last_window_only",),
    ),
    Wrong(
        "pooled_return",
        "riccardoandreoni0/CNN-from-scratch#1: back_prop of max pooling returns inside its loop",
        pooled,
        (normal(85, 6, 4),),
        pooled_value,
        "The loop ends after the first window.",
        ("last_window_only", "cotangent_in_part"),
    ),
    Wrong(
        "permuted_again",
        "flexflow/flexflow-train#1676: transpose's backward applies the forward permutation",
        permuted,
        (normal(86, 3, 3, 3),),
        None,
        "The cotangent is permuted as the argument was, and not back.",
        ("axes_swapped",),
    ),
    Wrong(
        "diagonal_compiled",
        "pytorch/pytorch#182012: only the compiled diagonal_scatter gives x no gradient",
        replaced_diagonal,
        (normal(87, 5, 5), normal(88, 5)),
        diagonal_value,
        "Only when compiled, x gets no gradient.",
        ("compiled_only", "argument_constant"),
        TRANSFORMS,
    ),
    Wrong(
        "embedded_narrow",
        "flagos-ai/FlagGems#309: the backward of embedding adds up in bf16",
        embedded,
        (normal(89, 5, 3),),
        embedded_value,
        "The gradient is added up in bfloat16.",
        ("precision_lost",),
    ),
]
