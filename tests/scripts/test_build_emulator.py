"""scripts/build_emulator.py: how the emulator is compiled, and what when a step fails."""

import pathlib
import subprocess
import tarfile

import build_emulator
import emulator_workload
import pytest

GCC = 'g++ (Debian 12.2.0-14) 12.2.0\nCopyright (C) 2022 Free Software Foundation, Inc.\n'
OLD = 'g++ (GCC) 9.4.0\nCopyright (C) 2019 Free Software Foundation, Inc.\n'
APPLE = 'Apple clang version 15.0.0 (clang-1500.3.9.4)\nTarget: arm64-apple-darwin23.6.0\n'


class Commands:
    """Stands in for `subprocess.run`: notes what is called, and fetches a small archive."""

    def __init__(self, compiler, failing):
        self.compiler, self.failing = compiler, failing
        self.calls = []

    def __call__(self, command, env=None, check=False, **options):
        if command[0] == 'g++':
            return subprocess.CompletedProcess(command, 0, self.compiler)
        words = [str(word) for word in command]
        kind = words[3] if words[1:3] == ['-m', 'pip'] else 'play'
        self.calls.append((kind, words, dict(env)))
        if self.failing in (kind, f'{kind} {self.count(kind)}'):
            raise subprocess.CalledProcessError(1, words)
        if kind == 'download':
            self.fetch(words[words.index('--dest') + 1])
        return subprocess.CompletedProcess(command, 0)

    def count(self, kind):
        return sum(name == kind for name, _, _ in self.calls)

    def fetch(self, folder):
        source = pathlib.Path(folder) / 'nes_py-1'
        (source / 'build').mkdir(parents=True)
        write_source(source)
        with tarfile.open(source.with_suffix('.tar.gz'), 'w:gz') as archive:
            archive.add(source, source.name)


def write_source(folder):
    """Files with the lines of nes-py that are replaced."""
    for name, changes in build_emulator.CHANGES.items():
        file = folder / 'nes_py' / 'nes' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('\n'.join(['// first', *changes, '// last']))


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Builds with a stand-in compiler: the exit code, and the commands that were called."""

    def build(compiler=GCC, failing='', system='Linux'):
        commands = Commands(compiler, failing)
        monkeypatch.setattr(build_emulator.subprocess, 'run', commands)
        monkeypatch.setattr(build_emulator.platform, 'system', lambda: system)
        code = build_emulator.main([str(tmp_path / 'emulator.lock')])
        return code, commands.calls

    return build


def kinds(calls):
    return [kind for kind, _, _ in calls]


def test_it_is_compiled_played_and_compiled_again(run, tmp_path):
    code, calls = run()
    assert code == 0
    steps = ['download', 'wheel', 'install', 'play', 'wheel', 'install']
    assert kinds(calls) == steps
    (_, download, _), (_, first, counting), (_, apart, aside), (_, play, playing) = calls[:4]
    (_, second, counted), (_, install, final) = calls[4:]
    assert '--require-hashes' in download and download[-1] == str(tmp_path / 'emulator.lock')
    assert first[-1] == second[-1], 'counts go by the place of the source'
    counts = counting['CFLAGS'].partition('-fprofile-generate=')[2]
    assert counts and f'-fprofile-use={counts} ' in counted['CFLAGS']
    for flags in (counting, counted):
        assert flags['CFLAGS'] == flags['CXXFLAGS'] == flags['LDFLAGS']
        assert '-O3' in flags['CFLAGS'] and '-flto' in flags['CFLAGS']
    assert playing['PYTHONPATH'] == apart[apart.index('--target') + 1]
    assert play[-1].endswith('emulator_workload.py')
    assert '--target' not in install and '--force-reinstall' in install
    for wheel, own in ((first, aside), (second, final)):
        assert own['PIP_FIND_LINKS'] == wheel[wheel.index('--wheel-dir') + 1]


@pytest.mark.parametrize(
    ('compiler', 'system', 'inlined'), [(OLD, 'Linux', True), (APPLE, 'Darwin', False)]
)
def test_compilers_that_cannot_count_compile_once(run, compiler, system, inlined):
    code, calls = run(compiler, system=system)
    assert code == 0 and kinds(calls) == ['download', 'wheel', 'install']
    flags = calls[1][2]['CFLAGS']
    assert 'profile' not in flags and ('-flto' in flags) is inlined


@pytest.mark.parametrize('failing', ['wheel 1', 'install 1', 'play'])
def test_where_counting_fails_it_is_compiled_without(run, capsys, failing):
    code, calls = run(failing=failing)
    assert code == 0 and kinds(calls)[-2:] == ['wheel', 'install']
    assert 'profile' not in calls[-2][2]['CFLAGS']
    assert 'without a profile' in capsys.readouterr().out


@pytest.mark.parametrize('failing', ['download', 'wheel 2', 'install 2'])
def test_another_failure_is_the_exit_code(run, capsys, failing):
    code, _ = run(failing=failing)
    assert code == 1 and failing.split()[0] in capsys.readouterr().err


def test_the_way_through_a_frame_is_replaced(tmp_path):
    write_source(tmp_path)
    build_emulator.hasten(tmp_path)
    nes = tmp_path / 'nes_py' / 'nes'
    source, header = (nes / 'src/emulator.cpp').read_text(), (nes / 'include/ppu.hpp').read_text()
    assert 'Emulator::step_by_cycle()' in source and 'Emulator::step()' not in source
    assert 'ppu.' not in source, 'a register would be read before the dots that were put off'
    assert 'void cycle(PictureBus& bus);' in header and 'void draw(' in header
    assert (nes / 'src/emulator_run.cpp').read_text() == build_emulator.RUN.read_text()


@pytest.mark.parametrize('file', sorted(build_emulator.CHANGES))
def test_another_nes_py_is_refused(tmp_path, file):
    write_source(tmp_path)
    (tmp_path / 'nes_py' / 'nes' / file).write_text('void another();')
    with pytest.raises(ValueError, match=f'is for another nes-py: its {file}'):
        build_emulator.hasten(tmp_path)


def test_the_workload_plays_the_installed_emulator(monkeypatch, capsys):
    import nes_py

    monkeypatch.setattr(emulator_workload, 'FRAMES', 3)
    emulator_workload.main()
    assert capsys.readouterr().out.splitlines()[-1] == nes_py.__file__
