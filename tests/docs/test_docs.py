"""The documentation: it builds, it is whole and reads offline, and what it shows works.

Python blocks of the README and of `docs/` are run as they stand, on tiny networks and budgets. Of
shell blocks every command is parsed by its own parser; studies and sweeps are planned.
A block that cannot be is marked with the reason: `<!-- not run: it needs a cluster -->` before it.
"""

import ast
import dataclasses
import functools
import html.parser
import importlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import docs_hooks
import imageio
import pytest
from mkdocs.commands import build
from mkdocs.config import load_config as load_site
from mkdocs.exceptions import Abort

import dreamerv2.api as dv2
from dreamerv2 import cli, config, train
from dreamerv2.config.schema import SCHEMA
from dreamerv2.envs import check_task
from dreamerv2.run.build import task_sets
from tests.test_api import TINY

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
MARK = re.compile(r'<!-- not run: (.+) -->')


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language and text, and why it is not run, if so."""

    page: str
    line: int
    language: str
    text: str
    mark: str

    def __str__(self):
        return f'{self.page}:{self.line}'


def blocks_of(path):
    """The fenced blocks of a page."""
    text, found = path.read_text(), []
    for match in re.finditer(r'^```(\w*)[^\n]*\n(.*?)^```$', text, re.M | re.S):
        before = text[: match.start()].rstrip().rpartition('\n')[2]
        mark = MARK.fullmatch(before)
        line = text.count('\n', 0, match.start()) + 1
        name = path.relative_to(ROOT).as_posix()
        found.append(Block(name, line, match[1], match[2], mark[1] if mark else ''))
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def block_of(page, text):
    """The only block of a page that contains a text."""
    (found,) = [b for b in BLOCKS if b.page == page and text in b.text]
    return found


# Each has a test of its own.
LOOK, OWN_ENVIRONMENT, ADDON = [
    block_of('docs/cookbook.md', text)
    for text in ('imageio.mimwrite', 'class Watch', 'class Tempered')
]


def chosen(language):
    own = (LOOK, OWN_ENVIRONMENT, ADDON)
    found = [b for b in BLOCKS if b.language == language and not b.mark and b not in own]
    return pytest.mark.parametrize('block', found, ids=str)


def test_every_block_has_a_language_and_every_mark_a_block():
    assert {block.language for block in BLOCKS} <= {'python', 'sh', 'yaml', 'toml', 'text', ''}
    assert all(block.language or block.page == 'README.md' for block in BLOCKS)  # Its code map.
    marks = sum(len(MARK.findall(page.read_text())) for page in PAGES)
    assert marks == sum(bool(block.mark) for block in BLOCKS)


# Python


@pytest.fixture
def home(tmp_path, monkeypatch, mario_run):
    """A home folder with a trained agent, as examples have it; training there is short."""
    shutil.copytree(mario_run, tmp_path / 'logdir' / '1-1' / '1')
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    original = dv2.train
    tiny = {**TINY, 'steps': 60, 'prefill': 40, 'log_every': 20, 'eval_every': 0}
    monkeypatch.setattr(
        dv2,
        'train',
        lambda env, config, callbacks=(): original(env, config.update(tiny), callbacks),
    )
    return tmp_path


@chosen('python')
def test_python_runs(block, home):
    names = {'__name__': str(block)}
    exec(compile(block.text, str(block), 'exec'), names)
    assert len(names) > 2  # It has defined something, besides the built-in names.


def test_an_agent_is_looked_into_in_twelve_lines(home):
    assert len([line for line in LOOK.text.splitlines() if line]) <= 12
    assert 'dv2.load(' in LOOK.text and '.imagine(state, 15)' in LOOK.text
    exec(LOOK.text, {})
    assert len(imageio.mimread(home / 'dream.gif')) == 16


def test_an_own_environment_is_trained_on_with_a_callback(home, capsys):
    assert '(gymnasium.Env)' in OWN_ENVIRONMENT.text and '(dv2.Callback)' in OWN_ENVIRONMENT.text
    exec(OWN_ENVIRONMENT.text, {})
    logdir = home / 'logdir' / 'corridor'
    rows = [json.loads(line) for line in (logdir / 'metrics.jsonl').read_text().splitlines()]
    assert any('straight' in row for row in rows)
    assert 'Corridor  10' in capsys.readouterr().out  # Its evaluation.


def test_the_own_package_adds_a_head_and_a_behavior(home, monkeypatch):
    """Installed as its files say, by the metadata that pip would write."""
    (home / 'my_addon.py').write_text(ADDON.text)
    project = block_of('docs/cookbook.md', '[project.entry-points').text
    points = re.sub(r"'", '', re.sub(r"project\.entry-points\.'(.+?)'", r'\1', project))
    (home / 'my_addon-1.0.dist-info').mkdir()
    (home / 'my_addon-1.0.dist-info' / 'METADATA').write_text('Name: my-addon\nVersion: 1.0\n')
    (home / 'my_addon-1.0.dist-info' / 'entry_points.txt').write_text(points)
    monkeypatch.syspath_prepend(home)
    command = block_of('docs/cookbook.md', '--expl_behavior tempered').text.split()[2:]
    assert 'pip install -e .' in (ROOT / 'docs' / 'cookbook.md').read_text()
    flags = [*command[:2], 'debug', *command[2:], '--task', 'pixel', '--logdir', str(home / 'run')]
    assert train.main(flags) == 0
    rows = [json.loads(row) for row in (home / 'run' / 'metrics.jsonl').read_text().splitlines()]
    losses = [row['event_loss'] for row in rows if 'event_loss' in row]
    assert 0 < losses[-1] < losses[0]


# Shell


class Parsed(Exception):
    """A command line was accepted by the command's parser."""


def commands_of(text):
    """The commands of a block as words, without what sets variables."""
    for line in text.replace('\\\n', ' ').splitlines():
        words = shlex.split(line, comments=True)
        while words and re.match(r'[A-Z_]+=', words[0]):
            del words[0]
        if words:
            yield words


def parse_training(words):
    try:
        settings = config.load_config(words)
    except SystemExit as end:
        assert end.code == 0 and '--help' in words
    else:
        check_task(settings.task, task_sets(settings))


def parse_with(name, words):
    """Parses by the parser inside of a function that is the whole command."""
    module, function = name.split(':')
    with pytest.MonkeyPatch.context() as patch:
        parse = cli.Parser.parse_args

        def parse_only(self, given):
            parse(self, given)
            raise Parsed

        patch.setattr(cli.Parser, 'parse_args', parse_only)
        with pytest.raises(Parsed):
            getattr(importlib.import_module(module), function)(words)


def parse_known(module, words):
    """Parses by `parse_arguments`, which leaves flags of training over."""
    _, flags = importlib.import_module(module).parse_arguments(words)
    config.load_config(flags)


def plan(name, words):
    """Runs the command as far as its plan."""
    module, function = name.split(':')
    assert getattr(importlib.import_module(module), function)(['--dry_run', *words]) == 0


def call(script, arguments, words):
    subprocess.run(
        [ROOT / script, *words, *arguments], check=True, stdout=subprocess.DEVNULL, timeout=120
    )


def parse_bench(words):
    from benchmarks import options

    options.parse(words)


def find_program(name, words):
    assert (pathlib.Path(sys.executable).parent / name).is_file()


COMMANDS = {
    'dreamerv2/train.py': parse_training,
    'dreamerv2/evaluate.py': functools.partial(parse_with, 'dreamerv2.evaluate:run'),
    'dreamerv2.play': functools.partial(parse_with, 'dreamerv2.play.__main__:run'),
    'dreamerv2.zoo': functools.partial(parse_with, 'dreamerv2.zoo:run'),
    'dreamerv2.doctor': functools.partial(parse_known, 'dreamerv2.doctor.__main__'),
    'dreamerv2.world_model': functools.partial(parse_known, 'dreamerv2.world_model'),
    'experiments/study.py': functools.partial(plan, 'dreamerv2.studies.command_line:run_study'),
    'scripts/sweep.sh': functools.partial(plan, 'dreamerv2.studies.sweep:run_sweep'),
    'experiments/search.py': functools.partial(parse_with, 'dreamerv2.studies.search:run_search'),
    'experiments/status.py': functools.partial(
        parse_with, 'dreamerv2.studies.command_line:show_status'
    ),
    'experiments/videos.py': functools.partial(parse_with, 'videos:run'),
    'experiments/figures.py': functools.partial(
        parse_with, 'dreamerv2.analysis.commands:_make_figures'
    ),
    'experiments/report.py': functools.partial(
        parse_with, 'dreamerv2.analysis.commands:_make_report'
    ),
    'scripts/plot.sh': functools.partial(parse_with, 'dreamerv2.analysis.plot:run'),
    'scripts/mini.sh': functools.partial(call, 'scripts/mini.sh', ['--dry_run']),
    'scripts/quickstart.sh': functools.partial(call, 'scripts/quickstart.sh', ['--help']),
    'scripts/test.sh': functools.partial(call, 'scripts/test.sh', ['--help']),
    'scripts/torture.sh': functools.partial(call, 'scripts/torture.sh', []),
    'scripts/bench.py': parse_bench,
    'tensorboard': functools.partial(find_program, 'tensorboard'),
}


@chosen('sh')
def test_shell_commands_are_accepted(block, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr('dreamerv2.studies.engines.driver_gpus', lambda: ['a GPU', 'another'])
    for words in commands_of(block.text):
        if words[0] == 'python':
            words = words[2:] if words[1] == '-m' else words[1:]
        name = words[0].removeprefix('./')
        assert name in COMMANDS, (
            f'{block}: {name} cannot be checked: mark the block, or add it here'
        )
        assert '/' not in name or (ROOT / name).is_file()
        COMMANDS[name](words[1:])


def test_study_files_are_accepted(tmp_path):
    from dreamerv2.studies.study_file import KEYS, read_definition

    block = block_of('docs/studies.md', 'seeds:')
    (tmp_path / 'study.yaml').write_text(block.text)
    definition = read_definition(tmp_path / 'study.yaml')
    assert len(definition.all_places()) == 5 * (3 + 1 + 2 + 1)
    page = (ROOT / 'docs' / 'studies.md').read_text()
    assert all(f'`{key}`' in page and f'{key}: ' in block.text for key in KEYS)


# The site


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """The built site."""
    folder = tmp_path_factory.mktemp('site')
    done = subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', folder],
        cwd=ROOT,
        env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert 'WARNING' not in done.stderr
    return folder


class Fetched(html.parser.HTMLParser):
    """Collects what a browser fetches for a page, and the names that links may point at."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.names = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.names.add(attributes.get('id'))
        for key in ('src', 'srcset', 'poster', 'data', *(['href'] if tag == 'link' else [])):
            if attributes.get(key):
                self.addresses.append(attributes[key])


def test_nothing_is_fetched_from_elsewhere(site):
    pages = list(site.rglob('*.html'))
    assert len(pages) > 12
    for page in pages:
        text = page.read_text()
        for address in Fetched(text).addresses:
            assert not re.match(r'(\w+:)?//', address), (page, address)
            if address.startswith('data:'):
                continue
            path = (page.parent / address.partition('?')[0]).resolve()
            # The page for addresses that do not exist is made for a server.
            assert page.name == '404.html' or path.is_file(), (page, address)
        assert text.index('iframe-worker.js') < text.index('assets/javascripts/bundle')
    for sheet in site.rglob('*.css'):
        assert not re.search(r'@import|url\(\s*["\']?(\w+:)?//', sheet.read_text()), sheet


def test_it_is_searched_without_a_server(site):
    name, _, index = (site / 'search' / 'search_index.js').read_text().partition(' = ')
    assert name == 'var __index'
    places = {entry['location'] for entry in json.loads(index)['docs']}
    assert {'index.html', 'cookbook.html#a-cluster', 'api.html#train'} <= places


def test_every_key_is_there(site):
    page = (site / 'configuration.html').read_text()
    assert set(SCHEMA) <= Fetched(page).names
    presets = {f'preset-{name}' for name in dv2.presets} - {'preset-defaults'}
    assert presets <= Fetched(page).names


def test_every_command_is_there(site):
    page = (site / 'commands.html').read_text()
    setup = ast.parse((ROOT / 'setup.py').read_text())
    scripts = [node.value for node in ast.walk(setup) if isinstance(node, ast.Constant)]
    modules = [text.split(' = ')[1] for text in map(str, scripts) if ':main' in text]
    assert len(modules) >= 5
    for module in modules:
        name = module.removesuffix(':main').removesuffix('.__main__')
        assert name in page or name.replace('.', '/') + '.py' in page, name
    for script in (ROOT / 'experiments').glob('*.py'):
        assert script.stem in docs_hooks.LEFT_OUT or f'experiments/{script.name}' in page
    assert page.count('usage:') + page.count('Usage:') >= len(docs_hooks.COMMANDS)


def test_the_whole_api_is_there(site):
    names = Fetched((site / 'api.html').read_text()).names
    written = set(dv2.__all__) - {'defaults', 'presets'}
    assert {name.lower() for name in written} <= names
    assert {'trainedagentimagine', 'callbackon_log', 'runstop'} <= names


def test_links_work_in_the_repository_too():
    pages = [*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'), *ROOT.glob('experiments/**/*.md')]
    links = [
        (page, link.partition('#')[0])
        for page in pages
        for link in re.findall(r'\]\(([^)\s]+)\)', page.read_text(encoding='utf-8'))
        if not re.match(r'\w+:|#', link)
    ]
    assert len(links) > 40
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize('link', ['[no page](gone.md)', '[no anchor](other.md#gone)', '![](a.png)'])
def test_a_dead_link_fails(tmp_path, link):
    (tmp_path / 'docs').mkdir()
    (tmp_path / 'docs' / 'index.md').write_text('# One\n[other](other.md#here)\n')
    (tmp_path / 'docs' / 'other.md').write_text('# Other\n\n## Here\n')
    (tmp_path / 'mkdocs.yml').write_text(
        f'INHERIT: {ROOT / "mkdocs.yml"}\nhooks: []\nplugins: []\n'
        'nav: [index.md, other.md]\ndocs_dir: docs\n'
    )

    def make():
        settings = load_site(str(tmp_path / 'mkdocs.yml'), strict=True)
        build.build(settings)

    make()
    with (tmp_path / 'docs' / 'index.md').open('a') as file:
        file.write(link)
    with pytest.raises(Abort):
        make()


def test_a_section_that_the_readme_lacks_fails():
    with pytest.raises(KeyError):
        docs_hooks.expanded('<!-- README: No such heading -->')
    with pytest.raises(KeyError):
        docs_hooks.expanded('<!-- generated: nothing -->')


def test_docstrings_become_lists():
    text = 'Does it.\n\nArgs:\n    one, two: of\n        these.\n    three: more\n    text.\n\n'
    text += 'Returns:\n    What is\n    left.\n\nRaises:\n    UsageError: never.\n\nThe end.'
    assert docs_hooks.docstring(text) == (
        'Does it.\n\n**Arguments**\n\n- `one, two`: of\n  these.\n- `three`: more\n  text.\n\n'
        '**Returns**\n\nWhat is\nleft.\n\n**Raises**\n\n- `UsageError`: never.\n\n\nThe end.'
    )
