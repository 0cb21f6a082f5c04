"""Measures the uniformly random policy in the levels of Super Mario Bros.

    python scripts/measure_random.py                      every level, 200 episodes each
    python scripts/measure_random.py --levels 1-1 4-4     only these
    python scripts/measure_random.py --jobs 4             four levels at a time

Settings are those of the presets `mario` and `mario_small`: 12 actions, action repeat 4, sticky
actions 0.2, no time limit but the game's clock, the package's own reward. The result goes to the
table that `dreamerv2/analysis/random_policy.py` reads, level by level, so that the same command
resumes where it was stopped. The same seed gives the same numbers, whatever the order or `--jobs`.
All levels take about two hours on one core.
"""

import json
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.analysis.random_policy import TABLE
from dreamerv2.cli import Parser, exit_code_of, whole_number
from dreamerv2.durable import write_durably
from dreamerv2.envs import make_env
from dreamerv2.envs.level_lengths import LEVELS

# Keys of a run's configuration. Actions and reward are those of a Mario task.
SETTINGS: dict[str, Any] = {'action_repeat': 4, 'sticky': 0.2, 'time_limit': 0}
ABOUT = 'gym-super-mario-bros 7.4.0: 12 actions (COMPLEX_MOVEMENT), its own reward'


def play(level: str, episodes: int, seed: int) -> dict[str, list[float]]:
    """Episodes of the random policy: return, progress, completed and length (agent steps) of each.

    Args:
        level: `world-stage`.
        episodes: number of episodes.
        seed: determines, with the level, actions and sticky actions.
    """
    actions, sticky = np.random.SeedSequence((seed, LEVELS.index(level))).spawn(2)
    generator = np.random.default_rng(actions)
    env = make_env(
        f'mario_{level}',
        seed=int(sticky.generate_state(1)[0]),
        size=(240, 256),  # nothing to resize; images are not used
        **SETTINGS,
    )
    found: dict[str, list[float]] = {'return': [], 'progress': [], 'completed': [], 'length': []}
    for _ in range(episodes):
        observation, total, length = env.reset(), 0.0, 0
        while not observation['is_last']:
            observation = env.step(int(generator.integers(env.act_space.n)))
            total += float(observation['reward'])
            length += 1
        found['return'].append(total)
        found['progress'].append(float(observation['log_progress']))
        found['completed'].append(float(observation['log_completed']))
        found['length'].append(length)
    env.close()
    return found


def summary(found: dict[str, list[float]]) -> dict[str, Any]:
    """Number of episodes, and mean and standard deviation (n - 1) of each quantity."""
    entry: dict[str, Any] = {'episodes': len(found['return'])}
    for name, values in found.items():
        mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
        entry[name] = {'mean': round(mean, 4), 'std': round(std, 4)}
    return entry


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return exit_code_of(run, argv)


def run(argv: Sequence[str]) -> int:
    """Measures the levels that are not in the table yet."""
    parser = Parser(description='Measures the random policy on levels of Mario.')
    parser.add_argument('--levels', nargs='+', default=list(LEVELS), choices=LEVELS)
    parser.add_argument(
        '--episodes', type=whole_number(2), default=200, help='on each level (default: 200)'
    )
    parser.add_argument('--seed', type=whole_number(), default=0)
    parser.add_argument(
        '--jobs', type=whole_number(1), default=1, help='levels at a time (default: 1)'
    )
    parser.add_argument('--out', type=Path, default=TABLE, help='default: the package')
    options = parser.parse_args(argv)
    head = {'about': ABOUT, 'settings': SETTINGS, 'seed': options.seed}
    levels: dict[str, Any] = {}
    if options.out.exists():
        table = json.loads(options.out.read_bytes())
        if {name: table.get(name) for name in head} == head:
            levels = table['levels']
    todo = [
        level
        for level in options.levels
        if levels.get(level, {'episodes': 0})['episodes'] != options.episodes
    ]
    work = [(level, options.episodes, options.seed) for level in todo]
    with multiprocessing.get_context('spawn').Pool(options.jobs) as pool:
        for level, entry in pool.imap_unordered(_measured, work):
            levels[level] = entry
            ordered = {name: levels[name] for name in LEVELS if name in levels}
            write_durably(options.out, _text({**head, 'levels': ordered}))
            print(f'{level}: return {entry["return"]["mean"]:.1f}', flush=True)
    return 0


def _measured(work: tuple[str, int, int]) -> tuple[str, dict[str, Any]]:
    return work[0], summary(play(*work))


def _text(table: dict[str, Any]) -> bytes:
    """JSON with one line per level."""
    levels = ',\n'.join(
        f'  {json.dumps(name)}: {json.dumps(entry)}' for name, entry in table['levels'].items()
    )
    head = json.dumps({name: value for name, value in table.items() if name != 'levels'})
    return f'{head[:-1]},\n "levels": {{\n{levels}\n}}}}\n'.encode()


if __name__ == '__main__':
    sys.exit(main())
