from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxconv.train.augment.geometry import (
    draw_moves,
    moved,
    random_cuts,
    random_flips,
    random_rotations,
)

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)


def shifted(image, down, right):
    """The image moved, with zeros moving in."""
    result = np.zeros_like(image)
    for i, j in np.ndindex(*image.shape[:2]):
        if 0 <= i - down < image.shape[0] and 0 <= j - right < image.shape[1]:
            result[i, j] = image[i - down, j - right]
    return result


@pytest.mark.parametrize("by", [1, 2])
def test_every_shift_happens_to_every_image_by_itself(by):
    image = np.random.default_rng(0).uniform(1, 2, (4, 5, 2)).astype(np.float32)
    moves = {
        shifted(image, down, right).tobytes(): (down, right)
        for down in range(-by, by + 1)
        for right in range(-by, by + 1)
    }

    @partial(jax.jit, static_argnums=2)
    def shift(key, images, by):
        return moved(images, draw_moves(key, len(images), by), by)

    n = 400
    results = np.asarray(shift(KEY, jnp.stack([image] * n), by))
    found = [moves[result.tobytes()] for result in results]  # a KeyError: no shift within bounds
    counts = [found.count(move) for move in moves.values()]
    # Uniform and independent: binomial counts, within 4 standard deviations of their mean.
    p = 1 / len(moves)
    assert np.all(np.abs(np.array(counts) - n * p) < 4 * (n * p * (1 - p)) ** 0.5)

    np.testing.assert_array_equal(results, shift(KEY, jnp.stack([image] * n), by))
    other = shift(jax.random.key(1), jnp.stack([image] * n), by)
    assert not np.array_equal(results, other)


# ---- flips -------------------------------------------------------------------------------


def test_every_other_image_is_mirrored():
    images = RANDOM.random((400, 3, 4, 2)).astype(np.float32)
    results = np.asarray(random_flips(KEY, jnp.asarray(images)))
    mirrored = [bool(np.array_equal(r, i[:, ::-1])) for r, i in zip(results, images, strict=True)]
    for result, image, is_mirrored in zip(results, images, mirrored, strict=True):
        np.testing.assert_array_equal(result, image[:, ::-1] if is_mirrored else image)
    assert abs(sum(mirrored) - 200) < 4 * 10  # four standard deviations


# ---- cuts --------------------------------------------------------------------------------


def ramps(count, height, width):
    """Images whose first channel is the row of a pixel's middle, and the second its column."""
    rows, columns = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    return np.broadcast_to(np.stack([rows, columns], -1), (count, height, width, 2))


@pytest.mark.parametrize(("height", "width"), [(24, 24), (16, 30)])
@pytest.mark.parametrize("least", [0.3, 0.9])
def test_a_cut_is_a_part_of_the_image_scaled_to_all_of_it(height, width, least):
    """Read off an image that says at each place where it is."""
    images = jnp.asarray(ramps(300, height, width), jnp.float64)
    results = np.asarray(random_cuts(KEY, images, least))
    # The middle of the image is linear in the place, away from borders where pixels repeat.
    inner = results[:, 3:-3, 3:-3]
    down = np.diff(inner[..., 0], axis=1)
    right = np.diff(inner[..., 1], axis=2)
    tall, wide = down.mean(axis=(1, 2)), right.mean(axis=(1, 2))  # the shares of height and width
    np.testing.assert_allclose(down, np.broadcast_to(tall[:, None, None], down.shape), atol=1e-5)
    np.testing.assert_allclose(right, np.broadcast_to(wide[:, None, None], right.shape), atol=1e-5)
    area, ratio = tall * wide, wide / tall
    whole = (tall > 1 - 1e-6) | (wide > 1 - 1e-6)  # cut off at the border
    assert np.all((least - 1e-5 <= area) | whole)
    assert np.all(area <= 1 + 1e-5)
    assert np.all(ratio >= 3 / 4 - 1e-4)
    assert np.all(ratio <= 4 / 3 + 1e-4)
    assert area[~whole].std() > 0.01
    assert ratio.std() > 0.01
    # It lies within the image, anywhere.
    top = results[:, height // 2, 0, 0] - tall * (height // 2 + 0.5)
    assert np.all(top > -1e-3)
    assert np.all(top + tall * height < height + 1e-3)
    free = (1 - tall) > 0.05
    place = top[free] / (height * (1 - tall[free]))
    assert place.min() < 0.1
    assert place.max() > 0.9


def test_a_cut_of_everything_keeps_one_side():
    """Of a share of 1, only the ratio of width to height is left to chance."""
    images = jnp.asarray(ramps(50, 12, 12), jnp.float32)
    results = np.asarray(random_cuts(KEY, images, 1.0))
    assert results.dtype == np.float32
    tall = np.diff(results[:, 3:-3, 6, 0], axis=1).mean(axis=1)
    wide = np.diff(results[:, 6, 3:-3, 1], axis=1).mean(axis=1)
    np.testing.assert_allclose(np.maximum(tall, wide), 1, atol=1e-5)


# ---- rotations ---------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(9, 9), (8, 11)])
def test_an_image_is_rotated_about_its_middle(height, width):
    image = RANDOM.random((height, width, 2))
    results = np.asarray(random_rotations(KEY, jnp.asarray(np.stack([image] * 40)), 25.0))
    angles = np.asarray(jax.random.uniform(KEY, (40,), minval=-25.0, maxval=25.0))
    for result, angle in zip(results, angles, strict=True):
        for channel in range(2):
            want = scipy.ndimage.rotate(
                image[..., channel], -angle, reshape=False, order=1, mode="grid-constant"
            )
            np.testing.assert_allclose(result[..., channel], want, atol=1e-4)
    assert angles.min() < -15
    assert angles.max() > 15
