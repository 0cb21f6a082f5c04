"""How often which window is taken."""

import numpy as np
import pytest
from replay_model import ListModel, check_window, chi_square_p

from dreamerv2.errors import UsageError
from dreamerv2.replay import Replay
from dreamerv2.replay.sampling import choose_length, choose_start, random_actions

DRAWS = 20_000
THRESHOLD = 1e-4


def starts(rows, length, past_end, extra):
    rng = np.random.default_rng(0)
    drawn = [choose_start(rows, length, past_end, extra, rng) for _ in range(DRAWS)]
    return np.bincount(drawn, minlength=rows)


@pytest.mark.parametrize('past_end', ['short', 'off'])
def test_starts_are_uniform_without_prioritize_ends(past_end):
    counts = starts(30, 10, past_end, 0)
    assert counts[21:].sum() == 0
    assert chi_square_p(counts[:21], np.full(21, DRAWS / 21)) > THRESHOLD


@pytest.mark.parametrize('past_end', ['short', 'off'])
def test_prioritize_ends_gives_the_last_start_the_windows_length_in_weight(past_end):
    counts = starts(30, 10, past_end, 10)
    weights = np.array([1] * 20 + [11])
    assert counts[21:].sum() == 0
    assert chi_square_p(counts[:21], DRAWS * weights / weights.sum()) > THRESHOLD


def test_all_starts_at_every_row_alike():
    counts = starts(30, 10, 'all', 10)
    assert chi_square_p(counts, np.full(30, DRAWS / 30)) > THRESHOLD


@pytest.mark.parametrize('rows', [1, 2, 9, 10])
def test_a_short_episode_starts_at_its_first_row(rows):
    assert starts(rows, 10, 'short', 10)[0] == DRAWS


def test_lengths_of_pieces():
    rng = np.random.default_rng(0)
    assert {choose_length(100, 10, 10, rng) for _ in range(100)} == {10}
    assert {choose_length(100, 3, 10, rng) for _ in range(1000)} == {8, 9, 10}
    assert {choose_length(5, 3, 10, rng) for _ in range(1000)} == {3, 4, 5}
    assert {choose_length(2, 3, 10, rng) for _ in range(100)} == {3}


def test_random_actions_are_uniform():
    rng = np.random.default_rng(0)
    one_hot = random_actions(DRAWS, 5, True, rng)
    assert np.array_equal(np.unique(one_hot), [0, 1])
    assert np.array_equal(one_hot.sum(1), np.ones(DRAWS))
    assert chi_square_p(one_hot.sum(0), np.full(5, DRAWS / 5)) > THRESHOLD
    box = random_actions(DRAWS, 3, False, rng)
    counts, _ = np.histogram(box, 20, (-1, 1))
    assert counts.sum() == 3 * DRAWS
    assert chi_square_p(counts, np.full(20, 3 * DRAWS / 20)) > THRESHOLD


@pytest.mark.parametrize('prioritize_ends', [False, True])
@pytest.mark.parametrize('past_end', ['short', 'all', 'off'])
def test_episodes_are_drawn_uniformly_and_windows_as_chosen(past_end, prioritize_ends):
    lengths = [60, 21, 20, 12, 5, 1, 33, 25]
    replay = Replay(None, past_end=past_end, prioritize_ends=prioritize_ends, seed=3)
    model = ListModel()
    for rows in lengths:
        model.add_rows(replay, rows, 'terminated')
    batch = replay.sample(6000, 20)
    places = {}
    for episode, rows in enumerate(model.finished):
        for start, row in enumerate(rows):
            places[float(row['reward'])] = (episode, start)
    drawn = [places[float(number)] for number in batch['reward'][:, 0]]
    eligible = [i for i, rows in enumerate(lengths) if past_end != 'off' or rows >= 20]
    counts = np.bincount([episode for episode, _ in drawn], minlength=len(lengths))
    assert counts.sum() == counts[eligible].sum()
    assert chi_square_p(counts[eligible], np.full(len(eligible), 6000 / len(eligible))) > THRESHOLD

    in_first = np.bincount([start for episode, start in drawn if episode == 0], minlength=60)
    weights = np.ones(60)
    if past_end != 'all':
        weights[41:] = 0
        weights[40] += 20 if prioritize_ends else 0
    assert in_first[weights == 0].sum() == 0
    expected = in_first.sum() * weights / weights.sum()
    assert chi_square_p(in_first[weights > 0], expected[weights > 0]) > THRESHOLD


def test_every_level_weighs_the_same_whatever_its_episodes_length():
    replay = Replay(None, seed=1)
    model = ListModel()
    for _ in range(20):
        for level, rows in enumerate([2, 21, 100]):
            model._number += (level - model._number) % 3  # the model takes the level from it
            model.add_rows(replay, rows, 'terminated')
    level = replay.sample(9000, 10)['level']
    assert np.all(level == level[:, :1])
    assert chi_square_p(np.bincount(level[:, 0]), np.full(3, 3000)) > THRESHOLD


def test_continuous_actions_past_the_end_fill_the_box():
    replay = Replay(None)
    for i in range(3):
        replay.add_step(
            {
                'vector': np.zeros(2),
                'action': np.full(2, 0.3 * i),
                'reward': 1.0,
                'is_first': i == 0,
                'is_last': i == 2,
                'is_terminal': i == 2,
            }
        )
    batch = replay.sample(200, 30)
    past = batch['action'][:, 3:]
    assert past.dtype == np.float32
    assert past.min() < -0.99 and past.max() > 0.99
    counts, _ = np.histogram(past, 20, (-1, 1))
    assert chi_square_p(counts, np.full(20, past.size / 20)) > THRESHOLD
    assert np.all(batch['level'] == 0)


def test_fractions_count_rows_past_the_end():
    for end, key in (('terminated', 'absorbing_fraction'), ('truncated', 'filler_fraction')):
        replay = Replay(None)
        ListModel().add_rows(replay, 5, end)
        batch = replay.sample(10, 20)
        assert replay.stats['absorbing_fraction'] + replay.stats['filler_fraction'] == 0.75
        assert replay.stats[key] == 0.75
        assert batch['mask'].mean() == (1 if end == 'terminated' else 0.25)


def test_off_with_short_episodes_only_says_the_way_out():
    replay = Replay(None, past_end='off')
    model = ListModel()
    for rows in (3, 17, 9):
        model.add_rows(replay, rows, 'terminated')
    with pytest.raises(UsageError) as caught:
        replay.sample(2, 20)
    for part in ('17', '20', '--replay.past_end short', '--dataset.length'):
        assert part in str(caught.value)
    window = {key: value[0] for key, value in replay.sample(1, 17).items()}
    assert check_window(window, model, 'off') == (1, 0)


@pytest.mark.parametrize('past_end', ['short', 'all', 'off'])
def test_an_empty_replay_says_so(past_end):
    with pytest.raises(UsageError, match='no finished episode'):
        Replay(None, past_end=past_end).sample(2, 20)


@pytest.mark.parametrize(
    'options',
    [{'past_end': 'both'}, {'capacity': -1}, {'minlen': -1}, {'minlen': 5, 'maxlen': 3}],
)
def test_impossible_options(options):
    with pytest.raises(UsageError, match=str(next(iter(options.values())))):
        Replay(None, **options)
