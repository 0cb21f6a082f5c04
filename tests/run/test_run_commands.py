"""The commands: exit codes and messages for bad input, without TensorFlow; dry run and help."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys

import pytest
from run_fakes import fake_parts, small_config

from dreamerv2.run import checkpoint
from dreamerv2.run.training import train

# Runs commands one after another in one process and tells of each its exit code and words.
BATCH = """
import contextlib, io, json, sys
from dreamerv2 import evaluate, train
results = []
for name, argv in json.loads(sys.stdin.read()):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = (train if name == 'train' else evaluate).main(argv)
    results.append((code, out.getvalue(), err.getvalue(), 'tensorflow' in sys.modules))
print(json.dumps(results))
"""


def replace_config(path, text):
    """Gives a checkpoint another configuration, as a malicious source would."""
    (path / 'config.yaml').write_text(text)
    whole = checkpoint.read_manifest(path)
    entry = {'bytes': len(text), 'sha256': hashlib.sha256(text.encode()).hexdigest()}
    assert entry.keys() == whole.files['config.yaml'].keys()
    changed = dataclasses.replace(whole, files={**whole.files, 'config.yaml': entry})
    (path / 'manifest.json').write_bytes(changed.to_bytes())


@pytest.fixture(scope='module')
def places(tmp_path_factory):
    """A file, a folder without a checkpoint, runs with a good and with a damaged checkpoint."""
    root = tmp_path_factory.mktemp('places')
    (root / 'file').write_text('')
    (root / 'empty').mkdir()
    for name in ('good', 'damaged'):
        train(small_config(root / name, steps=50, task='mario_1-1'), fake_parts([]))
    for path in (root / 'damaged').glob('checkpoints/*/agent.safetensors'):
        path.write_bytes(b'no weights')
    (root / 'damaged' / 'done.json').unlink()
    (root / 'tagged' / 'checkpoints' / '1').mkdir(parents=True)
    (root / 'tagged' / 'config.yaml').write_text('seed: !!python/name:os.system 1\n')
    for name, text in (
        ('strange', 'task: gym_mine\nsets: {mine: [os:Mine-v0]}\n'),
        ('objects', 'seed: !!python/name:os.system 1\n'),
    ):
        shutil.copytree(root / 'good', root / name)
        for path in (root / name).glob('checkpoints/*'):
            replace_config(path, text)
    (root / 'text' / 'checkpoints' / '0000000100').mkdir(parents=True)
    (root / 'text' / 'checkpoints' / '0000000100' / 'manifest.json').write_text('hello')
    return root


BAD = {
    'unknown key': ('train', ['--sede', '1'], 'seed'),
    'unknown preset': ('train', ['--configs', 'maroi'], 'mario'),
    'wrong type': ('train', ['--dataset.batch', 'x'], 'dataset.batch'),
    'impossible count': ('train', ['--envs', '-1'], 'envs'),
    'not a number': ('train', ['--discount', 'NaN'], 'discount'),
    'unknown task': ('train', ['--task', 'mario_9-1'], '9-1'),
    'unknown family': ('train', ['--task', 'sonic_1'], 'sonic_1'),
    'logdir is a file': ('train', ['--logdir', '{root}/file'], 'file'),
    'logdir in a file': ('train', ['--logdir', '{root}/file/run'], 'file'),
    # What differs stands above the line, one key a line.
    'another run': (
        'train',
        ['--configs', 'mario', 'debug', '--train_every', '3', '--logdir', '{root}/good'],
        'prefill 40, but 200',
    ),
    'another network': (
        'train',
        [
            '--configs',
            'mario',
            'debug',
            '--rssm.deter',
            '64',
            '--accept_changes',
            'True',
            '--logdir',
            '{root}/good',
        ],
        'rssm.deter makes the networks and optimizers what they are and cannot change',
    ),
    'a file that is none': ('train', ['--logdir', '{root}/tagged'], "tag 'python/name:os.system'"),
    'a path out of the logdir': ('train', ['--task', 'gym_../../x'], 'not a name for a folder'),
    'no module': ('train', ['--task', 'gym_..:x', '--logdir', '{root}/new'], "import '..'"),
    'a long task': ('train', ['--task', 'x' * 900, '--logdir', '{root}/new'], 'unknown task'),
    'control characters': ('train', ['--task', 'a\x1b[31m\nb'], '--task is'),
    'a name with a line end': ('evaluate', ['{root}/no\nwhere'], 'no\\nwhere does not exist'),
    'an untrusted module': ('evaluate', ['{root}/strange'], "names 'os:Mine-v0'"),
    'an untrusted object': ('evaluate', ['{root}/objects'], "tag 'python/name:os.system'"),
    'a start from an untrusted one': (
        'train',
        ['--init.from', '{root}/objects', '--logdir', '{root}/new'],
        "tag 'python/name:os.system'",
    ),
    'no parent': (
        'train',
        ['--init.from', '{root}/nowhere', '--logdir', '{root}/new'],
        'nowhere does not exist',
    ),
    'parent without that step': (
        'train',
        ['--init.from', '{root}/good@7', '--logdir', '{root}/new'],
        'no checkpoint at step 7',
    ),
    'its own parent': (
        'train',
        ['--init.from', '{root}/empty', '--logdir', '{root}/empty'],
        'is the run itself',
    ),
    'damaged run': ('train', ['{damaged}'], 'damaged'),
    'no logdir': ('evaluate', [], 'logdir'),
    'evaluate nothing': ('evaluate', ['{root}/nowhere'], 'does not exist'),
    'evaluate a file': ('evaluate', ['{root}/file'], 'is a file'),
    'evaluate an empty folder': ('evaluate', ['{root}/empty'], 'no checkpoint'),
    'evaluate damage': ('evaluate', ['{root}/damaged'], 'damaged'),
    'evaluate text': ('evaluate', ['{root}/text'], 'damaged'),
    'evaluate an unknown step': ('evaluate', ['{root}/good', '--step', '7'], 'step 7'),
    'evaluate an unknown task': ('evaluate', ['{root}/good', '--tasks', 'mario_0-1'], '0-1'),
    'no episodes': ('evaluate', ['{root}/good', '--episodes', '0'], 'whole number from 1'),
    'half an episode': ('evaluate', ['{root}/good', '--episodes', '1.5'], 'whole number'),
    'NaN episodes': ('evaluate', ['{root}/good', '--episodes', 'nan'], 'whole number'),
    'unknown policy': ('evaluate', ['{root}/good', '--policy', 'best'], 'best'),
    'unknown flag': ('evaluate', ['{root}/good', '--speed', '3'], '--speed'),
    'video format': ('evaluate', ['{root}/good', '--video', '{root}/play.avi'], '.mp4 or .gif'),
    'video folder': ('evaluate', ['{root}/good', '--video', '{root}/no/play.gif'], 'not exist'),
    'results folder': ('evaluate', ['{root}/good', '--json', '{root}/no/x.json'], 'not exist'),
    'different levels': (
        'evaluate',
        ['{root}/good', '--tasks', 'mario_1-1', 'pixel'],
        'separately',
    ),
}


def test_bad_input_gets_one_line_and_code_2_before_tensorflow(places, repo_env):
    saved = (places / 'damaged' / 'config.yaml').read_text()
    assert 'train_every: 5' in saved
    same = ['--configs', 'mario', 'debug', '--logdir', str(places / 'damaged')]
    for key in ('steps', 'prefill', 'train_every', 'log_every', 'save_every', 'eval_every'):
        value = next(line for line in saved.splitlines() if line.startswith(f'{key}: '))
        same += [f'--{key}', value.split()[1]]
    commands = []
    for name, argv, _ in BAD.values():
        if argv == ['{damaged}']:
            argv = same
        commands.append((name, [word.replace('{root}', str(places)) for word in argv]))
    before = sorted(places.rglob('*'))
    result = repo_env(['-c', BATCH], text_input=json.dumps(commands))
    assert result.returncode == 0, result.stderr
    for (label, (_, _, words)), (code, out, err, tensorflow) in zip(
        BAD.items(), json.loads(result.stdout), strict=True
    ):
        assert code == 2, (label, code, out, err)
        assert words in err, (label, err)
        last = err.splitlines()[-1]
        assert 'Traceback' not in err and words in last, (label, err)
        # A damaged checkpoint has a line of its own before the last one, changes are indented.
        plain = [line for line in (err + out).splitlines() if not line.startswith('  ')]
        assert len(plain) <= 1 + ('damage' in last), label
        assert not tensorflow, label
    assert sorted(places.rglob('*')) == before


def test_a_crash_has_a_traceback_and_code_1(tmp_path, monkeypatch, capsys):
    import dreamerv2.run.training
    import dreamerv2.train

    def crash(config, command):
        raise RuntimeError('something broke')

    monkeypatch.setattr(dreamerv2.run.training, 'train', crash)
    assert dreamerv2.train.main(['--logdir', str(tmp_path / 'run')]) == 1
    err = capsys.readouterr().err
    assert 'Traceback' in err and 'something broke' in err


def test_dry_run_prints_the_configuration(tmp_path, repo_env):
    argv = ['--configs', 'mario', 'debug', '--dry_run', 'True', '--seed', '3']
    argv += ['--logdir', tmp_path / 'run']
    result = repo_env(['-m', 'dreamerv2.train', *argv])
    assert result.returncode == 0
    assert 'seed: 3\n' in result.stdout and 'rssm.deter: 32\n' in result.stdout
    assert 'Computing' not in result.stdout
    assert not (tmp_path / 'run').exists()


def test_a_task_that_is_not_there_in_a_dry_run(repo_env):
    result = repo_env(['-m', 'dreamerv2.train', '--dry_run', '--task', 'mario_9-1'])
    assert result.returncode == 2 and '9-1' in result.stderr


def test_help(repo_env):
    result = repo_env(['-m', 'dreamerv2.train', '--help'])
    assert result.returncode == 0 and '--configs' in result.stdout and not result.stderr
    result = repo_env(['-m', 'dreamerv2.evaluate', '--help'])
    assert result.returncode == 0 and '--episodes' in result.stdout and not result.stderr


def test_scripts_run_from_their_paths(root, tmp_path, repo_env):
    for name in ('train', 'evaluate'):
        result = repo_env([root / 'dreamerv2' / f'{name}.py', '--nonsense'], cwd=tmp_path)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1 and 'Traceback' not in result.stderr


def test_nothing_in_the_package_folder_hides_another_module(root):
    """`python dreamerv2/train.py` puts that folder first on the path of modules."""
    import importlib.metadata
    import sys

    taken = set(sys.stdlib_module_names) | set(importlib.metadata.packages_distributions())
    own = {path.stem for path in (root / 'dreamerv2').iterdir() if path.stem.isidentifier()}
    assert {'train', 'run', 'envs'} <= own
    assert not own & taken


def test_a_reader_that_stops_early_is_no_crash(python_env):
    command = f'{sys.executable} -m dreamerv2.train --help | head -n 1'
    result = subprocess.run(command, shell=True, capture_output=True, text=True, env=python_env)
    assert result.stdout.count('\n') == 1
    assert result.stderr == ''
