"""The command: what a user sees, exit codes, and never a traceback."""

import json
import os
import pathlib

import pytest

from dreamerv2.doctor import __main__ as command
from dreamerv2.doctor.rows import FAILED, OK, Row, examine, failed, lines, ok, summary, warning


def hide(folder, name, error='ModuleNotFoundError'):
    """A package in a folder whose import fails."""
    (folder / name).mkdir(parents=True)
    (folder / name / '__init__.py').write_text(f"raise {error}('{name} is broken')\n")


def statuses(result):
    assert 'Traceback' not in result.stderr + result.stdout
    return {row['check']: row['status'] for row in json.loads(result.stdout)['rows']}


def test_an_intact_logdir(run, capsys):
    assert command.main([str(run)]) == 0
    out = capsys.readouterr().out
    assert out.startswith('lock                 ok       no run is using this logdir\n')
    assert out.endswith('\n\n9 ok, 0 warning, 0 FAILED\n')


def test_a_broken_logdir(run, capsys):
    file = min((run / 'train_episodes').glob('*.npz'))
    os.truncate(file, 50)
    assert command.main([str(run)]) == 1
    out = capsys.readouterr().out
    assert f'episodes             FAILED   {file}:' in out.replace('\n' + ' ' * 30, ' ')
    assert 'hint: restore it from a copy' in out and '1 FAILED' in out
    assert command.main([str(run), '--json']) == 1
    document = json.loads(capsys.readouterr().out)
    assert document['failed'] is True
    (row,) = [row for row in document['rows'] if row['status'] == FAILED]
    assert set(row) == {'check', 'status', 'seen', 'hint'} and str(file) in row['seen']


def test_a_warning_is_no_failure(run, capsys):
    (run / 'checkpoints' / '.0000000001.tmp').mkdir()
    assert command.main([str(run)]) == 0
    assert '1 warning, 0 FAILED' in capsys.readouterr().out


def test_a_task(capsys):
    assert command.main(['--task', 'pixel', '--time_limit', '9']) == 0
    assert '5 ok, 0 warning, 0 FAILED' in capsys.readouterr().out
    assert command.main(['--task=gym_CartPole-v1', '--json', '--configs', 'control']) == 0
    assert json.loads(capsys.readouterr().out)['failed'] is False


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['/no/such/folder'], '/no/such/folder does not exist'),
        (['--task', 'mario_9-9'], "unknown level '9-9'"),
        (['--task', 'gym_Nope-v0'], 'Nope-v0'),
        (['--task', 'pixel', '/tmp'], 'not both'),
        (['/tmp', '--task', 'pixel'], 'not both'),
        (['--task', 'pixel', '--stepz', '3'], 'stepz'),
        (['--task', 'pixel', '--configs', 'nope'], 'nope'),
        (['--task'], 'expected one argument'),
        (['--steps', '3'], 'flags of training go with --task only'),
        (['a', 'b'], "unknown argument 'b'"),
    ],
)
def test_bad_input(capsys, arguments, words):
    assert command.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == '' and words in err and err.count('\n') == 1


def test_help(capsys):
    with pytest.raises(SystemExit) as end:
        command.main(['--help'])
    assert end.value.code == 0
    assert (
        'Exit code 0: nothing failed, 1: a check failed, 2: bad input.' in capsys.readouterr().out
    )


def test_an_installation_without_numpy(doctor, tmp_path):
    hide(tmp_path, 'numpy')
    result = doctor('--json', first=tmp_path, HOME=str(tmp_path))
    assert result.returncode == 1
    found = statuses(result)
    assert {found[name] for name in ('code', 'emulator', 'tensorflow')} == {FAILED}
    assert {found[name] for name in ('python', 'packages', 'configs.yaml', 'default logdir')} == {
        OK
    }
    assert 'numpy is broken' in result.stdout


@pytest.mark.parametrize('name, error', [('safetensors', 'ImportError'), ('numpy', 'ValueError')])
def test_a_logdir_where_a_package_is_broken(doctor, run, tmp_path, name, error):
    hide(tmp_path / 'first', name, error)
    result = doctor(run, '--json', first=tmp_path / 'first')
    assert result.returncode == 1
    assert statuses(result) == {'installation': FAILED}
    (row,) = json.loads(result.stdout)['rows']
    assert f'{error}: {name} is broken' in row['seen'] and row['hint']


def test_a_task_where_a_package_is_broken(doctor, tmp_path):
    hide(tmp_path, 'gym')
    result = doctor('--task', 'mario_1-1', first=tmp_path)
    assert (result.returncode, result.stderr) == (1, '')
    assert result.stdout.startswith(
        'installation         FAILED   ModuleNotFoundError: gym is broken'
    )
    assert '`python -m dreamerv2.doctor`' in result.stdout
    hide(tmp_path / 'second', 'ale_py')
    result = doctor('--task', 'atari_pong', first=tmp_path / 'second')
    assert result.returncode == 1 and 'Traceback' not in result.stdout + result.stderr
    assert result.stdout.startswith('task                 FAILED')
    assert result.stdout.endswith('0 ok, 0 warning, 1 FAILED\n')


def test_a_check_that_breaks_is_a_row():
    def broken():
        raise RuntimeError('first line\nsecond line')

    def exits():
        raise SystemExit(3)

    rows = list(examine([('a', broken), ('b', exits), ('c', lambda: ok('c', 'fine'))]))
    assert [row.status for row in rows] == [FAILED, FAILED, OK]
    assert 'RuntimeError: first line second line' in rows[0].seen and rows[0].hint


def test_the_table():
    path = '/a/long-path/' + 'x' * 90
    shown = lines(failed('episodes', f'{path}: it is short', 'restore it'), 80)
    assert shown[0] == f'episodes             FAILED   {path}:'
    assert shown[1:] == [' ' * 30 + 'it is short', ' ' * 30 + 'hint: restore it']
    assert lines(Row('a', OK, '')) == ['a                    ok']
    assert summary([ok('a', ''), warning('b', '', '')]) == '1 ok, 1 warning, 0 FAILED'


def test_it_is_a_console_script():
    setup = (pathlib.Path(__file__).parents[2] / 'setup.py').read_text()
    assert f"'dreamerv2-doctor = {command.__name__}:{command.main.__name__}'" in setup
