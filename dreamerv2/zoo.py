"""The zoo of trained agents: `python -m dreamerv2.zoo list`, `path`, `add` and `export`.

An agent is a folder like a logdir with one checkpoint, of weights alone: what reads a checkpoint
(evaluating, playing, `--init.from`, `dreamerv2.api`) takes `zoo:NAME`. Its card, in the format of
the Hugging Face Hub, holds what it was trained on and how it did; `evaluation.json` has every
episode of that. Nothing in it is code.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dreamerv2.cli import Parser, exit_code_of, step_or_best, whole_number
from dreamerv2.config import Config, load_config
from dreamerv2.durable import to_json, write_durably
from dreamerv2.errors import UsageError, printable, shown
from dreamerv2.paths import expand_home
from dreamerv2.run.checkpoint import zoo

EVALUATION = 'evaluation.json'
LARGEST = 12 * 2**20  # Bytes of one agent.
# Of the provenance: nothing that names a machine, a folder or a person.
KEPT = ('version', 'revision', 'seed', 'levels', 'environment', 'packages', 'python')


def run(argv: Sequence[str]) -> int:
    """The command; returns exit code 0.

    Raises:
        UsageError: a mistake in the command line, or of what it names.
    """
    args = parse_arguments(argv)
    {'list': _list, 'path': _path, 'add': _add, 'export': _export}[args.action](args)
    return 0


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line; raises UsageError for mistakes."""
    parser = Parser(prog='dreamerv2-zoo', description='Trained agents of the repository.')
    actions = parser.add_subparsers(dest='action', required=True, parser_class=Parser)
    actions.add_parser('list', help='the agents, and how they do')
    one = actions.add_parser('path', help='the folder of an agent')
    one.add_argument('name')
    add = actions.add_parser('add', help='evaluates the agent of a run and adds it to the zoo')
    add.add_argument('logdir', type=Path, help='logdir of a training run')
    add.add_argument('name', help='its name in the zoo')
    add.add_argument(
        '--step', type=step_or_best, help='checkpoint by its frames, or best (default: the newest)'
    )
    add.add_argument('--episodes', type=whole_number(2), default=100, help='on each level (100)')
    add.add_argument('--policy', choices=('mode', 'sample', 'train'), default='mode')
    add.add_argument('--tasks', nargs='+', help="to be evaluated on (default: the run's own)")
    add.add_argument('--known', default='', help='known failures, a sentence for the card')
    export = actions.add_parser('export', help='copies agents into a folder, ready to be uploaded')
    export.add_argument('folder', type=Path)
    export.add_argument('names', nargs='*', help='default: all')
    return parser.parse_args(argv)


def _list(args: argparse.Namespace) -> None:
    if not zoo.names():
        print('The zoo is empty: add an agent with `add LOGDIR NAME`.')
    for name in zoo.names():
        document = json.loads((zoo.ROOT / name / EVALUATION).read_text())
        results = [f'{level} {summary(entry)}' for level, entry in document['levels'].items()]
        print(f'{zoo.PREFIX}{name}: {document["step"]} frames; {"; ".join(results)}')


def _path(args: argparse.Namespace) -> None:
    print(zoo.located(zoo.PREFIX + args.name))


def _add(args: argparse.Namespace) -> None:
    from dreamerv2 import evaluate
    from dreamerv2.run import checkpoint

    target = zoo.ROOT / args.name
    if not args.name.replace('-', '').replace('_', '').isalnum():
        raise UsageError(f'NAME {shown(args.name)}: expected letters, digits, - and _')
    if target.exists():
        raise UsageError(f'{target} exists: choose another NAME, or delete it first')
    saved = checkpoint.find(expand_home(args.logdir), args.step)
    config = Config.load(saved.config_path)
    own = target.with_name(f'.{args.name}.tmp')
    shutil.rmtree(own, ignore_errors=True)
    try:
        kept = public(json.loads(saved.file('provenance.json') or b'{}'))
        own.mkdir(parents=True)
        changes = {'logdir': f'zoo/{args.name}'}
        if not config['init.from'].startswith(zoo.PREFIX):
            # It names a folder, and others need it.
            defaults = load_config().flat
            needing = [key for key in defaults if key.startswith('init.')] + ['prefill_policy']
            changes.update({key: defaults[key] for key in needing})
        config = config.update(changes)
        config.save(own / 'config.yaml')
        files = {'config.yaml': (own / 'config.yaml').read_bytes()}
        checkpoint.save_weights(
            saved, own / 'checkpoints', files | {'provenance.json': to_json(kept)}
        )
        (own / 'config.yaml').unlink()
        size = sum(file.stat().st_size for file in own.rglob('*') if file.is_file())
        if size > LARGEST:
            raise UsageError(f'{args.name} has {size} bytes: expected at most {LARGEST}')
        flags = [str(own), '--episodes', str(args.episodes), '--policy', args.policy]
        flags += ['--tasks', *args.tasks] if args.tasks else []
        evaluate.run([*flags, '--record', '--json', str(own / EVALUATION)])
        document = json.loads((own / EVALUATION).read_text())
        document['checkpoint'] = f'{zoo.PREFIX}{args.name}'
        write_durably(own / EVALUATION, to_json(document))
        write_durably(own / zoo.CARD, card(args.name, config, document, kept, args.known).encode())
        own.rename(target)
    finally:
        shutil.rmtree(own, ignore_errors=True)
    print(f'{zoo.PREFIX}{args.name}: {target}')


def _export(args: argparse.Namespace) -> None:
    folder = expand_home(args.folder)
    chosen = [zoo.located(zoo.PREFIX + name) for name in args.names or zoo.names()]
    for source in chosen:
        if (folder / source.name).exists():
            raise UsageError(f'{folder / source.name} exists: choose another folder, or delete it')
    for source in chosen:
        shutil.copytree(source, folder / source.name)
        print(folder / source.name)


def public(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What the zoo keeps of a checkpoint's provenance.

    `parent` is the agent that it started from, `changed` has what was changed on a resume, by step.
    """
    kept = {key: provenance[key] for key in KEPT if key in provenance}
    if parent := provenance.get('parent'):
        kept['parent'] = {key: value for key, value in parent.items() if key != 'logdir'}
    changed = {
        str(resume['step']): resume['changed']
        for resume in provenance.get('resumes', [])
        if resume.get('changed')
    }
    return {**kept, 'changed': changed} if changed else kept


def origin(config: Config, provenance: Mapping[str, Any]) -> str:
    """What a card says of the agent that it started from, and of changes on the way; or nothing."""
    parts = []
    if parent := provenance.get('parent'):
        source = config['init.from'].partition('@')[0]
        name = f' (`{printable(source, 100)}` of that time)' if source else ''
        parts.append(
            f'It started from an agent trained on {printable(parent["task"], 200)} for '
            f'{parent["step"]} frames{name}, seed {parent["seed"]}.'
        )
    for step, changed in provenance.get('changed', {}).items():
        values = ', '.join(
            printable(f'{key} from {old} to {new}', 100) for key, (old, new) in changed.items()
        )
        parts.append(f'Changed at {step} frames: {values}.')
    return ' '.join(parts)


def summary(entry: Mapping[str, Any]) -> str:
    """How an agent did on a level, in a few words."""
    said = f'return {entry["return"]["mean"]:.0f}'
    if flags := entry.get('completed'):
        low, high = (round(100 * flags[end]) for end in ('low', 'high'))
        said = f'{flags["count"]} of {entry["episodes"]} completed [{low}, {high} %], {said}'
    return said


def card(
    name: str,
    config: Config,
    document: Mapping[str, Any],
    provenance: Mapping[str, Any],
    known: str = '',
) -> str:
    """The model card: what the agent is, how it was trained, how it does.

    Args:
        name: in the zoo.
        config: it was trained with.
        document: what `evaluate.py --json` writes.
        provenance: what is `public` of the checkpoint's.
        known: its known failures.
    """
    results = []
    for level, entry in document['levels'].items():
        returns = entry['returns']
        results += [
            '  - task: {type: reinforcement-learning, name: reinforcement-learning}',
            f'    dataset: {{type: mario_{level}, name: Super Mario Bros {level}}}',
            '    metrics:',
            f'    - {{type: mean_reward, name: mean_reward, value: {statistics.mean(returns):.1f} '
            f'+/- {statistics.stdev(returns):.1f}}}',
        ]
    lines = [
        '---',
        'license: mit',
        'library_name: dreamerv2-mario',
        'tags: [reinforcement-learning, world-models, dreamerv2, super-mario-bros]',
        'model-index:',
        f'- name: {name}',
        '  results:',
        *results,
        '---',
        '',
        f'# {name}',
        '',
        f'A DreamerV2 agent trained on {printable(config.task, 200)} for {document["step"]} frames '
        f'({document["step"] // config.action_repeat} agent steps), seed {config.seed}, revision '
        f'{provenance.get("revision", "unknown")}. {origin(config, provenance)}'.rstrip(),
        '',
        '| level | episodes | result, with 95 % interval |',
        '| --- | --- | --- |',
        *(
            f'| {level} | {entry["episodes"]} | {summary(entry)} |'
            for level, entry in document['levels'].items()
        ),
        '',
        f'Actions: {document["policy"]}; sticky actions {config.sticky}; precision '
        f'{document["precision"]}; evaluation seed {document["seed"]}. The interval is over '
        'episodes of this one agent: agents of other seeds may do better or worse.',
        '',
        f'Known failures: {known.rstrip(".") or "not looked into"}.',
        '',
        'Use: `python dreamerv2/evaluate.py zoo:' + name + ' --video play.mp4`, '
        f"`dreamerv2.api.load('zoo:{name}')`, or `--init.from zoo:{name}` to start from it.",
        '',
        'Weights: `checkpoints/*/agent.safetensors`, whose SHA-256 is in `manifest.json` beside it '
        'and is checked whenever they are read. Licence: MIT. The game itself is not included.',
        '',
    ]
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return exit_code_of(run, argv)


if __name__ == '__main__':
    sys.exit(main())
