"""A start that is refused leaves its logdir as it was, and a dry run finds the same."""

import pytest
from run_fakes import CountingEnv, NumpyAgent, fake_parts, in_process, lines, small_config

from dreamerv2.cli import FINISHED
from dreamerv2.config import load_config
from dreamerv2.errors import UsageError
from dreamerv2.run import build, checkpoint
from dreamerv2.run.build import Parts
from dreamerv2.run.devices import Device
from dreamerv2.run.logdir.lock import Lock
from dreamerv2.run.training import check, train
from dreamerv2.train import main

TINY = ['--configs', 'mario', 'debug', '--task', 'pixel', '--action_repeat', '1', '--sticky', '0']
TINY += ['--steps', '70', '--prefill', '60', '--eval_every', '0']
VECTORS = ['--steps', '70', '--prefill', '60', '--eval_every', '0', '--task', 'gym_CartPole-v1']
INIT = ['--init.from', '{parent}']

# What is asked for, and words of the one line that refuses it.
REFUSED = {
    'excluded': ([*TINY, *INIT, '--init.exclude', 'actr/.*'], 'did you mean actor/.*?'),
    'included': ([*TINY, *INIT, '--init.include', 'nothing'], "'nothing' matches no parameter"),
    'frozen': ([*TINY, *INIT, '--init.freeze', 'encodr/.*'], 'did you mean encoder/.*?'),
    'sizes': ([*TINY, *INIT, '--rssm.deter', '24'], "'(rssm|decoder|reward|discount|actor|critic)"),
    'optimizer': ([*TINY, *INIT, '--init.optimizer', 'True', '--rssm.deter', '24'], 'not fit'),
    'vectors': (['--configs', 'control', 'debug', *VECTORS, *INIT], '(rssm|encoder|decoder|actor)'),
    'no pictures': (
        ['--configs', 'mario_small', 'debug', *VECTORS],
        "use --encoder.mlp_keys '.*' --decoder.mlp_keys '.*'",
    ),
    'nothing rebuilt': (
        ['--configs', 'control', 'debug', *VECTORS, '--decoder.mlp_keys', '$^',
         '--decoder.cnn_keys', '.*'],
        'decoder rebuilds nothing',
    ),
    'seen': ([*TINY, '--encoder.cnn_keys', 'imgae'], "--encoder.cnn_keys 'imgae' matches no pict"),
    'rebuilt': ([*TINY, '--decoder.cnn_keys', 'imgae'], "--decoder.cnn_keys 'imgae' matches no"),
    'loss': (
        [*TINY, '--loss_scales.kll', '2'],
        'with these settings: loss_scales.kll is 2.0, but the losses are kl, image',
    ),
    'damaged': ([*TINY, '--init.from', '{damaged}'], 'all of them damaged'),
    'missing': ([*TINY, '--init.from', '{root}/nowhere'], 'does not exist'),
    'step': ([*TINY, '--init.from', '{parent}@7'], 'no checkpoint at step 7: there are 6000'),
    'no step': ([*TINY, '--init.from', '{parent}@newest'], '{parent}@40000, or best'),
    'inside': ([*TINY, '--init.from', '{parent}/checkpoints/0000006000'], '{parent}@6000'),
    'slash': ([*TINY, '--init.from', '{parent}/checkpoints/0000006000/'], '{parent}@6000'),
    'file': (
        [*TINY, '--init.from', '{parent}/checkpoints/0000006000/agent.safetensors'],
        '--init.from {parent}@6000',
    ),
    'folder': ([*TINY, '--init.from', '{parent}/checkpoints'], '--init.from {parent}'),
    'its configuration': ([*TINY, '--init.from', '{parent}/config.yaml'], '--init.from {parent}'),
    'prefill': ([word if word != '60' else '80' for word in TINY], 'prefill 80 is above steps 70'),
    'window': (
        [*TINY, '--time_limit', '5', '--replay.past_end', 'off', '--dataset.length', '20'],
        '--dataset.length 6',
    ),
    'device': ([*TINY, '--device', 'gpu'], '--device gpu'),
    'task': ([*VECTORS[:-1], 'gym_Nope-v0', '--configs', 'control', 'debug'], 'Nope'),
    'in a file': ([*TINY, '--logdir', '{root}/file/run'], 'is a file'),
    'in no place': ([*TINY, '--logdir', '/proc/none/run'], 'cannot be written to'),
}  # fmt: skip


def tree(root):
    """Every path below a folder with what it holds."""
    return {path: path.is_file() and path.read_bytes() for path in sorted(root.rglob('*'))}


@pytest.fixture(scope='module')
def places(tmp_path_factory):
    """A folder with a checkpoint of tiny networks, and a damaged copy of it."""
    root = tmp_path_factory.mktemp('starts')
    config = load_config(TINY)
    env = build.build_env(config, 'pixel', 0)
    device = Device('cpu', 'cpu', 'float32')
    agent = build.build_agent(config, env.obs_space, env.act_space, device)
    for name in ('parent', 'damaged'):
        (root / name).mkdir()
        config.save(root / name / 'config.yaml')
        files = {'config.yaml': (root / name / 'config.yaml').read_bytes()}
        checkpoint.save(
            root / name / 'checkpoints', 6000, arrays=agent.get_state(), state={}, files=files
        )
    arrays = root / 'damaged' / 'checkpoints' / '0000006000' / 'agent.safetensors'
    arrays.write_bytes(arrays.read_bytes()[:-1])
    (root / 'file').touch()
    return root


def start(argv, capsys):
    """The exit code and the last line on standard error."""
    capsys.readouterr()
    code = main(argv)
    return code, capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize('name', REFUSED)
def test_a_refused_start_leaves_no_trace_and_a_dry_run_finds_it(name, places, capsys):
    names = {'{parent}': places / 'parent', '{damaged}': places / 'damaged', '{root}': places}

    def filled(text):
        for placeholder, path in names.items():
            text = text.replace(placeholder, str(path))
        return text

    argv, words = REFUSED[name]
    argv = [filled(word) for word in argv]
    if '--logdir' not in argv:
        argv += ['--logdir', str(places / 'new' / 'run')]
    before = tree(places)
    code, line = start(argv, capsys)
    assert code == 2 and filled(words) in line and len(line) < 700
    assert tree(places) == before
    assert start([*argv, '--dry_run', 'True'], capsys) == (code, line)
    assert tree(places) == before


def test_the_corrected_command_starts(places, capsys):
    argv = [*TINY, '--init.from', str(places / 'parent'), '--logdir', str(places / 'corrected')]
    assert start([*argv, '--init.exclude', 'actr/.*'], capsys)[0] == 2
    assert start([*argv, '--init.exclude', 'actor/.*', '--dry_run', 'True'], capsys)[0] == 0
    assert not (places / 'corrected').exists()
    assert start([*argv, '--init.exclude', 'actor/.*'], capsys)[0] == 0


class WrongAgent(NumpyAgent):
    """Has another shape than what it saved."""

    def set_state(self, arrays):
        raise ValueError('entries differ')


def parts_of(agent):
    def make(obs_space, act_space, say):
        return agent(obs_space, act_space), Device('cpu', 'cpu', 'float32')

    return Parts(envs=lambda: in_process([CountingEnv(10)]), evaluation={}, agent=make)


def test_a_run_that_cannot_go_on_leaves_what_it_has(tmp_path):
    config = small_config(tmp_path, steps=100)
    train(config, fake_parts([]))
    newest = checkpoint.find(tmp_path).path
    broken = newest.with_name('0000000999')
    broken.mkdir()
    (tmp_path / 'checkpoints' / '.0000000001.tmp').mkdir()
    (tmp_path / 'train_episodes' / '20200101T000000-000000099-11.npz').write_bytes(b'damaged')
    (tmp_path / 'metrics.jsonl').write_text('{"step": 99999}\n')
    before = tree(tmp_path)
    longer = config.update({'steps': 200})
    for start_or_check in (train, check):
        with pytest.raises(UsageError, match='does not fit: entries differ'):
            start_or_check(longer, parts_of(WrongAgent))
        assert tree(tmp_path) == before
    assert train(longer, fake_parts([])) == FINISHED
    assert not broken.exists() and broken.with_suffix('.damaged').exists()


def test_what_is_played_before_the_agent_is_known_to_fit_is_kept_if_it_does(tmp_path):
    code = train(small_config(tmp_path, steps=100), fake_parts([]))
    assert code == FINISHED
    assert len(list((tmp_path / 'train_episodes').glob('*.npz'))) == 10
    assert [row['step'] for row in lines(tmp_path) if 'train_prefill' in row] == [40, 80, 120, 160]


@pytest.mark.parametrize('change', [{'rssm.deter': 8}, {'expl_noise': 0.5}, {'dataset.batch': 2}])
def test_before_the_first_checkpoint_all_that_steers_learning_may_change(tmp_path, change):
    config = small_config(tmp_path)
    (tmp_path / 'train_episodes').mkdir()
    config.save(tmp_path / 'config.yaml')
    (tmp_path / 'train_episodes' / '20200101T000000-000000000-11.npz').touch()
    check(config.update(change), fake_parts([]))
    for fixed in ({'sticky': 0.5}, {'seed': 3}, {'replay.capacity': 500}):
        with pytest.raises(UsageError, match='holds a run with'):
            check(config.update(fixed), fake_parts([]))


def test_windows_longer_than_any_episode(tmp_path):
    config = small_config(tmp_path, **{'replay.past_end': 'off', 'dataset.length': 20})
    with pytest.raises(UsageError, match='the longest has 11 rows, a window needs 20'):
        train(config, fake_parts([]))
    assert list(tmp_path.iterdir()) == []
    assert train(config.update({'dataset.length': 10}), fake_parts([])) == FINISHED


def test_a_dry_run_finds_a_run_in_progress_and_another_run(tmp_path):
    config = small_config(tmp_path, steps=100)
    train(config, fake_parts([]))
    before = tree(tmp_path)
    with pytest.raises(UsageError, match='holds a run with'):
        check(config.update({'sticky': 0.5}), fake_parts([]))
    check(config, fake_parts([]))
    with Lock(tmp_path), pytest.raises(UsageError, match='is in use by process'):
        check(config.update({'steps': 200}), fake_parts([]))
    assert tree(tmp_path) == before
