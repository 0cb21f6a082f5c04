"""The command that measures the random policy: the same numbers however it is run."""

import json

import measure_random
import pytest


def test_goes_on_level_by_level(tmp_path, capsys):
    out = tmp_path / 'table.json'
    flags = ['--episodes', '2', '--out', str(out)]
    assert measure_random.main(['--levels', '1-4', *flags]) == 0
    first = json.loads(out.read_text())
    assert list(first['levels']) == ['1-4'] and first['settings'] == measure_random.SETTINGS
    capsys.readouterr()
    # What is there is not measured again; the order is that of the game.
    assert measure_random.main(['--levels', '1-4', '1-3', *flags]) == 0
    assert capsys.readouterr().out.startswith('1-3: return ')
    both = json.loads(out.read_text())
    assert list(both['levels']) == ['1-3', '1-4']
    assert both['levels']['1-4'] == first['levels']['1-4']
    found = measure_random.play('1-4', 2, 0)
    assert measure_random.summary(found) == first['levels']['1-4']


def test_summary():
    found = {name: [1.0, 3.0] for name in ('return', 'progress', 'completed', 'length')}
    entry = measure_random.summary(found)
    assert entry['episodes'] == 2
    assert entry['return'] == {'mean': 2.0, 'std': pytest.approx(2**0.5, abs=1e-4)}


def test_too_few_episodes(capsys):
    assert measure_random.main(['--episodes', '1']) == 2
    assert "'1' is not a whole number from 2" in capsys.readouterr().err
