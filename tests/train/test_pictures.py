import itertools

import jax.numpy as jnp
import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from networks import TINY, variables

from jaxconv.models import plain
from jaxconv.train import Config, changes, pictures
from jaxconv.train.balance import seen_of
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.first import First
from jaxconv.train.loss import Answers
from jaxconv.train.pictures import batch, layers, lines, maps, names, tiles
from jaxconv.train.record import Epoch

NAN = float("nan")


def seen(path):
    """The picture's pixels; it is a picture, and there is something in it."""
    pixels = matplotlib.image.imread(path)
    assert pixels.ndim == 3
    assert min(pixels.shape[:2]) > 50
    assert np.std(pixels[..., :3]) > 0.02
    return pixels


@pytest.mark.parametrize(
    "losses",
    [[2.3], [2.3, 1.5, 0.7, 0.31, 0.2], [2.3, NAN, NAN], [NAN], [1e-3, 0.0]],
    ids=["one epoch", "some", "diverged", "diverged at once", "down to nothing"],
)
def test_curves(tmp_path, losses):
    epochs = [Epoch(i, loss, 0.1 * i, 0.09 * i, 1e4) for i, loss in enumerate(losses, 1)]
    path = tmp_path / "curves.png"
    pictures.draw_curves(path, epochs, Config())
    pixels = seen(path)
    for color in (lines.TRAIN, lines.HELD_OUT):
        rgb = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        assert np.any(np.all(np.abs(pixels[..., :3] - rgb) < 0.01, axis=-1)), color


def panel(draw, epochs):
    """What is drawn into an empty panel."""
    axes = Figure().subplots()
    draw(axes, epochs)
    axes.figure.draw_without_rendering()
    return axes


@pytest.mark.parametrize("count", [1, 2, 3, 30, 300])
@pytest.mark.parametrize("draw", [lines.draw_loss, lines.draw_accuracy, lines.draw_learning_rate])
def test_ticks_are_epochs(draw, count):
    epochs = [Epoch(i, 1 / i, 0.5, 0.5, 1e4, 1 / i, 0.002) for i in range(1, count + 1)]
    axes = panel(draw, epochs)
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks
    assert all(tick in range(1, count + 1) for tick in ticks)
    if draw is lines.draw_accuracy:
        assert axes.get_ylim()[1] <= 105
    if draw is lines.draw_learning_rate:
        assert axes.get_ylim() == pytest.approx((0, 0.0022))


def test_legends():
    """A small loss is not 0, and the held-out images are called so; accuracies are percent."""
    epochs = [Epoch(1, 4.6e-6, 0.5, 0.98765, 1e4, 0.123456, 0.002)]
    said = [
        [line.get_label() for line in panel(draw, epochs).lines]
        for draw in (lines.draw_loss, lines.draw_accuracy)
    ]
    assert said == [["train 4.6e-06", "held out 0.1235"], ["train 50.00%", "held out 98.77%"]]


def test_shortened():
    assert names.shortened("a short name", 12) == "a short name"
    assert names.shortened("0123456789", 9) == "0123…6789"
    assert names.shortened("0123456789", 4) == "01…9"
    assert names.shortened("0123456789", 1) == "…"


@pytest.mark.parametrize("name", ["W" * 50, "i" * 80, "$a_{b}$" * 9, "cat"])
def test_fitted(name):
    short = names.fitted(name, 60.0, 7.0)
    assert names._width(short, 7.0) <= 60
    assert (short == name) == (len(name) < 10)


@pytest.mark.parametrize("shape", [(4, 16, 3), (16, 8, 2), (6, 6, 1), (8, 4, 4)])
@pytest.mark.parametrize("fields", [{"shift": 0}, {"shift": 1, "mixup": 1.0}], ids=["", "mixup"])
def test_batch(tmp_path, monkeypatch, shape, fields):
    """Captions stay within their tiles, and little of the picture is empty."""
    figures = []
    make = batch.Figure
    monkeypatch.setattr(
        batch, "Figure", lambda *args, **more: figures.append(make(*args, **more)) or figures[-1]
    )
    images = np.zeros((20, *shape), np.uint8)
    labels = np.arange(20, dtype=np.int32) % 3
    classes = tuple(letter * 60 for letter in "Wi$")
    dataset = Dataset(images, labels, images, labels, classes=3, names=classes)
    config = changes.decided(Config(batch_size=20, **fields), dataset)
    path = tmp_path / "batch.png"
    pictures.draw_batch(path, config, dataset, seen_of(config, dataset))
    (figure,) = figures
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 20
    titles = [axes.title.get_window_extent() for axes in shown]
    for title, other in itertools.combinations(titles, 2):
        assert not title.overlaps(other)
    assert min(title.x0 for title in titles) >= 0
    assert max(title.x1 for title in titles) <= figure.bbox.x1
    boxes = [axes.get_window_extent() for axes in shown]
    area = sum(box.width * box.height for box in boxes)
    assert area > 0.4 * figure.bbox.width * figure.bbox.height
    note = figure.get_supxlabel()
    assert note == ("" if shape[-1] in (1, 3) else tiles.note_on(shape[-1]))


@pytest.mark.parametrize(
    ("share", "captions"),
    [
        (0.58, ["a 58%, b 42%", "b"]),
        (0.996, ["a", "b"]),
        (0.004, ["b", "b"]),
        (None, ["a", "b"]),
    ],
)
def test_captions(share, captions):
    labels = np.array([0, 1])
    others = None if share is None else np.array([1, 1])
    first = First(np.zeros(2), Answers(labels, others, share), np.zeros(2))
    assert first.captions(("a", "b")) == captions


@pytest.mark.parametrize(
    ("model", "image_shape", "rows"),
    [
        (TINY, (4, 6, 1), 2),
        (plain((((3, 20), (3, 2)), ((1, 3),)), ()), (5, 4, 3), 6),  # also more maps than fit
    ],
)
def test_layers(tmp_path, monkeypatch, model, image_shape, rows):
    shown = []
    show = layers._show

    def spy(axes, tile, colors, low, high):
        assert low <= tile.min()  # nothing is cut off
        assert tile.max() <= high
        shown.append(tile)
        show(axes, tile, colors, low, high)

    monkeypatch.setattr(layers, "_show", spy)
    before = variables(model, image_shape=image_shape, classes=3)
    random = np.random.default_rng(0)
    path = tmp_path / "layers.png"
    image = random.random(image_shape).astype(np.float32)
    pictures.draw_layers(path, model, before, jnp.asarray(image))
    pixels = seen(path)
    assert pixels.shape[0] > 50 * rows

    channels = [
        leaves["b"].size for name, leaves in before.params.items() if name.startswith("conv")
    ]
    assert len(shown) == 1 + sum(2 * min(c, maps.MAPS) for c in channels)
    for tile in shown[1:]:
        assert tile.ndim == 2
    # In colour if it can be.
    np.testing.assert_array_equal(shown[0], image if image_shape[-1] == 3 else image[..., 0])
    kernel = np.asarray(before.params["conv1"]["w"])
    slices = np.moveaxis(kernel, (2, 3), (0, 1)).reshape(-1, *kernel.shape[:2])
    assert any(np.array_equal(shown[1], tile) for tile in slices)


def test_the_strongest_maps_are_shown_below_their_filters():
    model = plain((((3, 20),),), ())
    before = variables(model, image_shape=(6, 5, 1), classes=3)
    image = jnp.asarray(np.random.default_rng(0).random((6, 5, 1)), jnp.float32)
    (_, value), *_ = maps._outputs(model, before, image)
    filters, shown = maps.rows_of(model, before, image)
    assert [row.title for row in (filters, shown)] == [
        "conv1 filters, 12 of 20",
        "conv1 output, 12 of 20",
    ]
    strength = np.linalg.norm(value, axis=(0, 1))
    order = sorted(range(20), key=lambda i: -strength[i])[: maps.MAPS]
    for i, kernel, tile in zip(order, filters.tiles, shown.tiles, strict=True):
        np.testing.assert_array_equal(tile, value[..., i])
        np.testing.assert_array_equal(kernel, before.params["conv1"]["w"][..., 0, i])


def test_titles_of_rows_begin_at_the_same_place(tmp_path, monkeypatch):
    figures = []
    make = layers.Figure
    monkeypatch.setattr(
        layers, "Figure", lambda *args, **more: figures.append(make(*args, **more)) or figures[-1]
    )
    for shape in ((4, 12, 1), (12, 4, 1)):
        before = variables(TINY, image_shape=shape, classes=3)
        path = tmp_path / "layers.png"
        pictures.draw_layers(
            path, TINY, before, jnp.linspace(0, 1, 48, dtype=jnp.float32).reshape(shape)
        )
        titles = [
            axes.get_window_extent().x0 for axes in figures[-1].axes if axes.get_title("left")
        ]
        assert titles[1:] == pytest.approx([titles[1]] * (len(titles) - 1), abs=0.5)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_an_image_of_other_numbers_is_shown_whole(channels):
    image = np.random.default_rng(0).normal(size=(4, 5, channels)).astype(np.float32)
    shown = tiles.input_of(image)
    assert shown.shape == ((4, 5, 3) if channels == 3 else (4, 5))
    assert (shown.min(), shown.max()) == pytest.approx((0, 1), abs=1e-6)
    seen = image if channels == 3 else image[..., 0]
    assert np.corrcoef(shown.ravel(), seen.ravel())[0, 1] == pytest.approx(1, abs=1e-6)


def test_layers_of_a_network_that_died(tmp_path):
    before = variables(TINY, image_shape=(4, 4, 1), classes=3)
    for value, name in ((0.0, "zeros.png"), (NAN, "nan.png")):
        before.params["conv1"] = {
            leaf: jnp.full_like(array, value) for leaf, array in before.params["conv1"].items()
        }
        image = jnp.linspace(0, 1, 16, dtype=jnp.float32).reshape(4, 4, 1)
        pictures.draw_layers(tmp_path / name, TINY, before, image)
        assert matplotlib.image.imread(tmp_path / name).shape[0] > 50
