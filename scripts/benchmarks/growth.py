"""How cost grows: an update with the batch and with the model, sampling with the replay."""

from __future__ import annotations

import dataclasses
import gc
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from dreamerv2.config import Config
from dreamerv2.replay.measure import bytes_per_step
from dreamerv2.run.devices import Device

from . import ceiling, subject
from .episodes import real_episodes
from .learner import part_flops, update_call
from .options import Options
from .replay import calls, filled
from .report import Report, Table, counted
from .timing import spread, time_interleaved

BATCHES = (0.5, 1, 2, 4)  # Multiples of the preset's.
# Units of the recurrent state and the layers around it, and channels of the first convolution.
MODELS = ((128, 16), (256, 24), (600, 48), (1024, 48))
REPLAYS = (0.01, 0.1, 1)  # Parts of --steps.
SECONDS = 1.0  # Of each repetition with a replay.


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all updates have in common."""

    spaces: subject.Spaces
    device: Device
    limit: Callable[[], Any]
    repeat: int


def update_row(config: Config, setting: Setting) -> list[Any]:
    """Milliseconds, operations and share of the limit of one configuration's update."""
    spaces, device = setting.spaces, setting.device
    agent = subject.make_agent(config, spaces, device, device.precision)
    batch = subject.random_batch(spaces, config.dataset.batch, config.dataset.length)
    calls = {'update': update_call(agent, batch), 'limit': setting.limit}
    samples = time_interleaved(calls, setting.repeat)
    work = part_flops(config, spaces, agent)['update']
    rate = work / statistics.median(samples['update'])
    highest = ceiling.matrix_flops() / statistics.median(samples['limit'])
    times = spread(1e3 * value for value in samples['update'])
    return [times, work / 1e9, rate / 1e12, 100 * rate / highest]


def update_table(
    options: Options, title: str, changes: Mapping[str, Mapping[str, Any]], setting: Setting
) -> Table:
    """One row for each of the changed configurations."""
    rows: list[list[Any]] = []
    for name, values in changes.items():
        options.say(f'{title}: {name}')
        rows.append([name, *update_row(options.config.update(values), setting)])
        gc.collect()
    columns = [title, 'ms', 'GFLOP', 'TFLOP/s', 'share of limit (%)']
    device = setting.device
    notes = [options.spread_note, f'On {device.kind.upper()} in {device.precision}.']
    return Table(f'One update over the {title}', columns, rows, notes)


def replay_table(options: Options) -> Table:
    """Batches a second and memory over the number of steps in the replay."""
    config = options.config
    capacity = options.steps or config.replay.capacity
    episodes = real_episodes(config, options.episodes, options.say)
    rows: list[list[Any]] = []
    for size in sorted({max(1, int(capacity * part)) for part in REPLAYS}):
        options.say(f'Replay of {counted(size, "step")}.')
        replay = filled(config, episodes, size)
        sample = calls(config, replay, episodes)['sample']
        samples = time_interleaved({'sample': sample}, options.repeat, seconds=SECONDS)
        rates = spread(1 / value for value in samples['sample'])
        stats = replay.stats
        rows.append(
            [int(stats['loaded_steps']), rates, bytes_per_step(replay), stats['bytes'] / 1e9]
        )
        del replay, sample
        gc.collect()
    columns = ['steps held', 'batches/s', 'bytes a step', 'GB']
    title = f'Replay, batch {config.dataset.batch}x{config.dataset.length}'
    return Table(title, columns, rows, [options.spread_note])


def run(options: Options) -> Report:
    """Measures the three tables."""
    config = options.config
    replay = replay_table(options)
    device = subject.configure(config, options.say)
    limit = ceiling.matrix_product(device.precision, device.branches)
    setting = Setting(subject.find_spaces(config), device, limit, options.repeat)
    base = config.dataset.batch
    batches = sorted({max(1, int(base * factor)) for factor in BATCHES})
    by_batch = {f'{size}x{config.dataset.length}': {'dataset.batch': size} for size in batches}
    by_model = {
        f'{units} units, depth {depth}': {
            'rssm.deter': units,
            'rssm.hidden': units,
            'encoder.cnn_depth': depth,
            'decoder.cnn_depth': depth,
        }
        for units, depth in MODELS
    }
    tables = [
        update_table(options, 'batch', by_batch, setting),
        update_table(options, 'model', by_model, setting),
        replay,
    ]
    return options.report(tables)
