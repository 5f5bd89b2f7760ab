"""The gradients of the first batch, layer by layer."""

import jax
import jax.numpy as jnp

import jaxconv
from jaxconv.models import MODELS, Params
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.report.batch import first_batch
from jaxconv.train.report.markup import cell, shaded, table
from jaxconv.train.step import loss_and_counts


def gradients(config: Config, dataset: Dataset, params: Params) -> str:
    """Return the norms of the gradients of the first batch, and of the parameters."""
    images, labels = (jnp.asarray(a) for a in first_batch(config, dataset))
    model = MODELS[config.model]

    @jax.jit
    def gradient(params: Params) -> Params:
        return jax.grad(lambda p: loss_and_counts(model, jaxconv, p, images, labels)[0])(params)

    slopes = gradient(params)
    norms = [
        (
            f"{layer}.{name}",
            float(jnp.linalg.norm(slopes[layer][name])),
            float(jnp.linalg.norm(leaf)),
        )
        for layer, leaves in params.items()
        for name, leaf in leaves.items()
    ]
    most = max(norm for _, norm, _ in norms) or 1.0
    rows = [
        [cell(name), shaded(f"{norm:.3g}", 0.8 * norm / most), cell(f"{size:.3g}")]
        for name, norm, size in norms
    ]
    return table(["parameter", "norm of its gradient", "norm"], rows)
