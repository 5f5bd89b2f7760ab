"""The page's arithmetic, run by a JavaScript engine, against the rules of the library."""

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest
from rules import value_and_pullback

import jaxconv

PAGE = Path(jaxconv.__file__).parent / "explain" / "page.html"
CHANNELS_LAST = ("NHWC", "HWIO", "NHWC")
ARRAYS = ("y", "dx", "dw")

RUN = """
const answers = JSON.parse(require("fs").readFileSync(0, "utf8")).map(({ options, x, w, dy }) => {
  const g = makeGeometry(options), shapes = shapesOf(g);
  const data = { x, w, dy, y: forward(g, x, w), ...backward(g, x, w, dy) };
  const written = {}, fed = {};
  for (const array of ["y", "dx", "dw"]) {
    if (!shapes[array]) continue;
    written[array] = everyIndex(shapes[array]).map((at) => evaluate(g, data, array, at).value);
  }
  for (const array of ["x", "w", "dy"]) {
    for (const at of everyIndex(shapes[array] || [0])) {
      for (const { to, times, share } of feedsOf(g, array, at, data)) {
        const factor = times ? data[times[0]][flat(shapes[times[0]], times[1])] : share;
        const sums = (fed[to[0]] ??= {})[array] ??= new Array(size(shapes[to[0]])).fill(0);
        sums[flat(shapes[to[0]], to[1])] += factor * data[array][flat(shapes[array], at)];
      }
    }
  }
  const axes = axesOf(g);
  const { y, dx, dw } = data;
  return { axes, triples: axes.map(triples), shapes, y, dx, dw, written, fed };
});
console.log(JSON.stringify(answers));
"""


def arithmetic():
    """The script of the page that computes, without the page around it."""
    (script,) = re.findall(r'<script id="arithmetic">(.*?)</script>', PAGE.read_text(), re.S)
    return script


def answers(cases):
    """What the page computes for each case."""
    if shutil.which("node") is None:
        pytest.skip("the page's arithmetic needs `node`, which is not installed")
    done = subprocess.run(
        ["node", "-e", arithmetic() + RUN],
        input=json.dumps(cases), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def draw(rng):
    """Options of one geometry, or None if no window fits."""

    def two(low, high):
        return rng.integers(low, high + 1, 2).tolist()

    op = str(rng.choice(["conv", "conv", "conv", "conv_transpose", "max_pool", "avg_pool"]))
    o = {"op": op, "input": two(1, 6), "kernel": two(1, 4), "stride": two(1, 3)}
    o["dilation"] = [1, 1] if op == "avg_pool" else two(1, 2)
    spans = [d * (k - 1) + 1 for d, k in zip(o["dilation"], o["kernel"], strict=True)]
    most = [span // 2 for span in spans] if op == "max_pool" else [3, 3]
    least = -1 if op == "conv" and rng.random() < 0.3 else 0
    o["padding"] = [rng.integers(least, high + 1, 2).tolist() for high in most]
    if op == "conv":
        dilated = least == 0 and rng.random() < 0.4
        o["input_dilation"] = two(1, 3) if dilated else [1, 1]
        o["flip"] = bool(rng.random() < 0.3)
    if op == "conv_transpose":
        tops = [max(s, d) - 1 for s, d in zip(o["stride"], o["dilation"], strict=True)]
        o["output_padding"] = [int(rng.integers(0, top + 1)) for top in tops]
    if op.endswith("pool"):
        o["channels"] = [int(rng.integers(1, 4))] * 2
        o["ties"] = str(rng.choice(["first", "all", "split"]))
        o["count_include_pad"] = bool(rng.random() < 0.5)
    else:
        o["groups"] = int(rng.integers(1, 3))
        o["channels"] = [o["groups"] * n for n in two(1, 2)]
    return o if min(output(o)) > 0 else None


def output(o):
    """The number of positions of y in rows and columns."""
    sizes = []
    for axis in range(2):
        n, k, s, d = (o[key][axis] for key in ("input", "kernel", "stride", "dilation"))
        low, high = o["padding"][axis]
        if o["op"] == "conv_transpose":
            reach = s * (n - 1) + d * (k - 1) + 1
            sizes.append(reach - low - high + o["output_padding"][axis])
        else:
            e = o.get("input_dilation", [1, 1])[axis]
            room = e * (n - 1) + 1 + low + high - d * (k - 1) - 1
            sizes.append(room // s + 1 if room >= 0 else 0)
    return sizes


def case_of(o, rng):
    """A geometry with numbers: small whole ones, so that sums are exact in any order."""
    c_in, c_out = o["channels"]
    shapes = {"x": (*o["input"], c_in), "dy": (*output(o), c_out)}
    if not o["op"].endswith("pool"):
        inner, outer = (c_out, c_in) if o["op"] == "conv_transpose" else (c_in, c_out)
        shapes["w"] = (*o["kernel"], inner // o["groups"], outer)
    limit = 2 if o["op"] == "max_pool" else 5
    data = {key: rng.integers(-limit, limit + 1, shape) for key, shape in shapes.items()}
    flat = {key: data[key].ravel().tolist() if key in data else None for key in ("x", "w", "dy")}
    return {"options": o, **flat}, data


def layer(o):
    """The layer of the library that the options describe."""
    op, stride, padding, dilation = (o[key] for key in ("op", "stride", "padding", "dilation"))
    if op == "max_pool":
        return lambda x: jaxconv.max_pool(
            x, o["kernel"], stride=stride, padding=padding, dilation=dilation, ties=o["ties"]
        )
    if op == "avg_pool":
        return lambda x: jaxconv.avg_pool(
            x, o["kernel"], stride=stride, padding=padding,
            count_include_pad=o["count_include_pad"],
        )  # fmt: skip
    if op == "conv_transpose":
        return lambda x, w: jaxconv.conv_transpose(
            x, w, stride=stride, padding=padding, dilation=dilation, groups=o["groups"],
            output_padding=o["output_padding"],
        )  # fmt: skip
    if max(o["input_dilation"]) > 1:
        return lambda x, w: jaxconv.conv_general_dilated(
            x, w[::-1, ::-1] if o["flip"] else w, stride, padding, o["input_dilation"], dilation,
            CHANNELS_LAST, o["groups"],
        )  # fmt: skip
    # Padding below 0 crops. It is written as a slice: XLA's CPU compiler aborts for some gradients
    # of `lax.conv_general_dilated` with such a padding (jaxlib 0.10.2).
    crop = [
        slice(max(0, -low), min(n, n + high))
        for n, (low, high) in zip(o["input"], padding, strict=True)
    ]
    border = [(max(0, low), max(0, high)) for low, high in padding]
    return lambda x, w: jaxconv.conv(
        x[:, *crop], w, stride=stride, padding=border, dilation=dilation, groups=o["groups"],
        flip_kernel=o["flip"],
    )  # fmt: skip


def by_the_library(o, data):
    """y, dx and dw (None for a pool), without the batch axis."""
    factors = [data["x"][None].astype(np.float64)]
    if "w" in data:
        factors.append(data["w"].astype(np.float64))
    y, (dx, *dw) = value_and_pullback(layer(o), factors, data["dy"][None].astype(np.float64))
    return {"y": y[0], "dx": dx[0], "dw": dw[0] if dw else None}


def solutions(axis):
    """All (i, a, p) with e·p = s·i + d·a − low."""
    ranges = (range(axis[key]) for key in ("out", "k", "n"))
    return [
        [i, a, p]
        for i, a, p in itertools.product(*ranges)
        if axis["e"] * p == axis["s"] * i + axis["d"] * a - axis["low"]
    ]


def compare(seed, count):
    rng = np.random.default_rng(seed)
    drawn = (draw(rng) for _ in itertools.count())
    cases = [case_of(o, rng) for o in itertools.islice(filter(None, drawn), count)]
    assert len(cases) == count
    for (case, data), got in zip(cases, answers([case for case, _ in cases]), strict=True):
        o = case["options"]
        assert got["shapes"]["y"] == [*output(o), o["channels"][1]], o
        assert [sorted(found) for found in got["triples"]] == [solutions(a) for a in got["axes"]], o
        for array, want in by_the_library(o, data).items():
            if want is None:
                assert got[array] is None
                continue
            want = np.asarray(want).ravel()
            values = [got[array], got["written"][array]]
            if not (o["op"] == "max_pool" and array == "y"):  # a maximum is no sum of what feeds it
                values += got["fed"].get(array, {}).values()  # by each of its factors
            for value in values:
                numbers = np.array([-np.inf if v is None else v for v in value])  # JSON has no −∞
                np.testing.assert_allclose(numbers, want, 1e-12, 1e-12, err_msg=f"{array} {o}")
    jax.clear_caches()  # no geometry needs what another one compiled


def test_random_geometries():
    compare(seed=0, count=24)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(1, 21))
def test_two_thousand_random_geometries(seed):
    compare(seed, count=100)
