"""The sums of the posts that the library grew from, letter for letter."""

import numpy as np
import pytest

from jaxconv.explain import all_terms, terms

POST_000 = {"input": (3, 3), "kernel": 2, "padding": "VALID", "names": "X,W,Z", "one_based": True}

Z = """\
Z11 = X11·W11 + X12·W12 + X21·W21 + X22·W22
Z12 = X12·W11 + X13·W12 + X22·W21 + X23·W22
Z21 = X21·W11 + X22·W12 + X31·W21 + X32·W22
Z22 = X22·W11 + X23·W12 + X32·W21 + X33·W22"""

DW = """\
dW11 = dZ11·X11 + dZ12·X12 + dZ21·X21 + dZ22·X22
dW12 = dZ11·X12 + dZ12·X13 + dZ21·X22 + dZ22·X23
dW21 = dZ11·X21 + dZ12·X22 + dZ21·X31 + dZ22·X32
dW22 = dZ11·X22 + dZ12·X23 + dZ21·X32 + dZ22·X33"""

DX = """\
dX11 = dZ11·W11
dX12 = dZ11·W12 + dZ12·W11
dX13 = dZ12·W12
dX21 = dZ11·W21 + dZ21·W11
dX22 = dZ11·W22 + dZ12·W21 + dZ21·W12 + dZ22·W11
dX23 = dZ12·W22 + dZ22·W12
dX31 = dZ21·W21
dX32 = dZ21·W22 + dZ22·W21
dX33 = dZ22·W22"""


def short(text):
    """The notation of the posts, which write X12 for X[1,2]."""
    return text.translate(str.maketrans("", "", "[],"))


@pytest.mark.parametrize(("of", "want"), [("Z", Z), ("dW", DW), ("dX", DX)])
def test_post_000(of, want):
    """ "Understanding Backpropagation for ConvNets": 3×3 X, 2×2 W, 2×2 Z."""
    assert "\n".join(short(str(each)) for each in all_terms("conv", of=of, **POST_000)) == want


def test_post_000_dx12_as_text_and_latex():
    dx = terms("conv", of="dX[1,2]", **POST_000)
    assert str(dx) == "dX[1,2] = dZ[1,1]·W[1,2] + dZ[1,2]·W[1,1]"
    assert dx.latex() == r"dX_{12} = dZ_{11} \cdot W_{12} + dZ_{12} \cdot W_{11}"
    zero_based = terms("conv", of="dx[0,1]", input=(3, 3), kernel=2, padding="VALID")
    assert str(zero_based) == "dx[0,1] = dy[0,0]·w[0,1] + dy[0,1]·w[0,0]"


def test_post_001_writes_four_indices():
    """ "Backpropagation in a CNN": Z_ijk = Σ_a Σ_b Σ_c X_{i+a,j+b,c}·W_{a,b,c,k} + b_k."""
    z = terms(
        "conv", of="Z[2,3,1]", names="X,W,Z,b", input=(5, 5), kernel=2, padding="VALID",
        channels_in=2, channels_out=3, bias=True,
    )  # fmt: skip
    assert str(z) == "Z[2,3,1] = " + " + ".join(
        [
            *(
                f"X[{2 + a},{3 + b},{c}]·W[{a},{b},{c},1]"
                for a in range(2)
                for b in range(2)
                for c in range(2)
            ),
            "b[1]",
        ]
    )


def test_post_001_the_mask_of_a_max_pool():
    """Only the largest value of each 2×2 patch gets the gradient; tied ones get all of it."""
    x = np.array([[1.0, 5.0, 2.0, 2.0], [3.0, 0.0, 2.0, 1.0]])
    sums = all_terms(
        "max_pool", of="dX", input=(2, 4), window=2, ties="all", names="X,Z", one_based=True,
        arrays={"X": x},
    )  # fmt: skip
    none = "0 (it is the maximum of no window)"
    assert [short(str(each)) for each in sums] == [
        f"dX11 = {none}", "dX12 = dZ11", "dX13 = dZ12", "dX14 = dZ12",
        f"dX21 = {none}", f"dX22 = {none}", "dX23 = dZ12", f"dX24 = {none}",
    ]  # fmt: skip
    without = terms("max_pool", of="dX[1,2]", input=(2, 4), window=2, ties="all", names="X,Z",
                    one_based=True)  # fmt: skip
    assert short(without.latex()) == r"dX_{12} = dZ_{11} \cdot X_{12} = Z_{11}"


def test_post_001_the_quarters_of_an_average_pool():
    pool = {"input": (4, 4), "window": 2, "names": "X,Z", "one_based": True}
    z = "Z11 = 1/4·(X11 + X12 + X21 + X22)"
    assert short(str(terms("avg_pool", of="Z[1,1]", **pool))) == z
    assert short(str(terms("avg_pool", of="dX[1,2]", **pool))) == "dX12 = 1/4·dZ11"


def test_post_001_the_softmax_layer():
    """dZ = Ŷ − Y, averaged over the batch."""
    dz = terms("softmax_cross_entropy", of="dZ[0,1]", names="Z,Y,J", batch=4, classes=2)
    assert str(dz).splitlines() == [
        "dZ[0,1] = 1/4·dJ·(p[0,1]·Y[0,0] + p[0,1]·Y[0,1] − Y[0,1])",
        "  = 1/4·dJ·(p[0,1] − Y[0,1]), because the Y of an example add up to 1",
        "  where p[0,1] = exp(Z[0,1]) / (exp(Z[0,0]) + exp(Z[0,1]))",
    ]


def test_post_002_a_true_convolution_turns_the_kernel():
    """ "CNN's Backpropagation": i(x) = Σ o(x − x')·w(x')."""
    y = terms("conv", of="y[0]", input=4, kernel=3, padding="VALID", flip_kernel=True)
    assert str(y) == "y[0] = x[2]·w[0] + x[1]·w[1] + x[0]·w[2]"


NINE = (
    "dy11·w33 + dy12·w32 + dy13·w31 + dy21·w23 + dy22·w22 + dy23·w21 + dy31·w13 + dy32·w12"
    " + dy33·w11"
)


@pytest.mark.parametrize(
    ("stride", "pad", "want"),
    [
        (1, 0, "dy11·w11"),
        (2, 0, "dy11·w11"),
        (3, 0, "dy11·w11"),
        (1, 1, "dy11·w22 + dy12·w21 + dy21·w12 + dy22·w11"),  # the post's
        (2, 1, "dy11·w22"),
        (3, 1, "dy11·w22"),
        (1, 2, NINE),
        (2, 2, "dy11·w33 + dy12·w31 + dy21·w13 + dy22·w11"),
        (3, 2, "dy11·w33"),
    ],
)
def test_post_003(stride, pad, want):
    """ "CS231n Backpropagation": dL/dx11 for a 5×5 input and 3×3 filters."""
    geometry = {"input": (5, 5), "kernel": 3, "stride": stride, "padding": pad}
    dx = terms("conv", of="dx[1,1]", one_based=True, **geometry)
    assert short(str(dx)) == f"dx11 = {want}"


def test_post_003_with_its_three_channels_and_two_filters():
    dx = terms(
        "conv", of="dx[1,1,1,1]", input=(5, 5), kernel=3, padding=1, batch=4, channels_in=3,
        channels_out=2, layout="channels_first", one_based=True,
    )  # fmt: skip
    assert str(dx) == "dx[1,1,1,1] = " + " + ".join(
        f"dy[1,{f},{i},{j}]·w[{f},1,{3 - i},{3 - j}]"
        for i in (1, 2)
        for j in (1, 2)
        for f in (1, 2)
    )
