"""Inputs that a user or an untrusted source could give: valid ones, and what goes wrong with them.

Every function takes a `random.Random`, so that the number of an input is enough to make it again.
"""

from __future__ import annotations

import random
import string

from dreamerv2.config.files import default_file, read_presets
from dreamerv2.config.schema import SCHEMA

KEYS = tuple(SCHEMA)
PRESETS = tuple(read_presets(default_file()))
VALID = {
    '--configs': [['mario'], ['mario', 'debug'], ['atari'], ['control'], ['mario_small,debug']],
    '--task': [['mario_3-1'], ['mario_3-1+3-2'], ['mario_e4'], ['pixel'], ['gym_CartPole-v1']],
    '--seed': [['0'], ['3'], ['2147483647']],
    '--steps': [['1e6'], ['2.5e6'], ['1000']],
    '--discount': [['0.99'], ['1'], ['-0.0']],
    '--jit': [['False'], ['true'], []],
    '--rssm.deter': [['32'], ['600']],
    '--encoder.mlp_layers': [['400', '400'], ['64,64'], ['']],
    '--actor_ent': [['1e-3'], ['linear(1,0.1,1e6)']],
    '--replay.past_end': [['all'], ['off']],
    '--logdir': [['~/logdir/{task}/{seed}'], ['runs/a b'], ['runs/{seed}/100%']],
    '--.*\\.wd$': [['0'], ['1e-6']],
    '--log_keys_sum': [['^$'], ['reward|log_.*']],
    '--sets.mine': [['1-1', '2-1']],
    '--init.from': [['~/logdir/parent@4000']],
}
HOSTILE = (
    '', ' ', '-', '--', '---', '\\', '"', "'", '#', ':', ': ', '- 1', '{', '[', '{}', '[]', '&a',
    '*a', '!!python/object/apply:os.system [x]', '!!python/name:os.system', '!x', '%s', '%',
    '{task}', '{seed', '{nothing}', '{logdir}', '{0.__class__}', '$HOME', '`id`', '\n', 'a\nb',
    '\r\n', '\t', '\x00', '\x07', '\x1b[31mred\x1b[0m', '\x7f', '\x85', '\u2028', '\u200b',
    '\u202etxt', '\ufeff', 'ä', '\u65e5',
    '\U0001f344', 'e\u0301', '\ud800', '\udcff', '٣', 'nan', 'NaN', '.nan',
    'inf', '-inf', '.inf', '-.INF', '1e999', '-1e999', '1e-999', '-0', '-0.0', '0x' + 'f' * 5000,
    '9' * 5000, '1' * 309, '1_000', '0o17', '0b1', '017', '1e15', '1e16', '1.5', '-1', '00', '+1',
    '1,2', ',', ',,,', 'null', '~', 'None', 'True', 'true', 'yes', 'on', 'False', '2024-01-01',
    '1:30', '=', '<<', '(', '[', '(a+)+$', '(?P<a', 'a{1,99999999999}', '[[a]', '(?i)', '*', '.*',
    '.', '..', '...', '(' * 150, '\\' * 99, 'x' * 1500, 'x ' * 5000, '../' * 50, '../../etc/passwd',
    '/', '/dev/null', '/dev/null/x', '/root/nothing', '~nobody_at_all/x', '~', 'a' * 300,
    '/proc/self/mem', 'file', 'folder', 'gym_', 'gym_..:x', 'gym_:', 'gym_.:.',
    'gym_no such module:x', 'gym_ALE/Pong-v5', 'gym_../../x', 'mario_', 'mario_9-9',
    'mario_1-1+1-1', 'mario_1-1+', 'atari_pongg', 'dmc_walker', 'crafter_reward', '_', 'linear(1,2',
    'linear(1,nan,3)', 'exp(1,1,0)', 'warmup(1e999,1)',
)  # fmt: skip
TEXTS = (
    'seed: 3\nsteps: 1e6\nrssm: {deter: 32, hidden: 32}\n',
    'task: mario_1-1\nlogdir: somewhere\nencoder.mlp_layers: [400, 400]\nsets:\n  mine: [1-1]\n',
    'kl:\n  free: 1.0\n  balance: 0.8\nmodel_opt: {lr: 1e-4}\nactor_ent: linear(1,0.1,1e6)\n',
    'render_size: [64, 64]\njit: False\nlevel_weights: []\nreplay: {past_end: all}\n',
)
STUDIES = (
    'configs: [mario, debug]\nconfig: {prefill: 100, rssm.deter: 16}\nframes: 2000\nseeds: [3, 5]\n'
    'pretrain: [pair]\nfinetune: [1-1]\ntransfer: [1-3]\nsets: {pair: [1-1, 1-2]}\n',
    'configs: mario\nfamily: mario\nframes: 1e7\nseeds: [0]\npretrain: [e4, e10]\nfinetune: ef\n'
    'transfer: etau\nbaseline: [1-1, 3-1]\nframes_per_second: 77\n',
    'configs: [atari]\nconfig:\n  atari_all_actions: True\n  steps_per: 3\nfamily: atari\n'
    'frames: 1e6\nseeds: [0, 1]\npretrain: atari4\ntransfer: [boxing]\n',
)
SNIPPETS = (
    '!!python/object/apply:os.system [x]', '!!int x', '!!bool maybe', '!!map 1', '!!binary aGk=',
    '!!set {a, b}', '!local 1', '&a [*a]', '*nothing', '&a {x: *a}', '"\\UFFFFFFFF"', '"\\xZZ"',
    '{{a: 1}: 2}', '[[1], 2]', '? x', '|\n  text', '>\n  text', '%YAML 9.9\n---\n', '---\n',
    '...\n', '<<: {seed: 1}', 'seed: 1\nseed: 2', 'rssm: {deter: 1}\nrssm.deter: 2', '[' * 200,
    '{a: ' * 200, '\t', '\x00', '\x85', '\ufeff', '- ', ': ', '? ', '#', "'", '"', '@', '`', '1: 1',
    'null: 1', '!!python/name:os.system seed: 1', '{}: 1', '[1]: 2', '"": 1', '.nan: .nan',
    'sets: {a/../b: 1}',
)  # fmt: skip


def any_text(rng: random.Random) -> str:
    """Something to put where a value or a key is expected."""
    match rng.randrange(6):
        case 0:
            return ''.join(chr(rng.randrange(0x110000)) for _ in range(rng.randrange(1, 9)))
        case 1:
            return ''.join(rng.choices(string.printable, k=rng.randrange(1, 30)))
        case 2:
            return repr(rng.uniform(-2, 2) * 10.0 ** rng.randrange(-320, 308))
        case 3:
            return str(rng.randrange(-(10**6), 10 ** rng.randrange(1, 40)))
        case _:
            return rng.choice(HOSTILE)


def mistyped(rng: random.Random, text: str) -> str:
    """The text with one character too many, too few, or another one."""
    place = rng.randrange(len(text) + 1)
    new = rng.choice([*'ax_.-1 :[{*(\\"\n', 'é', '\x00', chr(rng.randrange(0x3000))])
    match rng.randrange(4):
        case 0:
            return text[:place] + new + text[place:]
        case 1:
            return text[:place] + text[place + 1 :]
        case 2:
            return text[:place] + new + text[place + 1 :]
        case _:
            return text[: place - 2] + text[place - 2 : place][::-1] + text[place:]


def any_key(rng: random.Random) -> str:
    """A key, or what may be taken for one."""
    key = rng.choice(KEYS)
    match rng.randrange(9):
        case 0:
            return mistyped(rng, key)
        case 1:
            return any_text(rng)
        case 2:
            return key.rpartition('.')[2]
        case 3:
            return key.partition('.')[0]
        case 4:
            return rng.choice(
                [f'.*{key[-3:]}$', f'({key}|x', f'{key}.{key}', key.upper(), f'{key}.']
            )
        case 5:
            return f'sets.{any_text(rng)}'
        case _:
            return key


def command_line(rng: random.Random) -> list[str]:
    """The arguments of a training command: a valid one with some changes, or none."""
    flags = rng.sample(sorted(VALID), rng.randrange(0, 6))
    words = [word for flag in flags for word in (flag, *rng.choice(VALID[flag]))]
    for _ in range(rng.randrange(0, 4)):
        place = rng.randrange(len(words) + 1)
        match rng.randrange(9):
            case 0 | 1:
                words += [f'--{any_key(rng)}', any_text(rng)]
            case 2:
                words += [f'--{any_key(rng)}={any_text(rng)}']
            case 3:
                words += [
                    f'--{rng.choice(KEYS)}',
                    *(any_text(rng) for _ in range(rng.randrange(4))),
                ]
            case 4:
                words.insert(place, any_text(rng))
            case 5 if words:
                place = rng.randrange(len(words))
                words[place] = mistyped(rng, words[place])
            case 6 if words:
                words += words[rng.randrange(len(words)) :]
            case 7:
                words += ['--configs', rng.choice([*PRESETS, any_text(rng)]), any_text(rng)]
            case _:
                words += [f'--{rng.choice(KEYS)}', rng.choice(HOSTILE)]
    return words


def yaml_text(rng: random.Random, text: str) -> bytes:
    """A YAML text with some changes to its lines, values and bytes, or none."""
    for _ in range(rng.randrange(0, 4)):
        lines = text.splitlines()
        place = rng.randrange(len(lines)) if lines else 0
        match rng.randrange(8):
            case 0 | 1:
                key = rng.choice([any_key(rng), (lines or [''])[place].partition(':')[0]])
                lines[place : place + 1] = [f'{key}: {any_text(rng)}']
            case 2:
                lines.insert(place, rng.choice(SNIPPETS))
            case 3:
                lines[place : place + 1] = [f'{rng.choice(KEYS)}: {rng.choice(SNIPPETS)}']
            case 4:
                lines.append(f'{rng.choice(KEYS)}: [{any_text(rng)}, {any_text(rng)}]')
            case 5:
                lines += lines[place:]
            case 6:
                lines[place : place + 1] = [
                    (lines or [''])[place].replace(': ', f': {any_text(rng)}')
                ]
            case _:
                lines = mistyped(rng, text).splitlines()
        text = '\n'.join(lines) + '\n'
    content = text.encode('utf-8', 'surrogatepass')
    match rng.randrange(20):
        case 0:
            place = rng.randrange(len(content) + 1)
            return content[:place] + rng.randbytes(rng.randrange(1, 20)) + content[place:]
        case 1:
            return content[: rng.randrange(len(content) + 1)]
        case 2:
            return rng.randbytes(rng.randrange(400))
        case 3:
            return content + rng.choice([b'#', b'a: 1\n', b'[', b'- ', b'\0']) * rng.randrange(
                30_000
            )
    return content
