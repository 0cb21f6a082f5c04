"""Going on with other settings: what may change, what is shown, what is recorded."""

import json
import re

import numpy as np
import pytest
from run_fakes import fake_parts, small_config

from dreamerv2.config import load_config
from dreamerv2.config.schema import ACCEPTED as ACCEPTABLE
from dreamerv2.config.schema import ENVIRONMENT_KEY, SCHEMA, UNCOMPARED, key_of
from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint
from dreamerv2.run.logdir import resume_policy
from dreamerv2.run.logdir.folder import save_config
from dreamerv2.run.training import train
from tests.agent.tiny import make_agent, make_batch

ACCEPTED = {'accept_changes': True}


def compare(**values):
    """The changes from the preset mario; `__` in a name stands for a dot."""
    config = load_config(['--configs', 'mario'])
    dotted = {key.replace('__', '.'): value for key, value in values.items()}
    return resume_policy.changes(config, config.update(dotted))


def files_of(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


def start(folder, **overrides):
    return train(small_config(folder, **overrides), fake_parts([]))


def test_no_key_may_change_and_is_fixed_too():
    for key in [*SCHEMA, 'sets.mine', 'loss_scales.mine']:
        policy = key_of(key).resume
        assert policy is UNCOMPARED or not (policy.accepted and policy.reason), key


@pytest.mark.parametrize(
    ('values', 'kind'),
    [
        ({'steps': 3e6, 'save_every': 7, 'log_keys_sum': 'reward'}, 'free'),
        ({'jit': False, 'kernels': 'plain'}, 'free'),
        ({'disag_models': 3, 'slow_baseline': False}, 'free'),
        ({'model_opt__lr': 1e-3, 'kl__free': 1, 'expl_noise': 0.1}, 'acceptable'),
        ({'loss_scales__kl': 1, 'discount': 0.9, 'precision': 'float32'}, 'acceptable'),
        ({'rssm__deter': 8, 'model_opt__opt': 'sgd', 'encoder__act': 'relu'}, 'fixed'),
        ({'task': 'mario_1-2', 'sticky': 0.1, 'render_size': [64, 64], 'seed': 7}, 'fixed'),
        ({'replay__capacity': 1e4, 'dataset__batch': 2, 'init__from': 'x'}, 'fixed'),
        ({'slow_target': False, 'time_limit': 9}, 'fixed'),
    ],
)
def test_what_may_change(values, kind):
    found = compare(**values)
    assert len(found) == len(values) - ('render_size' in values)  # which is the same
    for change in found:
        assert change.free == (kind == 'free') and change.acceptable == (kind == 'acceptable')
        assert bool(change.reason) == (kind == 'fixed') and change.old != change.new


def test_what_is_about_one_start_only_is_no_change():
    assert compare(logdir='other', dry_run=True, accept_changes=True) == []


def test_a_set_may_change_unless_it_is_what_the_run_plays():
    one, other = {'sets': {'mine': ['1-1', '1-2']}}, {'sets': {'mine': ['1-1', '1-3']}}
    config = load_config([]).update(one)
    (change,) = resume_policy.changes(config, config.update(other))
    assert change.free and str(change) == "sets.mine ['1-1', '1-2'] -> ['1-1', '1-3']"
    config = config.update({'task': 'mario_mine'})
    (change,) = resume_policy.changes(config, config.update(other))
    assert change.reason == ENVIRONMENT_KEY.reason
    (change,) = resume_policy.changes(config, config.update({'sets': {'unused': ['4-4']}}))
    assert change.free and change.old is None


def test_the_difference_is_shown_key_by_key_and_the_worst_first():
    found = compare(steps=3e6, discount=0.5, rssm__deter=8)
    assert resume_policy.as_lines(found) == [
        '  rssm.deter 600 -> 8 (never: it makes the networks and optimizers what they are)',
        '  discount 0.999 -> 0.5 (needs --accept_changes True)',
        '  steps 2500000 -> 3000000 (may change)',
    ]
    assert resume_policy.refusal('runs/1', found, load_config([])) == (
        'runs/1 holds a run with rssm.deter 600, but 8 is asked for (1 more differs): rssm.deter '
        'makes the networks and optimizers what they are and cannot change. Repeat its command to '
        'resume it or choose another --logdir.'
    )
    assert resume_policy.refusal('runs/1', compare(discount=0.5), load_config([])) == (
        'runs/1 holds a run with discount 0.999, but 0.5 is asked for: repeat its command to '
        'resume it, choose another --logdir, or accept the changes by --accept_changes True.'
    )


@pytest.mark.parametrize('earlier', ['mario_small_v1', 'mario_small_v2'])
def test_a_preset_that_has_changed_is_named(earlier):
    old, new = (load_config(['--configs', name]) for name in (earlier, 'mario_small'))
    said = resume_policy.refusal('runs/1', resume_policy.changes(old, new), new)
    way = f'the preset mario_small has changed since: resume it with --configs {earlier}'
    assert said.startswith('runs/1 holds a run with ') and said.endswith(
        f': {way} or choose another --logdir.'
    )
    tiny = [load_config(['--configs', config, 'debug']) for config in (earlier, 'mario_small')]
    assert way in resume_policy.refusal('runs/1', resume_policy.changes(*tiny), tiny[1])
    # One who changes a setting, be it to today's value, hears that changes may be accepted.
    for asked in (new.update({'discount': 0.5}), old.update({'actor_ent': 3e-3})):
        said = resume_policy.refusal('runs/1', resume_policy.changes(old, asked), asked)
        assert 'has changed since' not in said
    assert said.endswith('or accept the changes by --accept_changes True.')
    assert 'has changed since' not in resume_policy.refusal(
        'runs/1', compare(discount=0.5), load_config([])
    )


def test_many_differences_are_counted():
    found = resume_policy.changes(
        load_config(['--configs', 'mario']), load_config(['--configs', 'atari'])
    )
    debug = resume_policy.changes(
        load_config([]), load_config(['--configs', 'mario_small', 'debug'])
    )
    assert len(found) < 10 and len(resume_policy.as_lines(found)) == len(found)
    lines = resume_policy.as_lines(debug)
    assert len(debug) > 20 and len(lines) == 11 and lines[-1] == f'  and {len(debug) - 10} more'
    assert resume_policy.note(debug).count(' -> ') == 10
    assert resume_policy.note(debug).endswith(f' and {len(debug) - 10} more.')
    assert all(line.isprintable() and len(line) < 250 for line in lines)


def test_a_refused_run_leaves_the_logdir_as_it_is(tmp_path, capfd):
    start(tmp_path, steps=100)
    before = files_of(tmp_path)
    capfd.readouterr()
    for values in ({'discount': 0.5, 'steps': 300}, {**ACCEPTED, 'rssm.deter': 8}):
        with pytest.raises(UsageError):
            start(tmp_path, **values)
    shown = capfd.readouterr().err
    assert '  discount 0.999 -> 0.5 (needs --accept_changes True)\n' in shown
    assert '  rssm.deter 32 -> 8 (never' in shown and '  steps 100 -> 300 (may change)\n' in shown
    assert files_of(tmp_path) == before


def test_accepted_changes_take_effect_and_are_recorded(tmp_path, capfd):
    start(tmp_path, steps=100)
    with pytest.raises(UsageError, match='--accept_changes True'):
        start(tmp_path, train_every=10, discount=0.5)
    capfd.readouterr()
    assert start(tmp_path, train_every=10, discount=0.5, **ACCEPTED) == 0
    shown = ''.join(capfd.readouterr())
    changed = 'discount 0.999 -> 0.5, train_every 5 -> 10, steps 100 -> 200'
    assert f'Resuming with changes: {changed}.' in shown
    # 1 + 12 updates up to step 100 as before, then one every 10 steps.
    updates = int(checkpoint.find(tmp_path).arrays()['calls/learn'])
    assert updates == 13 + 10
    provenance = json.loads((tmp_path / 'provenance.json').read_text())
    (resume,) = provenance['resumes']
    assert resume['step'] == 400 and resume['changed'] == {
        'discount': [0.999, 0.5],
        'train_every': [5, 10],
        'steps': [100, 200],
    }
    assert 'changed' not in provenance
    saved = checkpoint.find(tmp_path).path / 'provenance.json'
    assert json.loads(saved.read_text()) == provenance
    # The same command goes on, with nothing left to say.
    assert start(tmp_path, train_every=10, discount=0.5, steps=220, **ACCEPTED) == 0
    resumes = json.loads((tmp_path / 'provenance.json').read_text())['resumes']
    assert resumes[1]['changed'] == {'steps': [200, 220]}


def test_free_changes_go_through_with_a_note(tmp_path, capfd):
    start(tmp_path, steps=100)
    capfd.readouterr()
    start(tmp_path, steps=120, log_every=30)
    shown = ''.join(capfd.readouterr())
    assert shown.count('Resuming with changes: log_every 20 -> 30, steps 100 -> 120.') == 1
    start(tmp_path, steps=120, log_every=40)
    assert 'Resuming with changes' not in ''.join(capfd.readouterr())  # It is finished.


def test_changes_of_a_start_that_was_cut_short_are_recorded_with_the_next(tmp_path):
    start(tmp_path, steps=100)
    save_config(tmp_path, small_config(tmp_path, steps=150, log_every=30))
    save_config(tmp_path, small_config(tmp_path, steps=160, log_every=30))
    assert start(tmp_path, steps=200, log_every=30) == 0
    (resume,) = json.loads((tmp_path / 'provenance.json').read_text())['resumes']
    assert resume['changed'] == {'steps': [100, 200], 'log_every': [20, 30]}


@pytest.mark.parametrize('text', ['', '[]', '{"resumes": 3}', '{"changed": []}', '[' * 10**5])
def test_a_damaged_provenance_does_not_hinder_a_run(tmp_path, text):
    start(tmp_path, steps=60)
    (tmp_path / 'provenance.json').write_text(text)
    assert start(tmp_path, steps=80) == 0
    assert json.loads((tmp_path / 'provenance.json').read_text())['seed'] == 0


def test_an_agent_takes_its_state_with_every_acceptable_change():
    """What may be accepted fits the weights, moments and random states of a checkpoint."""
    opt = {'lr': 1e-2, 'eps': 1e-3, 'clip': 1, 'wd': 0.0, 'agc': 0.3, 'warmup': 10}
    changed = {
        'precision': 'bfloat16',
        **{f'{name}_opt': opt for name in ('model', 'actor', 'critic')},
        'loss_scales': {'image': 2.0, 'kl': 0.1, 'reward': 2.0, 'discount': 5.0},
        'kl': {'free': 1.0, 'forward': True, 'balance': 0.5, 'free_avg': False},
        'reward_norm': {'momentum': 0.9, 'scale': 2.0, 'eps': 1e-3},
        'return_norm': {'rate': 0.1, 'low': 0.2, 'high': 0.8, 'least': 0.5},
        'rssm': {'unimix': 0.01},
        'actor': {'unimix': 0.01},
        'decoder': {'error_weight': 20.0},
        'slow_regularizer': 1.0,
        'bootstrap': 'online',
        'critic_replay': 0.3,
        'grad_heads': ['decoder', 'reward'],
        'discount': 0.9,
        'discount_lambda': 0.5,
        'imag_horizon': 2,
        'actor_grad': 'both',
        'actor_grad_mix': 0.5,
        'actor_ent': 'linear(1,0.1,10)',
        'slow_target_update': 5,
        'slow_target_fraction': 0.5,
        'clip_rewards': 'sign',
        'expl_noise': 0.3,
    }
    names = [
        f'{key}.{name}' if isinstance(value, dict) else key
        for key, value in changed.items()
        for name in (value if isinstance(value, dict) else [''])
    ]
    # The others steer the loop and the choice of windows, not the agent.
    loop = r'prefill|pretrain|train_\w+|replay\.\w+'
    acceptable = [key for key, declared in SCHEMA.items() if declared.resume is ACCEPTABLE]
    assert set(names) == {key for key in acceptable if not re.fullmatch(loop, key)}
    first, second = make_agent(jit=False), make_agent(jit=False, **changed)
    first.train(make_batch())
    state = first.get_state()
    second.set_state(state)
    for name, value in second.get_state().items():
        np.testing.assert_array_equal(value, state[name], name)
    _, metrics = second.train(make_batch(seed=1))
    assert np.isfinite(metrics['model_loss'])
