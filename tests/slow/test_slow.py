"""Slow checks that need a network, too: `scripts/test.sh --slow`.

The package is installed for every supported Python of this machine, another library learns on our
levels, and what beginners start with runs as they start it.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.docs.test_notebooks import execute, kinds

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSIONS = ('3.10', '3.11', '3.12')

LEARN = """
import gymnasium
from stable_baselines3 import PPO
import dreamerv2.gymnasium_ids

env = gymnasium.make('dreamerv2/Mario-1-1-v0')
agent = PPO('CnnPolicy', env, n_steps=128, batch_size=64, n_epochs=2, seed=0, device='cpu')
before = {name: value.clone() for name, value in agent.policy.state_dict().items()}
agent.learn(384)
for name, value in agent.policy.state_dict().items():
    assert value.isfinite().all() and (value != before[name]).any(), name
print(agent.num_timesteps, 'steps')
"""


# Another setting, then more steps than the run has.
GO_ON = """
import json, pathlib, sys
from peers import ppo

ppo.SETTINGS.update(n_steps=64, batch_size=64, n_epochs=1)
flags = ['--task', 'mario_1-1', '--logdir', 'ppo', '--time_limit', '40']
assert ppo.main([*flags, '--steps', '512']) == 0
first = pathlib.Path('ppo/metrics.jsonl').read_text()
assert ppo.main([*flags, '--steps', '512', '--sticky', '0']) == 2
assert ppo.main([*flags, '--steps', '1024']) == 0
text = pathlib.Path('ppo/metrics.jsonl').read_text()
steps = [json.loads(line)['step'] for line in text.splitlines()]
minutes = [json.loads(line)['minutes'] for line in text.splitlines()]
assert text.startswith(first) and steps == sorted(steps) and minutes == sorted(minutes)
print(first.count('\\n'), text.count('\\n'), steps[-1])
"""


def run(*command, folder, **environment):
    """The output of a command that knows nothing of this process's packages."""
    inherited = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def interpreters():
    """Version -> interpreter, for those of `VERSIONS` on PATH or below pyenv's folder."""
    pyenv = pathlib.Path(os.environ.get('PYENV_ROOT', pathlib.Path.home() / '.pyenv'))
    found = {}
    for version in VERSIONS:
        on_path = shutil.which(f'python{version}')
        places = [*([on_path] if on_path else []), *pyenv.glob(f'versions/{version}.*/bin/python')]
        for place in places:
            # On PATH, pyenv has stand-ins also for versions that are not chosen.
            check = subprocess.run([place, '-c', 'import ensurepip, venv'], capture_output=True)
            if check.returncode == 0:
                found.setdefault(version, place)
    return found


def install(python, what, environment):
    """A new environment with a package; returns its interpreter."""
    run(python, '-m', 'venv', environment, folder=environment.parent)
    new = environment / 'bin' / 'python'
    options = ['--progress-bar', 'off', '--no-compile']
    run(new, '-m', 'pip', 'install', *options, what, folder=environment.parent)
    return new


def test_the_wheel_trains_under_every_python(wheel, folder):
    found = interpreters()
    assert found, f'expected a Python of {", ".join(VERSIONS)} on PATH or from pyenv, found none'
    for version, python in found.items():
        installed = install(python, wheel, folder / version)
        logdir = folder / f'run {version}'
        command = installed.with_name('dreamerv2-train')
        run(command, '--configs', 'mario', 'debug', '--logdir', logdir, folder=folder)
        assert json.loads((logdir / 'done.json').read_text())['step'] == 2000
        provenance = json.loads((logdir / 'provenance.json').read_text())
        assert provenance['python'].startswith(f'{version}.')
        print(f'The wheel trains under Python {provenance["python"]}.')
        shutil.rmtree(folder / version)


def test_another_library_learns_on_our_levels(wheel, folder):
    python = os.environ.get('PEERS_PYTHON')
    if not python:
        python = install(sys.executable, f'{wheel}[peers]', folder / 'peers')
    ours = {'folder': folder, 'PYTHONPATH': str(ROOT)}
    said = run(python, '-c', LEARN, **ours)
    assert said.splitlines()[-1] == '384 steps'
    ours['PYTHONPATH'] += f':{ROOT / "experiments"}'
    first, in_all, step = map(int, run(python, '-c', GO_ON, **ours).split()[-3:])
    # Every environment ends an episode after 40 steps; the second part begins new ones.
    assert (first, in_all, step) == (8, 16, 4 * (512 + 8 * 40))
    assert (folder / 'ppo' / 'ppo.zip').is_file()


def test_the_notebooks_run_at_their_full_budgets(folder):
    for path, notebook in execute(folder, {}, timeout=3600).items():
        stored = json.loads(path.read_text())['cells']
        assert [kinds(cell) for cell in stored] == [kinds(cell) for cell in notebook['cells']]


def test_the_quickstart_runs_in_a_fresh_copy(folder):
    root, logdir = folder / 'copy', folder / 'logdir'
    for name in ('dreamerv2', 'scripts', 'zoo'):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('configs.yaml', 'setup.py', 'pyproject.toml', *ROOT.glob('requirements*.lock')):
        shutil.copy(ROOT / name, root)
    said = run(
        root / 'scripts' / 'quickstart.sh', logdir,
        folder=folder, PYTHON=sys.executable, QUICKSTART_STEPS='1200',
    )  # fmt: skip
    assert (root / '.venv' / 'setup-stamp').is_file()
    assert json.loads((logdir / 'done.json').read_text())['step'] == 4 * 1200
    for made in ('curve.png', 'play.mp4', 'zoo.mp4'):
        assert (logdir / made).stat().st_size > 1000 and str(logdir / made) in said
