"""The frozen configuration: access, update, saving, notes and help."""

import copy
import math
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamerv2.config import Config, Section, load_config
from dreamerv2.config.files import default_file, read_presets
from dreamerv2.config.schema import SCHEMA
from dreamerv2.errors import UsageError

PRESETS = tuple(read_presets(default_file()))


@pytest.mark.parametrize(
    ('argv', 'words'),
    [
        (['--slow_baseline', 'False'], 'slow_baseline does nothing'),
        (['--dmc_camera', '2'], 'DeepMind Control is not supported'),
        (['--expl_until', '100'], 'expl_until does nothing'),
        (['--atari_grayscale', 'False'], 'mario_1-1 is not an Atari game'),
        (['--atari_all_actions', 'True'], 'atari_all_actions does nothing'),
        (['--disag_models', '3', '--expl_head.units', '8'], 'expl_head.units, disag_models do no'),
    ],
)
def test_settings_without_effect_say_so_in_one_line(argv, words):
    notes = load_config(argv).notes
    assert len(notes) == 1 and words in notes[0] and '\n' not in notes[0]
    assert Config(load_config(argv).flat).notes == ()
    assert load_config([]).update({argv[0][2:]: argv[1]}).notes


def test_attribute_and_item_access():
    config = load_config(['--configs', 'mario'])
    assert config.rssm.deter == config['rssm.deter'] == config['rssm']['deter'] == 600
    assert isinstance(config.rssm, Section) and dict(config.kl)['balance'] == 0.8
    assert config['init.from'] == config.init['from'] == ''
    assert 'rssm.deter' in config and 'rssm.nothing' not in config and 'seed.x' not in config
    assert config.get('nothing') is None
    with pytest.raises(AttributeError, match='no key nothing'):
        config.nothing  # noqa: B018
    with pytest.raises(KeyError):
        config['rssm.nothing']


def test_it_is_frozen():
    config = load_config([])
    with pytest.raises(AttributeError, match='frozen'):
        config.seed = 3
    with pytest.raises(AttributeError, match='frozen'):
        config.rssm.deter = 3
    with pytest.raises(AttributeError, match='frozen'):
        del config.seed
    with pytest.raises(TypeError):
        config['seed'] = 3
    config.to_dict()['rssm']['deter'] = 3
    config.flat['seed'] = 3
    assert config == load_config([])


def test_update_validates_and_leaves_the_old_one_alone():
    config = load_config(['--configs', 'mario'])
    new = config.update({'rssm.deter': 8, 'dataset': {'batch': 2}, '.*\\.wd': 0, 'steps': 1e3})
    assert (new.rssm.deter, new.dataset.batch, new.dataset.length) == (8, 2, 50)
    assert new.actor_opt.wd == 0 and new.steps == 1000 and isinstance(new, Config)
    assert config.rssm.deter == 600 and config.dataset.batch == 16
    for bad in ({'sede': 1}, {'envs': -1}, {'discount': math.nan}, {'pred_discount': False}):
        with pytest.raises(UsageError):
            config.update(bad)


def test_the_logdir_follows_task_and_seed(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    config = load_config(['--task', 'mario_3-1', '--seed', '4'])
    assert config.logdir == f'{tmp_path}/logdir/mario_3-1/4'
    assert config.update({'seed': 5}).logdir == f'{tmp_path}/logdir/mario_3-1/5'
    assert config.update({'logdir': '~/{rssm.deter}'}).logdir == f'{tmp_path}/1024'
    assert pickle.loads(pickle.dumps(config)).update({'seed': 5}).logdir.endswith('/5')
    assert copy.deepcopy(config) == config


@pytest.mark.parametrize('preset', PRESETS)
def test_saving_is_exact(preset, tmp_path):
    config = load_config(['--configs', preset, '--seed', '3', '--sets.x', '1-1'])
    path = tmp_path / 'config.yaml'
    config.save(path)
    assert Config.load(path) == config and Config.load(path).flat == config.flat
    assert [child.name for child in tmp_path.iterdir()] == ['config.yaml']


@settings(max_examples=30, deadline=None)
@given(
    lr=st.floats(0, allow_nan=False, allow_infinity=False),
    scale=st.floats(allow_nan=False, allow_infinity=False),
    task=st.text(st.characters(blacklist_categories=['Cs', 'Cc', 'Zl', 'Zp']), min_size=1),
    seed=st.integers(0, 2**31 - 1),
)
def test_saving_any_value_is_exact(tmp_path_factory, lr, scale, task, seed):
    path = tmp_path_factory.mktemp('config') / 'config.yaml'
    try:
        # Not every task is a name for the default logdir's folder.
        config = load_config(['--logdir', 'runs']).update(
            {'model_opt.lr': lr, 'reward_norm.scale': scale, 'task': task, 'seed': seed}
        )
    except UsageError as error:
        assert 'not supported' in str(error)
        return
    config.save(path)
    assert Config.load(path).flat == config.flat


def test_loading_fills_in_defaults_and_names_mistakes(tmp_path):
    path = tmp_path / 'config.yaml'
    path.write_text('seed: 7\nlogdir: somewhere\n')
    config = Config.load(path)
    assert (config.seed, config.logdir, config.steps) == (7, 'somewhere', 10**8)
    path.write_text('seed: 7\nenvs: 0\n')
    with pytest.raises(UsageError, match='line 2: envs is 0'):
        Config.load(path)
    with pytest.raises(UsageError, match='cannot be read'):
        Config.load(tmp_path / 'nothing.yaml')


def test_help_lists_presets_and_keys(capsys):
    for flag in ('--help', '-h'):
        with pytest.raises(SystemExit) as ended:
            load_config(['--configs', 'mario', flag])
        assert ended.value.code == 0
        text = capsys.readouterr().out
        assert all(f'--{key} ' in text for key in SCHEMA)
        assert all(f'\n  {preset} ' in text for preset in PRESETS)
        assert '--rssm.deter 1024' in text and '--steps 1e8' in text and '\n  etau ' in text


def test_every_key_is_explained_in_one_line():
    for name, key in SCHEMA.items():
        assert key.doc and '\n' not in key.doc and key.kind.expected, name


def test_flags_laid_over_a_configuration():
    config = load_config(['--configs', 'mario']).update({'seed': 3})
    changed = config.parse_flags(['--rssm.deter', '64', '--steps', '1e3'])
    assert (changed.rssm.deter, changed.steps, changed.seed, changed.discount) == (
        64,
        1000,
        3,
        0.999,
    )
    with pytest.raises(UsageError, match='rssm.deter'):
        config.parse_flags(['--rssm.detr', '64'])
    with pytest.raises(UsageError, match='chosen its presets'):
        config.parse_flags(['--configs', 'debug'])
