"""`terms` and `all_terms`: indices, letters, zeros, numbers, and the errors of wrong arguments."""

import subprocess
import sys

import numpy as np
import pytest

from jaxconv.explain import all_terms, terms

SMALL = {"input": 3, "kernel": 2, "padding": "VALID"}


def test_elements_that_are_zero_say_why():
    gaps = {"input": 7, "kernel": 2, "stride": 3, "padding": 0}
    assert (
        str(terms("conv", of="dX[2]", names="X,W,Z", **gaps)) == "dX[2] = 0 (no window covers it)"
    )
    assert terms("conv", of="dx[2]", **gaps).evaluate() == 0.0
    assert terms("conv", of="dx[2]", **gaps).latex() == "dx_{2} = 0"
    assert terms("conv", of="dx[2]", **gaps).with_numbers() == "dx[2] = 0 (no window covers it)"
    far = {"input": 2, "kernel": 1, "padding": [(3, 3)]}
    assert str(terms("conv", of="y[0]", **far)) == "y[0] = 0 (its window reads no element)"
    holes = {"input": 1, "kernel": 3, "padding": 1}
    nothing = "dw[0] = 0 (it is multiplied by nothing but zeros)"
    assert str(terms("conv", of="dw[0]", **holes)) == nothing
    pool = {"input": 2, "window": 1, "padding": 2, "stride": 1}
    assert str(terms("max_pool", of="y[0]", **pool)) == "y[0] = −∞ (its window reads no element)"


def test_axes_of_size_1_may_be_written_or_not():
    short, long = (terms("conv", of=of, **SMALL) for of in ("dx[1]", "dx[0, 1, 0]"))
    assert str(short) == str(long) == "dx[1] = dy[0]·w[1] + dy[1]·w[0]"
    assert str(terms("conv", of="db", **SMALL)) == str(terms("conv", of="db[0]", **SMALL))
    many = terms("conv", of="dw[1,0,1]", input=3, kernel=2, padding=0, channels_out=2, groups=1,
                 channels_in=2)  # fmt: skip
    assert str(many) == "dw[1,0,1] = dy[0,1]·x[1,0] + dy[1,1]·x[2,0]"


def test_large_indices_have_commas_in_latex():
    dx = terms("conv", of="dx[11]", input=20, kernel=1)
    assert dx.latex() == r"dx_{11} = dy_{11} \cdot w_{0}"
    dx = terms("conv", of="dx[11,2]", input=(20, 3), kernel=1)
    assert dx.latex() == r"dx_{11,2} = dy_{11,2} \cdot w_{00}"


def test_words_as_names():
    dx = terms("conv", of="dimage[1]", names="image,kernel,map", **SMALL)
    assert str(dx) == "dimage[1] = dmap[0]·kernel[1] + dmap[1]·kernel[0]"
    assert dx.latex() == (
        r"d\mathrm{image}_{1} = d\mathrm{map}_{0} \cdot \mathrm{kernel}_{1}"
        r" + d\mathrm{map}_{1} \cdot \mathrm{kernel}_{0}"
    )
    assert str(terms("conv", of="dx[1]", names=["image", "kernel", "map"], **SMALL)) == str(dx)


def test_numbers():
    dw = terms("conv", of="dW[1]", names="X,W,Z", **SMALL)
    want = "dW[1] = dZ[0]·X[1] + dZ[1]·X[2] = 0.5·2 + (-1)·3 = -2"
    assert dw.with_numbers(X=[1, 2, 3], dZ=[0.5, -1]) == want
    assert dw.with_numbers({"x": np.array([[[1], [2], [3]]]), "dy": [0.5, -1]}) == want
    assert dw.evaluate({"X": [1, 2, 3]}, dZ=[0.5, -1]) == -2.0
    mean = terms("avg_pool", of="y[0]", input=2, window=2)
    assert mean.with_numbers(x=[1, 2]) == "y[0] = 1/2·(x[0] + x[1]) = 1/2·(1 + 2) = 1.5"


def test_the_terms_can_be_read():
    dx = terms("conv", of="dx[1]", **SMALL)
    factors = [[(f.array, f.index) for f in term.factors] for term in dx.terms]
    assert factors == [
        [("dy", (0, 0, 0)), ("w", (1, 0, 0))],
        [("dy", (0, 1, 0)), ("w", (0, 0, 0))],
    ]


def test_all_terms_goes_through_every_array():
    everything = [each.left for each in all_terms("dense", inputs=2, outputs=1, bias=True)]
    assert everything == ["y", "dx[0]", "dx[1]", "dw[0]", "dw[1]", "db"]
    assert (
        str(next(all_terms("dense", inputs=2, outputs=1, bias=True)))
        == "y = x[0]·w[0] + x[1]·w[1] + b"
    )


@pytest.mark.parametrize(
    ("op", "geometry", "of", "message"),
    [
        ("conv2d", {}, "dx[0]", "op must be one of conv, .*, but got 'conv2d'"),
        ("conv", {**SMALL, "kernel": (0, 3)}, "dx[0]", "kernel must be an int or 1 ints"),
        ("conv", {**SMALL, "input": (3, 3), "kernel": (0, 3)}, "dx[0,0]", r"kernel\[0\] must be"),
        ("conv", {**SMALL, "input": "3x3"}, "dx[0]", "input must be the sizes of 1, 2 or 3"),
        ("conv", {**SMALL, "input": (3,) * 4}, "dx[0]", "input must be the sizes of 1, 2 or 3"),
        ("conv", {**SMALL, "padding": [(-2, -2)]}, "dx[0]", "spans 2 positions .* x has 3 \\+ -4"),
        ("conv", {**SMALL, "padding": "FULL"}, "dx[0]", "padding must be one of 'SAME'"),
        ("conv", {**SMALL, "padding": "SAME", "input_dilation": 2}, "dx[0]", "padding must be"),
        ("conv", {**SMALL, "padding": 1, "input_dilation": 2, "padding_mode": "circular"}, "dx[0]",
         "padding_mode 'zeros' where input_dilation is not 1"),
        ("conv", {**SMALL, "groups": 2, "channels_in": 3}, "dx[0]", "channels_in must be a"),
        ("conv", SMALL, "dq[0]", r"of must be an element of y, dx, dw, db, such as 'dx\[0\]'"),
        ("conv", SMALL, "dx[0", r"but got 'dx\[0'"),
        ("conv", SMALL, "dx[a]", r"dx needs 1 whole numbers as indices, as in 'dx\[0\]'"),
        ("conv", SMALL, "dx[0,0]", "dx needs 1 whole numbers"),
        ("conv", SMALL, "dx[3]", r"index on axis 1 must be from 0 to 2, but got 'dx\[3\]'"),
        ("conv", {**SMALL, "one_based": True}, "dx[0]", "index on axis 1 must be from 1 to 3"),
        ("conv", {**SMALL, "names": "X"}, "dx[0]", "names must be 2 letters or words"),
        ("conv", {**SMALL, "names": "X,W,2"}, "dx[0]", "names must be 2 letters or words"),
        ("conv", {**SMALL, "names": "X,W,X"}, "dx[0]", "must not give two arrays the same name"),
        ("conv", {**SMALL, "names": "x,dx,y"}, "dx[0]", "must not give two arrays the same name"),
        ("conv", {**SMALL, "input": 10**9}, "dx[0]", "at most 1,000,000 products of spatial"),
        ("dense", {"inputs": 2000, "outputs": 1000}, "dx[0]", "at most 1,000,000 pairs"),
        ("avg_pool", {"input": 4, "window": 2, "divisor": 0}, "dx[0]", "divisor must not be 0"),
        ("lp_pool", {"input": 4, "window": 2, "p": 0}, "dx[0]", "p must be more than 0"),
        ("max_pool", {"input": 4, "window": 2, "ties": "last"}, "dx[0]", "ties must be one of"),
        ("max_pool", {"input": 4, "window": 2}, "dw[0]", "of must be an element of y, dx"),
    ],
)  # fmt: skip
def test_errors_name_the_argument(op, geometry, of, message):
    with pytest.raises(ValueError, match=message):
        terms(op, of=of, **geometry)


def test_unknown_and_missing_arguments():
    with pytest.raises(TypeError, match="the argument kernel is missing"):
        terms("conv", of="dx[0]", input=3)
    with pytest.raises(TypeError, match=r"the arguments are input, window, .*, but got 'groups'"):
        terms("max_pool", of="dx[0]", input=3, window=2, groups=1)
    with pytest.raises(TypeError, match="stride must be an int, but got '2'"):
        terms("conv", of="dx[0]", **SMALL, stride="2")


def test_errors_of_arrays():
    dx = terms("conv", of="dx[1]", **SMALL)
    with pytest.raises(ValueError, match=r"dx\[1\] needs the array w"):
        dx.evaluate(dy=[1, 2])
    with pytest.raises(ValueError, match=r"w must have shape \(2, 1, 1\) .* is \(3,\)"):
        dx.evaluate(w=[1, 2, 3])
    with pytest.raises(ValueError, match=r"arrays must be among x, w, y, b .* but got 'v'"):
        dx.evaluate(v=[1])


def test_the_argument_is_missing_and_not_what_is_computed_from_it():
    with pytest.raises(ValueError, match=r"dX\[0\] needs the array X"):
        terms("batch_norm", of="dX[0]", batch=2, names="X,Z").evaluate(dy=[1, 2], scale=1)
    with pytest.raises(ValueError, match=r"dlogits\[0\] needs the array logits"):
        terms("softmax_cross_entropy", of="dlogits[0]", classes=2).evaluate(labels=[0, 1], dloss=1)


def test_errors_of_all_terms():
    with pytest.raises(ValueError, match="at most 100,000 elements can be written out"):
        all_terms("conv", input=(1000, 1000), kernel=3)
    with pytest.raises(ValueError, match="of must be one of y, dx, dw, db, but got 'w'"):
        all_terms("conv", of="w", **SMALL)


def test_importing_jaxconv_does_not_import_explain():
    code = "import sys, jaxconv; print(any('explain' in name for name in sys.modules))"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
