"""What commands share: kinds of arguments, hints, and how they end."""

import argparse
import subprocess
import sys

import pytest

from dreamerv2 import cli
from dreamerv2.errors import UsageError


@pytest.mark.parametrize(
    ('text', 'expected'), [('7', 7), ('1e3', 1000), ('2.0', 2), ('12345678901234567891', None)]
)
def test_whole_numbers(text, expected):
    assert cli.whole_number()(text) == (int(text) if expected is None else expected)


@pytest.mark.parametrize(
    'text', ['0', '61', '-3', '1.5', 'x', '', 'nan', 'inf', '1e400', '9' * 5000, '\n']
)
def test_what_is_no_whole_number_of_the_range(text):
    with pytest.raises(argparse.ArgumentTypeError, match='is not a whole number from 1 to 60') as e:
        cli.whole_number(1, 60)(text)
    assert '\n' not in str(e.value) and len(str(e.value)) < 120


def test_a_parser_raises_one_line():
    parser = cli.Parser()
    parser.add_argument('--jobs', type=cli.whole_number(1))
    with pytest.raises(UsageError, match=r"^argument --jobs: '0' is not .* from 1; see --help$"):
        parser.parse_args(['--jobs', '0'])


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('paer', 'did you mean pair?'),
        ('PAIR', 'did you mean pair?'),
        ('Break', 'did you mean Breakout-v1 or Breakout-v0-long?'),
        ('zzz', ''),
        ('', ''),
    ],
)
def test_hints(name, expected):
    names = ['pair', 'Breakout-v0-long', 'Breakout-v1']
    assert cli.did_you_mean(name, names, 2) == expected
    assert cli.did_you_mean(name, names, 2, lead='; ') == (f'; {expected}' if expected else '')


ENDINGS = """
import sys
from dreamerv2.cli import exit_code_of
from dreamerv2.errors import UsageError
def run(argv):
    print('out')
    {}
sys.exit(exit_code_of(run))
"""


@pytest.mark.parametrize(
    ('body', 'code', 'said'),
    [
        ('pass', 0, ''),
        ('return 75', 75, ''),
        ("raise UsageError('two\\nlines')", 2, 'two\\nlines\n'),
        ('raise KeyboardInterrupt', 130, 'Interrupted.\n'),
        ('raise ValueError', 1, 'Traceback'),
    ],
)
def test_how_a_command_ends(body, code, said):
    program = ENDINGS.format(body)
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.returncode == code and done.stdout == 'out\n'
    assert done.stderr.startswith(said) if body.endswith('ValueError') else done.stderr == said
