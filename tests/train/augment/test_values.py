import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pytorch_libraries import library

from jaxconv.train.augment.mixing import mixed
from jaxconv.train.augment.values import random_colors, random_holes
from jaxconv.train.batch import NO_IMAGE

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)


def test_colours_change_as_torchvision_changes_them():
    """Brightness, contrast and saturation, in this order, by the factors that were drawn."""
    functional = library("torchvision").transforms.functional
    torch = pytest.importorskip("torch")
    images = RANDOM.random((20, 5, 6, 3)).astype(np.float32)
    results = np.asarray(random_colors(KEY, jnp.asarray(images), 0.6))
    factors = np.asarray(
        jax.random.uniform(KEY, (3, 20, 1, 1, 1), jnp.float32, minval=0.4, maxval=1.6)
    ).reshape(3, 20)
    for result, image, (brightness, contrast, saturation) in zip(
        results, images, factors.T, strict=True
    ):
        x = torch.tensor(image).permute(2, 0, 1)
        x = functional.adjust_brightness(x, float(brightness))
        x = functional.adjust_contrast(x, float(contrast))
        x = functional.adjust_saturation(x, float(saturation))
        # torchvision rounds the weights of red, green and blue to four digits.
        np.testing.assert_allclose(result, x.permute(1, 2, 0).numpy(), atol=3e-4)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_colours_stay_within_their_bounds_and_differ_by_image(channels):
    image = RANDOM.random((4, 5, channels)).astype(np.float32)
    results = np.asarray(random_colors(KEY, jnp.asarray(np.stack([image] * 30)), 0.5))
    assert results.min() >= 0
    assert results.max() <= 1
    assert len({result.tobytes() for result in results}) == 30
    grey = np.full((1, 4, 5, channels), 0.5, np.float32)
    same = np.asarray(random_colors(KEY, jnp.asarray(grey), 0.5))
    np.testing.assert_allclose(same, np.broadcast_to(same[0, 0, 0, 0], same.shape), atol=1e-6)
    np.testing.assert_array_equal(random_colors(KEY, jnp.asarray(grey), 1e-9), grey)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_a_hole_is_a_square_cut_off_at_the_border(side):
    height, width = 5, 7
    images = jnp.ones((600, height, width, 2))
    results = np.asarray(random_holes(KEY, images, side))
    seen = set()
    for result in results:
        np.testing.assert_array_equal(result[..., 0], result[..., 1])
        rows, columns = np.nonzero(result[..., 0] == 0)
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert set(np.unique(result)) == {0, 1}
        assert np.ptp(rows) < side
        assert np.ptp(columns) < side
        seen.add((rows.min(), columns.min(), np.ptp(rows), np.ptp(columns)))
    assert len(seen) == height * width  # its middle is anywhere


@pytest.mark.parametrize("present", [1, 3, 5])
def test_every_image_is_mixed_with_the_one_before_it(present):
    images = jnp.asarray(RANDOM.random((5, 2, 2, 1)))
    labels = jnp.where(jnp.arange(5) < present, jnp.int32([3, 1, 4, 1, 5]), NO_IMAGE)
    results, answers = mixed(KEY, images, labels, 0.4)
    share = float(answers.share)
    assert 0.5 <= share < 1
    for i in range(present):
        before = (i - 1) % present  # never an empty place
        assert answers.others[i] == labels[before]
        want = share * images[i] + (1 - share) * images[before]
        np.testing.assert_allclose(results[i], want, rtol=1e-6)
    assert answers.labels.tolist() == labels.tolist()
    assert answers.others[present:].tolist() == [NO_IMAGE] * (5 - present)


def test_shares_are_those_of_a_beta_distribution():
    images, labels = jnp.zeros((1, 1, 1, 1)), jnp.zeros(1, jnp.int32)
    draw = jax.jit(jax.vmap(lambda key: mixed(key, images, labels, 1.0)[1].share))
    shares = np.asarray(draw(jax.random.split(KEY, 2000)))
    # Beta(1, 1) is uniform; the larger of share and 1 − share is uniform in [1/2, 1].
    assert shares.min() >= 0.5
    assert abs(shares.mean() - 0.75) < 4 * 0.1443 / 2000**0.5
