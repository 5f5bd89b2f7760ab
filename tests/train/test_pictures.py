import jax.numpy as jnp
import matplotlib.image
import numpy as np
import pytest
from networks import TINY, parameters

from jaxconv.models import plain
from jaxconv.train import Config, pictures
from jaxconv.train.pictures import curves, layers
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
    for color in (curves.TRAIN, curves.TEST):
        rgb = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        assert np.any(np.all(np.abs(pixels[..., :3] - rgb) < 0.01, axis=-1)), color


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
    params = parameters(model, image_shape=image_shape, classes=3)
    random = np.random.default_rng(0)
    path = tmp_path / "layers.png"
    image = random.random(image_shape).astype(np.float32)
    pictures.draw_layers(path, model, params, jnp.asarray(image))
    pixels = seen(path)
    assert pixels.shape[0] == pytest.approx(0.85 * rows * 120, abs=1)

    channels = [leaves["b"].size for name, leaves in params.items() if name.startswith("conv")]
    assert len(shown) == 1 + sum(2 * min(c, layers.MAPS) for c in channels)
    for tile in shown[1:]:
        assert tile.ndim == 2
    # In colour if it can be.
    np.testing.assert_array_equal(shown[0], image if image_shape[-1] == 3 else image[..., 0])
    first = np.asarray(params["conv1"]["w"])[..., 0]
    assert any(np.array_equal(shown[1], first[..., c]) for c in range(first.shape[-1]))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_an_image_of_other_numbers_is_shown_whole(channels):
    image = np.random.default_rng(0).normal(size=(4, 5, channels)).astype(np.float32)
    shown = layers.input_of(image)
    assert shown.shape == ((4, 5, 3) if channels == 3 else (4, 5))
    assert (shown.min(), shown.max()) == pytest.approx((0, 1), abs=1e-6)
    seen = image if channels == 3 else image[..., 0]
    assert np.corrcoef(shown.ravel(), seen.ravel())[0, 1] == pytest.approx(1, abs=1e-6)


def test_layers_of_a_network_that_died(tmp_path):
    params = parameters(TINY, image_shape=(4, 4, 1), classes=3)
    for value, name in ((0.0, "zeros.png"), (NAN, "nan.png")):
        params["conv1"] = {
            leaf: jnp.full_like(array, value) for leaf, array in params["conv1"].items()
        }
        image = jnp.linspace(0, 1, 16, dtype=jnp.float32).reshape(4, 4, 1)
        pictures.draw_layers(tmp_path / name, TINY, params, image)
        assert matplotlib.image.imread(tmp_path / name).shape[0] > 50
