import pathlib

import pytest

from dreamerv2.analysis import study, table
from dreamerv2.analysis.report import run_table


def test_facts_of_a_study(root):
    rows = {x.run: x for x in run_table.all_facts(study.read_study(root), root)}
    assert list(rows)[0] == 'baseline 1-1 seed 0'
    assert list(rows)[-1] == 'transfer two 1-2 seed 1'
    one = rows['finetune two 3-1 seed 0']
    assert one.folder == 'f/two/3-1/0' and one.state == 'finished' and one.frames == '4k'
    assert one.device == 'RTX 2070, float16'
    assert one.revision == '0123456789+changes'
    assert one.started_from == 'p/two/0 at 4k'
    assert one.hours == ''
    assert 1150 < float(one.last_return) < 1250
    assert run_table.HEAD[0] == 'run' and run_table.HEAD[-2:] == ['started from', 'folder']
    assert rows['baseline 1-1 seed 0'].started_from == rows['baseline 1-1 seed 0'].device == ''


def test_hours_are_those_after_prefill_and_without_pauses(tmp_path, logdir):
    lines = [
        {'step': 100, 'train_return': 1.0, 'train_prefill': 1},
        {'step': 460, 'fps': 0.1},
        {'step': 820, 'fps': 0.2},
        {'step': 900, 'fps': 0.0},
    ]
    run = table.read_run(logdir(tmp_path / 'a', lines=lines))
    assert run_table.training_hours(run) == pytest.approx(1.0 + 0.5)
    assert run_table.training_hours(table.read_run(logdir(tmp_path / 'b'))) is None


def test_a_run_on_its_way(tmp_path, logdir):
    place = study.Place('baseline', '', '1-1', 0)
    run = table.read_run(logdir(tmp_path / 'a', lines=[{'step': 1000, 'fps': 9}], done=False))
    one = run_table.facts(place, run, 4000, tmp_path)
    assert one.state == 'unfinished, 25 % of T' and one.last_return == ''


@pytest.mark.parametrize('text', ['{', '[]', '{"host": 3, "parent": [], "revision": null}'])
def test_broken_provenance(tmp_path, logdir, text):
    path = logdir(tmp_path / 'a')
    (path / 'provenance.json').write_text(text)
    run = table.read_run(path)
    one = run_table.facts(study.Place('baseline', '', '1-1', 0), run, 4000, tmp_path)
    assert (one.device, one.revision, one.started_from) == ('', '', '')


def test_parent_from_the_configuration_and_from_elsewhere(tmp_path, logdir):
    config = {'init': {'from': '/far/away/e4/1@0000012000'}}
    run = table.read_run(logdir(tmp_path / 'a', config=config))
    assert run_table.parent({}, run, tmp_path) == 'e4/1 at 12k'
    recorded = {'parent': {'logdir': str(tmp_path / 'p' / '0'), 'step': 'last'}}
    assert run_table.parent(recorded, run, pathlib.Path(tmp_path)) == 'p/0'


def test_device_of_a_processor():
    host = {'name': 'cpu', 'kind': 'cpu', 'processor': 'Xeon', 'cores': 2, 'precision': 'float32'}
    assert run_table.device({'host': host}) == 'Xeon, 2 cores, float32'
