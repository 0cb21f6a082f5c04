"""What `mkdocs build` adds to the pages of `docs/`: everything that the program knows itself.

A line `<!-- generated: NAME -->` stands for a function of `GENERATED`: keys, presets, task sets,
commands, the API. A line `<!-- README: HEADING -->` stands for that section of the README. What was
measured (`experiments/results`), CONTRIBUTING, CHANGELOG and notebooks become pages as they are.
"""

from __future__ import annotations

import concurrent.futures
import functools
import inspect
import json
import os
import pathlib
import re
import runpy
import shlex
import subprocess
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
runpy.run_path(str(ROOT / 'dreamerv2' / 'clone.py'))  # So that the package of this clone is used.

from dreamerv2.config import kinds, load_config, schema  # noqa: E402
from dreamerv2.config.files import default_file, descriptions  # noqa: E402

MARKER = re.compile(r'^<!-- (generated|README): (.+) -->$', re.M)
PAGES = ('CONTRIBUTING.md', 'CHANGELOG.md', 'LICENSE', 'CITATION.cff', 'configs.yaml')
MEASURED = ('results/**/*.md', 'results/**/*.png', 'results/**/*.gif', 'results/**/*.txt', '*.yaml')

# Described elsewhere, or with the command that they call.
LEFT_OUT = ('clone', 'sweep', 'plot', 'study', 'mini', 'thesis')


def _names(glob: str) -> list[str]:
    found = sorted(path.stem for path in ROOT.glob(glob))
    return [name for name in found if name not in LEFT_OUT]


COMMANDS = {
    'Training and looking at agents': [
        'python dreamerv2/train.py',
        'python dreamerv2/evaluate.py',
        'python -m dreamerv2.play',
        'python -m dreamerv2.doctor',
        'python -m dreamerv2.world_model',
        'python -m dreamerv2.zoo',
        'python -m dreamerv2.zoo add',
        'python -m dreamerv2.zoo export',
        'scripts/plot.sh',
    ],
    'Studies': [
        'scripts/sweep.sh',
        'python experiments/study.py',
        *(f'python experiments/{name}.py' for name in _names('experiments/*.py')),
        'scripts/study.sh',
    ],
    'Set-up, tests and measurements': [
        *(f'scripts/{name}.sh' for name in _names('scripts/*.sh')),
        'python scripts/bench.py',
        'python scripts/check_parity.py',
        'python experiments/peers/ppo.py',
    ],
}
WIDTH = 90  # Columns of a help text beside the menu.


def on_files(files: Any, config: Any) -> Any:
    """Adds the files that stand elsewhere in the repository."""
    from mkdocs.structure.files import File

    measured = [path for glob in MEASURED for path in (ROOT / 'experiments').glob(glob)]
    for path in [ROOT / name for name in PAGES] + sorted(measured):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    for path in sorted((ROOT / 'docs' / 'notebooks').glob('*.ipynb')):
        name = path.with_suffix('.md').relative_to(ROOT / 'docs').as_posix()
        files.append(File.generated(config, name, content=notebook(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Replaces the markers, and links out of `docs/`, whose pages stand beside the others here."""
    if '/' not in page.file.src_uri:
        markdown = markdown.replace('](../', '](')
    return expanded(markdown)


def expanded(markdown: str) -> str:
    """Markdown with what its markers stand for.

    Raises:
        KeyError: a marker names nothing.
    """
    return MARKER.sub(
        lambda m: GENERATED[m[2]]() if m[1] == 'generated' else readme_section(m[2]), markdown
    )


def readme_section(heading: str) -> str:
    """The text below a heading of the README.

    Raises:
        KeyError: there is no such heading.
    """
    parts = re.split(r'^## (.+)\n', (ROOT / 'README.md').read_text(encoding='utf-8'), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading].strip()


def notebook(path: pathlib.Path) -> str:
    """A notebook as Markdown, with its outputs."""
    parts = []
    for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
        source = ''.join(cell['source'])
        parts.append(source if cell['cell_type'] == 'markdown' else f'```python\n{source}\n```')
        for output in cell.get('outputs', []):
            data = output.get('data', {})
            picture = next((kind for kind in data if kind.startswith('image/')), '')
            if picture:
                parts.append(f'![](data:{picture};base64,{data[picture].strip()})')
            else:
                said = ''.join(output.get('text', data.get('text/plain', [])))
                parts.append(f'```text\n{said.rstrip()}\n```')
    parts.append(f'[The notebook]({path.name}) itself.')
    return '\n\n'.join(parts)


# Configuration


def keys() -> str:
    """A table of every key for each group."""
    defaults = load_config().flat
    defaults['logdir'] = load_config().logdir_template
    parts = []
    for title, group in schema.GROUPS.items():
        parts += [f'## {title}', '']
        parts += _table(
            ('key', 'default', 'what it is for', 'value', 'on resuming'),
            (
                (f'`{name}`{{#{name}}}', _code(defaults[name]), key.doc, _value(key.kind),
                 resuming(key.resume))
                for name, key in group.items()
            ),
        )  # fmt: skip
    parts += ['## Keys of your own', '']
    parts += _table(
        ('keys', 'what they are for', 'value', 'on resuming'),
        (
            (f'`{name}.NAME`', key.doc, _value(key.kind), resuming(key.resume))
            for name, key in schema.OPEN_GROUPS.items()
        ),
    )
    return '\n'.join(parts)


def resuming(resume: schema.Resume | None) -> str:
    """What a run that resumes may do with a key, in a word or two."""
    if resume is schema.UNCOMPARED:
        return 'not compared'
    if resume.reason:
        return f'{"before the first checkpoint" if resume.learning else "never"}: {resume.reason}'
    return 'if accepted' if resume.accepted else 'free'


def presets() -> str:
    """Every preset as it stands in `configs.yaml`."""
    path = default_file()
    text = path.read_text(encoding='utf-8')
    said = descriptions(path)
    parts = []
    for name, block in re.findall(r'^(\w+):\n((?:(?: .*)?\n)*)', text, re.M):
        if name == 'defaults':  # Its values are in the tables.
            continue
        values = re.sub(r'^  ', '', block.rstrip(), flags=re.M)
        parts += [f'### {name} {{#preset-{name}}}', '', f'{said[name]}.', '']
        parts += ['```yaml', values, '```', '']
    return '\n'.join(parts)


def sets() -> str:
    """The named sets of levels and games."""
    found = load_config().sets
    rows = ((f'`{name}`', ', '.join(names)) for name, names in found.items())
    return '\n'.join(_table(('set', 'levels or games'), rows))


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    lines = [head, ['---'] * len(head), *([cell.replace('|', '\\|') for cell in r] for r in rows)]
    return [f'| {" | ".join(cells)} |' for cells in lines] + ['']


def _code(value: Any) -> str:
    if isinstance(value, tuple):
        value = ' '.join(map(str, value))
    if isinstance(value, int) and value >= 10**4:
        value = f'{value:g}'.replace('e+0', 'e')
    return f'`{value}`' if value != '' else 'empty'


def _value(kind: kinds.Kind) -> str:
    return kind.expected.replace(f'one of {kinds.EXAMPLES}', 'a [schedule](#schedules)')


# Commands


@functools.cache
def help_of(command: str) -> str:
    """What a command prints for `--help`.

    Raises:
        RuntimeError: it has none.
    """
    words = shlex.split(command)
    words[0] = sys.executable if words[0] == 'python' else str(ROOT / words[0])
    env = {**os.environ, 'COLUMNS': str(WIDTH), 'NO_COLOR': '1'}
    done = subprocess.run(
        [*words, '--help'], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )
    if done.returncode or not done.stdout:
        raise RuntimeError(f'{command} --help: exit code {done.returncode}: {done.stderr[-1000:]}')
    # Every key has a page.
    return re.split(r'\n+Presets\n', done.stdout)[0].rstrip()


def commands() -> str:
    """Every command with its help."""
    every = [command for group in COMMANDS.values() for command in group]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        said = dict(zip(every, pool.map(help_of, every), strict=True))
    parts = []
    for title, group in COMMANDS.items():
        parts += [f'## {title}', '']
        for command in group:
            parts += [f'### {command}', '', '```text', said[command], '```', '']
    return '\n'.join(parts)


# The API


def api() -> str:
    """Every name of `dreamerv2.api`, and what callbacks and environments are given."""
    import dreamerv2.api as dv2
    from dreamerv2.envs.contract import Environment
    from dreamerv2.run.callbacks import Run
    from dreamerv2.run.metrics.episode_summary import EpisodeSummary

    functions = {name: getattr(dv2, name) for name in dv2.__all__}
    callables = {name: value for name, value in functions.items() if inspect.isroutine(value)}
    classes = {name: value for name, value in functions.items() if inspect.isclass(value)}
    others = {kind.__name__: kind for kind in (Run, EpisodeSummary, Environment)}
    return '\n'.join(
        [
            '## Functions', '', *_documented(callables, 'dv2.'),
            '## Classes', '', *_documented(classes, 'dv2.'),
            '## What these are given', '', *_documented(others, ''),
        ]
    )  # fmt: skip


def plugins() -> str:
    """How installed packages add something."""
    from dreamerv2 import plugins

    return inspect.getdoc(plugins) or ''


def _documented(members: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, value in members.items():
        yield from (f'### {name}', '')
        yield from _signature(f'{prefix}{name}', value)
        yield from (docstring(inspect.getdoc(value) or ''), '')
        if inspect.isclass(value):
            for method, function in vars(value).items():
                if not method.startswith('_') and (doc := inspect.getdoc(function)):
                    yield from (f'#### {name}.{method}', '')
                    if isinstance(function, (types.FunctionType, classmethod)):
                        yield from _signature(f'{method}', getattr(value, method))
                    yield from (docstring(doc), '')


def _signature(name: str, value: Callable[..., Any]) -> list[str]:
    signature = inspect.signature(value)
    given = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    given = [p for p in given if p.name != 'self']
    shown = str(signature.replace(parameters=given, return_annotation=signature.empty))
    if 'config' in signature.parameters:  # A default configuration is a long text.
        shown = re.sub(r'config=Config\(.*\}\)', 'config=defaults', shown)
    return ['```python', f'{name}{shown}', '```', '']


def docstring(text: str) -> str:
    """A docstring as Markdown: its sections (`Args:`, `Raises:`) as lists."""
    lines, section = [], False
    for line in text.splitlines():
        if heading := re.fullmatch(r'(Args|Returns|Raises|Attributes|Yields):', line):
            section, named = True, heading[1] not in ('Returns', 'Yields')
            lines += [f'**{heading[1].replace("Args", "Arguments")}**', '']
        elif section and (item := re.fullmatch(r'    (\*{0,2}\w[\w, *]*): (.*)', line)) and named:
            lines.append(f'- `{item[1]}`: {item[2]}')
        elif section and line and not line.startswith(' '):
            section = False
            lines += ['', line]
        else:
            # More of an item: not indented, so that a list stays one.
            lines.append(f'  {line.strip()}' if section and line and named else line.strip()
                         if section else line)  # fmt: skip
    return '\n'.join(lines)


GENERATED: dict[str, Callable[[], str]] = {
    'keys': keys,
    'presets': presets,
    'sets': sets,
    'commands': commands,
    'api': api,
    'plugins': plugins,
}
