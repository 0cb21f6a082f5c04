"""A synthetic study: logdirs written as training runs write them."""

import io
import json

import numpy as np
from PIL import Image

T = 4000
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
