"""The still picture and the interactive page of a sum."""

import json
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from jaxconv.explain import page, svg, terms

MODULE = sys.modules["jaxconv.explain.page"]
CONV = {"input": (5, 4), "kernel": (3, 2), "padding": 1, "stride": (2, 1)}


def cells(picture, kind):
    tree = ElementTree.fromstring(picture)
    return [each for each in tree.iter() if each.get("class") == kind]


def test_a_picture_highlights_the_element_and_what_it_reads():
    dx = terms("conv", of="dX[1,1]", names="X,W,Z", **CONV)
    picture = svg(dx)
    assert len(cells(picture, "this")) == 1
    assert len(cells(picture, "read")) == 2 * len(dx.terms) > 0
    assert sorted(each.text for each in cells(picture, "number")) == sorted("11223344")
    assert [each.text for each in cells(picture, "left")][:3] == ["dX", "dZ", "W"]
    assert str(dx) in picture


def test_a_picture_needs_nothing_else():
    picture = svg(terms("conv", of="y[0,0]", **CONV))
    assert "prefers-color-scheme: dark" in picture
    assert picture.count("http") == 1  # the name space, which nobody loads
    assert "<script" not in picture


@pytest.mark.parametrize(
    ("op", "told", "titles"),
    [
        ("conv", {"of": "dw[0]", "input": 4, "kernel": 2, "batch": 2},
         ["dw", "dy[0,·]", "dy[1,·]", "x[0,·]", "x[1,·]"]),
        ("conv", {"of": "db[1]", "input": 4, "kernel": 2, "channels_out": 2},
         ["db", "dy[·,0]", "dy[·,1]"]),
        ("dense", {"of": "dw[0,0]", "inputs": 3, "outputs": 2}, ["dw", "dy", "x"]),
        ("max_pool", {"of": "dx[0,0]", "input": (2, 2), "window": 2}, ["dx", "dy"]),
        ("batch_norm", {"of": "dx[0]", "batch": 3}, ["dx", "scale", "r", "dy", "x̂"]),
    ],
)  # fmt: skip
def test_grids_have_titles(op, told, titles):
    picture = svg(terms(op, **told))
    assert [each.text for each in cells(picture, "left")][: len(titles)] == titles


def test_the_caption_is_the_sum():
    norm = svg(terms("batch_norm", of="dx[0]", batch=2))
    assert [each.text for each in cells(norm, "left")][-3:] == [
        "dx[0] = scale·r·dy[0]   (directly)",
        "− 1/2·scale·r·(dy[0] + dy[1])   (through the mean)",
        "− 1/2·scale·r·x̂[0]·(dy[0]·x̂[0] + dy[1]·x̂[1])   (through the variance)",
    ]
    long = svg(terms("conv", of="dw[0,0]", input=(9, 9), kernel=3))
    lines = [each.text for each in cells(long, "left")][3:]
    assert lines[0].startswith("dw[0,0] = dy[1,1]·x[0,0] + ")
    assert (len(lines), lines[-1]) == (7, "…")


def test_names_cannot_be_markup():
    with pytest.raises(ValueError, match="names must be"):
        terms("conv", of="dx[0,0]", names="<b>,W,Z", **CONV)


def test_a_large_picture_raises_an_error():
    with pytest.raises(ValueError, match=r"a picture may have 4,000 cells, .* have 20,009"):
        svg(terms("conv", of="dx[0,0]", input=(100, 100), kernel=3))


def test_the_page_is_told_the_geometry(tmp_path, monkeypatch):
    (tmp_path / "page.html").write_text("<script>let g = /*GEOMETRY*/null/*END*/;</script>")
    monkeypatch.setattr(MODULE.importlib.resources, "files", lambda package: tmp_path)
    dx = terms("conv", of="dX[2,1]", names="X,W,Z", one_based=True, **CONV)
    text = page(dx)
    begin, end = "<script>let g = /*GEOMETRY*/", "/*END*/;</script>"
    assert text.startswith(begin)
    assert text.endswith(end)
    told = json.loads(text.removeprefix(begin).removesuffix(end))
    assert told == {
        "op": "conv", "input": [5, 4], "kernel": [3, 2], "stride": [2, 1],
        "padding": [[1, 1], [1, 1]], "dilation": [1, 1], "input_dilation": [1, 1], "groups": 1,
        "channels": [1, 1], "flip": False, "of": "dX[2,1]", "one_based": True,
        "names": ["X", "W", "Z"],
    }  # fmt: skip
    assert page(told) == text


def test_the_page_of_a_transposed_convolution_and_of_a_pool():
    y = terms("conv_transpose", of="y[0]", input=4, kernel=3, stride=2, padding=1, output_padding=1)
    told = MODULE.geometry(y)
    (low, high), (n,), (k,) = told["padding"][0], told["input"], told["kernel"]
    assert (n, 2 * (n - 1) + k - low - high) == (4, y.notation.shape("y").sizes[1])
    told = MODULE.geometry(terms("max_pool", of="dx[0]", input=5, window=2, dilation=2))
    assert (told["kernel"], told["stride"], told["dilation"]) == ([2], [2], [2])
    assert (told["padding"], told["names"]) == ([[0, 0]], ["x", "w", "y"])


def test_errors_of_the_page(tmp_path, monkeypatch):
    dx = terms("conv", of="dx[0,0]", **CONV)
    monkeypatch.setattr(MODULE.importlib.resources, "files", lambda package: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"page\.html is missing"):
        page(dx)
    (tmp_path / "page.html").write_text("<html>")
    with pytest.raises(ValueError, match=r"page.html must contain /\*GEOMETRY\*/null/\*END\*/"):
        page(dx)
    with pytest.raises(ValueError, match="the page shows layers with windows, but got dense"):
        MODULE.geometry(terms("dense", of="dx[0]", inputs=2, outputs=2))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"padding_mode": "circular"}, "padding_mode 'zeros', but got 'circular'"),
        ({"batch": 2, "of": "dw[0,0]"}, "one example, but got batch=2"),
        ({"channels_in": 5, "of": "dw[0,0,0]"}, "at most 4 channels, but got 5"),
        ({"input": (3, 3, 3), "of": "dx[0,0,0]"}, "one or two spatial dimensions, but got 3"),
        ({"input": (41, 3)}, "input of at most 40, but got 41"),
        ({"input": (40, 40)}, "at most 6,000 cells of all arrays together, but got 6,408"),
        (
            {"input": (30, 3), "input_dilation": 3, "padding": 0},
            "80 rows and columns with border and holes",
        ),
        ({"bias": True, "of": "db[0]"}, r"elements of y, dx and dw, but got db"),
        ({"op": "min_pool"}, "max_pool and avg_pool, but got min_pool"),
        ({"op": "lp_pool", "p": 3}, "max_pool and avg_pool, but got lp_pool"),
        ({"op": "avg_pool", "divisor": 5}, "but got divisor=5, which divides by another number"),
        ({"op": "avg_pool", "padding": 1, "stride": 2, "ceil_mode": True}, "got ceil_mode=True"),
    ],
)
def test_the_page_refuses_what_it_cannot_show(call, said):
    window = {"window": 3} if "pool" in call.get("op", "") else {"kernel": 2}
    with pytest.raises(ValueError, match=said):
        MODULE.geometry(terms(**{"op": "conv", "input": (6, 6), "of": "dx[0,0]", **window, **call}))
