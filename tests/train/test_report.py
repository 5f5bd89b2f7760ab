import base64
import io
import re

import jax
import numpy as np
import pytest
from PIL import Image

from jaxconv.explain import terms
from jaxconv.explain.shown import geometry
from jaxconv.models import MODELS, Variables
from jaxconv.train import Config, changes
from jaxconv.train.balance import seen_of
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.record import Epoch
from jaxconv.train.report import make_report
from jaxconv.train.report.classes import classes
from jaxconv.train.report.curves import INK, curves
from jaxconv.train.report.headline import achieved, optimistic
from jaxconv.train.report.held import Held
from jaxconv.train.report.mistakes import mistakes
from jaxconv.train.report.repeat import command
from jaxconv.train.report.windows import address

RANDOM = np.random.default_rng(0)
NAMES = ("ants & bees", "<b>cats</b>", "dogs")
EPOCHS = [
    Epoch(1, 1.1, 0.4, 0.5, 100.0, 1.2, 0.002),
    Epoch(2, 0.9, 0.5, 0.75, 100.0, 1.0, 0.001),
    Epoch(3, 0.8, 0.6, 0.5, 100.0, 1.1, 0.0001),
]


def part(count, channels):
    images = RANDOM.integers(0, 256, (count, 12, 12, channels), np.uint8)
    return images, np.arange(count, dtype=np.int32) % 3


def page_of(tmp_path, *, channels=3, last=False, epochs=EPOCHS, names=NAMES, **fields):
    config = Config(dataset="some/[folder]", batch_size=8, model="lenet", **fields)
    dataset = Dataset(
        *part(20, channels), *part(9, channels), classes=len(names), names=names,
        notes=("left out 1 file",), last=part(6, channels) if last else None,
    )  # fmt: skip
    shape = (12, 12, channels)
    init = MODELS["lenet"].init
    before = Variables(*init(jax.random.key(0), image_shape=shape, classes=len(names)))
    config = changes.decided(config, dataset)
    seen = seen_of(config, dataset)
    return make_report(config, dataset, seen, before, epochs, tmp_path), dataset


def test_layers_with_windows_lead_to_the_page_of_their_gradient(tmp_path):
    page, _ = page_of(tmp_path)
    links = re.findall(r'<li><a href="gradient\.html#(.*?)">(.*?)</a>: (.*?)</li>', page)
    assert [(words, layers) for _, words, layers in links] == [
        ("conv 5×5, of 12×12", "conv1"),
        ("max pool 2×2, of 12×12", "max pool"),
        ("conv 5×5, of 6×6", "conv2"),
        ("max pool 2×2, of 6×6", "max pool"),
    ]
    settings = dict(pair.split("=") for pair in links[0][0].replace("&amp;", "&").split("&"))
    assert settings["padding"] == "2,2,2,2"
    assert settings["kernel"] == "5,5"
    assert '"op": "conv"' in (tmp_path / "gradient.html").read_text()


def test_the_options_of_a_pool_are_in_its_link():
    options = {"ties": "all", "ceil_mode": True, "stride": 2}
    pool = geometry(terms("max_pool", input=(6, 6), window=3, of="y[0,0]", **options))
    assert address(pool).endswith("kernel=3,3&stride=2,2&dilation=1,1&padding=0,1,0,1&ties=all")
    mean = terms(
        "avg_pool", input=(6, 6), window=2, count_include_pad=False, padding=1, of="y[0,0]"
    )
    assert address(geometry(mean)).endswith("padding=1,1,1,1&count_include_pad=0")


@pytest.mark.parametrize("channels", [1, 3])
def test_everything_is_on_one_page(tmp_path, channels):
    Image.new("RGB", (3, 3)).save(tmp_path / "layers.png")
    page, _ = page_of(tmp_path, channels=channels)
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert page.endswith("</body></html>\n")
    assert "Note: left out 1 file." in page
    assert "50.00% of 9 held-out images after epoch 3; the best was 75.00% after epoch 2" in page
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings == [
        "Curves", "Classes", "The surest mistakes", "A batch as the network saw it",
        "What the layers compute", "Where their gradients come from", "Gradients by layer",
        "How to repeat it",
    ]  # fmt: skip
    # Names are shown and never read as HTML.
    assert "ants &amp; bees" in page
    assert "<b>" not in page
    # Each class has a row of the counts of its images.
    for name, row in zip(
        NAMES, re.findall(r"<tr><td>(?:ants|&lt;b|dogs).*?</tr>", page), strict=True
    ):
        cells = re.findall(">([^<>]*)</td>", row)
        assert cells[0].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">") == name
        assert cells[1] == "3"
        assert sum(int(cell) for cell in cells[3:] if cell != "·") == 3


def test_curves_fit_into_the_page_and_have_its_colour(tmp_path):
    page, _ = page_of(tmp_path)
    assert re.search(r"\.curves svg[^}]*max-width: 100%; height: auto", page)
    drawn = re.findall("<svg.*?</svg>", page, re.DOTALL)
    assert len(drawn) == 3
    for svg in drawn:
        assert "currentColor" in svg
        assert "#ffffff" not in svg  # no background
        assert INK not in svg
    ids = re.findall(' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    for used in re.findall(r'(?:href="#|url\(#)([^")]*)', page):
        assert used in ids


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, ""),
        ({"mixup": 0.3}, "The training loss includes mixup, and so"),
        (
            {"mixup": 0.3, "label_smoothing": 0.1, "class_weights": "balanced"},
            "The training loss includes label smoothing, mixup and class weights, and so",
        ),
    ],
    ids=["none", "one", "all"],
)
def test_losses_that_are_not_comparable(fields, sentence):
    drawn = curves(EPOCHS, EPOCHS[1], Config(**fields))
    assert sentence in drawn
    assert ("not comparable with the held-out loss" in drawn) == bool(sentence)


def test_what_is_achieved():
    dataset = Dataset(*part(20, 1), *part(1200, 1), classes=3)
    one, two, three = EPOCHS
    assert achieved(dataset, one, one) == "50.00% of 1,200 held-out images after epoch 1."
    assert achieved(dataset, two, two) == (
        "75.00% of 1,200 held-out images after epoch 2, which is the best."
    )
    assert achieved(dataset, three, two) == (
        "50.00% of 1,200 held-out images after epoch 3; the best was 75.00% after epoch 2."
    )
    assert "a little optimistic" in optimistic(dataset)
    assert optimistic(dataset._replace(last=part(6, 1))) == ""


def held_of(labels, found, count):
    """What a network says that takes images of these labels for these classes."""
    return Held(np.zeros((len(labels), 4, 4, 1)), np.array(labels), np.eye(count)[found])


def cells(page):
    return [re.findall("<t[dh][^>]*>([^<>]*)</t", row) for row in page.split("<tr>")[1:]]


def test_few_classes_have_a_table_of_all_pairs():
    long = "a_name_of_a_class_that_is_far_too_long_for_the_head_of_a_column"
    page = classes(held_of([0] * 2000 + [1], [1] * 2000 + [1], 2), ["cat", long])
    head, cat, other = cells(page)
    assert head[:4] == ["class", "images", "accuracy", "→\u00a0cat"]
    assert "…" in head[4]
    assert len(head[4]) < 25
    assert f'title="→\u00a0{long}"' in page
    assert cat == ["cat", "2,000", "0.0%", "·", "2,000"]
    assert other[1:] == ["1", "100.0%", "·", "1"]


def test_many_classes_have_their_worst_pairs():
    names = [f"class {i}" for i in range(25)]
    labels = list(range(24)) + [3] * 1500 + [7, 7]
    found = list(range(24)) + [4] * 1500 + [9, 9]
    page = classes(held_of(labels, found, 25), names)
    assert "→" not in page
    rows = cells(page)
    by_class, pairs = rows[:26], rows[26:]
    assert by_class[:3] == [
        ["class", "images", "accuracy"],
        ["class 3", "1,501", "0.1%"],
        ["class 7", "3", "33.3%"],
    ]
    assert by_class[-1] == ["class 24", "0", "–"]
    assert pairs == [
        ["class", "taken for", "images"],
        ["class 3", "class 4", "1,500"],
        ["class 7", "class 9", "2"],
    ]
    right = classes(held_of(labels, labels, 25), names)
    assert "No image is taken for another class." in right


def test_a_page_of_many_classes_with_long_names(tmp_path):
    names = tuple(f"<i>the class with the number {i} & a long name</i>" for i in range(30))
    page, _ = page_of(tmp_path, names=names, mixup=1.0)
    assert "<i>" not in page
    assert "The 30 classes" in page


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_channels_that_are_left_out(tmp_path, channels):
    page, _ = page_of(tmp_path, channels=channels)
    assert ("shown as the first of its 2 channels" in page) == (channels == 2)


def test_gradients_say_what_they_are_of(tmp_path):
    page, _ = page_of(tmp_path)
    assert "norms for the 8 images of the first batch" in page
    assert "<th>norm of the parameter</th>" in page


def test_a_long_command_is_shown_whole(tmp_path):
    page, _ = page_of(tmp_path)
    assert re.search(r"pre \{[^}]*white-space: pre-wrap; overflow-wrap: anywhere", page)


def test_nothing_is_fetched(tmp_path):
    page, _ = page_of(tmp_path)
    outside = re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)([^"']*)""", page)
    assert {link.partition("#")[0] for link in outside} == {"gradient.html"}
    assert "<script" not in page
    assert "url(http" not in page


def test_pictures_are_those_of_the_batch(tmp_path):
    page, dataset = page_of(tmp_path, shift=0)
    batch = page[page.index("A batch as") : page.index("What the layers")]
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))
        for code in re.findall(r"base64,([^\"]*)\"", batch)
    ]
    assert len(shown) == 8
    order = np.random.default_rng((0, 1)).permutation(20)[:8]
    for got, index in zip(shown, order, strict=True):
        np.testing.assert_array_equal(got, dataset.train_images[index])


def test_the_part_for_the_end_is_the_one_that_is_judged(tmp_path):
    page, _ = page_of(tmp_path, last=True)
    assert "Of the 6 images that were kept for the end" in page
    row = re.search(r"<tr><td>dogs.*?</tr>", page)[0]
    assert re.findall(">([^<>]*)</td>", row)[1] == "2"


def test_one_epoch_and_no_drawing(tmp_path):
    page, _ = page_of(tmp_path, epochs=EPOCHS[:1])
    assert "What the layers compute" in page
    assert "filters and feature maps" not in page


def test_no_mistake(tmp_path):
    images, labels = part(4, 3)
    held = Held(images, labels, np.eye(3)[labels])
    assert mistakes(held, NAMES) == "<p>There is none.</p>"


def test_the_surest_mistake_is_the_first():
    images, _ = part(3, 3)
    held = Held(
        images, np.int32([0, 1, 2]), np.array([[0.1, 0.6, 0.3], [0.2, 0.7, 0.1], [0.9, 0.05, 0.05]])
    )
    captions = re.findall("<figcaption>(.*?)</figcaption>", mistakes(held, "abc"))
    assert captions == ["c, taken for a (90%)", "a, taken for b (60%)"]


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({}, ""),
        (
            {"dataset": "my pictures", "epochs": 3, "skip_bad": True, "learning_rate": 0.5},
            " --dataset 'my pictures' --skip-bad --epochs 3 --learning-rate 0.5",
        ),
        (
            {"recipe": "objects", "flip": False, "memory": 1.0, "ema": 0.9},
            " --ema 0.9 --recipe objects --flip False",
        ),
        ({"recipe": "photographs", "normalize": True, "color": 0.2}, " --recipe photographs"),
    ],
)
def test_the_command_repeats_the_run(fields, flags):
    """It names the flags that are neither the usual ones nor those of the recipe."""
    dataset = Dataset(*part(20, 3), *part(9, 3), classes=3)
    config = changes.decided(Config(**fields), dataset)
    assert command(config, dataset) == "python -m jaxconv.train" + flags
