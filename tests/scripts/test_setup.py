"""scripts/setup.sh: what it checks, what it installs, and that it does nothing twice."""

import pytest


def kinds(calls):
    """What each call of the interpreter was for."""
    names = []
    for call in calls:
        if call[:2] == ['-m', 'venv']:
            names.append('venv')
        elif '--editable' in call:
            names.append('package')
        elif 'scripts/build_emulator.py' in call:
            names.append('emulator')
        else:
            names.append('packages')
    return names


def test_first_run_installs_everything_and_the_second_nothing(sandbox):
    code, out, err = sandbox.run('setup.sh')
    assert (code, err) == (0, ''), (out, err)
    assert kinds(sandbox.calls()) == ['venv', 'packages', 'emulator', 'package']
    assert all(line.startswith('setup: ') for line in out.splitlines())
    sandbox.forget()
    assert sandbox.run('setup.sh') == (0, '', '')
    assert sandbox.calls() == []


def test_packages_come_from_the_lock_with_hashes_and_the_emulator_from_source(sandbox):
    sandbox.run('setup.sh')
    _, packages, emulator, package = sandbox.calls()
    venv = sandbox.root / '.venv'
    assert '--require-hashes' in packages and '--no-deps' in packages
    assert packages[-2:] == ['-r', str(venv / 'others.lock')]
    assert emulator == ['scripts/build_emulator.py', str(venv / 'emulator.lock')]
    own = (venv / 'emulator.lock').read_text()
    rest = (venv / 'others.lock').read_text()
    assert own.startswith('nes-py==8.2.1') and '--hash=sha256:' in own
    assert 'nes-py==' not in rest and 'tensorflow==2.21' in rest
    together = sorted((own + rest).splitlines())
    assert together == sorted((sandbox.root / 'requirements.lock').read_text().splitlines())
    assert '--no-deps' in package and '--no-build-isolation' in package
    assert package[-1] == str(sandbox.root)


def test_what_commands_import_is_compiled_where_python_would_do_so_at_every_start(sandbox):
    said = '${PYTHONDONTWRITEBYTECODE-unset}'
    sandbox.behave(f'if [ "$1" = -c ]; then echo "{said}" >&2; exit 1; fi')
    code, _, err = sandbox.run('setup.sh', PYTHONDONTWRITEBYTECODE='1')
    assert code == 1 and 'unset' in err.splitlines()
    assert sandbox.calls()[-1][0] == '-c'


def test_changes_install_only_what_follows_from_them(sandbox):
    sandbox.make_venv()
    with (sandbox.root / 'setup.py').open('a') as file:
        file.write('# changed\n')
    assert sandbox.run('setup.sh')[0] == 0
    assert kinds(sandbox.calls()) == ['package']
    sandbox.forget()
    with (sandbox.root / 'requirements.lock').open('a') as file:
        file.write('# changed\n')
    assert sandbox.run('setup.sh')[0] == 0
    assert kinds(sandbox.calls()) == ['packages', 'emulator', 'package']
    sandbox.forget()
    sandbox.root = sandbox.root.rename(sandbox.root.with_name('moved'))
    assert sandbox.run('setup.sh')[0] == 0
    assert kinds(sandbox.calls()) == ['packages', 'emulator', 'package']


def test_a_driver_brings_the_packages_for_it(sandbox):
    assert sandbox.run('setup.sh', GPU='1')[0] == 0
    assert 'nvidia-cudnn' in (sandbox.root / '.venv/others.lock').read_text()
    sandbox.forget()
    assert sandbox.run('setup.sh', GPU='0')[0] == 0
    assert 'nvidia-cudnn' not in (sandbox.root / '.venv/others.lock').read_text()


@pytest.mark.parametrize('version', ['3.9', '3.13', '2.7'])
def test_another_python_is_named_in_one_line(sandbox, version):
    code, out, err = sandbox.run('setup.sh', FAKE_VERSION=version)
    assert (code, out) == (2, '') and len(err.splitlines()) == 1
    assert version in err and '3.10 to 3.12' in err and 'PYTHON=' in err
    assert not (sandbox.root / '.venv').exists()


@pytest.mark.parametrize('version', ['3.10', '3.12'])
def test_a_named_python_is_used(sandbox, version):
    sandbox.add_tool('mypython', (sandbox.tools / 'python3').read_text())
    (sandbox.tools / 'python3').unlink()
    code, _, err = sandbox.run('setup.sh')
    assert code == 2 and 'python3 was not found' in err and len(err.splitlines()) == 1
    code, out, _ = sandbox.run('setup.sh', PYTHON='mypython', FAKE_VERSION=version)
    assert code == 0 and version in out


def test_a_missing_compiler_is_named_in_one_line(sandbox):
    (sandbox.tools / 'g++').unlink()
    code, out, err = sandbox.run('setup.sh')
    assert (code, out) == (2, '') and len(err.splitlines()) == 1
    assert 'g++' in err and 'apt install g++' in err
    assert sandbox.calls() == []


def test_foreign_output_is_shown_only_when_it_fails(sandbox):
    sandbox.behave('echo noise; case "$*" in *emulator.lock) echo broken >&2; exit 3 ;; esac')
    code, out, err = sandbox.run('setup.sh')
    assert code == 1 and 'noise' not in out
    assert 'broken' in err and 'compiling the emulator failed' in err.splitlines()[-1]
    assert str(sandbox.root / '.venv/setup.log') in err
    sandbox.behave('echo noise')
    sandbox.forget()
    code, out, err = sandbox.run('setup.sh')
    assert (code, err) == (0, '') and 'noise' not in out
    assert kinds(sandbox.calls()) == ['packages', 'emulator', 'package']


def test_wrong_arguments(sandbox):
    for args, env, word in ((['x'], {}, "'x'"), ([], {'GPU': 'yes'}, "'yes'")):
        code, _, err = sandbox.run('setup.sh', *args, **env)
        assert code == 2 and word in err and len(err.splitlines()) == 1
