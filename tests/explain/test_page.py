"""The interactive page in a browser: what it shows is what the library computes."""

import json
import os
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxconv
from jaxconv.explain import terms
from jaxconv.explain.shown import LARGEST, MOST_CELLS, MOST_CHANNELS, geometry

PAGE = Path(jaxconv.__file__).parent / "explain" / "page.html"
MARKER = "/*GEOMETRY*/null/*END*/"
DESKTOP, TABLET, PHONE = (1360, 950), (820, 1100), (375, 812)
POST = (
    "op=conv&input=3,3&kernel=2,2&one_based=1&names=X,W,Z"
    "&x=1,2,3,4,5,6,7,8,9&w=1,2,3,4&dy=1,10,100,1000"
)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium: `apt-get install chromium` provides one")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=program, args=arguments)


@pytest.fixture
def visit(browser, tmp_path):
    """Open the page from a file; afterwards, no request has left and the console is silent."""
    said, contexts = [], []

    def visit(address="", *, size=DESKTOP, start=None, **options):
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, has_touch=size == PHONE, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda r: said.append(r.url) if not r.url.startswith("file:") else None)
        file = PAGE
        if start is not None:
            file = tmp_path / "page.html"
            given = f"/*GEOMETRY*/{json.dumps(start)}/*END*/"
            file.write_text(PAGE.read_text().replace(MARKER, given))
        page.goto(file.as_uri() + (f"#{address}" if address else ""))
        return page

    yield visit
    for context in contexts:
        context.close()
    assert said == []


def cell(page, label):
    """The cell of a large grid whose name is `label`, as dx[0,1]."""
    return page.locator(f'#grids [role=gridcell][aria-label^="{label} ="]')


def point(page, label):
    """Point with the mouse, and wait for the next frame, which writes the sum."""
    cell(page, label).hover()
    start = json.dumps(f"{label} ")
    page.wait_for_function(f"document.querySelector('#sum').textContent.startsWith({start})")


def number(text):
    return float(text.replace("−", "-"))


def total(page):
    """The number at the end of the sum that is written out."""
    return number(page.locator("#sum .total").inner_text())


def shown(page, array, shape):
    """The numbers in the cells of an array."""
    texts = page.evaluate(f"cells.{array}.map((cell) => cell.textContent)")
    return np.array([number(text) for text in texts]).reshape(shape)


def field(page, name):
    return page.get_by_label(name, exact=True)


def message(page):
    return " ".join(page.locator(".error").all_inner_texts())


def test_the_page_is_one_small_file_that_asks_for_nothing():
    text = PAGE.read_text()
    assert PAGE.stat().st_size <= 100_000 - 400  # leaves room for a geometry in the marker
    assert text.count(MARKER) == 1
    assert not re.search(r"https?://|//[a-z]|@import|url\(|src=|fetch\(|XMLHttpRequest", text)


def test_each_sum_of_the_first_post(visit):
    page = visit(POST)
    x, w = np.arange(1.0, 10).reshape(1, 3, 3, 1), np.arange(1.0, 5).reshape(2, 2, 1, 1)
    dz = np.array([1.0, 10, 100, 1000]).reshape(1, 2, 2, 1)
    z, pull = jax.vjp(lambda x, w: jaxconv.conv(x, w, padding="VALID"), x, w)
    dx, dw = pull(dz)
    for name, array in (("Z", z[0]), ("dX", dx[0]), ("dW", dw[..., 0])):
        for r, c, _ in np.ndindex(array.shape):
            point(page, f"{name}[{r + 1},{c + 1}]")
            assert total(page) == array[r, c, 0]
    point(page, "dX[1,2]")
    want = "dX[1,2] = dZ[1,1]·W[1,2] + dZ[1,2]·W[1,1] = 1·2 + 10·1 = 12"
    assert page.locator("#sum").inner_text() == want
    lit = page.locator("#grids .lit").evaluate_all("all => all.map((c) => c.ariaLabel)")
    assert lit == ["W[1,1] = 1", "W[1,2] = 2", "dZ[1,1] = 1", "dZ[1,2] = 10"]


GEOMETRIES = {
    "stride and border": ("kernel=3,3&stride=2,2&padding=1,1,1,1", {"stride": 2, "padding": 1}, 3),
    "dilation": ("input=7,7&kernel=3,3&dilation=2,2", {"dilation": 2, "padding": "VALID"}, 3),
    "turned": ("kernel=3,2&flip=1", {"padding": "VALID", "flip_kernel": True}, (3, 2)),
    "groups": ("kernel=2,2&channels=4,2&groups=2", {"padding": "VALID", "groups": 2}, 2),
    "transposed": ("op=conv_transpose&input=3,3&kernel=3,3&stride=2,2&padding=1,1,1,1&channels=2,3",
                   {"stride": 2, "padding": 1}, 3),
    "max pool": ("op=max_pool&kernel=2,2&stride=1,1&ties=split", {"stride": 1, "ties": "split"}, 2),
    "mean": ("op=avg_pool&kernel=3,3&stride=2,2&padding=1,1,1,1&count_include_pad=0",
             {"stride": 2, "padding": 1, "count_include_pad": False}, 3),
}  # fmt: skip


EXPLAINED = [
    {"op": "conv", "groups": 2, "channels_in": 4, "channels_out": 2, "of": "dx[1,1,2]"},
    {"op": "conv", "channels_in": 3, "channels_out": 2, "of": "dw[1,0,2,1]", "flip_kernel": True},
    {"op": "conv", "channels_in": 3, "channels_out": 2, "of": "dw[2,1,1,3]", "one_based": True,
     "layout": "channels_first"},
    {"op": "conv", "input": 7, "channels_in": 2, "of": "dx[1,1]"},
    {"op": "conv_transpose", "stride": 2, "groups": 2, "channels_in": 4, "channels_out": 2,
     "of": "y[2,3,1]"},
    {"op": "max_pool", "stride": 1, "ties": "all", "channels": 2, "of": "dx[1,1,1]"},
    {"op": "avg_pool", "padding": 1, "count_include_pad": False, "of": "dx[0,1]"},
    {"op": "avg_pool", "stride": 2, "ceil_mode": True, "of": "dx[5,5]", "input": (6, 6)},
]  # fmt: skip


@pytest.mark.parametrize("call", EXPLAINED, ids=lambda call: f"{call['op']}, {call['of']}")
def test_the_page_of_an_element_shows_its_sum(visit, call):
    window = {"window": 3} if "pool" in call["op"] else {"kernel": 3}
    explained = terms(**{"input": (5, 5), **window, **call})
    page = visit(start=geometry(explained))
    shapes = page.evaluate("shapesOf(S.g)")
    arrays = {}
    for name, layout in explained.notation.shapes.items():
        for array in {name, "d" + name} & {"x", "w", "y", "dx", "dw", "dy"} & shapes.keys():
            if shapes[array]:
                numbers = shown(page, array, shapes[array])
                if call.get("layout") == "channels_first":
                    numbers = numbers.transpose([3, 2, 0, 1] if name == "w" else [2, 0, 1])
                arrays[array] = numbers.reshape(layout.sizes)
    expected = arrays[explained.element.array][explained.element.index]
    assert total(page) == pytest.approx(expected, abs=6e-4)
    assert explained.evaluate(arrays) == pytest.approx(expected, abs=6e-4)


def test_the_limits_of_the_page_are_those_of_the_library():
    said = f"MAX_SIDE = {LARGEST}, MAX_CELLS = {MOST_CELLS}, MAX_CHANNELS = {MOST_CHANNELS};"
    assert said in PAGE.read_text()


@pytest.mark.thorough
@pytest.mark.parametrize("name", GEOMETRIES)
def test_all_cells_are_those_of_the_library(visit, name):
    address, options, window = GEOMETRIES[name]
    page = visit(address)
    op = re.search(r"op=(\w+)|$", address)[1] or "conv"
    shapes = page.evaluate("shapesOf(S.g)")
    x, dy = (shown(page, key, (1, *shapes[key])) for key in ("x", "dy"))
    if "pool" in op:
        y, pull = jax.vjp(lambda x: getattr(jaxconv, op)(x, window, **options), x)
        (dx,), dw = pull(dy), None
    else:
        w = shown(page, "w", shapes["w"])
        y, pull = jax.vjp(lambda x, w: getattr(jaxconv, op)(x, w, **options), x, w)
        dx, dw = pull(dy)
    wanted = {"y": y[0], "dx": dx[0]} | ({} if dw is None else {"dw": dw})
    for array, want in wanted.items():
        np.testing.assert_allclose(shown(page, array, shapes[array]), want, atol=6e-4)
    rows = page.evaluate(
        """["y", "dx", "dw"].flatMap((array) => (cells[array] || []).map((c) => {
             select(array, c.index);
             return [c.ariaLabel, document.querySelector("#sum").textContent];
           }))"""
    )
    for label, text in rows:
        assert text.startswith(label.split(" ")[0])
        assert label.split(" = ")[1] in (text.split(" ")[-1], text.split("= ")[-1].split(":")[0])


def test_a_click_locks_and_escape_unlocks(visit):
    page = visit(POST)
    cell(page, "dX[2,2]").click()
    cell(page, "dX[1,1]").hover()
    page.wait_for_timeout(100)
    assert total(page) == 1234
    assert "of=dX[2,2]" in page.evaluate("address()")
    page.keyboard.press("Escape")
    cell(page, "dX[1,3]").hover()
    point(page, "dX[1,1]")
    assert total(page) == 1


def test_the_keyboard_reaches_every_cell(visit):
    page = visit(POST)
    page.locator("#step").focus()
    for _ in range(4):  # past X, W and Z to dX
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.ariaLabel") == "dX[1,1] = 1"
    for key, want in (("ArrowRight", 12), ("ArrowDown", 1234), ("End", 2040), ("ArrowDown", 4000)):
        page.keyboard.press(key)
        assert total(page) == want
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowUp")
    assert total(page) == 4000  # locked
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.ariaLabel") == "dX[2,1] = 103"
    grids = page.locator("#grids [role=grid]")
    for n in range(grids.count()):
        assert grids.nth(n).locator("[tabindex='0']").count() == 1
        assert grids.nth(n).get_attribute("aria-label")
    assert page.locator("#sum").get_attribute("aria-live") == "polite"


def test_touch(visit):
    page = visit(POST, size=PHONE)
    cell(page, "dX[2,2]").tap()
    assert total(page) == 1234
    assert "locked" in page.locator("#stage").get_attribute("class")
    cell(page, "Z[1,1]").tap()
    assert total(page) == 37


def test_the_question_turned_round(visit):
    page = visit(POST)
    page.locator("input[name=dir][value=out]").check()
    point(page, "X[1,2]")
    want = (
        "X[1,2] = 2 feeds Z[1,1] with W[1,2] = 2, Z[1,2] with W[1,1] = 1;"
        " and dW[1,2] with dZ[1,1] = 1, dW[1,1] with dZ[1,2] = 10."
    )
    assert page.locator("#sum").inner_text() == want
    point(page, "Z[1,1]")
    assert "dZ[1,1] = 1" in page.locator("#sum").inner_text()


def test_names_and_counting(visit):
    page = visit(POST)
    page.get_by_text("Numbers and names").click()
    page.locator("#onebased").uncheck()
    page.locator("#names").fill("a,k,b")
    point(page, "da[0,1]")
    assert page.locator("#sum").inner_text().startswith("da[0,1] = db[0,0]·k[0,1] + ")
    page.locator("#op").select_option("max_pool")
    assert page.evaluate("[S.g.kernel, S.g.stride]") == [[2, 2], [2, 2]]
    page.locator("#ties").select_option("all")
    assert page.evaluate("address()").startswith("op=max_pool&input=3,3&kernel=2,2&ties=all")


def test_a_changed_number_changes_all_that_depends_on_it(visit):
    page = visit(POST)
    cell(page, "W[1,2]").focus()
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.ariaLabel") == "W[1,2] = 7"
    page.keyboard.press("Escape")
    point(page, "dX[1,2]")
    assert total(page) == 1 * 7 + 10 * 1
    page.wait_for_function("location.hash.includes('w=1,7,3,4')")


WRONG = {
    "a kernel of 0 rows": ("Kernel size rows", "0", ["Kernel size", "from 1 to 40", "“0”"]),
    "letters": ("Input size columns", "abc", ["Input size", "a whole number", "“abc”"]),
    "a million": ("Input size rows", "1000000", ["Input size", "from 1 to 40", "“1000000”"]),
    "a kernel that does not fit": (
        "Kernel size rows",
        "9",
        ["Kernel", "spans 9 rows", "got 5 rows"],
    ),
    "less than is left": ("Padding before rows", "-4", ["Padding", "spans 3 rows", "got 1 rows"]),
    "groups": ("Groups", "3", ["Groups", "divisor of 1", "got 3"]),
    "channels": ("Channels in, out in", "9", ["Channels", "from 1 to 4", "“9”"]),
}


@pytest.mark.thorough
@pytest.mark.parametrize("what", WRONG)
def test_an_invalid_setting_gets_a_message_and_changes_nothing(visit, what):
    name, typed, words = WRONG[what]
    page = visit("op=conv&input=5,5&kernel=3,3")
    before = page.locator("#grids").inner_html()
    field(page, name).fill(typed)
    assert all(word in message(page) for word in words), message(page)
    assert field(page, name).get_attribute("aria-invalid") == "true"
    assert page.locator("#grids").inner_html() == before
    field(page, name).fill({"Padding before rows": "0", "Groups": "1"}.get(name, "3"))
    assert message(page).strip() == ""


def test_an_invalid_value_or_address_gets_a_message(visit):
    page = visit("op=conv&input=5,5&kernel=0,3")
    assert "Kernel size: expected a whole number from 1 to 40 for rows, got 0." in message(page)
    assert cell(page, "dX[1,2]").count() == 1  # the figure that the page starts with
    cell(page, "X[1,1]").click()
    page.locator("#edit").fill("two")
    assert "Value of X[1,1]: expected a number" in message(page)
    assert cell(page, "X[1,1]").inner_text() == "1"
    page.get_by_text("Numbers and names").click()
    page.locator("#names").fill("X,X,Z")
    assert "Names: expected three different letters" in message(page)


def test_settings_are_in_the_address_and_come_back(visit):
    page = visit("op=conv&input=5,5&kernel=3,3")
    page.get_by_role("button", name="More: Stride").click()
    page.get_by_role("button", name="same", exact=True).click()
    page.locator("#flip").check()
    cell(page, "dx[2,3]").click()
    sum_of_cell = page.locator("#sum").inner_text()
    page.wait_for_function("location.hash.includes('of=dx[2,3]')")
    page.reload()
    assert page.locator("#sum").inner_text() == sum_of_cell
    assert page.evaluate("[S.g.stride, S.g.padding, S.g.flip, S.locked]") == [
        [2, 2], [[1, 1], [1, 1]], True, True,
    ]  # fmt: skip


def test_the_marker_is_the_starting_state_and_the_address_comes_first(visit):
    start = {
        "op": "conv", "input": [4, 4], "kernel": [3, 3], "stride": [1, 1],
        "padding": [[1, 1], [1, 1]], "dilation": [1, 1], "input_dilation": [1, 1], "groups": 1,
        "flip": True, "of": "dX[1,2]", "one_based": True, "names": "X,W,Z",
    }  # fmt: skip
    page = visit(start=start)
    assert page.locator("#sum").inner_text().startswith("dX[1,2] = dZ[1,1]·W[")
    assert page.evaluate("[S.g.flip, S.g.padding]") == [True, [[1, 1], [1, 1]]]
    assert visit("input=7,7", start=start).evaluate("S.g.input") == [7, 7]
    pool = visit(start={"op": "max_pool", "input": [6, 6, 2], "kernel": [2, 2]})
    assert pool.evaluate("[S.g.stride, S.g.channels]") == [[2, 2], [2, 2]]
    line = visit(
        start={"input": [6], "kernel": [3], "stride": [2], "padding": [[1, 1]], "of": "dx[3]"}
    )
    assert line.evaluate("S.sel") == {"array": "dx", "index": [0, 3, 0]}
    same = {"op": "conv_transpose", "input": [3, 3], "kernel": [2, 2], "stride": [3, 3]}
    stretched = visit(start=same | {"padding": [[0, -1], [0, -1]], "of": None, "names": None})
    assert stretched.evaluate("S.shapes.y") == [9, 9, 1]  # as padding="SAME" gives
    wrong = visit(start={"input": [2, 2], "kernel": [3, 3]})
    assert "Kernel size: expected" in message(wrong)


@pytest.mark.thorough
def test_every_figure_to_start_from_is_drawn(visit):
    page = visit()
    values = page.locator("#preset option").evaluate_all("all => all.map((o) => o.value)")
    assert len(values) > 30
    for value in filter(None, values):
        page.locator("#preset").select_option(value)
        assert message(page).strip() == "", value
        assert page.locator("#preset").input_value() == value
        assert page.locator("#grids .sel").count() == 1, value


def test_playing_walks_the_window(visit):
    page = visit(POST)
    page.locator("#playf").click()
    page.wait_for_function("document.querySelector('#sum').textContent.startsWith('Z[1,2]')")
    page.locator("#playb").click()
    page.wait_for_function("document.querySelector('#sum').textContent.startsWith('dZ[1,2]')")
    page.keyboard.press("Escape")
    assert page.locator("#playb").get_attribute("aria-pressed") == "false"
    still = visit(POST, reduced_motion="reduce")
    for want in ("Z[1,1]", "Z[1,2]", "Z[2,1]"):  # one step for each press
        still.locator("#playf").click()
        assert still.locator("#sum").inner_text().startswith(want)


@pytest.mark.thorough
@pytest.mark.parametrize("name", GEOMETRIES)
def test_scatter_and_gather_end_with_the_same_gradient(visit, name):
    page = visit(GEOMETRIES[name][0])
    scattered, gathered = page.evaluate(
        """(() => {
             stepScatter(W.s.count - 1);
             const texts = (grid) => [...grid.querySelectorAll(".p")].map((c) => c.textContent);
             return [W.sP, W.gP].map(texts);
           })()"""
    )
    assert scattered == gathered
    if page.evaluate("S.g.channels.join()") == "1,1":
        array = page.evaluate("W.P")
        assert gathered == page.evaluate(f"cells.{array}.map((c) => c.textContent)")


def test_hatched_cells_are_those_without_a_window(visit):
    page = visit("op=conv&input=6,6&kernel=2,2&stride=4,3")
    labels = page.locator(".array-x .u").evaluate_all("all => all.map((c) => c.ariaLabel)")
    covered = {(r, c) for r in (0, 1, 4, 5) for c in (0, 1, 3, 4)}
    places = [f"x[{r},{c}]" for r, c in np.ndindex(6, 6) if (r, c) not in covered]
    assert [label.split(" ")[0] for label in labels] == places


def test_pointing_at_a_large_grid_builds_nothing_and_is_quick(visit):
    page = visit("op=conv&input=28,28&kernel=5,5")
    times = page.evaluate(
        """(async () => {
             const changes = [], seen = new MutationObserver((list) => changes.push(...list));
             const what = { childList: true, subtree: true, characterData: true };
             seen.observe(document.querySelector("#grids"), what);
             const times = [];
             for (let n = 0; n < 120; n++) {
               const array = ["x", "y", "dx", "dy", "w", "dw"][n % 6], list = cells[array];
               const start = performance.now();
               select(array, list[(n * 37) % list.length].index);
               document.body.offsetHeight;
               times.push(performance.now() - start);
               await new Promise(requestAnimationFrame);
             }
             return changes.length ? null : times;
           })()"""
    )
    assert times is not None
    assert np.quantile(times, 0.25) < 16
    assert page.locator("#stage.small").count() == 1  # without numbers


@pytest.mark.thorough
@pytest.mark.parametrize("size", [DESKTOP, TABLET, PHONE], ids=["desktop", "tablet", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(visit, size, scheme):
    addresses = [
        POST, "op=conv&input=28,28&kernel=5,5", "kernel=3,3&padding=1,1,1,1&channels=3,2",
        "op=max_pool&input=9,9&kernel=3,3&padding=1,1,1,1",
        "input=1,12&kernel=1,3&input_dilation=1,3",
        "op=conv_transpose&input=6,6&kernel=4,4&stride=3,3&channels=4,4&groups=2",
    ]  # fmt: skip
    page = visit(size=size, color_scheme=scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    for address in addresses:
        page.evaluate(f"location.hash = {json.dumps(address)}")
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
        outside = page.evaluate(
            """[...document.querySelectorAll(".card")].flatMap((card) => {
                 const end = (node) => node.getBoundingClientRect().right;
                 return [...card.querySelectorAll(".grid, button, select, code, p")]
                   .filter((node) => node.offsetWidth && end(node) > end(card) + 1)
                   .map((node) => node.outerHTML.slice(0, 80));
               })"""
        )
        assert outside == [], address
        over = """[...document.querySelectorAll("#grids .grid")].map((grid) =>
          grid.getBoundingClientRect().right - grids.getBoundingClientRect().right)"""
        assert max(page.evaluate(over)) < 1, address
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") != scheme


def test_exercises_answer_at_once(visit):
    page = visit()
    reach = page.locator("#ex0")
    for target in reach.locator(".grid").nth(1).get_by_role("gridcell").all():
        target.click()
    assert "That is all of them" in reach.get_by_role("status").inner_text()
    fill = page.locator("#ex1")
    w, dy, dx = (fill.locator("figure").nth(n) for n in range(3))
    kernel = np.array([number(t) for t in w.get_by_role("gridcell").all_inner_texts()])
    back = np.array([number(t) for t in dy.get_by_role("gridcell").all_inner_texts()])
    k, o = int(len(kernel) ** 0.5), int(len(back) ** 0.5)
    x = np.zeros((1, 3, 3, 1))
    _, pull = jax.vjp(lambda x: jaxconv.conv(x, kernel.reshape(k, k, 1, 1), padding="VALID"), x)
    (want,) = pull(back.reshape(1, o, o, 1))
    boxes = dx.get_by_role("textbox")
    boxes.first.fill("99")
    assert "Not 99. dx[0,0] = dy[0,0]·w[0,0]" in fill.get_by_role("status").inner_text()
    for box, value in zip(boxes.all(), np.asarray(want).ravel(), strict=True):
        box.fill(str(int(value)))
    assert fill.get_by_role("status").inner_text() == "All of dx is right."
    for n in (2, 3):  # one of the choices is right
        card = page.locator(f"#ex{n}")
        for choice in card.locator(".choices button").all():
            choice.click()
        assert card.locator(".choices .right").count() >= 1
        card.get_by_role("button", name="Another").click()
        assert card.get_by_role("status").inner_text() == ""
