"""A synthetic study: logdirs written as training runs write them."""

import io
import json
import zlib

import numpy as np
from PIL import Image

T = 4000
FLOOR = 200.0  # what the random policy returns in `write_runs`
PLAN = {
    'sets': {'two': ['3-1', '3-2'], 'three': ['3-1', '3-2', '4-4']},
    'finetune': ['3-1', '3-2'],
    'transfer': ['1-1', '1-2'],
    'seeds': [0, 1],
    'frames': T,
}


def to(value, pace=1.0):
    """A return that has risen in a straight line to `value` at frame T / pace and stays there."""
    return lambda frame: value * min(pace * frame / T, 1.0)


def write_logdir(
    path,
    *,
    task='mario_1-1',
    seed=0,
    lines=(),
    steps=1000,
    repeat=4,
    config=None,
    study=None,
    done=True,
    tail=b'',
):
    """A logdir at `path` with these metric lines; `tail` are raw bytes behind the last of them."""
    path.mkdir(parents=True)
    settings = {'task': task, 'seed': seed, 'steps': steps, 'action_repeat': repeat}
    settings.update(sticky=0.2, time_limit=0)
    settings.update(config or {})
    # JSON is YAML too.
    (path / 'config.yaml').write_text(json.dumps(settings))
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (path / 'metrics.jsonl').write_bytes(text.encode() + tail)
    if study is not None:
        (path / 'study.json').write_text(json.dumps(study))
    if done:
        (path / 'done.json').write_text('{}')
    return path


def episode_lines(
    level_returns,
    *,
    end,
    count=200,
    seed=0,
    start=0,
    prefill=0,
    noise=20.0,
    length=100,
):
    """Lines of `count` episodes over (start, end], the levels in turn; the first `prefill` tagged.

    `level_returns` maps a level to its expected return as a function of the frame.
    """
    rng = np.random.default_rng(seed)
    levels = sorted(level_returns)
    lines = []
    for i, frame in enumerate(np.linspace(start, end, count + 1)[1:].round().astype(int)):
        level = levels[i % len(levels)]
        value = float(level_returns[level](frame) + noise * rng.normal())
        line = {
            'step': int(frame),
            'train_return': value,
            'train_length': length,
            f'train_return/{level}': value,
            f'train_progress/{level}': float(np.clip(value / 3000, 0, 1)),
            f'train_completed/{level}': float(value > 2500),
        }
        if i < prefill:
            line['train_prefill'] = 1.0
        lines.append(line)
    return lines


def write_study(root):
    """The study of `PLAN` under `root`, all of its runs finished."""
    (root / 'plan.json').write_text(json.dumps(PLAN))

    def run(name, returns, stage, seed, task, **place):
        lines = episode_lines(returns, end=T, count=120, seed=seed, prefill=4, noise=5)
        lines.append({'step': T, 'image_loss': 10.0 + seed})
        write_logdir(
            root / name,
            task=task,
            steps=T // 4,
            seed=seed,
            lines=lines,
            study={'stage': stage, 'seed': seed, **place},
        )

    for seed in PLAN['seeds']:
        for level in ('3-1', '3-2', '4-4', '1-1', '1-2'):
            value = 9000 if level == '4-4' else 1000
            run(
                f'b/{level}/{seed}',
                {level: to(value)},
                'baseline',
                seed,
                f'mario_{level}',
                level=level,
            )
        for name, levels in PLAN['sets'].items():
            run(
                f'p/{name}/{seed}',
                {level: to(800) for level in levels},
                'pretrain',
                seed,
                'mario_' + '+'.join(levels),
                set=name,
            )
            for level in PLAN['finetune']:
                run(
                    f'f/{name}/{level}/{seed}',
                    {level: to(1200, 5)},
                    'finetune',
                    seed,
                    f'mario_{level}',
                    set=name,
                    level=level,
                )
            for level in PLAN['transfer']:
                run(
                    f't/{name}/{level}/{seed}',
                    {level: to(1000, 2)},
                    'transfer',
                    seed,
                    f'mario_{level}',
                    set=name,
                    level=level,
                )
    for seed in PLAN['seeds']:
        for i, (name, levels) in enumerate(PLAN['sets'].items()):
            add_extras(root / f'p/{name}/{seed}', levels, seed, error=10 * (i + 1))
        add_provenance(root / f'f/two/3-1/{seed}', parent=root / f'p/two/{seed}')
        add_video(root / f'b/3-1/{seed}')
    return root


def write_runs(root, plan, returns, *, count=30, noise=20.0, progress=None, frames=T):
    """All finished runs of a plan; `returns(stage, set, level, seed)` is a return by the frame.

    `count` episodes a level of a run, the first two of them random prefill; `progress` likewise is
    a share, by default of the return. A run whose return is None is left out.
    """
    root.mkdir(parents=True, exist_ok=True)
    (root / 'plan.json').write_text(json.dumps({**plan, 'frames': frames}))
    own = dict.fromkeys(level for listed in plan['sets'].values() for level in listed)
    single = dict.fromkeys([*own, *plan['finetune'], *plan['transfer']])
    places = [('baseline', '', level) for level in single]
    for name, listed in plan['sets'].items():
        places.append(('pretrain', name, ''))
        places += [('finetune', name, level) for level in plan['finetune'] if level in listed]
        places += [('transfer', name, level) for level in plan['transfer']]
    for stage, name, level in places:
        for seed in plan['seeds']:
            levels = plan['sets'][name] if stage == 'pretrain' else [level]
            found = {x: returns(stage, name, x, seed) for x in levels}
            if None in found.values():
                continue
            path = root / stage / name / level / str(seed)
            lines = episode_lines(
                found,
                end=frames,
                count=count * len(levels),
                seed=zlib.crc32(f'{stage} {name} {level} {seed}'.encode()),
                noise=noise,
            )
            for i, line in enumerate(lines):
                (x,) = [key.split('/')[1] for key in line if key.startswith('train_progress/')]
                if progress:
                    line[f'train_progress/{x}'] = progress(stage, name, x, seed)
                if i < 2 * len(levels):
                    random = {'train_return': FLOOR, f'train_return/{x}': FLOOR}
                    line.update({**random, 'train_prefill': 1.0})
            write_logdir(
                path,
                task='mario_' + '+'.join(levels),
                seed=seed,
                steps=frames // 4,
                lines=lines,
                study={'stage': stage, 'set': name, 'level': level, 'seed': seed},
            )
    return root


def write_trial(root, plan, *, effect=0.0, skewed=False, seed=0):
    """A study in which every run is as good as chance makes it, from its start to its end.

    Runs of all stages are drawn from one distribution, the levels of one agent and the children
    of one parent with a correlation of 0.7; all but the baselines are `effect` of its standard
    deviations better.
    """
    rng = np.random.default_rng(seed)
    shared = {}

    def returns(stage, name, level, index):
        parent = (name, index) if name else (level, index)
        z = np.sqrt(0.7) * shared.setdefault(parent, rng.normal()) + np.sqrt(0.3) * rng.normal()
        value = 300 * (np.exp(z / 2) / 0.6 - 1.88 if skewed else z)
        value += 2300 + 300 * effect * bool(name)
        return lambda frame: value

    return write_runs(root, plan, returns, noise=200.0)


def add_extras(path, levels, seed, *, error=10):
    """What a study adds to a finished pre-training run: evaluations, reconstructions and so on."""
    rows = [
        {
            'step': T,
            'level': level,
            'returns': [300.0 + seed, 500.0 + seed],
            'progress': [0.2, 0.4],
            'completed': [0, 1],
            'policy': 'sample',
        }
        for level in [*PLAN['transfer'], levels[0]]
    ]
    text = ''.join(json.dumps(row) + '\n' for row in rows)
    (path / 'evaluations.jsonl').write_text(text)
    frames = level_frames(4, 3)
    np.savez(
        path / 'reconstructions.npz',
        frames=frames,
        reconstructions=frames + np.uint8(error),
        level=np.array('1-1'),
        step=T,
    )
    add_provenance(path)
    add_video(path)
    for index in range(len(levels)):
        add_episode(path, levels, index)


def level_frames(count, index):
    """Gray frames uint8 `[count, 64, 64, 1]` with one bar in them, the lighter the later."""
    frames = np.full((count, 64, 64, 1), 40, np.uint8)
    frames[:, :, 8 * index : 8 * index + 8] = 180 + np.arange(count)[:, None, None, None]
    return frames


def add_episode(path, levels, index, rows=12):
    """An episode of one of a run's levels."""
    folder = path / 'train_episodes'
    folder.mkdir(exist_ok=True)
    (folder / 'levels.json').write_text(json.dumps(list(levels)))
    np.savez(
        folder / f'20240101T000000-{index:09d}-{rows}.npz',
        image=level_frames(rows, index),
        level=np.full(rows, index, np.int32),
    )


def add_provenance(path, parent=None):
    """`provenance.json` as a run on a GPU writes it."""
    content = {
        'revision': '0123456789abcdef+changes',
        'host': {'name': 'RTX 2070', 'kind': 'gpu', 'precision': 'float16', 'cores': 8},
        'parent': {'logdir': str(parent), 'step': T, 'hash': 'abc'} if parent else None,
    }
    (path / 'provenance.json').write_text(json.dumps(content))


def add_video(path, name='play.gif', value=90):
    """An animated GIF of two frames."""
    (path / 'videos').mkdir(exist_ok=True)
    frames = [Image.fromarray(np.full((48, 64), x, np.uint8)) for x in (0, value)]
    file = io.BytesIO()
    frames[0].save(file, 'GIF', save_all=True, append_images=frames[1:], duration=100)
    (path / 'videos' / name).write_bytes(file.getvalue())
