"""A study with a grid: every setting by itself, corrected for all of them, never mixed."""

import json
import shutil

import numpy as np
import pytest

from dreamerv2.analysis import answers, commands, figures, study, verdicts
from dreamerv2.errors import UsageError
from tests.analysis import synthetic
from tests.analysis.report.test_page import check_self_contained

PLAN = {
    'sets': {'two': ['3-1', '3-2']},
    'finetune': ['3-1', '3-2'],
    'transfer': ['1-1'],
    'seeds': [0, 1, 2, 3, 4],
}
SETTINGS = {'kl.balance=0.5': 0, 'kl.balance=0.8': 1000}  # the return that agents have more


@pytest.fixture(scope='module')
def grid(tmp_path_factory):
    """A finished study of two settings; agents differ from baselines in the second alone."""
    root = tmp_path_factory.mktemp('grid')
    for setting, effect in SETTINGS.items():

        def returns(stage, name, level, seed, effect=effect):
            return synthetic.to(1000 + 20 * seed + effect * bool(name), 5)

        synthetic.write_runs(root / setting, PLAN, returns, count=12)
        (root / setting / 'plan.json').rename(root / 'plan.json')
        for path in (root / setting).rglob('study.json'):
            path.write_text(json.dumps({**json.loads(path.read_text()), 'setting': setting}))
    return root


def headlines(found):
    return [x.together for answer in found.values() for x in answer.headlines]


def test_every_setting_is_a_study_of_its_own(grid):
    studies = study.read_studies(grid)
    assert list(studies) == list(SETTINGS)
    for setting, data in studies.items():
        assert len(data.runs) == 35 and not data.notes
        assert data.state == ['35 runs belong to the study: 35 finished, 0 unfinished, 0 missing']
        assert {run.name.split('/')[0] for run in data.runs.values()} == {setting}
    with pytest.raises(UsageError, match='a study of 2 settings; give the folder of one'):
        study.read_study(grid)
    assert study.read_study(grid / 'kl.balance=0.5').runs.keys() == studies[setting].runs.keys()


def test_a_setting_without_runs_is_named(grid, tmp_path):
    shutil.copytree(grid, tmp_path, dirs_exist_ok=True)
    plan = json.loads((grid / 'plan.json').read_text())
    (tmp_path / 'plan.json').write_text(
        json.dumps({**plan, 'settings': [*SETTINGS, 'kl.balance=1']})
    )
    for data in study.read_studies(tmp_path).values():
        assert data.notes == ('setting kl.balance=1: no run yet',)


def test_questions_are_answered_by_setting_and_corrected_for_all_of_them(grid):
    studies = study.read_studies(grid)
    found = answers.by_setting(studies)
    together = [x for one in found.values() for x in headlines(one)]
    adjusted = verdicts.holm(np.array([x.contrast.p for x in together]))
    np.testing.assert_array_equal([x.adjusted for x in together], adjusted)
    for setting, data in studies.items():
        alone = headlines(answers.by_question(data))
        for one, by_itself in zip(headlines(found[setting]), alone, strict=True):
            for name in ('value', 'low', 'high'):
                np.testing.assert_equal(getattr(one, name), getattr(by_itself, name))
            assert (one.family, by_itself.family) == (len(together), len(alone))
            assert one.adjusted >= by_itself.adjusted
    first, second = (x['transfer', 'two'].headline().together for x in found.values())
    assert (first.decided, second.decided) == ('', 'better')


def test_the_report_tells_the_settings_apart(grid, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(figures, 'names', lambda: ('figure6', 'transfer_matrix'))  # All take long.
    out = tmp_path / 'report.html'
    assert commands.report_main([str(grid), '--bins', '4', '--out', str(out)]) == 0
    sentences = capsys.readouterr().out.splitlines()[1:]
    assert [line.split(': ')[0] for line in sentences] == [x for x in SETTINGS for _ in range(9)]
    page = check_self_contained(out.read_text())
    identifiers = [found['id'] for _, found in page.elements if 'id' in found]
    assert len(set(identifiers)) == len(identifiers)
    assert 'kl.balance=0.5/short' in identifiers and 'kl.balance=0.8/runs' in identifiers
    assert len(page.all('main')) == 1 and len(page.all('h1')) == 1 + 2
    for words in (
        'Means at T by setting setting agents return progress completion runs kl.balance=0.5',
        'kl.balance=0.8 pre-training two 20',
        'Headlines by setting setting agents measure verdict',
        'kl.balance=0.5 transfer two return not distinguishable at this n',
        'kl.balance=0.8 transfer two return better',
        'Setting kl.balance=0.8 Is it cheaper',
        'after correction for 18 headlines',
    ):
        assert words in page.text, words


def test_each_setting_has_its_figures(grid, tmp_path, capsys):
    arguments = [str(grid), '--out', str(tmp_path), '--figures', 'figure6', '--bins', '4']
    assert commands.figures_main(arguments) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == list(SETTINGS)
    printed = capsys.readouterr().out
    for setting in SETTINGS:
        names = {path.name for path in (tmp_path / setting).iterdir()}
        assert {'figure6.png', 'scores.csv', 'answers.txt', 'runs.txt'} <= names
        assert f'see {tmp_path / setting / "runs.txt"}' in printed


def test_runs_without_a_setting_are_a_study_beside_the_others(tmp_path, logdir):
    place = {'stage': 'baseline', 'level': '3-1', 'seed': 0}
    names = {'plain': None, 'x': 'discount=0.9', 'hostile': '../../..', 'odd': ['discount=0.9']}
    for seed, (name, setting) in enumerate(names.items()):
        more = {} if setting is None else {'setting': setting}
        logdir(tmp_path / name, task='mario_3-1', study={**place, 'seed': seed, **more})
    found = {
        setting: [run.name for run in data.runs.values()]
        for setting, data in study.read_studies(tmp_path).items()
    }
    assert found == {'': ['hostile', 'odd', 'plain'], 'discount=0.9': ['x']}
    assert commands.report_main([str(tmp_path), '--bins', '4']) == 0
    check_self_contained((tmp_path / 'report.html').read_text())
