"""Agreement with PyTorch, in value and gradient: a judge that shares no code with JAX.

Where PyTorch is not installed these tests are skipped: it is no dependency, and the reference
implementations and the loops of naive.py judge the same rules. The ops in PyTorch's words:
tests/torch_ops.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive import resolve
from rules import (
    assert_close,
    cotangent_of,
    float_leaves,
    integers,
    normal,
    value_and_cotangents,
    value_and_pullback,
)

import jaxconv
from jaxconv.check.catalogue import CATALOGUE
from jaxconv.check.catalogue.geometries import pool_case

torch = pytest.importorskip("torch", reason="agreement with PyTorch needs torch installed")
F = torch.nn.functional

from torch_ops import TORCH, WITHOUT  # noqa: E402
from torch_ops.layouts import in_layout, spatial  # noqa: E402

SAMPLES = 30


@pytest.mark.parametrize("op", sorted(CATALOGUE))
def test_every_op_is_compared_or_has_no_counterpart(op):
    assert (op in TORCH) != (op in WITHOUT), f"put {op} into TORCH or WITHOUT of tests/torch_ops/"


def test_only_ops_are_compared_and_the_others_have_a_reason():
    assert set(TORCH) | set(WITHOUT) == set(CATALOGUE)
    assert all(WITHOUT.values())


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("op", sorted(TORCH))
def test_value_and_gradients(op):
    """Every sample that PyTorch takes, element by element."""
    record, taken = CATALOGUE[op], 0
    for seed in range(SAMPLES):
        sample = record.sample(seed)
        counterpart = TORCH[op](sample)
        if counterpart is None:
            continue
        taken += 1
        tensors = [torch.tensor(a, requires_grad=True) for a in sample.arrays.values()]
        result = counterpart(*tensors)
        results = list(result) if isinstance(result, tuple) else [result]
        dy = cotangent_of(record.op, sample, seed)
        y, gradients = value_and_cotangents(record.op, sample, dy)
        for got, want in zip(jax.tree.leaves(y), results, strict=True):
            assert_close(got, want.detach().numpy(), f"{op} sample {seed}: y", record.tolerance)
        floats = [t for t in results if t.is_floating_point()]
        cotangents = [torch.tensor(d) for d in float_leaves(dy)]
        wanted = torch.autograd.grad(floats, tensors, cotangents, materialize_grads=True)
        for name, got, want in zip(sample.arrays, gradients, wanted, strict=True):
            assert_close(got, want.numpy(), f"{op} sample {seed}: d{name}", record.tolerance)
    assert taken >= SAMPLES // 6, f"PyTorch took {taken} samples of {op}"


def against(op, torch_op, **arrays):
    """y and the cotangents of all arrays, elementwise, for a random dy.

    An op given twice, with arrays of the same shapes, is compiled once.
    """
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays.values()]
    torch_y = torch_op(*tensors)
    dy = normal(99, tuple(torch_y.shape))
    y, cotangents = value_and_pullback(op, tuple(arrays.values()), dy)
    assert_close(y, torch_y.detach().numpy(), "y")
    for name, got, want in zip(
        arrays, cotangents, torch.autograd.grad(torch_y, tensors, torch.tensor(dy)), strict=True
    ):
        assert_close(got, want.numpy(), f"d{name}")


# Convolution.


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(
    ("dims", "mode", "padding"),
    [
        (1, "reflect", "same"),
        (1, "circular", (1,)),
        (2, "zeros", "same"),
        (2, "reflect", (1, 2)),
        (2, "circular", "valid"),
        (3, "replicate", (1, 2, 0)),
        (3, "zeros", 1),
    ],
)
def test_conv_takes_a_module_as_it_is(dims, mode, padding):
    """nn.Conv1d, 2d and 3d: the same keywords, the same arrays, with layout="channels_first"."""
    keywords = {
        "stride": 1 if padding == "same" else (2, 1, 3)[:dims],  # PyTorch: "same" for 1 alone
        "padding": padding,
        "padding_mode": mode,
        "dilation": (1, 2, 1)[:dims],
        "groups": 2,
    }
    module = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[dims - 1](
        4, 6, (2, 3, 2)[:dims], dtype=torch.float64, **keywords
    )

    def forward(x, w, b):
        return torch.func.functional_call(module, {"weight": w, "bias": b}, (x,))

    against(
        partial(jaxconv.conv, layout="channels_first", **keywords),
        forward,
        x=normal(0, (2, 4, *(7, 5, 3)[:dims])),
        w=normal(1, tuple(module.weight.shape)),
        b=normal(2, (6,)),
    )


# Pooling.


def torch_pool_case(seed, *, largest):
    """The pooling with this number, in a border that PyTorch takes; None if no window fits then.

    It is symmetric and at most K/2, however far dilation spreads the K elements.
    """
    x, window, keywords = pool_case(seed, largest=largest)
    size = spatial(x, keywords["layout"])
    dilation = keywords.get("dilation", (1,) * len(window))
    span = [d * (k - 1) + 1 for d, k in zip(dilation, window, strict=True)]
    pairs = resolve(keywords["padding"], size, window, keywords["stride"] or window, dilation)
    padding = tuple(min(low, k // 2) for (low, _), k in zip(pairs, window, strict=True))
    fits = all(n + 2 * p >= e for n, p, e in zip(size, padding, span, strict=True))
    return (x, window, {**keywords, "padding": padding}) if fits else None


def pool_seeds(*, largest):
    return [s for s in range(200, 221) if torch_pool_case(s, largest=largest)]


@pytest.mark.parametrize("seed", pool_seeds(largest=True))
def test_max_pool(seed):
    """Overlaps, gaps, dilation, ceil_mode, borders; of equals the first in scan order wins."""
    shape, window, keywords = torch_pool_case(seed, largest=True)
    layout = keywords["layout"]
    op = partial(jaxconv.max_pool, window=window, **keywords)
    torch_pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(window) - 1]
    del keywords["layout"]
    torch_op = in_layout(layout, partial(torch_pool, kernel_size=window, **keywords))
    against(op, torch_op, x=normal(0, shape))
    against(op, torch_op, x=integers(1, shape, limit=1))  # full of ties
    against(op, torch_op, x=np.full(shape, -np.inf))  # the border never wins


@pytest.mark.parametrize("seed", pool_seeds(largest=False))
def test_avg_pool(seed):
    """Overlaps, gaps, ceil_mode, borders counted or not, a divisor of one's own."""
    shape, window, keywords = torch_pool_case(seed, largest=False)
    if len(window) == 1:
        keywords["divisor"] = None  # avg_pool1d has none
    layout = keywords["layout"]
    op = partial(jaxconv.avg_pool, window=window, **keywords)
    torch_pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(window) - 1]
    del keywords["layout"]
    divisor = keywords.pop("divisor")
    if divisor is not None:
        keywords["divisor_override"] = divisor
    torch_op = in_layout(layout, partial(torch_pool, kernel_size=window, **keywords))
    against(op, torch_op, x=normal(0, shape))


# Cross-entropy.

REDUCTIONS = ["mean", "sum", "none"]


def loss_case(shape, seed):
    """Logits, integer labels of which one is 3, probabilities, and weights per class."""
    rng = np.random.default_rng((seed, *shape))
    *examples, classes = shape
    labels = rng.integers(0, classes, examples)
    labels.flat[0] = 3
    probabilities = rng.dirichlet(np.ones(classes), examples)
    return 3 * rng.standard_normal(shape), labels, probabilities, rng.uniform(0.5, 2, classes)


@pytest.mark.parametrize(
    ("ignored", "smoothing", "weighted", "shape"),
    [
        (None, 0.0, False, (6, 7)),
        (None, 0.15, True, (2, 3, 7)),
        (3, 0.0, True, (6, 7)),
        (3, 0.15, False, (2, 3, 7)),
        (3, 0.15, True, (6, 7)),
    ],
)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_of_integers(reduction, ignored, smoothing, weighted, shape):
    z, labels, _, w = loss_case(shape, 0)
    keywords = {"label_smoothing": smoothing, "reduction": reduction}
    if ignored is not None:
        keywords["ignore_index"] = ignored

    def torch_loss(z):  # which has the classes on axis 1
        weight = torch.tensor(w) if weighted else None
        return F.cross_entropy(z.movedim(-1, 1), torch.tensor(labels), weight, **keywords)

    weights = w if weighted else None
    op = partial(jaxconv.softmax_cross_entropy, labels=labels, weights=weights, **keywords)
    against(op, torch_loss, z=z)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.15])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_of_probabilities(reduction, smoothing, weighted):
    """With the gradients of labels and weights, which PyTorch has for probabilities only."""
    if weighted and reduction == "mean":
        pytest.skip("differs on purpose: test_mean_over_weighted_probabilities_differs")
    z, _, t, w = loss_case((6, 7), 1)
    keywords = {"label_smoothing": smoothing, "reduction": reduction}

    def loss(z, t, w=None):
        return jaxconv.softmax_cross_entropy(z, t, weights=w, **keywords)

    def torch_loss(z, t, w=None):
        return F.cross_entropy(z, t, w, **keywords)

    against(loss, torch_loss, z=z, t=t, **({"w": w} if weighted else {}))


# Where the two differ on purpose, as docs/derivations says.


def test_mean_over_weighted_probabilities_differs():
    """PyTorch divides by the number of examples; here by the weight, as for integer labels."""
    z, labels, _, w = loss_case((6, 7), 2)
    one_hot = np.eye(7)[labels]
    ours = jaxconv.softmax_cross_entropy(z, one_hot, weights=w)
    assert_close(ours, jaxconv.softmax_cross_entropy(z, labels, weights=w))
    theirs = F.cross_entropy(*map(torch.tensor, (z, one_hot, w)))
    assert_close(ours * np.sum(w[labels]), theirs.numpy() * len(z))
    assert abs(ours - theirs.numpy()) > 1e-3


def slope(op, x):
    """The cotangent of x for a dy of ones, by the op of either library."""
    if isinstance(x, torch.Tensor):
        return torch.autograd.grad(op(x.requires_grad_()).sum(), x)[0].numpy()
    return np.asarray(jax.grad(lambda x: jnp.sum(op(x)))(x))


def test_nan_is_treated_otherwise():
    """Ours gets no gradient in relu, and the first NaN gets it in max_pool; there the last."""
    x = np.array([[[1.0, np.nan, 5.0, np.nan]]])
    assert slope(jaxconv.relu, x).tolist() == [[[1, 0, 1, 0]]]
    assert slope(torch.relu, torch.tensor(x)).tolist() == [[[1, 1, 1, 1]]]
    ours = partial(jaxconv.max_pool, window=4, layout="channels_first")
    assert slope(ours, x).tolist() == [[[0, 1, 0, 0]]]
    assert slope(partial(F.max_pool1d, kernel_size=4), torch.tensor(x)).tolist() == [[[0, 0, 0, 1]]]


def test_nothing_counted_is_zero_here_and_nan_there():
    z, labels = normal(0, (2, 3)), np.array([1, 1])
    ours = jaxconv.softmax_cross_entropy(z, labels, ignore_index=1)
    theirs = F.cross_entropy(torch.tensor(z), torch.tensor(labels), ignore_index=1)
    assert float(ours) == 0
    assert np.isnan(theirs.numpy())
