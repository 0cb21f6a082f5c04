"""Measures of what a world model sees, against numbers computed by hand."""

import numpy as np
import pytest

from dreamerv2.run import insight

NOWHERE = np.zeros(4, np.float32)
NOBODY = np.zeros((5, 4), np.float32)


def scene():
    """A gray picture of 8 x 8 with Mario, white, in 2 x 2 pixels and an enemy, black, in one."""
    image = np.full((8, 8, 1), 0.5)
    image[2:4, 4:6] = 1.0
    image[6, 1] = 0.0
    player = np.array([1.9, 4.2, 4.1, 6.0], np.float32)
    enemies = NOBODY.copy()
    enemies[3] = 5.6, 0.8, 6.9, 2.1
    return image, player, enemies


def test_a_blind_drawing_fills_boxes_from_around_them():
    image, player, enemies = scene()
    drawing, region = insight.blind_drawing(image, player, enemies)
    np.testing.assert_array_equal(drawing, 0.5)
    assert (region == insight.REGIONS.index('player')).sum() == 4
    assert (region == insight.REGIONS.index('enemies')).sum() == 1
    image[0] = 0.0
    image[1, 3:7] = 0.0  # The ring of 12 has 4 black pixels above: the median is still gray.
    drawing, _ = insight.blind_drawing(image, player, enemies)
    assert (drawing[2:4, 4:6] == 0.5).all()


def test_errors_are_shares_of_the_blind_drawing():
    image, player, enemies = scene()
    sums = insight.SpriteErrors()
    half = image.copy()
    half[2:4, 4:6] = 0.75  # Half as far away as the blind drawing: a quarter of its error.
    gone = image.copy()
    gone[2:4, 4:6] = 0.5
    gone[6, 1] = 0.5
    sums.add(image, player, enemies, {0: half, 5: gone})
    found = sums.metrics()
    assert found['player_contrast'] == found['enemies_contrast'] == 0.25
    assert found['player'] == pytest.approx(0.25) and found['player_5'] == pytest.approx(1)
    assert found['enemies'] == 0 and found['enemies_5'] == pytest.approx(1)
    assert 'player_15' not in found
    # Ratios of sums, not means of ratios: a frame of more contrast weighs more.
    dark = np.zeros((8, 8, 1))
    dark[2:4, 4:6] = 1.0
    sums.add(dark, player, NOBODY, {0: dark})
    assert sums.metrics()['player'] == pytest.approx(4 * 0.0625 / (4 * 0.25 + 4 * 1.0))


def test_where_sprite_and_background_are_alike_there_is_no_share():
    image = np.full((8, 8, 3), 0.5)
    image[2:4, 4:6] = 0.56
    sums = insight.SpriteErrors()
    sums.add(image, scene()[1], NOBODY, {0: image})
    found = sums.metrics()
    assert found['player_contrast'] == pytest.approx(0.06**2)
    assert 'player' not in found and 'enemies_contrast' not in found


@pytest.mark.parametrize(
    'box, rows, columns',
    [
        ([0, 0, 0, 0], (0, 0), (0, 0)),
        ([51.47, 10, 55.73, 14], (51, 56), (10, 14)),
        ([3.1, 4, 3.3, 4.4], (3, 4), (4, 5)),
        ([60, 62, 66, 70], (60, 64), (62, 64)),
        ([-3, -2, 2, 1], (0, 2), (0, 1)),
    ],
)
def test_boxes_cover_pixels(box, rows, columns):
    assert insight.pixels_of(np.array(box), 64, 64) == (slice(*rows), slice(*columns))


@pytest.mark.parametrize('rows', [1, 5, 64, 65, 107, 108, 109, 1000])
def test_every_row_counts_in_one_window_and_is_led_up_to(rows):
    counts = np.zeros(rows, int)
    for start, stop, counted in insight.windows(rows, 64, 20):
        assert 0 < stop - start <= 64
        assert counted - start == (20 if start else 0)
        counts[counted:stop] += 1
    assert (counts == 1).all()
    assert insight.windows(rows, 64, 20)[-1][1] == rows


def test_episodes_are_held_out_by_number():
    assert insight.held_out([8, 9, 10, 19]) == [False, True, False, True]
    assert insight.held_out([3, 4]) == [False, True]
    assert insight.held_out([]) == []
