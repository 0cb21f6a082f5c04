"""Tasks that are as they should be, and environments with one fault each."""

import functools

import numpy as np
import pytest

from dreamerv2.doctor import mario_endings, task
from dreamerv2.doctor.rows import FAILED, OK, WARNING, examine
from dreamerv2.envs.contract import bookkeeping_spaces, spaces
from dreamerv2.envs.episodic import EpisodicEnvironment
from dreamerv2.envs.mario import MarioEnv
from dreamerv2.errors import UsageError


class Walk(EpisodicEnvironment):
    """A random number a step; ends truly after `length` steps."""

    length = 20

    def __init__(self, **options):
        super().__init__(**options)
        self.levels = ['walk']
        self.act_space = spaces.Discrete(3)
        self.obs_space = {'image': spaces.Box(0, 255, (4, 4, 1), np.uint8), **bookkeeping_spaces(1)}
        self.image = np.zeros((4, 4, 1), np.uint8)

    def describe(self):
        return {'name': 'walk', 'options': self.options(), 'packages': {}}

    def _begin(self):
        self.steps = 0
        self._draw()

    def _frame(self, action):
        self.steps += 1
        self._draw()
        return float(action), self.steps >= self.length, False

    def _draw(self):
        self.image[...] = self._rng.integers(0, 256, self.image.shape)

    def _observe(self):
        return {'image': self.image.copy()}


class Views(Walk):
    def _observe(self):
        return {'image': self.image}


class OtherType(Walk):
    def _observe(self):
        return {'image': self.image.astype(np.float32)}


class OtherShape(Walk):
    def _observe(self):
        return {'image': self.image[:2].copy()}


class GlobalRandom(Walk):
    def _draw(self):
        self.image[...] = np.random.default_rng().integers(0, 256, self.image.shape)


class ForgottenState(Walk):
    def get_state(self):
        return {}

    def set_state(self, state):
        self._over = True


class HiddenState(Walk):
    """Carries its state in itself only: right in the same object, wrong in a new one."""

    saved = {}

    def __init__(self, **options):
        super().__init__(**options)
        self.saved = {}

    def get_state(self):
        self.saved['state'] = self._rng.bit_generator.state
        return {}

    def set_state(self, state):
        self._rng.bit_generator.state = self.saved.get('state', self._rng.bit_generator.state)
        self._over = True


class IgnoredSeed(Walk):
    def __init__(self, seed=0, **options):
        super().__init__(seed=7, **options)


class TerminalLimit(Walk):
    def step(self, action):
        observation = super().step(action)
        return {**observation, 'is_terminal': observation['is_last']}


class NoLimit(Walk):
    def __init__(self, time_limit=0, **options):
        super().__init__(**options)


class TerminalOnly(Walk):
    def step(self, action):
        observation = super().step(action)
        return {**observation, 'is_terminal': np.bool_(True)}


class Raises(Walk):
    def _frame(self, action):
        raise ZeroDivisionError('the pole fell')


class Short(Walk):
    length = 1


def rows_of(kind, sticky=0.0):
    return list(examine(task.checks_of(functools.partial(make, kind, sticky), sticky=sticky)))


def make(kind, sticky, seed=0, **changed):
    return kind(seed=seed, **{'sticky': sticky, **changed})


@pytest.mark.parametrize('sticky', [0.0, 0.3])
def test_a_correct_environment(sticky):
    rows = rows_of(Walk, sticky)
    assert [(row.check, row.status) for row in rows] == [
        (name, OK) for name in ('task', 'contract', 'determinism', 'state', 'time limit')
    ]
    assert 'image uint8[4, 4, 1]; Discrete(3), repeat 1' in rows[0].seen
    assert rows[2].seen.endswith('another seed different ones')


FAULTS = {
    Views: ('contract', "'image' changed after it was returned", 'copies'),
    OtherType: ('contract', "'image' is float32, not uint8", 'contract.py'),
    OtherShape: ('contract', "'image' has shape (2, 4, 1), not (4, 4, 1)", 'contract.py'),
    GlobalRandom: ('determinism', "different rows: 'image' differs at row 0", 'from the seed'),
    ForgottenState: ('contract', "from the same state 'image' differs", 'get_state'),
    HiddenState: ('state', "'image' differs at row 0", 'get_state'),
    TerminalLimit: ('time limit', 'sets is_terminal, though', 'only is_last'),
    NoLimit: ('time limit', 'time_limit 3 does not end an episode', 'set is_last'),
    TerminalOnly: ('contract', 'is_terminal without is_last', 'set is_last too'),
    Raises: ('contract', 'ZeroDivisionError: the pole fell', 'message names'),
}


@pytest.mark.parametrize('kind', FAULTS, ids=lambda kind: kind.__name__)
def test_a_faulty_environment(kind):
    check, seen, hint = FAULTS[kind]
    (row,) = [row for row in rows_of(kind) if row.check == check]
    assert row.status == FAILED
    assert seen in row.seen and hint in row.hint


def test_a_seed_that_is_ignored():
    (row,) = [row for row in rows_of(IgnoredSeed, 0.3) if row.check == 'determinism']
    assert row.status == FAILED and 'although sticky is 0.3' in row.seen
    (row,) = [row for row in rows_of(IgnoredSeed) if row.check == 'determinism']
    assert row.status == OK and 'nothing random was seen' in row.seen


def test_episodes_that_end_before_any_limit():
    (row,) = [row for row in rows_of(Short) if row.check == 'time limit']
    assert row.status == WARNING


def test_one_that_cannot_be_made():
    def broken(**options):
        raise OSError('no cartridge')

    (row,) = examine(task.checks_of(broken))
    assert (row.check, row.status) == ('task', FAILED)
    assert 'OSError: no cartridge' in row.seen and 'python -m dreamerv2.doctor' in row.hint


@pytest.mark.parametrize('name', ['pixel', 'gym_CartPole-v1', 'gym_Pendulum-v1', 'atari_pong'])
def test_built_in_tasks(name):
    rows = list(examine(task.checks(task.configuration(name, ['--time_limit', '50']))))
    assert [(row.status, row.seen) for row in rows if row.status != OK] == []
    assert len(rows) == 5


def test_the_preset_suits_the_family():
    assert task.configuration('mario_3-3', []).sticky == 0.2
    assert task.configuration('atari_pong', []).sticky == 0.25
    assert task.configuration('gym_CartPole-v1', []).action_repeat == 2
    small = task.configuration('mario_3-3', ['--configs', 'mario_small', '--sticky', '0'])
    assert small.sticky == 0 and small.task == 'mario_3-3'
    for name in ('mario_9-9', 'gym_Nope-v0', 'chess'):
        with pytest.raises(UsageError, match=name.partition('_')[2] or name):
            task.configuration(name, [])


def test_a_task_of_levels():
    rows = list(examine(task.checks(task.configuration('mario_1-2+3-3', ['--time_limit', '20']))))
    assert [(row.check, row.seen) for row in rows if row.status != OK] == []
    names = [row.check for row in rows[5:]]
    assert names == [f'{end} {level}' for level in ('1-2', '3-3') for end in mario_endings.ENDINGS]
    seen = {row.check: row.seen for row in rows}
    assert seen['flag 3-3'] == 'at its end: is_last True, is_terminal True, log_completed True'
    assert seen['flag 1-2'].startswith("by the game's own mode: is_last True")
    assert seen['death 1-2'].endswith('is_terminal True, log_completed False')


class CutOffDeath(MarioEnv):
    """Reports deaths as a time limit would."""

    def _assemble(self, reward, **flags):
        return super()._assemble(reward, **{**flags, 'is_terminal': self._completed})


class CompletedDeath(MarioEnv):
    """Takes every ending for the flag."""

    def _observe(self):
        over = self._game._is_dying or self._game._is_dead or self._completed
        return {**super()._observe(), 'log_completed': np.float32(over)}


class Immortal(MarioEnv):
    """Does not notice deaths."""

    def _frame(self, action):
        reward, _, truncated = super()._frame(action)
        self._game.done = False
        return reward, False, truncated


class BreaksAtDeath(MarioEnv):
    """Cannot cope with deaths at all."""

    def _frame(self, action):
        reward, terminal, truncated = super()._frame(action)
        if terminal and not self._completed:
            raise KeyError('life')
        return reward, terminal, truncated


@pytest.mark.parametrize(
    'kind, flag',
    [(CutOffDeath, 'is_terminal False'), (CompletedDeath, 'log_completed True')],
)
def test_deaths_with_wrong_flags(kind, flag):
    env = kind('1-2', sticky=0.0)
    death, clock, completed = mario_endings.check(env)
    env.close()
    for row, how in ((death, 'by falling'), (clock, 'clock runs out')):
        assert row.status == FAILED and how in row.seen and flag in row.seen
        assert 'expected is_last True, is_terminal True, log_completed False' in row.seen
        assert 'gym-super-mario-bros' in row.hint
    assert completed.status == OK


def test_a_death_that_is_not_noticed():
    env = Immortal('1-2', sticky=0.0)
    death, _, _ = mario_endings.check(env)
    env.close()
    assert death.status == FAILED and 'is_last False' in death.seen


def test_a_death_that_breaks_the_environment():
    env = BreaksAtDeath('1-2', sticky=0.0)
    death, clock, flag = mario_endings.check(env)
    env.close()
    assert (death.check, death.status, clock.status) == ('death 1-2', FAILED, FAILED)
    assert "KeyError: 'life'" in death.seen and flag.status == OK
