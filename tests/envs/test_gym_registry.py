"""Environments by id: where they are found, and what is said where they are not."""

import json
import subprocess
import sys

import gymnasium
import pytest

from dreamerv2.envs import check_task
from dreamerv2.errors import UsageError

MODULE = """
import gymnasium
import numpy as np
import my_parts


class Mine(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gymnasium.spaces.MultiDiscrete([3, 2])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observe(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.steps += 1
        return self.observe(), 1.0, self.steps == 5, False, {}

    def observe(self):
        return self.np_random.uniform(-1, 1, my_parts.SIZE).astype(np.float32)


class NeedsArguments(Mine):
    def __init__(self, map_name):
        raise AssertionError('it is not made')


class WithoutRom(Mine):
    def __init__(self):
        raise FileNotFoundError('no ROM at roms/game.bin')


class WithoutRomLater(Mine):
    def reset(self, **kwargs):
        raise FileNotFoundError('no ROM at roms/game.bin')


class Ending(Mine):
    def __init__(self):
        raise SystemExit('accept the licence first')


class WithoutPackage(Mine):
    def __init__(self):
        import physics_engine


class OfAnotherShape(Mine):
    def observe(self):
        return np.zeros(4, np.float32)


class Failing(Mine):
    def step(self, action):
        return self.no_such_thing


class Speaking(Mine):
    action_space = gymnasium.spaces.Text(5)


for kind in [Mine, *Mine.__subclasses__()]:
    gymnasium.register(f'{kind.__name__}-v0', entry_point=f'my_env:{kind.__name__}')
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with a module that registers environments, and one that it uses."""
    (tmp_path / 'my_env.py').write_text(MODULE)
    (tmp_path / 'my_parts.py').write_text('SIZE = 3\n')
    return tmp_path


@pytest.fixture
def here(folder, monkeypatch):
    """The same, as the current folder of this process."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    yield folder
    sys.modules.pop('my_env', None)
    sys.modules.pop('my_parts', None)
    for name in [name for name, spec in gymnasium.registry.items() if 'my_env' in str(spec)]:
        del gymnasium.registry[name]


CHECK = """
import sys
from {module} import main
sys.exit(main())
"""
# The environment is tried before this is refused, and then no network needs to be made.
REFUSED = ['--prefill', '10', '--steps', '5']
WAYS = {
    'a script': ['{root}/dreamerv2/train.py', *REFUSED, '--task', '{task}'],
    'a module': ['-m', 'dreamerv2.train', *REFUSED, '--task', '{task}'],
    'a console script': ['{console}', *REFUSED, '--task', '{task}'],
    'the doctor': ['-m', 'dreamerv2.doctor', '--task', '{task}'],
    'worker processes': ['{workers}'],
    'the API': ['{api}'],
}
PROGRAMS = {
    'console': CHECK.format(module='dreamerv2.train'),
    'workers': (
        'from dreamerv2.envs.factory import make_workers\n'
        "if __name__ == '__main__':\n"
        "    workers = make_workers('gym_my_env:Mine-v0', 1, parallel='process')\n"
        "    print(workers.reset()[0]['vector'].shape)\n"
        '    workers.close()\n'
    ),
    'api': (
        'from dreamerv2.envs import wrap_env\n'
        "print(wrap_env('my_env:Mine-v0').reset()['vector'].shape)\n"
    ),
}


@pytest.mark.parametrize('way', WAYS)
def test_a_module_in_the_current_folder_is_found(way, folder, tmp_path_factory, request):
    root = request.config.rootpath
    bin_folder = tmp_path_factory.mktemp('bin')
    places = {'root': root, 'task': 'gym_my_env:Mine-v0'}
    for name, text in PROGRAMS.items():
        places[name] = bin_folder / f'{name}.py'
        places[name].write_text(text)
    command = [sys.executable, *(word.format(**places) for word in WAYS[way])]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={'PYTHONPATH': str(root), 'HOME': str(folder), 'PATH': ''},
    )
    if '--prefill' in command:
        assert result.returncode == 2 and 'prefill 10 is above steps' in result.stderr
    else:
        assert result.returncode == 0, result.stderr + result.stdout


@pytest.mark.parametrize(
    'name, words',
    [
        ('NeedsArguments-v0', "argument: 'map_name'.*register an id whose kwargs give them"),
        ('WithoutRom-v0', r'no ROM at roms/game.bin \(my_env.py, line \d+\)'),
        ('WithoutRomLater-v0', r'its reset\(\) failed.*no ROM at roms/game.bin'),
        ('Ending-v0', 'accept the licence first'),
        ('WithoutPackage-v0', "No module named 'physics_engine'"),
        ('OfAnotherShape-v0', r"'vector' at step 0 has shape \(4,\), but its space has \(3,\)"),
        ('Failing-v0', r'its step\(\) failed.*no_such_thing.*my_env.py, line'),
        ('Speaking-v0', 'action_space .* holds a Text space'),
        ('Mien-v0', 'did you mean my_env:Mine-v0'),
        ('mine', 'did you mean my_env:Mine-v0'),
    ],
)
def test_what_cannot_be_made_ends_in_one_line(name, words, here):
    with pytest.raises(UsageError, match=words) as caught:
        check_task(f'gym_my_env:{name}')
    assert '\n' not in str(caught.value)


def test_nothing_is_written_for_it(folder, request):
    root = request.config.rootpath
    code = (
        'import contextlib, io, json, sys\n'
        'from dreamerv2 import train\n'
        'results = []\n'
        "for name in ('NeedsArguments', 'WithoutRom', 'Mien', 'OfAnotherShape'):\n"
        "    for flags in ([], ['--dry_run', 'True']):\n"
        "        argv = ['--task', f'gym_my_env:{name}-v0', '--logdir', 'new', *flags]\n"
        '        err = io.StringIO()\n'
        '        with contextlib.redirect_stderr(err):\n'
        '            results.append((train.main(argv), len(err.getvalue().splitlines())))\n'
        'print(json.dumps(results))\n'
        "assert 'tensorflow' not in sys.modules\n"
    )
    result = subprocess.run(
        [sys.executable, '-B', '-c', code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env={'PYTHONPATH': str(root), 'HOME': str(folder), 'PATH': ''},
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == [[2, 1]] * 8
    assert sorted(path.name for path in folder.iterdir()) == ['my_env.py', 'my_parts.py']


@pytest.mark.parametrize(
    'task, words',
    [
        ('gym_CartPole', 'did you mean CartPole-v'),
        ('gym_cartpole-v1', 'did you mean CartPole-v1'),
        ('gym_PENDULUM-V1', 'did you mean Pendulum-v1'),
        ('gym_Pendulum', 'did you mean Pendulum-v'),
        ('gym_Qwxyz-v0', 'gym_MODULE:Qwxyz-v0 imports the module that registers it'),
        ('gym_json:Qwxyz-v0', 'json was imported and registers no such name'),
        (
            'gym_gym_super_mario_bros:SuperMarioBros-1-1-v9',
            'did you mean gym_super_mario_bros:SuperMarioBros-1-1-v',
        ),
        ('gym_my_envs.py:Mine-v0', 'write my_envs, without .py'),
        ('gym_no_such_module:Mine-v0', "cannot import 'no_such_module'.*install it, or start in"),
        ('crafter_reward', 'gym_crafter:CrafterReward-v1'),
        ('crafter_noreward', 'gym_crafter:CrafterNoReward-v1'),
        ('own_Mine', r'dreamerv2.api.evaluate\(env, logdir\).*--tasks gym_Mine'),
    ],
)
def test_hints(task, words):
    with pytest.raises(UsageError, match=words) as caught:
        check_task(task)
    assert '\n' not in str(caught.value)
