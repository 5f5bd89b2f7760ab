"""Softmax cross-entropy: a logit changes the probability of every class, and the sum is p − q.

With p = softmax(z), the label as probabilities q, and ∂ log p_c / ∂z_j = [c = j] − p_j:

    dz_j = dℓ · Σ_c q_c · (p_j − [c = j]) = dℓ · (Σ_c p_j·q_c − q_j) = dℓ · (p_j − q_j)
"""

from functools import partial
from types import MappingProxyType

import numpy as np

from jaxconv._core.arguments import Reduction, as_int, check_option
from jaxconv.explain.entry import Arrays, Entry
from jaxconv.explain.factors import Product, Share
from jaxconv.explain.layer import Layer, Part
from jaxconv.explain.notation import Shape
from jaxconv.explain.style import Text


class SoftmaxCrossEntropy(Layer):
    """`jaxconv.softmax_cross_entropy` of (batch, classes) logits without weights.

    `labels` are probabilities here; those of an integer label are one 1 and zeros.
    """

    op = "softmax_cross_entropy"
    roles = ("logits", "labels", "loss", None)
    elements = ("dlogits",)
    computed_from = MappingProxyType({"p": "logits"})

    def __init__(self, batch: int, classes: int, reduction: Reduction) -> None:
        self.batch, self.classes, self.reduction = batch, classes, reduction
        table = Shape((batch, classes), (1,))
        loss = Shape((batch,) if reduction == "none" else (), ())
        self.shapes = {"logits": table, "labels": table, "loss": loss, "p": table}

    def parts(self, entry: Entry, arrays: Arrays | None = None) -> tuple[Part, ...]:
        """Return the sum of an element of dlogits over the classes."""
        example = entry.index[0]
        p, q = Entry("p", entry.index), Entry("labels", entry.index)
        classes = (Entry("labels", (example, c)) for c in range(self.classes))
        products = (*(Product((p, each)) for each in classes), Product((q,), negative=True))
        share = (Share(self.batch),) if self.reduction == "mean" and self.batch > 1 else ()
        loss = Entry("dloss", (example,) if self.reduction == "none" else ())
        return (Part(products, (*share, loss), notes=partial(self._notes, p, q, (*share, loss))),)

    def complete(self, arrays: Arrays) -> Arrays:
        """Return the arrays with p = softmax(logits)."""
        if "logits" not in arrays:
            return arrays
        z = arrays["logits"]
        exp = np.exp(z - z.max(axis=1, keepdims=True))
        return {**arrays, "p": exp / exp.sum(axis=1, keepdims=True)}

    def _notes(
        self, p: Entry, q: Entry, common: tuple[Share | Entry, ...], style: Text
    ) -> list[str]:
        each = [style.entry(Entry("logits", (p.index[0], c))) for c in range(self.classes)]
        mine = style.entry(Entry("logits", p.index))
        sum_over_classes = " + ".join(f"exp({z})" for z in each)
        before = Product(common).write(style)
        return [
            f"= {before}·({style.entry(p)} − {style.entry(q)}), because the"
            f" {style.letter('labels')} of an example add up to 1",
            f"where {style.entry(p)} = exp({mine}) / ({sum_over_classes})",
        ]


def softmax_cross_entropy(
    *, classes: int, batch: int = 1, reduction: Reduction = "mean"
) -> SoftmaxCrossEntropy:
    """Return `jaxconv.softmax_cross_entropy` of so many examples and classes."""
    op = "softmax_cross_entropy"
    check_option(op, "reduction", reduction, Reduction)
    return SoftmaxCrossEntropy(
        as_int(op, "batch", batch, 1), as_int(op, "classes", classes, 1), reduction
    )
