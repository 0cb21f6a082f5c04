"""Whatever is given as a configuration: a configuration, or one clear line, in a short time."""

import gc
import os
import random

import pytest

from dreamerv2.cli import exit_code_of
from dreamerv2.config import Config, load_config
from dreamerv2.config.files import default_file
from dreamerv2.errors import UsageError, printable, shown
from tests.faults import configuration_inputs as inputs
from tests.faults.fuzz_configuration import fuzz, set_apart, table, wrong_line


def test_every_input_is_taken_or_refused_in_one_line():
    counts = fuzz(inputs_of_all=600, commands=25)
    assert not [line for count in counts.values() for line in count.broken], table(counts)
    assert [count.number for count in counts.values()] == [300, 150, 30, 120, 25]
    # Both kinds of answer occur in numbers, or the inputs would test little.
    assert all(count.accepted > 2 and count.refused > 2 for count in counts.values())
    assert all(count.accepted + count.refused == count.number for count in counts.values())


def test_an_input_is_made_again_from_its_name():
    for make in (inputs.command_line, lambda rng: inputs.yaml_text(rng, inputs.STUDIES[0])):
        assert make(random.Random('0/a/7')) == make(random.Random('0/a/7'))
        assert len({str(make(random.Random(f'0/a/{index}'))) for index in range(50)}) > 25


def test_an_input_does_not_pay_for_what_was_there_before_it():
    before = [[index] for index in range(10_000)]
    with set_apart():
        assert gc.get_freeze_count() > len(before) > len(gc.get_objects())
    assert gc.get_freeze_count() == 0


def test_what_counts_as_a_clear_line():
    assert wrong_line('--seed is 1') is None
    assert (
        wrong_line('') and wrong_line('a\nb') and wrong_line('\x1b[31m') and wrong_line('x' * 501)
    )


# Each alone would hold up a reader that is not on its guard.
BOMBS = {
    'deep lists': 'a: ' + '[' * 49_000,
    'closed lists': 'a: ' + '[' * 900 + ']' * 900,
    'deep mappings': 'a: ' + '{a: ' * 12_000,
    'dashes': '- ' * 24_000,
    'complex keys': '? ' * 24_000,
    'long list': 'seed: [' + '1,' * 24_000 + ']',
    'many keys': ''.join(f'k{i}: {i}\n' for i in range(4500)),
    'many patterns': ''.join(f'.*{i}: 1\n' for i in range(4500)),
    'long anchor': 'a: *' + 'b' * 49_000,
    'long tag': 'a: !' + 'x' * 49_000 + ' 1',
    'long hexadecimal': 'seed: 0x' + 'f' * 49_000,
    'long number': 'seed: ' + '9' * 49_000,
    'slow pattern': '(\\w+\\w+)+!: 1',
    'impossible character': 'a: "\\UFFFFFFFF"',
    'alias of itself': 'rssm: &a\n  deter: *a\n',
    'nested aliases': 'a0: &a0 [1]\n'
    + ''.join(f'a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}\n' for i in range(1, 30)),
}


@pytest.mark.parametrize('name', BOMBS)
def test_an_untrusted_file_is_refused_before_it_does_harm(name, tmp_path):
    path = tmp_path / 'config.yaml'
    path.write_text(BOMBS[name])
    for read in (Config.load, lambda path: load_config([], file=path)):
        with pytest.raises(UsageError) as caught:
            read(path)
        assert wrong_line(str(caught.value)) is None
        assert str(path) in str(caught.value)


def test_a_file_that_is_none_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for path in (tmp_path / 'pipe', '/dev/zero', '/dev/null'):
        with pytest.raises(UsageError, match='not a regular file'):
            Config.load(path)
    with pytest.raises(UsageError, match='Is a directory'):
        Config.load(tmp_path)
    with pytest.raises(UsageError, match='No such file'):
        Config.load(tmp_path / 'new\nline')
    (tmp_path / 'huge').touch()
    os.truncate(tmp_path / 'huge', 10**12)
    with pytest.raises(UsageError, match='larger than'):
        Config.load(tmp_path / 'huge')


def test_a_saved_configuration_holds_no_patterns(tmp_path):
    path = tmp_path / 'config.yaml'
    path.write_text('.*\\.wd$: 1\n')
    with pytest.raises(UsageError, match='line 1: unknown key'):
        Config.load(path)
    assert load_config(['--.*\\.wd$', '1']).model_opt.wd == 1


@pytest.mark.parametrize(
    ('text', 'line', 'words'),
    [
        ('!!python/name:os.system seed: 1\n', 1, 'tag'),
        ('seed: 1\n<<: {steps: 3}\n', 2, 'merging by <<'),
        ('rssm: {deter: 1}\nseed: 1\nrssm.deter: 2\n', 3, "'rssm.deter' is in line 1 too"),
        ('jit: !!bool maybe\n', 1, 'True or False'),
        ('seed: &a 1\nenvs: &a 1\n', None, "duplicate anchor 'a'"),
        ('seed: !!map 1\n', 1, "tag 'map'"),
        ('encoder.mlp_layers: !!str [1]\n', 1, "tag 'str'"),
    ],
)
def test_yaml_that_means_something_else_than_it_seems(text, line, words, tmp_path):
    path = tmp_path / 'config.yaml'
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        Config.load(path)
    place = f'{path} line {line}:' if line else f'{path}:'
    assert place in str(caught.value) and words in str(caught.value)
    assert wrong_line(str(caught.value)) is None


@pytest.mark.parametrize(
    'pattern', ['(a+)+$', '(a|b)*c', '.*.*.*.*.*', '((a{2}){3}){4}', 'x' * 201]
)
def test_patterns_that_could_take_years_are_refused(pattern):
    with pytest.raises(UsageError, match='neither a key nor a regular expression|unknown key'):
        load_config([f'--{pattern}', '1'])


def test_patterns_that_users_write_are_taken():
    for pattern in (
        '.*\\.wd$',
        '(model|actor)_opt\\.(lr|wd)',
        '[a-z]+_opt\\.lr',
        '(?:actor_)opt.wd',
    ):
        assert load_config([f'--{pattern}', '0.5']).actor_opt.wd == (
            0.5 if 'wd' in pattern else 1e-6
        )


@pytest.mark.parametrize(
    ('argv', 'words'),
    [
        (['--task', 'gym_../../x', '--logdir', 'a/{task}'], 'not a name for a folder'),
        (['--task', 'gym_/etc', '--logdir', 'a/{task}'], None),
        (['--task', 'gym_a//b'], 'not a name for a folder'),
        (['--logdir', 'a/{init.from}', '--init.from', '/etc'], 'not a name for a folder'),
        (['--logdir', 'a/{logdir}'], 'is not a key'),
        (['--logdir', 'a/{seed.__class__}'], 'is not a key'),
    ],
)
def test_a_name_in_the_logdir_cannot_lead_out_of_it(argv, words):
    if words is None:
        assert load_config(argv).logdir == 'a/gym_/etc'
        return
    with pytest.raises(UsageError, match=words):
        load_config(argv)


def test_strange_names_of_a_logdir_are_taken_as_they_are(tmp_path):
    for name in ('100%s', 'a{b', '{}x}', 'a b', '日本', '$HOME', "quote'", '%(x)s', '{ seed }'):
        argv = ['--logdir', f'{tmp_path}/{name}/{{seed}}', '--seed', '4']
        if name == '{}x}':
            with pytest.raises(UsageError, match='is not a key'):
                load_config(argv)
            continue
        config = load_config(argv)
        assert config.logdir == f'{tmp_path}/{name}/4'
        assert config.update({'seed': 5}).logdir == f'{tmp_path}/{name}/5'


def test_a_home_is_looked_for_before_names_are_filled_in(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    assert load_config(['--logdir', '{task}/x', '--task', '~']).logdir == '~/x'
    assert load_config(['--logdir', '~/x']).logdir == f'{tmp_path}/x'


def test_commands_print_one_line_whatever_an_error_holds(capsys):
    def fail(argv):
        raise UsageError('no file a\nb\x1b[31m' + 'x' * 5000)

    assert exit_code_of(fail, [], '') == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and len(error) <= 2001 and 'a\\nb\\x1b[31m' in error


def test_values_are_shown_on_one_short_line():
    assert printable('a\nb', 60) == 'a\\nb' and printable('ä ') == 'ä '
    assert printable('x' * 100, 20) == 'xxxxxxx...xxxxxxxxxx'
    assert len(printable('\ud800' * 10**6, 100)) == 100
    assert shown('x') == "'x'" and shown(16**50_000) == 'a int too long to show'
    assert len(shown(list(range(10**5)))) == 60


def test_the_shipped_presets_are_far_below_the_limits():
    assert default_file().stat().st_size < 25_000
