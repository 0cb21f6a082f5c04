"""What a study's file says, and what is said about a wrong one."""

import subprocess
import sys

import pytest

from dreamerv2.config import load_config
from dreamerv2.errors import UsageError
from dreamerv2.studies.definition import make_jobs, select
from dreamerv2.studies.study_file import read_definition

SMALL = """
configs: [mario, debug]
config: {prefill: 100, rssm.deter: 16}
frames: 2000
seeds: [3, 5]
pretrain: [pair]
finetune: [1-1]
transfer: [1-3]
sets: {pair: [1-1, 1-2]}
"""


def write(tmp_path, text):
    path = tmp_path / 'study.yaml'
    path.write_text(text)
    return path


def test_a_small_study(tmp_path):
    study = read_definition(write(tmp_path, SMALL))
    assert study.sets == {'pair': ('1-1', '1-2')}
    assert study.trained_on['baseline'] == ('1-1', '1-2', '1-3')
    assert (study.finetune, study.transfer) == (('1-1',), ('1-3',))
    config = load_config(study.flags)
    assert config.prefill == 100 and config.rssm.deter == 16
    jobs = make_jobs(study, tmp_path)
    assert [job.name for job in jobs[:3]] == ['baseline/1-1/3', 'baseline/1-1/5', 'baseline/1-2/3']
    assert len(jobs) == 6 + 2 + 2 + 2
    (child,) = select(jobs, stages=['transfer'], seeds=[5])
    assert child.name == 'transfer/pair/1-3/5'
    assert child.parent.name == 'pretrain/pair/5'
    assert child.parent.task == 'mario_1-1+1-2'
    parsed = load_config(child.arguments)
    assert parsed.task == 'mario_1-3' and parsed.seed == 5
    assert parsed.steps * parsed.action_repeat == 2000
    assert parsed['init.from'] == f'{tmp_path}/pretrain/pair/5@2000'
    assert load_config(child.parent.arguments)['init.from'] == ''


def test_the_thesis_plan_is_shown_as_plain_text(repository, tmp_path):
    command = [sys.executable, 'experiments/study.py', 'experiments/thesis.yaml', '--dry_run']
    command += ['--logdir', str(tmp_path / 'root')]
    result = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[1:5] == [
        ['baseline', '-', '14', '5', '70', '0', '700M'],
        ['pretrain', '2', '-', '5', '10', '0', '100M'],
        ['finetune', '2', '4', '5', '40', '0', '400M'],
        ['transfer', '2', '4', '5', '40', '0', '400M'],
    ]
    assert rows[5] == ['in', 'all', '160', '0', '1,600M']
    assert 'about 5,772 hours' in result.stdout
    assert not (tmp_path / 'root').exists()


@pytest.mark.parametrize('name', ['mini', 'atari', 'laptop'])
def test_the_other_studies_can_be_planned(repository, name):
    study = read_definition(repository / 'experiments' / f'{name}.yaml')
    jobs = make_jobs(study, repository / 'nowhere')
    assert {job.place.stage for job in jobs} == {'baseline', 'pretrain', 'finetune', 'transfer'}
    assert not set(study.transfer) & set(sum(study.sets.values(), ()))


@pytest.mark.parametrize(
    ('old', 'new', 'line', 'words'),
    [
        ('[1-3]', '[9-9]', 7 + 1, ['9-9', '1-1 to 8-4']),
        ('finetune: [1-1]', 'finetune: piar', 7, ['piar']),
        ('[pair]', '[pear]', 6, ['pear', 'did you mean pair?']),
        ('seeds', 'seed', 5, ["'seed'", 'did you mean seeds?']),
        ('[3, 5]', '[3, 3]', 5, ['each once']),
        ('[3, 5]', '[-1]', 5, ['whole numbers']),
        ('2000', 'many', 4, ['many', 'number']),
        ('rssm.deter: 16', 'rssm.depth: 16', 3, ['rssm.depth', 'did you mean rssm.deter?']),
        ('rssm.deter: 16', 'seed: 16', 3, ['config.seed', 'set by the study', 'use seeds']),
        ('rssm.deter: 16', 'steps: 16', 3, ['config.steps', 'remove it; use frames']),
        ('[mario, debug]', '[maro]', 2, ['maro', 'did you mean mario']),
        ('frames: 2000', '', None, ['frames is missing']),
        ('[1-1, 1-2]}', '[1-1, 1-1]}', 9, ['each once']),
        ('2000', '2000.5', 4, ['whole number']),
        ('2000', '.inf', 4, ['expected a number']),
        ('2000', '.nan', 4, ['expected a number']),
        ('2000', '0x' + 'f' * 9000, 4, ['expected a number']),
        ('[3, 5]', '[4294967296]', 5, ['to 2147483647']),
        ('[3, 5]', 'None', 5, ['whole numbers']),
        ('[3, 5]', '2', 5, ['write [0, 1] for 2 seeds, or [2] for this one']),
        ('[3, 5]', '0', 5, ['write [0] for this one seed']),
        ('[3, 5]', '20', 5, ['[0, 1, ..., 19] for 20 seeds']),
        ('[3, 5]', '"2"', 5, ['expected a list of whole numbers']),
        ('[3, 5]', '3, 5', 5, ['expected a list of whole numbers']),
        ('[3, 5]', '[3.0]', 5, ['whole numbers']),
        ('frames: 2000', 'steps: 500', 4, ["'steps'", 'did you mean frames (agent steps']),
        ('frames: 2000', 'frmaes: 2000', 4, ['did you mean frames?']),
        ('frames: 2000', 'frames.total: 2000', 4, ['frames has no keys']),
        ('frames:', 'prefill: 100\nframes:', 4, ['config: {prefill: ...}']),
        ('frames:', 'logdir: x\nframes:', 4, ['--logdir on the command line']),
        ('frames:', 'task: mario_1-1\nframes:', 4, ['did you mean baseline']),
        ('frames:', 'xyz: 1\nframes:', 4, ['there are configs, family']),
        ('[1-1, 1-2]}', '[mario_1-1, 1-2]}', 9, ["'mario_1-1'", 'did you mean 1-1?']),
        ('{pair: [1-1, 1-2]}', '\n  pair:\n  - 1-1\n  - mario_1-2', 12, ['did you mean 1-2?']),
        ('{pair: [1-1, 1-2]}', '{pair: [1-1, 1-2], other: [9-9]}', 9, ['9-9', '1-1 to 8-4']),
        ('{pair: [1-1, 1-2]}', '[1-1, 1-2]', 9, ['expected keys and values', '{mine: [1-1']),
        ('finetune: [1-1]', 'finetune: [mario_1-1]', 7, ['did you mean 1-1?']),
        ('[1-3]', '\n- 1-3\n- mario_1-4', 10, ['did you mean 1-4?']),
        ('[pair]', '[mario_pair]', 6, ['did you mean pair?']),
        ('config: {prefill: 100, rssm.deter: 16}', 'config: 3', 3, ['expected keys and values']),
        ('[pair]', '[]', 6, ['expected names']),
        ('[pair]', '[True]', 6, ['expected names']),
        ('[1-3]', '["1-3\\n"]', 8, ['expected names']),
        ('{pair: [1-1, 1-2]}', '{../../pair: [1-1, 1-2]}', 9, ['../../pair', 'expected names']),
        ('{pair: [1-1, 1-2]}', '{/tmp/pair: [1-1, 1-2]}', 9, ['/tmp/pair', 'expected names']),
        ('frames:', 'family: maria\nframes:', 4, ['maria', 'did you mean mario?']),
        ('frames:', 'config.prefill: 3\nframes:', 4, ["'config.prefill' is in line 3 too"]),
        ('prefill: 100', '"(?=x)": 1', 3, ['a key without "="']),
        ('prefill: 100', 'prefill: !!python/name:os.system 1', 3, ['tag']),
        ('prefill: 100', 'pred_discount: False', None, ['config: pred_discount is False']),
        ('frames:', 'grid: 3\nframes:', 4, ['expected keys and values', '{kl.balance: [0.5']),
        ('frames:', 'grid: {kl.balance: []}\nframes:', 4, ['kl.balance []', 'a list, such as']),
        ('frames:', 'grid: {kl.balance: 0.8}\nframes:', 4, ['0.8', 'a list, such as [0.5, 0.8]']),
        ('frames:', 'grid: {kl.balanc: [0.8]}\nframes:', 4, ['did you mean kl.balance?']),
        ('frames:', 'grid: {kl: [0.8]}\nframes:', 4, ['kl is a group of keys', 'such as kl.']),
        ('frames:', 'grid: {".*lr": [0.8]}\nframes:', 4, ["unknown key '.*lr'"]),
        ('frames:', 'grid:\n  kl.balance:\n  - 0.8\n  - x\nframes:', 7, ["'x'", 'a number']),
        ('frames:', 'grid: {kl.balance: [0.8, 2]}\nframes:', 4, ['kl.balance is 2', '0 to 1']),
        ('frames:', 'grid: {discount: [1e-3, 0.001]}\nframes:', 4, ['0.001', 'value once']),
        ('frames:', 'grid: {precision: [16, float16]}\nframes:', 4, ['float16', 'value once']),
        ('frames:', 'grid: {prefill: [60, 70]}\nframes:', 4, ['line 3 too', 'keep one of them']),
        ('rssm.deter: 16}', '"rssm.d.*": 16}\ngrid: {rssm.deter: [8]}', 4, ['is in line 3 too']),
        ('frames:', 'grid: {seed: [0, 1]}\nframes:', 4, ['grid.seed is set by', 'use seeds']),
        ('frames:', 'grid: {task: [mario_1-1]}\nframes:', 4, ['grid.task is set by', 'baseline']),
        ('frames:', 'grid: {logdir: [x]}\nframes:', 4, ['grid.logdir is set by the study']),
        ('frames:', 'grid: {steps: [500]}\nframes:', 4, ['grid.steps', 'use frames']),
        ('frames:', 'grid: {init.from: [x]}\nframes:', 4, ['grid.init.from is set by the study']),
        ('frames:', 'grid: {init.exclude: [a/b]}\nframes:', None, ['init.exclude=a/b', 'folder']),
        ('frames:', f'grid: {{discount: {list(range(999))}}}\nframes:', 4, ['discount is 2']),
        ('frames:', f'grid: {{log_every: {[*range(1, 1000)]}}}\nframes:', None, ['11988 runs']),
        (
            'frames:',
            f'grid: {{envs: {[*range(1, 9)]}, imag_horizon: {[*range(3, 999)]}}}\nframes:',
            None,
            ['95616 runs, expected at most 10000', 'a smaller grid'],
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, old, new, line, words):
    path = write(tmp_path, SMALL.replace(old, new))
    with pytest.raises(UsageError) as caught:
        read_definition(path)
    message = str(caught.value)
    assert '\n' not in message
    assert message.startswith(f'{path} line {line}:' if line else str(path))
    for word in words:
        assert word in message


def test_a_grid_plans_every_run_for_every_combination(tmp_path):
    grid = 'grid: {model_opt.lr: [1e-4, 0.001], kl.balance: [0.8, 9e-1]}\n'
    jobs = make_jobs(read_definition(write(tmp_path, SMALL + grid)), tmp_path)
    plain = make_jobs(read_definition(write(tmp_path, SMALL)), tmp_path)
    assert [job.setting for job in jobs[:: len(plain)]] == [
        'model_opt.lr=0.0001,kl.balance=0.8',
        'model_opt.lr=0.0001,kl.balance=0.9',
        'model_opt.lr=0.001,kl.balance=0.8',
        'model_opt.lr=0.001,kl.balance=0.9',
    ]
    assert len(jobs) == len({job.logdir for job in jobs}) == 4 * len(plain)
    for job, alone in zip(jobs, 4 * plain, strict=True):
        assert (job.place, job.task, job.frames) == (alone.place, alone.task, alone.frames)
        assert job.name == f'{job.setting}/{alone.name}' and job.logdir == tmp_path / job.name
        assert job.study == {**alone.study, 'setting': job.setting}
        if job.parent:
            assert job.parent in jobs and job.parent.setting == job.setting
            config = load_config(job.arguments)
            assert config['init.from'] == f'{job.parent.logdir}@2000'
            lr, balance = (x.partition('=')[2] for x in job.setting.split(','))
            assert (config.model_opt.lr, config.kl.balance) == (float(lr), float(balance))
            assert (config.rssm.deter, config.prefill) == (16, 100)
    assert len(select(jobs, stages=['transfer'], seeds=[5])) == 4


def test_settings_are_checked_as_a_whole(tmp_path):
    study = read_definition(write(tmp_path, SMALL + 'grid: {pred_discount: [True, False]}\n'))
    with pytest.raises(UsageError, match='study.yaml: grid: pred_discount=False: .* grad_heads'):
        make_jobs(study, tmp_path)


def test_the_same_grid_written_otherwise_has_the_same_folders(tmp_path):
    first, second = (
        read_definition(write(tmp_path, f'{SMALL}grid: {{{key}: [{value}]}}\n'))
        for key, value in (('model_opt.lr', '1e-3'), ('model_opt.lr', '0.0010'))
    )
    assert make_jobs(first, tmp_path) == make_jobs(second, tmp_path)
    assert read_definition(write(tmp_path, SMALL + 'grid: {}\n')).grid == {}


def test_overrides_may_need_each_other_and_hold_any_value(tmp_path):
    config = '{pred_discount: False, grad_heads: [decoder, reward], level_weights: [], '
    config += "log_keys_sum: '--x', actor_ent: 'linear(1,0.1,10)', .*\\.wd$: 0, jit: False}"
    text = SMALL.replace('{prefill: 100, rssm.deter: 16}', config).replace('2000', '4000')
    study = read_definition(write(tmp_path, text))
    (job, *_) = make_jobs(study, tmp_path)
    parsed = load_config(job.arguments)
    assert parsed.grad_heads == ('decoder', 'reward') and not parsed.pred_discount
    assert parsed.level_weights == () and parsed.log_keys_sum == '--x' and parsed.jit is False
    assert parsed.actor_ent == 'linear(1,0.1,10)' and parsed.critic_opt.wd == 0


def test_a_study_has_a_number_of_runs_that_can_be_listed(tmp_path):
    study = read_definition(write(tmp_path, SMALL))
    assert len(study.all_places()) == len(make_jobs(study, tmp_path))
    seeds = str(list(range(2000)))
    with pytest.raises(UsageError, match='12000 runs, expected at most 10000'):
        read_definition(write(tmp_path, SMALL.replace('[3, 5]', seeds)))
