"""The table of level lengths is what the cartridge says."""

import importlib.util
import pathlib

import pytest

from dreamerv2.envs.level_lengths import LEVELS, exit_offset, level_length, main_area_end
from dreamerv2.errors import UsageError

SCRIPT = pathlib.Path(__file__).parents[2] / 'scripts' / 'measure_levels.py'


@pytest.fixture(scope='module')
def script():
    spec = importlib.util.spec_from_file_location('measure_levels', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_table_agrees_with_the_maps_on_the_cartridge(script):
    program = script.read_program()
    assert {level: script.measure(program, level) for level in LEVELS} == {
        level: level_length(level) for level in LEVELS
    }


def test_check_command(script, capsys, monkeypatch):
    assert script.main(['--check']) == 0
    assert '3-1 3200' in capsys.readouterr().out.splitlines()
    monkeypatch.setattr(script, 'level_length', lambda level: 1)
    assert script.main(['--check']) == 1
    assert 'but the table has 1' in capsys.readouterr().out


def test_lengths():
    assert len(LEVELS) == 32
    assert level_length('mario_1-1') == level_length('1-1') == 3168
    assert level_length('1-2') == 2656 + 3168 - 2872
    assert exit_offset('1-2') == 2656 - 2872
    assert exit_offset('1-1') is None
    assert (main_area_end('1-1'), main_area_end('4-2')) == (3168, 2992)
    with pytest.raises(UsageError, match='1-1 to 8-4'):
        level_length('5-5')
