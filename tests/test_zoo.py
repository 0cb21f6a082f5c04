"""The zoo: adding an agent, using it everywhere a logdir is taken, and its agents' cards."""

import json
import shutil

import numpy as np
import pytest
from ruamel.yaml import YAML
from scipy import stats

import dreamerv2.api as dv2
from dreamerv2 import evaluate
from dreamerv2.config import load_config
from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint
from dreamerv2.run.checkpoint import zoo as places
from dreamerv2.run.checkpoint.start_from import find_parent, parse_source
from dreamerv2.zoo import EVALUATION, LARGEST, main, origin, public, run
from tests.test_api import TINY

REPOSITORY_ZOO, AGENTS = (
    places.ROOT,
    places.names(),
)  # Before the fixture puts another in its place.


@pytest.fixture(scope='module')
def zoo(tmp_path_factory, mario_run):
    """A zoo with that agent in it."""
    root = tmp_path_factory.mktemp('zoo')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, 'ROOT', root)
        run(['add', str(mario_run), 'tiny', '--episodes', '3', '--known', 'It does nothing.'])
        yield root


def test_an_agent_of_the_zoo_is_small_and_names_no_machine(zoo, mario_run):
    folder = zoo / 'tiny'
    whole = checkpoint.find(mario_run).arrays()
    arrays = checkpoint.find(folder).arrays()
    assert arrays and all(name.startswith('parameters/') for name in arrays)
    for name, value in arrays.items():
        np.testing.assert_array_equal(value, whole[name])
    texts = [
        path.read_text() for path in folder.rglob('*') if path.suffix in ('.json', '.yaml', '.md')
    ]
    provenance = json.loads((mario_run / 'provenance.json').read_text())
    for private in (str(mario_run), str(zoo), provenance['host']['hostname'] + '"'):
        assert not any(private in text for text in texts)
    suffixes = {path.suffix for path in folder.rglob('*') if path.is_file()}
    assert suffixes == {'.md', '.json', '.yaml', '.safetensors'}


def test_its_card_is_one_of_the_hub(zoo):
    text = (zoo / 'tiny' / 'README.md').read_text()
    _, front, body = text.split('---\n', 2)
    card = YAML(typ='safe').load(front)
    assert card['license'] == 'mit' and card['model-index'][0]['name'] == 'tiny'
    (result,) = card['model-index'][0]['results']
    assert result['dataset']['type'] == 'mario_1-1'
    returns = json.loads((zoo / 'tiny' / EVALUATION).read_text())['levels']['1-1']['returns']
    mean = float(str(result['metrics'][0]['value']).split()[0])
    assert len(returns) == 3 and mean == pytest.approx(np.mean(returns), abs=0.1)
    assert '| 1-1 | 3 | 0 of 3 completed [0, 71 %], return' in body
    assert 'Known failures: It does nothing.' in body


def test_a_card_says_where_an_agent_started_and_what_was_changed(zoo, mario_run, tmp_path):
    logdir = tmp_path / 'later'
    changes = {'logdir': str(logdir), 'task': 'mario_1-1', 'steps': 50, 'prefill': 40}
    changes.update(action_repeat=4, eval_every=0, log_every=0, time_limit=10)
    changes.update({'init.from': str(mario_run), 'init.exclude': 'actor/.*'})
    changes['prefill_policy'] = 'init'
    config = dv2.defaults.update({**TINY, **changes})
    assert dv2.train(None, config) == 0
    config = config.update({'steps': 60, 'actor_ent': 0.5, 'accept_changes': True})
    assert dv2.train(None, config) == 0
    run(['add', str(logdir), 'later', '--episodes', '2'])
    folder = zoo / 'later'
    try:
        card = (folder / 'README.md').read_text()
        assert 'It started from an agent trained on mario_1-1 for 240 frames, seed 0.' in card
        old = dv2.defaults['actor_ent']
        assert f'Changed at 200 frames: actor_ent from {old} to 0.5, steps from 50 to 60.' in card
        for path in folder.rglob('*'):
            assert path.is_dir() or str(tmp_path).encode() not in path.read_bytes()
            assert path.is_dir() or str(mario_run).encode() not in path.read_bytes()
        assert checkpoint.find(folder).frames == 240
        named = config.update({'init.from': 'zoo:tiny@240'})
        provenance = public(json.loads((logdir / 'provenance.json').read_text()))
        assert ' for 240 frames (`zoo:tiny` of that time), seed 0.' in origin(named, provenance)
        assert origin(config, {}) == ''
    finally:
        shutil.rmtree(folder)


def test_commands_take_it_for_a_logdir(zoo, tmp_path, capsys):
    file = tmp_path / 'results.json'
    assert evaluate.run(['zoo:tiny', '--episodes', '3', '--json', str(file)]) == 0
    again = json.loads(file.read_text())['levels']['1-1']['returns']
    stored = json.loads((zoo / 'tiny' / EVALUATION).read_text())['levels']['1-1']['returns']
    assert again == stored
    agent = dv2.load('zoo:tiny', step='best')
    assert agent.frames == 240 and agent.config.logdir == 'zoo/tiny'
    assert parse_source('zoo:tiny') == (zoo / 'tiny', None)
    assert parse_source('zoo:tiny@best') == (zoo / 'tiny', 'best')
    assert find_parent('zoo:tiny@240', tmp_path).frames == 240
    capsys.readouterr()
    run(['path', 'tiny'])
    run(['list'])
    path, line = capsys.readouterr().out.splitlines()
    assert path == str(zoo / 'tiny')
    assert line.startswith('zoo:tiny: 240 frames; 1-1 0 of 3 completed [0, 71 %], return ')


def test_what_is_exported_is_all_of_it(zoo, tmp_path, capsys):
    run(['export', str(tmp_path / 'out')])
    there, here = (sorted(p.relative_to(r) for p in r.rglob('*')) for r in (zoo, tmp_path / 'out'))
    assert there == here
    assert checkpoint.find(tmp_path / 'out' / 'tiny').frames == 240
    with pytest.raises(UsageError, match='tiny exists: choose another folder'):
        run(['export', str(tmp_path / 'out'), 'tiny'])


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['path', 'tinny'], "zoo:tinny: there is no such agent in the zoo; did you mean tiny?"),
        (['path', 'x'], 'zoo:x: there is no such agent in the zoo; there are tiny'),
        (['add', 'nowhere', 'new'], 'nowhere does not exist'),
        (['add', 'nowhere', '../new'], "NAME '../new': expected letters"),
        (['add', 'nowhere', 'tiny'], 'tiny exists: choose another NAME'),
        (['add', 'nowhere', 'new', '--step', 'x'], "--step: 'x' is not a whole number"),
        (['feed'], "invalid choice: 'feed'"),
        ([], 'required'),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(zoo, argv, message, capsys):
    before = sorted(zoo.rglob('*'))
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert message in said and said.count('\n') == 1
    assert sorted(zoo.rglob('*')) == before


def test_nothing_is_trained_in_the_zoo():
    with pytest.raises(
        UsageError, match='nothing is trained in the zoo; give a folder, and --init'
    ):
        load_config(['--logdir', 'zoo:tiny'])


def test_without_a_zoo_it_is_said_where_one_is(tmp_path, monkeypatch):
    monkeypatch.setattr(places, 'ROOT', tmp_path)
    with pytest.raises(UsageError, match='it is in a clone of the repository'):
        places.located('zoo:any')


@pytest.mark.parametrize('name', AGENTS)
def test_an_agent_does_what_its_card_says(name, tmp_path):
    """Ten episodes of each level, against the card's: not less likely than one in a thousand."""
    folder = REPOSITORY_ZOO / name
    assert sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) <= LARGEST
    said = json.loads((folder / EVALUATION).read_text())
    file = tmp_path / 'results.json'
    copy = tmp_path / name
    shutil.copytree(folder, copy)
    flags = ['--tasks', *(f'mario_{level}' for level in said['levels'])]
    flags += ['--episodes', '10', '--seed', '100', '--policy', said['policy']]
    evaluate.run([str(copy), *flags, '--json', str(file)])
    for level, now in json.loads(file.read_text())['levels'].items():
        before = said['levels'][level]
        assert before['episodes'] >= 100
        counts = [(e['completed']['count'], e['episodes']) for e in (before, now)]
        table = [[count, total - count] for count, total in counts]
        assert stats.fisher_exact(table).pvalue > 1e-3
        assert stats.mannwhitneyu(before['returns'], now['returns']).pvalue > 1e-3
