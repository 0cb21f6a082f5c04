"""The other scripts, and what they have in common."""

import os
import re
import shlex
import subprocess

import pytest
from ruamel.yaml import YAML

from dreamerv2.run.checkpoint import zoo


def test_every_script_is_safe_and_explains_itself(repository):
    scripts = sorted((repository / 'scripts').glob('*.sh'))
    names = {path.name for path in scripts}
    assert names >= {'setup.sh', 'test.sh', 'quickstart.sh', 'sweep.sh', 'lock.sh'}
    for path in [*scripts, repository / '.ci' / 'run']:
        text = path.read_text()
        assert os.access(path, os.X_OK), path
        assert text.startswith('#!/usr/bin/env bash\n') and '\nset -euo pipefail\n' in text, path
    for path in scripts:
        for flag in ('-h', '--help'):
            done = subprocess.run([path, flag], capture_output=True, text=True, cwd='/')
            assert (done.returncode, done.stderr) == (0, '') and 'usage: ' in done.stdout.lower(), (
                path
            )


def test_quickstart_trains_evaluates_and_plots(sandbox, tmp_path):
    logdir = tmp_path / 'some where'
    code, out, err = sandbox.run('quickstart.sh', str(logdir), QUICKSTART_STEPS='77')
    assert (code, err) == (0, '')
    train, evaluate, plot, play = sandbox.calls()[-4:]
    assert train[:6] == ['-m', 'dreamerv2.train', '--configs', 'mario_small', '--task', 'mario_1-1']
    of_the_zoo = ['--mario_actions', 'right_only', '--sticky', '0']
    assert train[6:10] == of_the_zoo and train[10:12] == ['--prefill', '1000']
    assert train[12:] == ['--steps', '77', '--logdir', str(logdir)]
    assert evaluate[:3] == ['-m', 'dreamerv2.evaluate', str(logdir)]
    assert '--record' in evaluate
    assert evaluate[-2:] == ['--video', f'{logdir}/play.mp4']
    assert plot == ['-m', 'dreamerv2.analysis.plot', str(logdir), '--out', f'{logdir}/curve.png']
    name = play[2].removeprefix('zoo:')
    assert play[:2] == ['-m', 'dreamerv2.play'] and play[-2:] == ['--video', f'{logdir}/zoo.mp4']
    assert name in zoo.names()
    *said, yours, other = [line.split(':', 1)[1].strip() for line in out.splitlines()[-5:]]
    assert said == [f'{logdir}/{made}' for made in ('curve.png', 'play.mp4', 'zoo.mp4')]
    assert shlex.split(yours)[1:] == ['-m', 'dreamerv2.play', str(logdir)]
    assert shlex.split(other)[1:] == ['-m', 'dreamerv2.play', f'zoo:{name}']


@pytest.mark.parametrize('code', [1, 75])
def test_quickstart_ends_with_the_code_of_training(sandbox, code):
    sandbox.behave(f'if [ "$2" = dreamerv2.train ]; then exit {code}; fi')
    assert sandbox.run('quickstart.sh')[0] == code
    assert sandbox.calls()[-1][1] == 'dreamerv2.train'
    assert sandbox.run('quickstart.sh', 'a', 'b')[0] == 2


def test_test_sets_up_and_hands_arguments_to_pytest(sandbox):
    sandbox.behave('if [ "$2" = pytest ]; then exit 5; fi')
    assert sandbox.run('test.sh', 'tests/x y', '-k', 'a or b')[0] == 5
    assert sandbox.calls()[-1] == ['-m', 'pytest', 'tests/x y', '-k', 'a or b']
    assert sandbox.calls()[0][:2] == ['-m', 'venv']


def test_test_runs_the_slow_ones_alone_when_asked(sandbox):
    assert sandbox.run('test.sh', '--slow', '-k', 'wheel')[0] == 0
    assert sandbox.calls()[-1] == ['-m', 'pytest', '-m', 'slow', '-k', 'wheel']


def test_lock_files_pin_everything_with_hashes_and_name_no_place(repository):
    for name in ('requirements', 'requirements-gpu'):
        text = (repository / f'{name}.lock').read_text()
        assert '://' not in text and '--index' not in text and '@ ' not in text
        blocks = re.split(r'\n(?=[a-z])', text)[1:]
        assert len(blocks) > 80
        for block in blocks:
            assert re.match(r'[a-z0-9.-]+(\[.+\])?==\S+', block) and '--hash=sha256:' in block
    wanted = re.findall(r'^[a-z][\w.-]*', (repository / 'requirements.in').read_text(), re.M)
    locked = (repository / 'requirements.lock').read_text()
    missing = [name for name in wanted if f'\n{name.replace(".", "-")}==' not in locked]
    assert not missing


def test_citation_names_the_works_built_on(repository):
    citation = YAML(typ='safe').load((repository / 'CITATION.cff').read_text())
    paper, thesis = citation['references']
    assert paper['identifiers'][0]['value'] == 'arXiv:2010.02193'
    assert thesis['title'] == 'Pre-training World Models to efficiently learn related tasks'
    assert (thesis['type'], thesis['year']) == ('thesis', 2022)
    assert citation['version'] in (repository / 'CHANGELOG.md').read_text()
