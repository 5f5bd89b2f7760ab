"""`survey`: a row for each distinct convolution or pool, with its place and what becomes of it."""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxconv
from jaxconv.transform import Survey, survey

X = np.ones((4, 9, 9, 8))
W = np.ones((3, 3, 1, 8))
NHWC = ("NHWC", "HWIO", "NHWC")


def conv(x, w, **settings):
    settings = {"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": NHWC} | settings
    return lax.conv_general_dilated(x, w, **settings)


def pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 2, 1), (1, 2, 2, 1), "VALID")


def network(x, w):
    for _ in range(2):
        x = conv(x, w, feature_group_count=8)
    return pool(x)


def test_equal_ones_share_a_row():
    found = survey(network, X, W)
    assert [(row.times, row.op) for row in found.rows] == [(2, "conv"), (1, "max pool")]
    first, second = found.rows
    assert first.operands == ("float64[4,9,9,8]", "float64[3,3,1,8]")
    assert (first.result, second.result) == ("float64[4,9,9,8]", "float64[4,4,4,8]")
    assert first.settings == "padding 1:1 1:1, groups 8"
    assert second.settings == "window 3×2, stride 2×2"
    assert first.multiply_adds == 4 * 9 * 9 * 8 * 9
    assert second.multiply_adds == 4 * 4 * 4 * 8 * 6
    assert first.replaced
    assert first.y is not None
    assert second.y is None


def test_a_pool_of_a_line():
    (row,) = survey(
        lambda x: lax.reduce_window(x, 0.0, lax.add, (3,), (2,), "VALID"), X[0, 0, :, 0]
    ).rows
    assert row.settings == "window 3, stride 2"
    assert row.replaced


def test_where_it_stands_is_the_users_line():
    rows = survey(network, X, W).rows
    assert [len(row.where) for row in rows] == [1, 1]
    lines = Path(__file__).read_text().split("\n")
    for row, code in zip(
        rows, ["return lax.conv_general", "return lax.reduce_window"], strict=True
    ):
        file, line, function = re.fullmatch(r"(.*):(\d+) \((.*)\)", row.where[0]).groups()
        assert Path(file) == Path(__file__)
        assert code in lines[int(line) - 1]
        assert function in ("conv", "pool")


def test_a_layer_of_flax_is_named_by_its_path_and_by_the_line_that_calls_it():
    nn = pytest.importorskip("flax.linen")

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Conv(4, (3, 3), param_dtype=jnp.float64, name="stem")(x)

    variables = Network().init(jax.random.key(0), X)
    (row,) = survey(Network().apply, variables, X).rows
    assert "stem" in row.layers[0]
    assert Path(__file__).name in row.where[0]


def test_loops_branches_and_mapped_functions_are_entered():
    def function(x, w):
        x, _ = lax.scan(lambda x, _: (conv(x, w, feature_group_count=8), None), x, None, 3)
        x = jax.checkpoint(jax.jit(pool))(x)
        x = lax.cond(x[0, 0, 0, 0] > 0, lambda x: conv(x, w, feature_group_count=8), lambda x: x, x)

        def grow(carry):
            return carry[0] + 1, conv(carry[1], w, feature_group_count=8)

        return lax.while_loop(lambda carry: carry[0] < 4, grow, (0, x))[1]

    rows = survey(function, X, W).rows
    assert [(row.times, row.at_least) for row in rows] == [
        (3, False), (1, False), (1, False), (1, True),
    ]  # fmt: skip
    assert "≥ 1 ×" in str(survey(function, X, W))


@jax.custom_vjp
def with_rule_of_its_own(x, w):
    return conv(x, w, feature_group_count=8)


with_rule_of_its_own.defvjp(
    lambda x, w: (with_rule_of_its_own(x, w), (x, w)), lambda kept, dy: (dy, kept[1])
)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("function", "args", "reason"),
    [
        (conv, (X.astype(int), np.ones((3, 3, 8, 2), int)), "int64"),
        (with_rule_of_its_own, (X, W), "custom_vjp_call"),
        (jax.grad(lambda x: pool(x).sum()), (X,), "gradient of a pool"),
        (
            lambda x: lax.reduce_window(x, 0.0, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"),
            (X,),
            "initial value",
        ),
    ],
    ids=["integers", "custom_vjp", "gradient", "initial value"],
)
def test_what_is_left_says_why(function, args, reason):
    row = survey(function, *args).rows[-1]
    assert not row.replaced
    assert reason in row.why_not
    assert "left as it is" in str(survey(function, *args))


def test_measured():
    found = survey(network, X.astype(np.float32), W.astype(np.float32), measure=True)
    assert found.jax_ms > 0
    assert found.ours_ms > 0
    for row in found.rows:
        assert row.jax_ms > 0
        assert row.ours_ms > 0
        assert row.share > 0
    assert "times as fast" in str(found)
    assert all(row.jax_ms is None for row in survey(network, X, W).rows)


@pytest.mark.thorough
def test_measured_with_keys_and_integers_among_the_arguments():
    def function(x, w, key, labels):
        keep = jax.random.bernoulli(key, 0.5, x.shape)
        return network(jnp.where(keep, x, 0), w)[labels], key

    found = survey(function, X, W, jax.random.key(0), np.arange(3), measure=True)
    assert found.ours_ms > 0


def test_as_json_as_text_and_as_tables():
    found = survey(network, X, W)
    assert json.loads(found.to_json())["rows"][0]["times"] == 2
    assert str(found).count("\n") > 6
    assert "<td>2 ×</td>" in found._repr_html_()
    rich = pytest.importorskip("rich.console")
    console = rich.Console(width=100)
    with console.capture() as shown:
        console.print(found)
    assert "max pool" in shown.get()
    assert str(Survey("f", "cpu", ())) == "f: no convolution and no pool was found"


def test_the_html_shows_what_the_user_wrote_as_text():
    def angle(x):
        return pool(x)

    angle.__name__ = "<b>"
    assert "<b>" not in survey(angle, X)._repr_html_()


def test_symbolic_sizes():
    (batch,) = jax.export.symbolic_shape("batch")
    rows = []

    def function(x):
        rows.extend(survey(network, x, W).rows)
        return jaxconv.by_hand(network)(x, W)

    jax.eval_shape(function, jax.ShapeDtypeStruct((batch, 9, 9, 8), X.dtype))
    assert [row.multiply_adds for row in rows] == [None, None]


def test_wrong_use():
    with pytest.raises(TypeError, match="survey: function must be callable, but got 3"):
        survey(3)
    with pytest.raises(TypeError, match="survey: there is no array"):
        survey(lambda text: text, "text")
