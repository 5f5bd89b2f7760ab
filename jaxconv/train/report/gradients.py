"""The gradients of the first batch, layer by layer."""

import jax
import jax.numpy as jnp

import jaxconv
from jaxconv.models import Params, Variables, find
from jaxconv.models.leaves import named
from jaxconv.train.config import Config
from jaxconv.train.first import First
from jaxconv.train.loss import counted
from jaxconv.train.report.markup import cell, shaded, table


def gradients(config: Config, first: First, variables: Variables) -> str:
    """Return the norms of the gradients of the first batch, and of the parameters."""
    images = jnp.asarray(first.images)
    answers = jax.tree.map(jnp.asarray, first.answers)

    def loss(params: Params) -> jax.Array:
        counts, _ = counted(
            find(config.model),
            jaxconv,
            variables._replace(params=params),
            images,
            answers,
            train=True,
            key=jax.random.key(0),
        )
        return counts.loss / counts.weight

    slopes = dict(named(jax.jit(jax.grad(loss))(variables.params)))
    norms = [
        (name, float(jnp.linalg.norm(slopes[name])), float(jnp.linalg.norm(leaf)))
        for name, leaf in named(variables.params)
    ]
    most = max(norm for _, norm, _ in norms) or 1.0
    rows = [
        [cell(name), shaded(f"{norm:.3g}", 0.8 * norm / most), cell(f"{size:.3g}")]
        for name, norm, size in norms
    ]
    said = (
        f"<p>These are norms for the {len(images)} images of the first batch that are shown above,"
        " with the parameters after the best epoch.</p>"
    )
    return said + table(["parameter", "norm of its gradient", "norm of the parameter"], rows)
