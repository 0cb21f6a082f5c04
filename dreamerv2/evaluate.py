"""The command that evaluates a checkpoint: `python dreamerv2/evaluate.py LOGDIR --episodes 10`."""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == '__main__' and not __package__:  # run as a file
    import clone  # noqa: F401

from dreamerv2.cli import Parser, exit_code_of, step_or_best, whole_number
from dreamerv2.config import Config
from dreamerv2.errors import UsageError
from dreamerv2.run import devices

FRAMES_PER_SECOND = 60  # Of the games; a video shows one picture per agent step.


ACTIONS = {
    'mode': 'the most probable one',
    'sample': 'drawn from the policy',
    'train': 'as in training, drawn from the policy and with exploration noise',
}


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line; raises UsageError for mistakes."""
    parser = Parser(
        prog='dreamerv2-evaluate', description='Plays episodes with the agent of a checkpoint.'
    )
    parser.add_argument('logdir', type=Path, help='logdir of a training run, or zoo:NAME')
    parser.add_argument(
        '--tasks', nargs='+', metavar='TASK', help="such as mario_1-1 (default: the run's own)"
    )
    parser.add_argument(
        '--episodes', type=whole_number(1), default=10, help='episodes on each level (default: 10)'
    )
    parser.add_argument(
        '--policy',
        choices=('mode', 'sample', 'train'),
        default='mode',
        help="the most probable action; one drawn from the actor's distribution; or, as in "
        'training, drawn and with exploration noise (default: mode)',
    )
    parser.add_argument('--seed', type=whole_number(), help="default: the run's own")
    parser.add_argument(
        '--step', type=step_or_best, help='checkpoint by its frames, or best (default: the newest)'
    )
    parser.add_argument('--video', type=Path, help='write the first episode of each level here')
    parser.add_argument(
        '--record',
        action='store_true',
        help='record completion, progress and return (or the return alone) as the score of the '
        'checkpoint, which decides the best',
    )
    parser.add_argument('--json', type=Path, help='write the results here')
    parser.add_argument('--device', choices=('auto', 'cpu', 'gpu'), default='auto')
    parser.add_argument(
        '--precision',
        choices=('auto', 'float32', 'float16', 'bfloat16'),
        help="number format (default: the run's own)",
    )
    return parser.parse_args(argv)


def run(argv: Sequence[str]) -> int:
    """Evaluates as the command line says; returns exit code 0.

    Raises:
        UsageError: a mistake of the user, found before TensorFlow is imported where possible.
    """
    arguments = parse_arguments(argv)
    from dreamerv2.durable import to_json, write_durably
    from dreamerv2.envs import check_task
    from dreamerv2.run import build, checkpoint, evaluation, random_streams
    from dreamerv2.run.checkpoint import start_from, zoo
    from dreamerv2.run.logdir import lock
    from dreamerv2.run.metrics import terminal, video
    from dreamerv2.trained import check_names, load_agent

    say = functools.partial(print, file=sys.stderr, flush=True)
    if arguments.video:
        video.check_video_path(arguments.video)
    if arguments.json:
        video.check_output_path(arguments.json, '--json')
    logdir = zoo.located(arguments.logdir)
    if arguments.record and (holder := lock.holder_of(logdir)):
        raise UsageError(f'--record: {lock.in_use(logdir, holder)}')
    saved = checkpoint.find(logdir, arguments.step, say)
    config = Config.load(saved.config_path)
    if parent := start_from.recorded_parent(saved.path / 'provenance.json'):
        say(start_from.parent_line(parent))
    sets = build.task_sets(config)
    tasks: dict[str, str] = {}
    for task in arguments.tasks or [config.task]:
        check_names(build.single_level_tasks(task, sets), arguments.tasks, saved.config_path)
        check_task(task, sets)
        tasks.update(build.single_level_tasks(task, sets))
    seed = config.seed if arguments.seed is None else arguments.seed

    frames: list[np.ndarray] = []
    envs = {}
    for index, (level, task) in enumerate(tasks.items()):
        env: Any = build.build_env(
            config, task, random_streams.derive(seed, 'evaluation', index + 1)
        )
        envs[level] = video.RecordingEnv(env, frames.append) if arguments.video else env
    check_same_spaces(envs)

    with devices.hidden_native_stderr():
        device = devices.configure(
            arguments.precision or config.precision,
            device=arguments.device,
            gpu_memory=config.gpu_memory,
            say=say,
        )
        first = next(iter(envs.values()))
        agent = load_agent(saved, config, first, device, random_streams.derive(seed, 'evaluation'))
    mode = evaluation.POLICY_MODES[arguments.policy]
    evaluator = evaluation.Evaluator(
        {level: functools.partial(lambda env: env, env) for level, env in envs.items()},
        longest=evaluation.longest_episode(config.time_limit),
    )
    display = terminal.EvaluationDisplay(arguments.episodes * len(envs))
    with contextlib.closing(display):
        episodes = evaluator.evaluate(
            lambda obs, state: agent.policy(obs, state, mode=mode),
            arguments.episodes,
            progress=display.update,
        )
    assert episodes is not None
    results = evaluation.level_results(episodes, config.time_limit)
    provenance = first.describe()
    evaluator.close()
    print(f'{saved.path}, at {saved.frames} frames. Actions: {ACTIONS[arguments.policy]}.')
    print(evaluation.table(results))
    print(evaluation.TABLE_NOTE)
    if arguments.record:
        score = evaluation.score(evaluation.evaluation_metrics(episodes))
        checkpoint.record_score(saved.path.parent, saved.frames, score)
        print(f'Recorded: {evaluation.shown_score(score)} is the score of {saved.path}')
    if arguments.json:
        document = {
            'checkpoint': str(saved.path),
            'step': saved.frames,
            'policy': arguments.policy,
            'seed': seed,
            'precision': device.precision,
            'environment': provenance,
            'levels': results,
        }
        write_durably(arguments.json, to_json(document))
        print(f'Results: {arguments.json}')
    if arguments.video and frames:
        video.write_video(arguments.video, frames, FRAMES_PER_SECOND / config.action_repeat)
        print(f'Video: {arguments.video}')
    elif arguments.video:
        say(f'No video: {", ".join(tasks.values())} has no pictures.')
    return 0


def check_same_spaces(envs: dict[str, Any]) -> None:
    """Raises UsageError where one agent cannot play all of the levels."""

    def shown(env: Any) -> tuple[Any, ...]:
        size = getattr(env.act_space, 'n', None) or env.act_space.shape
        seen = {k: v.shape for k, v in env.obs_space.items() if not k.startswith('log_')}
        return size, tuple(sorted(seen.items()))

    (first, *_), kinds = envs, {level: shown(env) for level, env in envs.items()}
    for level, kind in kinds.items():
        if kind != kinds[first]:
            raise UsageError(
                f'--tasks: {first} and {level} differ in observations or actions; evaluate them '
                'separately.'
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return exit_code_of(run, argv)


if __name__ == '__main__':
    sys.exit(main())
