"""The long forms, as a user starts them."""

import json
import os
import subprocess
import sys

import pytest

from tests.faults import flips, kills, report

SCRIPT = kills.ROOT / 'scripts' / 'torture.sh'


def torture(*arguments, **options):
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, **options)


@pytest.mark.parametrize('what', ['kills', 'faults', 'flips', 'machines', 'resume'])
def test_every_program_is_started_and_explains_itself(tmp_path, what):
    environment = {**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'}
    python = tmp_path / 'python3'  # For a repository that has not been set up.
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    done = torture(what, '--help', cwd='/', env=environment)
    assert (done.returncode, done.stderr) == (0, '')
    assert f'usage: {what}' in done.stdout and ('--json' in done.stdout) != (what == 'resume')
    assert f'  {what} ' in torture('--help').stdout


@pytest.mark.parametrize('arguments', [(), ('nothing',), ('../kills',), ('writer',)])
def test_other_words_are_refused(arguments):
    done = torture(*arguments)
    assert done.returncode == 2 and done.stdout == ''
    assert (
        done.stderr.count('\n') == 1 and 'kills, faults, flips, machines or resume' in done.stderr
    )


def test_a_table_and_the_same_as_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(flips, 'ALL_BITS', (1,))
    assert flips.main(['--json', str(tmp_path / 'flips.json')]) == 0
    document = json.loads((tmp_path / 'flips.json').read_text())
    assert capsys.readouterr().out == report.table(document['rows']) + '\n'
    assert document['rows'][0]['file'] == 'episode' and 'cores' in document['machine']
