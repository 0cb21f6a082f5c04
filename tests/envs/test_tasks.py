"""Task names."""

import subprocess
import sys

import pytest

from dreamerv2.envs import check_task, make_env, parse_task, wrap_env
from dreamerv2.envs.tasks import Task
from dreamerv2.errors import UsageError


def test_families_and_levels():
    assert parse_task('mario_3-1') == Task('mario', ('3-1',))
    assert parse_task('mario_3-1+1-4') == Task('mario', ('3-1', '1-4'))
    assert parse_task('gym_ALE/Pong-v5') == Task('gym', ('ALE/Pong-v5',))
    assert parse_task('atari_pong') == Task('atari', ('pong',))
    assert parse_task('atari_space_invaders+up_n_down').names == ('space_invaders', 'up_n_down')
    assert parse_task('atari_james_bond').names == ('jamesbond',)
    assert parse_task('pixel') == parse_task('pixel_reach') == Task('pixel', ('pixel',))


def test_sets_of_the_thesis():
    assert parse_task('mario_e4').names == ('3-1', '3-2', '3-3', '3-4')
    assert len(parse_task('mario_e10').names) == 10
    assert parse_task('mario_ef').names == parse_task('mario_e4').names
    assert parse_task('mario_etau+3-1').names == ('1-1', '1-2', '1-3', '1-4', '3-1')


def test_sets_of_games():
    four = ('pong', 'breakout', 'freeway', 'seaquest')
    assert parse_task('atari_atari4') == parse_task('atari4') == Task('atari', four)
    assert parse_task('atari10').names[:4] == four and len(parse_task('atari_atari10').names) == 10
    assert parse_task('atari_atari4+boxing').names == (*four, 'boxing')
    for key in ('few', 'atari_few'):
        sets = {key: ['boxing', 'tennis']}
        assert parse_task('atari_few', sets) == parse_task(key, sets)
        assert parse_task(key, sets).names == ('boxing', 'tennis')


def test_own_sets():
    for key in ('few', 'mario_few'):
        assert parse_task('mario_few', {key: ['8-1', '8-2']}).names == ('8-1', '8-2')
    assert parse_task('mario_e4', {'e4': ['1-1']}).names == ('1-1',)


@pytest.mark.parametrize(
    'task, words',
    [
        ('mario_9-1', "unknown level '9-1'.*1-1 to 8-4.*e10 e4 ef etau"),
        ('mario_e5', "unknown level 'e5'"),
        ('mario_3-1+3-5', "unknown level '3-5'"),
        ('mario_3-1+', 'a name is missing'),
        ('atari_pongg', "unknown game 'pongg'.*sets are atari10 atari4.*did you mean pong"),
        ('atari_Pong', "unknown game 'Pong'.*did you mean pong"),
        ('atari_pong+3-1', "unknown game '3-1'"),
        ('atari_atari5', "unknown game 'atari5'.*did you mean atari4"),
        ('atari_warlords', "unknown game 'warlords'"),
        ('atari_atari4+pong', 'names pong twice'),
        ('atari_', 'unknown task.*atari_pong'),
        ('mario_atari4', "unknown level 'pong'"),
        ('e4', 'unknown task'),
        ('mario_', 'unknown task'),
        ('mario', 'unknown task'),
        ('', 'unknown task'),
        ('sonic_1-1', 'unknown task.*mario_3-1'),
        ('mario_e4+3-2', 'names 3-2 twice'),
        ('pixel_art', 'unknown task'),
        ('dmc_walker_walk', 'not supported'),
        ('crafter_reward', 'not supported'),
        ('gym_CartPoll-v1', 'did you mean CartPole-v1'),
        ('gym_no_such_module:Thing-v0', "cannot import 'no_such_module'"),
    ],
)
def test_unknown_tasks_are_named_in_one_line(task, words):
    with pytest.raises(UsageError, match=words) as caught:
        check_task(task)
    assert '\n' not in str(caught.value)


def test_checking_a_task_imports_neither_tensorflow_nor_an_emulator():
    code = (
        'import sys\n'
        'from dreamerv2.envs import check_task\n'
        'check_task("mario_e10")\n'
        'check_task("atari_atari10")\n'
        'check_task("gym_CartPole-v1")\n'
        'heavy = {"tensorflow", "nes_py", "gym_super_mario_bros", "ale_py"} & set(sys.modules)\n'
        'assert not heavy, heavy\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_libraries_say_nothing():
    code = (
        'import warnings\n'
        'import cv2, numpy\n'
        'warnings.simplefilter("always")\n'
        'filters = list(warnings.filters)\n'
        'from dreamerv2.envs import make_env\n'
        'tasks = "mario_1-1 atari_pong gym_CartPole-v0 gym_CliffWalking-v0 pixel"\n'
        'for task in tasks.split():\n'
        '    env = make_env(task)\n'
        '    env.reset()\n'
        '    for _ in range(3):\n'
        '        env.step(0)\n'
        '    env.close()\n'
        'assert warnings.filters == filters\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


@pytest.mark.parametrize(
    'options, words',
    [
        ({'action_repeat': 0}, 'action_repeat 0'),
        ({'action_repeat': 1.5}, 'action_repeat 1.5'),
        ({'sticky': 1.2}, 'sticky 1.2'),
        ({'sticky': float('nan')}, 'sticky nan'),
        ({'time_limit': -1}, 'time_limit -1'),
        ({'size': (64,)}, 'size'),
        ({'size': (0, 64)}, 'size'),
        ({'level_weights': [1, 2]}, 'level_weights has 2 numbers for 1 level'),
    ],
)
def test_impossible_options(options, words):
    with pytest.raises(UsageError, match=words):
        make_env('pixel', **options)


def test_wrap_env_refuses_what_is_no_environment():
    with pytest.raises(UsageError, match='observation_space'):
        wrap_env(object())
