import pytest

from dreamerv2.analysis import panels, table


@pytest.fixture
def run(tmp_path, logdir):
    def make(name, **kwargs):
        return table.read_run(logdir(tmp_path / name, **kwargs), tmp_path)

    return make


def labels(runs):
    return {label: [run.name for run in members] for label, members in panels.by_setting(runs)}


def test_tasks_in_order_of_their_names(run):
    lines = [{'step': 4, 'fps': 1.0}]
    tasks = {'a': 'mario_3-1', 'b': 'mario_1-1', 'c': 'mario_3-1'}
    runs = [run(name, task=task, lines=lines) for name, task in tasks.items()]
    figure, _, summaries = panels.draw(runs, 'fps')
    assert [ax.get_title('left') for ax in figure.axes] == ['mario_1-1', 'mario_3-1']
    assert summaries[0].startswith('mario_1-1: 1 run ')
    assert summaries[1].startswith('mario_3-1: 2 runs ')


def test_seeds_and_ways_of_running_do_not_part_runs(run):
    runs = [
        run('a', seed=0, config={'logdir': 'x', 'log_every': 1, 'device': 'cpu'}),
        run('b', seed=1, config={'logdir': 'y', 'log_every': 2, 'device': 'gpu'}),
        run('c', seed=2, config={'logdir': 'z'}, steps=5),
    ]
    assert labels(runs) == {'': ['a', 'b', 'c']}


@pytest.mark.parametrize(
    ('key', 'values'),
    [
        ('accept_changes', (False, True)),
        ('deterministic', (False, True)),
        ('dry_run', (False, True)),
        ('gpu_memory', (0, 4)),
        ('jit', (True, False)),
        ('kernels', ('plain', 'cpu')),
        ('eval_eps', (1, 10)),
        ('replay', ({'keep_on_disk': False}, {'keep_on_disk': True})),
    ],
)
def test_how_a_run_was_made_does_not_part_runs(run, key, values):
    runs = [run(str(seed), seed=seed, config={key: v}) for seed, v in enumerate(values)]
    assert labels(runs) == {'': ['0', '1']}


def test_environments_that_take_turns_part_runs(run):
    runs = [
        run('a', config={'envs': 4, 'envs_parallel': 'none'}),
        run('b', config={'envs': 4, 'envs_parallel': 'process'}),
    ]
    assert labels(runs) == {'envs_parallel=none': ['a'], 'envs_parallel=process': ['b']}


def test_settings_that_differ_are_the_label(run):
    runs = [
        run('a', config={'actor_ent': 0.1, 'rssm': {'deter': 64}}),
        run('b', config={'actor_ent': 0.2, 'rssm': {'deter': 64}}),
        run('c', config={'actor_ent': 0.1, 'rssm': {'deter': 64}}),
    ]
    assert labels(runs) == {'actor_ent=0.1': ['a', 'c'], 'actor_ent=0.2': ['b']}


def test_many_differences_are_named_by_the_folder(run):
    wide = {str(key): 1 for key in range(5)}
    narrow = {str(key): 2 for key in range(5)}
    runs = [
        run('wide/0', config=wide),
        run('wide/1', config=wide),
        run('narrow/0', config=narrow),
    ]
    assert labels(runs) == {'wide': ['wide/0', 'wide/1'], 'narrow/0': ['narrow/0']}
    runs = [run('0', config=wide), run('1', config=wide), run('2', config=narrow)]
    assert labels(runs) == {'0 and its like': ['0', '1'], '2 and its like': ['2']}


def test_stages_of_a_study_are_apart_and_their_seeds_together(run):
    runs = [
        run('a', study={'stage': 'baseline', 'level': '3-1'}),
        run('b', study={'stage': 'finetune', 'set': 'e4'}, config={'init': {'from': 'p/0'}}),
        run('c', study={'stage': 'finetune', 'set': 'e4'}, config={'init': {'from': 'p/1'}}),
        run('d', study={'stage': 'finetune', 'set': 'e10'}),
    ]
    assert labels(runs) == {'baseline': ['a'], 'finetune e4': ['b', 'c'], 'finetune e10': ['d']}


def test_parents_that_differ_by_seed_and_step_only_are_one_setting(run):
    runs = [
        run('a'),
        run('b', config={'init': {'from': 'p/e4/0@100'}}),
        run('c', config={'init': {'from': 'p/e4/1'}}),
        run('d', config={'init': {'from': 'p/e10/1'}}),
    ]
    assert labels(runs) == {
        'default': ['a'],
        'init.from=p/e4': ['b', 'c'],
        'init.from=p/e10': ['d'],
    }
