"""The command that shows an agent playing: `python -m dreamerv2.play LOGDIR | zoo:NAME`."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

from dreamerv2.cli import Parser, exit_code_of, step_or_best, whole_number
from dreamerv2.errors import UsageError
from dreamerv2.signals import StopRequest

FRAMES_PER_SECOND = 60  # Of the games.
LONGEST = 5000  # Agent steps of a video.


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line; raises UsageError for mistakes."""
    parser = Parser(
        prog='dreamerv2-play',
        description='Shows an agent playing, in the browser or as a video: the game, what the '
        'agent sees, what its world model draws, its value and its actions.',
    )
    parser.add_argument('logdir', type=Path, help='logdir of a training run, or zoo:NAME')
    parser.add_argument('--task', help="such as mario_1-2 (default: the run's own)")
    parser.add_argument(
        '--step', type=step_or_best, help='checkpoint by its frames, or best (default: the newest)'
    )
    parser.add_argument(
        '--policy',
        choices=('mode', 'sample', 'train'),
        default='sample',
        help='the most probable action, one drawn from the policy, or with exploration noise too '
        '(default: sample)',
    )
    parser.add_argument('--seed', type=whole_number(), help="default: the run's own")
    parser.add_argument(
        '--port', type=whole_number(0, 65535), default=0, help='of the page (default: a free one)'
    )
    parser.add_argument('--video', type=Path, help='write an episode here as MP4 or GIF, no page')
    return parser.parse_args(argv)


def run(argv: Sequence[str]) -> int:
    """Shows what the command line says; returns exit code 0.

    Raises:
        UsageError: a mistake of the user.
    """
    arguments = parse_arguments(argv)
    from dreamerv2.play.game import Game, picture
    from dreamerv2.play.server import Server
    from dreamerv2.run.metrics import video
    from dreamerv2.trained import load

    say = functools.partial(print, flush=True)
    if arguments.video:
        video.check_video_path(arguments.video)
    agent = load(arguments.logdir, step=arguments.step, seed=arguments.seed)
    game = Game(agent, arguments.task, arguments.policy)
    if arguments.video:
        frames = [picture(game.begin())]
        while not game.now.over and len(frames) < LONGEST:
            frames.append(picture(game.step()))
        fps = FRAMES_PER_SECOND / agent.config.action_repeat
        video.write_video(arguments.video, frames, fps)
        say(f'Video: {arguments.video} ({game.now.summary})')
        return 0
    try:
        server = Server(game, arguments.port)
    except OSError as error:
        raise UsageError(f'--port {arguments.port}: {error.strerror}; choose another') from error
    with StopRequest() as stop:
        say(f'Open {server.address} in a browser. Ctrl-C ends it.')
        server.run(stop)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return exit_code_of(run, argv)


if __name__ == '__main__':
    sys.exit(main())
