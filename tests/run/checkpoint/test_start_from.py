"""What is taken from a checkpoint, and what is said when it does not fit."""

import json

import numpy as np
import pytest
from run_fakes import fake_parts, small_config

from dreamerv2.config import load_config
from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint
from dreamerv2.run.checkpoint import start_from
from dreamerv2.run.checkpoint.start_from import Choice, inherit
from dreamerv2.run.training import train


def arrays(value, actions=4, extra=()):
    """An agent's state with every entry filled with `value`."""
    shapes = {
        'parameters/rssm/gru/kernel': (3, 2),
        'parameters/encoder/conv0/kernel': (2,),
        'parameters/actor/out/kernel': (2, actions),
        'parameters/critic/out/kernel': (2, 1),
        'parameters/slow_critic/out/kernel': (2, 1),
        'model_opt/updates': (),
        'model_opt/rssm/gru/kernel/moment1': (3, 2),
        'model_opt/encoder/conv0/kernel/moment1': (2,),
        'actor_opt/updates': (),
        'actor_opt/out/kernel/moment1': (2, actions),
        'critic_opt/updates': (),
        'critic_opt/out/kernel/moment1': (2, 1),
        'reward_norm/magnitude': (),
        'random/key': (2,),
        **dict.fromkeys(extra, (1,)),
    }
    return {name: np.full(shape, value) for name, shape in shapes.items()}


def loaded(state):
    return {name for name, value in state.items() if (value == 1).all()}


def test_all_parameters_are_taken_and_everything_else_starts_fresh():
    state, table = inherit(arrays(1), arrays(0), Choice())
    assert loaded(state) == {name for name in state if name.startswith('parameters/')}
    assert table.splitlines()[0].split() == ['module', 'loaded', 'fresh', 'frozen']
    assert table.splitlines()[1].split() == ['rssm', '1', '0', '0']
    assert 'slow_critic' not in table


def test_patterns_match_whole_names():
    choice = Choice(include='(rssm|actor)/.*', exclude='actor/out/kernel', freeze='rssm/.*')
    state, table = inherit(arrays(1), arrays(0), choice)
    assert loaded(state) == {'parameters/rssm/gru/kernel'}
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines()}
    assert rows['rssm'] == ['1', '0', '1']
    assert rows['actor'] == rows['critic'] == ['0', '1', '0']


def test_the_slow_critic_is_a_copy_of_the_critic_wherever_that_is_from():
    own = arrays(0)
    own['parameters/critic/out/kernel'] += 5
    state, _ = inherit(arrays(1), own, Choice(exclude='critic/.*'))
    assert (state['parameters/slow_critic/out/kernel'] == 5).all()


def test_the_optimizer_comes_along_for_what_is_taken():
    state, _ = inherit(arrays(1), arrays(0), Choice(include='(rssm|actor)/.*', optimizer=True))
    assert loaded(state) == {
        'parameters/rssm/gru/kernel',
        'parameters/actor/out/kernel',
        'model_opt/rssm/gru/kernel/moment1',
        'model_opt/updates',
        'actor_opt/out/kernel/moment1',
        'actor_opt/updates',
    }


@pytest.mark.parametrize(
    ('choice', 'fits'),
    [
        (Choice(), False),
        (Choice(exclude='actor/.*'), False),
        (Choice(exclude='actor/.*|rssm/img_in/.*'), True),
        (Choice(include='(encoder|decoder)/.*'), True),
    ],
)
def test_other_actions_of_mario_are_refused_even_where_they_fit_in_number(choice, fits):
    one, other = (
        load_config(['--mario_actions', 'right', jump]) for jump in ('right+A', 'right+A+B')
    )
    start_from.check_actions(one, one, choice)
    if fits:
        start_from.check_actions(one, other, choice)
    else:
        with pytest.raises(UsageError, match=r'mario_actions.*--init.exclude'):
            start_from.check_actions(one, other, choice)


def test_another_architecture_is_refused_and_named():
    saved = arrays(1, actions=6, extra=['parameters/proprio/kernel'])
    del saved['parameters/encoder/conv0/kernel']
    with pytest.raises(UsageError) as caught:
        inherit(saved, arrays(0), Choice())
    message = str(caught.value)
    assert 'actor/out/kernel is [2, 6], here [2, 4]' in message
    assert 'missing: encoder/conv0/kernel' in message
    assert 'only there: proprio/kernel' in message
    assert "--init.exclude '(encoder|actor)/.*'" in message
    state, _ = inherit(saved, arrays(0), Choice(exclude='(actor|encoder)/.*'))
    assert (state['parameters/actor/out/kernel'] == 0).all()


@pytest.mark.parametrize('key', ['include', 'exclude', 'freeze'])
def test_a_pattern_that_matches_nothing_is_named(key):
    with pytest.raises(UsageError, match=f'--init.{key} .*matches no parameter'):
        inherit(arrays(1), arrays(0), Choice(**{key: 'rssm'}))


def test_source_may_name_a_step(tmp_path):
    assert start_from.parse_source(f'{tmp_path}@400') == (tmp_path, 400)
    assert start_from.parse_source(str(tmp_path)) == (tmp_path, None)
    assert start_from.parse_source(f'{tmp_path}@best') == (tmp_path, 'best')
    odd = tmp_path / 'run@3'
    odd.mkdir()
    assert start_from.parse_source(str(odd)) == (odd, None)


@pytest.fixture(scope='module')
def parent(tmp_path_factory):
    logdir = tmp_path_factory.mktemp('parent')
    assert train(small_config(logdir), fake_parts([])) == 0
    return logdir


def run_from(parent, logdir, **options):
    agents = []
    config = small_config(logdir, **{'init.from': str(parent), **options})
    assert train(config, fake_parts(agents)) == 0
    return agents[0]


def test_a_run_that_starts_from_another_one(parent, tmp_path, capfd):
    run_from(parent, tmp_path, steps=45)
    err = capfd.readouterr().err
    saved = checkpoint.find(parent)
    assert f'Started from {parent} at {saved.frames} frames, manifest ' in err
    assert 'weight' in err
    recorded = json.loads((tmp_path / 'provenance.json').read_text())['parent']
    assert recorded['logdir'] == str(parent) and recorded['step'] == saved.frames
    assert recorded['seed'] == 0 and recorded['task'] == 'mario_1-1'
    assert len(recorded['sha256']) == 64
    # Its own replay and counters start from nothing.
    state = checkpoint.find(tmp_path).state
    assert state['progress']['step'] == 45 and state['progress']['updates'] <= 2


def test_going_on_does_not_need_the_parent_any_more(parent, tmp_path, capfd):
    run_from(parent, tmp_path / 'run', steps=100)
    moved = parent.with_name('moved')
    parent.rename(moved)
    try:
        agent = run_from(parent, tmp_path / 'run', steps=200)
    finally:
        moved.rename(parent)
    assert f'Started from {parent}' in capfd.readouterr().err
    assert agent.updates > 20


def test_only_showing_leaves_no_trace(parent, tmp_path, capfd):
    config = small_config(tmp_path / 'new', **{'init.from': str(parent), 'init.dry_run': True})
    assert train(config, fake_parts([])) == 0
    out = capfd.readouterr().out
    assert out.startswith('Started from') and 'loaded' in out
    assert not (tmp_path / 'new').exists()


def test_the_loaded_agent_may_play_the_prefill(parent, tmp_path):
    options = {'steps': 60, 'prefill_policy': 'init', 'prefill': 40}
    agent = run_from(parent, tmp_path, **options)
    assert agent.modes[:40] == ['train'] * 40
    rows = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    assert sum(row.get('train_prefill', 0) for row in rows) == 4
