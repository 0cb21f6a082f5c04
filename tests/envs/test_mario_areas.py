"""What happens at the flag, in pipes and at warps: played on the emulator, Mario carried there."""

import numpy as np
import pytest

from dreamerv2.envs import make_env
from dreamerv2.envs.level_lengths import level_length

RIGHT, RUN_RIGHT, DOWN = 1, 3, 10


def place(ram, x, y, above=False):
    """Put Mario somewhere; above the screen nothing is in his way."""
    ram[0x6D], ram[0x86] = divmod(x, 256)
    ram[0xB5], ram[0xCE] = (0 if above else 1), y
    ram[0x9F], ram[0x433], ram[0x57] = 0, 0, 0
    ram[0x79F] = 9  # invincible


def x_of(ram):
    return int(ram[0x6D]) * 256 + int(ram[0x86])


def carry(env, x):
    """Run above the screen until this x, so that the game scrolls along."""
    ram = env._game.ram
    while x_of(ram) < x:
        place(ram, x_of(ram), 180, above=True)
        ram[0x57] = 40
        env.step(RUN_RIGHT)


@pytest.fixture(scope='module')
def underground():
    """1-2, with Mario close to its exit pipe; every reset goes back there."""
    env = make_env('mario_1-2', sticky=0.0)
    env.reset()
    carry(env, 2600)
    env._game._backup()
    yield env
    env.close()


def test_x_goes_on_behind_the_exit_pipe_until_the_flag(underground):
    env, ram = underground, underground._game.ram
    env.reset()
    place(ram, 2636, 64)
    xs = []
    while x_of(ram) < 2872:  # where the pipe leads to
        xs.append(int(env.step(RIGHT)['log_x']))
        assert len(xs) < 30
    assert 2640 < max(xs[:-1]) <= 2656
    observation = env.step(0)
    assert observation['log_x'] == pytest.approx(2656, abs=8)
    assert observation['log_progress'] == pytest.approx(2656 / 2952, abs=0.003)
    place(ram, 3000, 96)
    assert env.step(0)['log_x'] == pytest.approx(2656 + 3000 - 2872, abs=4)
    carry(env, 3146)
    place(ram, 3146, 80)
    observation = env.step(RIGHT)
    while not observation['is_last']:
        assert observation['log_completed'] == 0 and observation['log_progress'] < 1
        observation = env.step(RIGHT)
    assert observation['is_terminal']
    assert observation['log_completed'] == 1 and observation['log_progress'] == 1
    observation = env.reset()
    assert observation['log_completed'] == 0 and observation['log_progress'] < 1


@pytest.mark.parametrize(
    'level, pipe, y', [('1-2', 2656, 64), ('2-2', 3024, 96), ('7-2', 3024, 96), ('4-2', 2992, 64)]
)
def test_progress_in_an_exit_pipe_is_that_of_the_pipe(level, pipe, y):
    env = make_env(f'mario_{level}', sticky=0.0)
    env.reset()
    ram = env._game.ram
    carry(env, pipe - 80)
    place(ram, pipe - 20, y)
    observation = env.step(RIGHT)
    for _ in range(30):
        if x_of(ram) == 2872:
            break
        assert observation['log_progress'] <= pipe / level_length(level)
        observation = env.step(RIGHT)
    # In the very frame in which he arrives: the package's own x is still the pipe's.
    assert observation['log_x'] == pipe
    assert observation['log_progress'] == pytest.approx(pipe / level_length(level))
    env.close()


def test_a_warp_ends_the_episode_without_completion(underground):
    env, ram = underground, underground._game.ram
    env.reset()
    carry(env, 3010)
    place(ram, 2856, 120)
    env.step(0)
    observations = [env.step(DOWN)]
    while not observations[-1]['is_last']:
        observations.append(env.step(DOWN))
    assert len(observations) < 20
    assert ram[0x75F] + 1 == 4  # the package would play on in world 4
    assert observations[-1]['is_terminal']
    assert observations[-1]['log_completed'] == 0
    assert observations[-1]['log_progress'] == pytest.approx(2656 / 2952)
    assert observations[-1]['log_x'] == pytest.approx(2856, abs=4)


def test_a_bonus_area_goes_on_and_keeps_x():
    env = make_env('mario_1-1', sticky=0.0)
    env.reset()
    ram = env._game.ram
    carry(env, 860)
    place(ram, 920, 112)
    observations = [env.step(0)] + [env.step(DOWN) for _ in range(6)]
    assert x_of(ram) == 24  # in the bonus area
    place(ram, 180, 160)
    while x_of(ram) < 1000:
        observations.append(env.step(RIGHT))
        assert len(observations) < 60
    for observation in observations[:-1]:
        assert observation['log_x'] == pytest.approx(920, abs=4)
    assert observations[-1]['log_x'] == x_of(ram)
    observation = env.step(0)
    assert observation['log_x'] == x_of(ram) == pytest.approx(2616, abs=8)
    assert not any(o['is_last'] for o in observations)
    assert all(abs(o['reward']) <= 5 for o in observations)
    assert observation['log_progress'] == pytest.approx(2616 / 3168, abs=0.01)
    env.close()


@pytest.mark.parametrize('level, pipe, y, back', [('6-2', 304, 112, 568), ('5-1', 2496, 80, 2616)])
def test_x_of_a_bonus_area_is_no_progress(level, pipe, y, back):
    env = make_env(f'mario_{level}', sticky=0.0)
    env.reset()
    ram = env._game.ram
    carry(env, pipe - 80)
    place(ram, pipe + 8, y)
    observations = [env.step(0)] + [env.step(DOWN) for _ in range(8)]
    assert x_of(ram) == 2072  # in the bonus area, far from x in the level
    while x_of(ram) != back:
        if x_of(ram) < 2212:
            place(ram, x_of(ram), 160)
            ram[0x57] = 40
        observations.append(env.step(RIGHT))
        assert len(observations) < 60
    assert observations[-1]['log_x'] == back
    assert all(o['log_x'] == pytest.approx(pipe + 8, abs=4) for o in observations[1:-1])
    assert observations[-1]['log_progress'] == pytest.approx(back / level_length(level))
    env.close()


def test_leaving_the_level_in_any_way_is_terminal():
    env = make_env('mario_3-1', sticky=0.0)
    for address in (0x75F, 0x75C):
        env.reset()
        env.step(RIGHT)
        env._game.ram[address] += 1
        observation = env.step(RIGHT)
        assert observation['is_last'] and observation['is_terminal']
        assert observation['log_completed'] == 0
    env.close()


def test_axe_completes_a_castle():
    env = make_env('mario_1-4', sticky=0.0)
    env.reset()
    ram = env._game.ram
    carry(env, 2200)
    observation = env.step(RIGHT)
    for _ in range(40):
        if observation['is_last']:
            break
        place(ram, x_of(ram), 96)
        ram[0x57] = 8
        observation = env.step(RIGHT)
    assert observation['is_terminal'] and observation['log_completed'] == 1
    assert observation['log_progress'] == 1
    assert np.abs(observation['log_x'] - 2256) < 16
    env.close()
