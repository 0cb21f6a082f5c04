"""The paragraphs that say what a study is about."""

import json

import pytest

from dreamerv2.analysis import study
from dreamerv2.analysis.report.introduction import introduction

PLAN = {
    'sets': {'pair': ['1-1', '1-2'], 'trio': ['1-1', '1-2', '1-3']},
    'finetune': ['1-1', '1-2'],
    'transfer': ['1-4'],
    'seeds': [0, 1],
    'frames': 64000,
}


@pytest.fixture
def make(tmp_path, logdir):
    def make(plan=PLAN, command=(), task='mario_1-1', config=None):
        place = {'stage': 'baseline', 'set': '', 'level': task.partition('_')[2], 'seed': 0}
        path = logdir(tmp_path / 'run', task=task, study=place, config=config)
        (path / 'provenance.json').write_text(json.dumps({'command': list(command)}))
        (tmp_path / 'plan.json').write_text(json.dumps(plan))
        return introduction(study.read_study(tmp_path))

    return make


def test_it_names_game_agent_preset_and_symbols(make):
    command = ['train.py', '--configs', 'mario_small', 'debug', '--task', 'mario_1-1']
    first, second = make(command=command, config={'rssm.deter': 128})
    assert first.startswith('Is it cheaper to train one agent on several levels of Super Mario')
    assert 'fine-tune it to each of them (2 levels) or transfer it to new ones (1 level)' in first
    assert 'DreamerV2' in first and 'with the preset mario_small debug' in first
    assert '(recurrent state of 128)' in first
    assert second.startswith('T = 64,000 frames')
    assert 'N = 2 for the set pair, N = 3 for the set trio' in second
    assert 'M = 2 is the number of levels' in second


@pytest.mark.parametrize(
    ('command', 'preset'),
    [(['train.py', '--configs=atari,debug', '--seed', '1'], 'atari debug'), ([], None)],
)
def test_a_study_of_games_without_fine_tuning(make, command, preset):
    plan = {**PLAN, 'finetune': [], 'transfer': []}
    first, second = make(plan=plan, task='atari_pong', command=command)
    assert 'several games of the Atari 2600 than to train one agent for each game?' in first
    assert ('preset' in first) == bool(preset) and (preset or '') in first
    assert 'M =' not in second
