"""Draw the pictures of docs/course: `python scripts/draw_course.py`.

Each picture is an element that `jaxconv.explain` writes out. A test draws them again, so that the
files in docs/course/pictures cannot go stale.
"""

from pathlib import Path
from typing import Any

from jaxconv.explain import svg, terms

FOLDER = Path(__file__).parents[1] / "docs" / "course" / "pictures"
XWZ: dict[str, Any] = {"names": "X,W,Z", "one_based": True}
SMALLEST: dict[str, Any] = {"op": "conv", "input": (3, 3), "kernel": 2, "padding": "VALID", **XWZ}
ONE: dict[str, Any] = {"op": "conv", "input": (5, 5), "kernel": 3, "one_based": True}
THREE = {**ONE, "padding": 1, "channels_in": 3, "channels_out": 2, "layout": "channels_first"}
TRUE: dict[str, Any] = {
    "op": "conv", "input": (4, 4), "kernel": 2, "padding": ((1, 0), (1, 0)), "flip_kernel": True,
    "names": "o,w,c",
}  # fmt: skip
LINES = {"op": "conv", "input": 5, "kernel": 3, "one_based": True}

PICTURES: dict[str, dict[str, Any]] = {
    "0-neuron": {"op": "dense", "inputs": 1, "outputs": 1, "names": "x,y,z", "of": "dx"},
    "0-paths": {
        "op": "dense", "inputs": 1, "outputs": 2, "names": "x,w,z", "one_based": True, "of": "dx",
    },
    "1-input": {"op": "dense", "inputs": 2, "outputs": 3, "one_based": True, "of": "dx[1]"},
    "1-weight": {
        "op": "dense", "inputs": 2, "outputs": 3, "batch": 2, "one_based": True, "of": "dw[1,2]",
    },
    "2-output": {**SMALLEST, "of": "Z[1,2]"},
    "2-dense": {"op": "dense", "inputs": 9, "outputs": 4, **XWZ, "of": "Z[2]"},
    "2-kernel": {**SMALLEST, "of": "dW[1,1]"},
    "2-input": {**SMALLEST, "of": "dX[1,2]"},
    "2-centre": {**SMALLEST, "of": "dX[2,2]"},
    "3-stride-1": {**ONE, "padding": 1, "of": "dx[1,1]"},
    "3-stride-2": {**ONE, "stride": 2, "padding": 1, "of": "dx[2,2]"},
    "3-stride-3": {**ONE, "stride": 3, "padding": 0, "of": "dx[4,4]"},
    "3-pad-2": {**ONE, "padding": 2, "of": "dx[1,1]"},
    "3-dilation": {**LINES, "dilation": 2, "padding": 2, "of": "dx[3]"},
    "3-causal": {**LINES, "padding": "CAUSAL", "of": "y[3]"},
    "4-output": {**THREE, "bias": True, "of": "y[1,2,1]"},
    "4-input": {**THREE, "of": "dx[1,1,1]"},
    "5-max": {
        "op": "max_pool", "input": (4, 4), "window": 2, "one_based": True, "of": "dX[1,2]",
        "names": "X,Z", "arrays": {"x": [[1, 5, 2, 2], [3, 0, 9, 4], [6, 1, 0, 7], [6, 2, 3, 8]]},
    },
    "5-average": {
        "op": "avg_pool", "input": (4, 4), "window": 2, "one_based": True, "of": "dX[1,2]",
        "names": "X,Z",
    },
    "5-overlap": {
        "op": "avg_pool", "input": (4, 4), "window": 2, "stride": 1, "one_based": True,
        "of": "dX[2,2]", "names": "X,Z",
    },
    "6-softmax": {
        "op": "softmax_cross_entropy", "classes": 3, "names": "z,y,L", "one_based": True,
        "of": "dz[1]",
    },
    "7-batch-norm": {"op": "batch_norm", "batch": 3, "one_based": True, "of": "dx[1]"},
    "8-delta": {**TRUE, "of": "do[1,1]"},
    "8-kernel": {**TRUE, "of": "dw[0,1]"},
    "9-window": {**LINES, "kernel": 3, "padding": "VALID", "of": "dx[3]"},
}  # fmt: skip
"""The element of each picture, as arguments of `terms`, by the name of its file."""


def draw(name: str) -> str:
    """Return a picture of the course as SVG text."""
    return svg(terms(**PICTURES[name]))


def main() -> None:
    """Write all pictures."""
    for name in PICTURES:
        (FOLDER / f"{name}.svg").write_text(draw(name), encoding="utf-8")


if __name__ == "__main__":
    main()
