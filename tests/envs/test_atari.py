"""Atari games: DreamerV2's protocol, against the emulator itself."""

import json
import sys

import ale_py
import ale_py.roms
import cv2
import numpy as np
import pytest

from dreamerv2.config import named_sets
from dreamerv2.envs import check_task, make_env
from dreamerv2.envs.atari import MAX_NOOPS, AtariEnv
from dreamerv2.envs.factory import make_workers
from dreamerv2.envs.tasks import GAMES
from dreamerv2.errors import UsageError


def actions_of(env, count, seed=0):
    return [
        int(action) for action in np.random.default_rng(seed).integers(env.act_space.n, size=count)
    ]


def play(env, episodes=2, steps=30):
    """Rows of some episodes with the same actions in each, as bytes and numbers."""
    rows = []
    for _ in range(episodes):
        observations = [env.reset()]
        for action in actions_of(env, steps):
            observations.append(env.step(action))
            if observations[-1]['is_last']:
                break
        rows += [(row['image'].tobytes(), float(row['reward'])) for row in observations]
    return rows


def noops(env):
    """Frames since the emulator's own reset."""
    return env._ale.getEpisodeFrameNumber()


def raw_emulator(game):
    ale = ale_py.ALEInterface()
    ale.setFloat('repeat_action_probability', 0.0)
    ale.loadROM(ale_py.roms.get_rom_path(game))
    ale.reset_game()
    return ale


def test_the_table_holds_the_games_of_the_package():
    two_players = {'combat', 'joust', 'maze_craze', 'warlords'}
    assert set(GAMES) == set(ale_py.roms.get_all_rom_ids()) - two_players
    assert len(set(GAMES)) == len(GAMES)


def test_sets():
    sets = named_sets()
    assert len(sets['atari4']) == 4 and len(sets['atari10']) == 10
    assert sets['atari10'][:4] == sets['atari4']
    assert set(sets['atari10']) <= set(GAMES)


@pytest.mark.parametrize(
    'options',
    [{}, {'grayscale': False, 'size': (84, 80)}, {'action_repeat': 2}, {'action_repeat': 1}],
)
def test_images_and_rewards_are_those_of_the_raw_frames(options):
    env = make_env('atari_asteroids', sticky=0.0, seed=1, **options)
    gray = options.get('grayscale', True)
    repeat = options.get('action_repeat', 4)
    size = options.get('size', (64, 64))
    ale = raw_emulator('asteroids')

    def screen():
        return ale.getScreenGrayscale() if gray else ale.getScreenRGB()

    def shrunk(image):
        small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        return small[..., None] if gray else small

    first = env.reset()
    for _ in range(noops(env)):
        ale.act(0)
    assert np.array_equal(first['image'], shrunk(screen()))
    needed = False
    for action in actions_of(env, 60):
        observation = env.step(action)
        reward, frames = 0, []
        for _ in range(repeat):
            reward += ale.act(ale.getMinimalActionSet()[action])
            frames.append(screen())
        assert np.array_equal(observation['image'], shrunk(np.max(frames[-2:], axis=0)))
        assert observation['reward'] == reward
        needed |= not np.array_equal(np.max(frames[-2:], axis=0), frames[-1])
    # Objects of this game are drawn in turns, so that one frame alone would not do.
    assert needed == (repeat > 1)


def test_actions_of_one_game_or_of_the_joystick():
    assert [make_env('atari_pong').act_space.n, make_env('atari_breakout').act_space.n] == [6, 4]
    env = make_env('atari_breakout', all_actions=True)
    assert env.act_space.n == 18
    assert env.describe()['options']['all_actions'] is True


def test_several_games_share_one_action_space():
    env = make_env('atari_pong+breakout+freeway', seed=3, time_limit=3)
    assert env.act_space.n == 18 and env.levels == ['pong', 'breakout', 'freeway']
    seen = set()
    for _ in range(12):
        observation = env.reset()
        seen.add(int(observation['level']))
        while not observation['is_last']:
            observation = env.step(17)
    assert seen == {0, 1, 2}
    description = env.describe()
    assert description['name'] == 'atari_pong+breakout+freeway'
    hashes = description['rom_sha256']
    assert list(hashes) == env.levels and len(set(hashes.values())) == 3
    assert hashes['pong'] == make_env('atari_pong').describe()['rom_sha256']


def test_up_to_30_frames_without_action():
    env = make_env('atari_pong', seed=5)
    counts = []
    for _ in range(60):
        env.reset()
        counts.append(noops(env))
    assert 1 <= min(counts) <= 5 and MAX_NOOPS - 4 <= max(counts) <= MAX_NOOPS == 30
    assert len(set(counts)) > 15


def test_everything_follows_from_the_seed():
    assert play(make_env('atari_pong', seed=7)) == play(make_env('atari_pong', seed=7))
    assert play(make_env('atari_pong', seed=7)) != play(make_env('atari_pong', seed=8))


def test_threads_do_not_disturb_each_other():
    rows = {}
    for parallel in ('none', 'thread'):
        workers = make_workers('atari_pong', 2, parallel=parallel, seed=1, time_limit=40)
        observations = [workers.reset()]
        for action in np.random.default_rng(0).integers(6, size=40):
            observations.append(workers.step([int(action)] * 2))
        rows[parallel] = [row['image'].tobytes() for step in observations for row in step]
        workers.close()
    assert rows['none'] == rows['thread']


def paddle_moves(sticky, episodes=40):
    """How far the paddle of breakout goes in the first step of each of some episodes."""
    env = make_env('atari_breakout', seed=2, sticky=sticky)
    moves = []
    for _ in range(episodes):
        env.reset()
        before = int(env._ale.getRAM()[72])
        env.step(2)
        moves.append(int(env._ale.getRAM()[72]) - before)
    return moves


def test_sticky_actions_are_drawn_frame_by_frame():
    (full,) = set(paddle_moves(0.0, episodes=5))
    assert full > 0
    # Before the first frame nothing was done, so "always again" is never doing anything.
    assert set(paddle_moves(1.0, episodes=5)) == {0}
    # Drawn once a step, it would go all the way or not at all.
    moves = paddle_moves(0.5)
    assert {0, full} < set(moves) and len(set(moves)) > 3
    assert 10 <= moves.count(full) <= 30


def test_a_time_limit_truncates():
    env = make_env('atari_pong', time_limit=5)
    env.reset()
    observations = [env.step(0) for _ in range(5)]
    assert [bool(row['is_last']) for row in observations] == [False] * 4 + [True]
    assert not observations[-1]['is_terminal']


def test_the_end_of_the_game_is_terminal_and_a_lost_life_is_not():
    env = make_env('atari_breakout', seed=1, sticky=0.0)
    observation = env.reset()
    lives = [env._ale.lives()]
    while not observation['is_last']:
        observation = env.step(1 + len(lives) % 2)  # throw the ball, move to the right
        lives.append(env._ale.lives())
    assert observation['is_terminal'] and lives[-1] == 0
    assert sorted(set(lives)) == [0, 1, 2, 3, 4, 5]
    screen = cv2.resize(env._ale.getScreenGrayscale(), (64, 64), interpolation=cv2.INTER_AREA)
    assert (observation['image'][..., 0] >= screen).all()
    assert not env.reset()['is_last']


def test_the_state_of_the_random_numbers():
    env = make_env('atari_pong', seed=4)
    play(env, episodes=1, steps=10)
    state = json.loads(json.dumps(env.get_state()))
    expected = play(env)
    env.set_state(state)
    assert play(env) == expected
    other = make_env('atari_pong', seed=9)
    other.set_state(state)
    assert play(other) == expected


def test_screen_and_description():
    env = make_env('atari_pong', seed=4, sticky=0.1)
    image = env.reset()['image']
    before = image.copy()
    env.step(2)
    assert np.array_equal(image, before)
    assert env.render().shape == (210, 160, 3) and env.render().dtype == np.uint8
    description = env.describe()
    assert description['options']['sticky'] == 0.1 and description['options']['seed'] == 4
    assert 'ale-py' in description['packages'] and len(description['rom_sha256']) == 64
    env.close()
    assert env.render() is None


def test_an_unknown_game():
    with pytest.raises(UsageError, match="'pongg'; did you mean pong"):
        AtariEnv('pongg')


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ale_py', None)
    for attempt in (check_task, make_env):
        with pytest.raises(UsageError, match=r"pip install '\.\[atari\]'") as caught:
            attempt('atari_pong')
        assert '\n' not in str(caught.value)
