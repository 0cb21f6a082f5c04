"""Which predictions are compared with which rows: an agent that knows the future is perfect."""

import numpy as np
import pytest

from dreamerv2.run import model_evaluation
from dreamerv2.run.metrics import insight

DISCOUNT = 0.9
HORIZON = 15


def make_episode(rows, died, seed):
    """An episode of random pictures with Mario on them, and the number of each row."""
    rng = np.random.default_rng(seed)
    flags = np.zeros(rows, bool)
    terminal = flags.copy()
    terminal[-1] = died
    return {
        'image': rng.integers(0, 256, (rows, 16, 16, 3), dtype=np.uint8),
        'action': np.zeros((rows, 2), np.float32),
        'reward': rng.normal(size=rows).astype(np.float32),
        'is_first': np.arange(rows) == 0,
        'is_last': np.arange(rows) == rows - 1,
        'is_terminal': terminal,
        'level': np.zeros(rows, np.int32),
        'row': 1000 * seed + np.arange(rows, dtype=np.int32),
        'log_player': np.tile(np.float32([4, 4, 8, 8]), (rows, 1)),
        'log_enemies': np.tile(np.float32([[10, 10, 13, 12]]), (rows, 5, 1)),
        'log_x': np.float32(10 * np.arange(rows)),
        'log_completed': np.zeros(rows, np.float32),
    }


class Oracle:
    """Predicts what is recorded; what lies behind a window it does not know."""

    def __init__(self, episodes):
        self._episodes = dict(enumerate(episodes, 1))
        self.rows_seen = []

    def foresee(self, batch):
        lead = batch['row'].shape
        assert (
            lead == (model_evaluation.BATCH, model_evaluation.LENGTH)
            and batch['is_first'][:, 0].all()
        )
        found = {f'image/{steps}': np.zeros((*lead, 16, 16, 3)) for steps in insight.STEPS_AHEAD}
        found |= {name: np.zeros(lead) for name in ('reward', 'value', 'imagined', 'ends')}
        found['ends_ahead'] = np.zeros((HORIZON, *lead))
        for at in np.ndindex(lead):
            if not batch['mask'][at]:
                continue
            self.rows_seen.append(int(batch['row'][at]))
            number, row = divmod(self.rows_seen[-1], 1000)
            episode = self._episodes[number]
            last = len(episode['reward']) - 1
            died = episode['is_terminal'][-1]
            end = lead[1] - 1 - at[1] + row  # The last row of the window.
            found['reward'][at] = episode['reward'][row]
            found['ends'][at] = died and row == last
            followed = insight.discounted_returns(episode['reward'], DISCOUNT, died)
            found['value'][at] = followed[row]
            found['imagined'][at] = 7
            for steps in range(1, HORIZON + 1):
                known = row + steps <= min(last, end)
                found['ends_ahead'][(steps - 1, *at)] = died and known and row + steps >= last
                if steps in insight.STEPS_AHEAD and known:
                    found[f'image/{steps}'][at] = episode['image'][row + steps] / 255
            found['image/0'][at] = episode['image'][row] / 255
        found['learned'] = found['counted'] = np.array(batch['reward'])
        return found


@pytest.mark.parametrize('rows', [(30, 40), (64, 65), (150, 200)])
def test_an_oracle_is_perfect(rows):
    episodes = [make_episode(rows[0], True, 1), make_episode(rows[1] + 20, False, 2)]
    oracle = Oracle(episodes)
    found = model_evaluation.look_at(oracle, episodes, DISCOUNT)
    for name in ('player', 'enemies', 'rest'):
        for ahead in ('', '_5', '_15'):
            assert found[f'model_error/{name}{ahead}'] == pytest.approx(0, abs=1e-12)
    for steps in insight.AHEAD:
        assert found[f'deaths_foreseen/deaths_{steps}'] == 1
        assert found[f'deaths_foreseen/auc_{steps}'] == 1
        assert found[f'deaths_foreseen/mean_{steps}'] == 1
        assert found[f'deaths_foreseen/brier_skill_{steps}'] == pytest.approx(1)
    assert found['reward_predicted/correlation'] == pytest.approx(1)
    assert found['critic_against/bias'] == pytest.approx(0, abs=1e-6)
    assert found['critic_against/imagined'] == 7
    assert set(oracle.rows_seen) == {int(row) for one in episodes for row in one['row']}


def test_without_behavior_or_discounts_their_measures_are_left_out():
    class Blind(Oracle):
        def foresee(self, batch):
            found = super().foresee(batch)
            return {name: value for name, value in found.items() if not name.startswith('ends')}

    episodes = [make_episode(30, True, 1)]
    found = model_evaluation.look_at(Blind(episodes), episodes, DISCOUNT, behavior=False)
    assert not [name for name in found if name.startswith('critic_against')]
    assert [name for name in found if name.startswith('deaths_foreseen/auc')] == []


def test_a_recorder_gathers_the_last_rows_of_finished_episodes():
    recorder = model_evaluation.Recorder(3)
    for number, last in [(0, False), (1, False), (0, False), (1, False), (2, False), (3, True)]:
        row = {
            'is_first': np.bool_(number == 0),
            'is_last': np.bool_(last),
            'x': np.float32(number),
        }
        recorder(row, 0)
    (episode,) = recorder.episodes
    np.testing.assert_array_equal(episode['x'], [1, 2, 3])
    assert episode['is_last'].dtype == bool


def test_boxes_are_there_or_not():
    episode = make_episode(5, True, 1)
    assert model_evaluation.has_boxes(episode)
    del episode['log_enemies']
    assert not model_evaluation.has_boxes(episode)
