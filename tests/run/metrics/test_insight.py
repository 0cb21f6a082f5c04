"""Measures of what a world model sees, against numbers computed by hand."""

import numpy as np
import pytest

from dreamerv2.run.metrics import insight

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


def episode(rows, *, died=True, completed=False, x=None, level=0, top=20.0):
    """An episode of `rows` rows that walks 10 pixels a step."""
    terminal = np.zeros(rows, bool)
    terminal[-1] = died or completed
    complete = np.zeros(rows, np.float32)
    complete[-1] = completed
    box = np.tile(np.float32([top, 10, top + 4, 14]), (rows, 1))
    return {
        'image': np.zeros((rows, 64, 64, 1), np.uint8),
        'is_terminal': terminal,
        'level': np.full(rows, level, np.int32),
        'log_x': np.float32(10 * np.arange(rows) if x is None else x),
        'log_completed': complete,
        'log_player': box,
    }


def test_what_is_known_of_deaths():
    nan = np.nan
    np.testing.assert_array_equal(insight.deaths_within(episode(4), 0), [0, 0, 0, 1])
    np.testing.assert_array_equal(insight.deaths_within(episode(4), 2), [0, 1, 1, 1])
    cut_off = insight.deaths_within(episode(4, died=False), 2)
    np.testing.assert_array_equal(cut_off, [0, 0, nan, nan])
    flag = insight.deaths_within(episode(4, died=False, completed=True), 2)
    np.testing.assert_array_equal(flag, [0, 0, 0, 0])


def test_deaths_are_compared_with_survived_rows_of_the_same_place():
    dead = episode(31)  # Dies at x 300; 4 steps before at 260, 8 before at 220.
    survivor = episode(61, died=False)
    elsewhere = episode(61, died=False, level=1)
    truth = {0: np.zeros(31), 4: np.zeros(31), 8: np.full(31, 0.3)}
    truth[4][26] = 0.9
    # The survivor at 250, 260 and 270, of which one is rated higher and one the same.
    other = {0: np.zeros(61), 4: np.zeros(61), 8: np.full(61, 0.1)}
    other[4][[25, 26]] = 0.95, 0.9
    certain = {steps: np.ones(61) for steps in insight.AHEAD}
    found = insight.deaths_foreseen([dead, survivor, elsewhere], [truth, other, certain])
    assert found['deaths_0'] == found['deaths_4'] == found['deaths_8'] == 1
    assert found['auc_0'] == 0.5 and found['recall_0'] == 0  # All alike.
    assert found['auc_4'] == pytest.approx(1 - (1 / 3 + 1 / 6)) and found['recall_4'] == 0
    assert found['auc_8'] == 1 and found['recall_8'] == 1
    assert found['mean_4'] == pytest.approx(0.9)


def test_brier_skill_is_one_less_the_error_over_that_of_the_base_rate():
    dead = episode(20)
    perfect = {k: insight.deaths_within(dead, k) for k in insight.AHEAD}
    assert insight.deaths_foreseen([dead], [perfect])['brier_skill_4'] == 1
    base = {k: np.full(20, np.mean(perfect[k])) for k in insight.AHEAD}
    assert insight.deaths_foreseen([dead], [base])['brier_skill_4'] == pytest.approx(0)
    half = {k: np.full(20, 0.5) for k in insight.AHEAD}
    # Deaths within 4 steps: 5 of 20 rows, variance 3/16; the error is 1/4.
    found = insight.deaths_foreseen([dead], [half])
    assert found['brier_skill_4'] == pytest.approx(1 - 0.25 / (3 / 16))
    missing = {k: np.full(20, np.nan) for k in insight.AHEAD}
    assert set(insight.deaths_foreseen([dead], [missing])) == {'deaths_0', 'deaths_4', 'deaths_8'}


def test_rewards_by_event():
    hit, fall = episode(4, x=[0, 5, 5, 5]), episode(3, top=60.0)
    flag = episode(3, died=False, completed=True)
    assert [list(insight.events(hit)[name]) for name in ('hit', 'standing')] == [
        [False, False, False, True],
        [False, False, True, False],
    ]
    assert list(insight.events(fall)['fall']) == [False, False, True]
    assert list(insight.events(flag)['flag']) == [False, False, True]
    learned = [np.array([0, 1, 0, -1.0]), np.array([0, 1, -1.0]), np.array([0, 1, 1.0])]
    predicted = [np.array([0, 1, 0.5, 0.0]), np.array([0, 1, -0.5]), np.array([0, 1, np.nan])]
    found = insight.reward_accuracy([hit, fall, flag], predicted, learned)
    assert found['error_hit'] == 1 and found['error_fall'] == 0.5
    assert found['error_standing'] == 0.5
    assert found['rows_flag'] == 0 and 'error_flag' not in found
    assert found['error'] == pytest.approx(np.sqrt((0.25 + 1 + 0.25) / 9))
    guess, truth = [0, 1, 0.5, 0, 0, 1, -0.5, 0, 1], [0, 1, 0, -1, 0, 1, -1, 0, 1]
    assert found['correlation'] == pytest.approx(np.corrcoef(guess, truth)[0, 1])


def test_critic_against_what_followed():
    followed = insight.discounted_returns(np.array([0, 2.0, 4.0]), 0.5, True)
    np.testing.assert_array_equal(followed, [2, 4, 4])
    assert np.isnan(insight.discounted_returns(np.ones(3), 0.5, False)).all()
    value = np.array([3.0, 4.0, np.nan])
    found = insight.critic_accuracy(value, followed, np.array([1.0, 2.0, 9.0]))
    assert found == {
        'mean': 3.5,
        'followed': 3.0,
        'bias': pytest.approx(1 / 6),
        'correlation': pytest.approx(1),
        'imagined': 1.5,
    }
    assert insight.critic_accuracy(value, np.full(3, np.nan), value) == {}
