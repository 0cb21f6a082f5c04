"""The report as a reader has it: one file that holds everything, and says what is missing."""

import base64
import dataclasses
import importlib.util
import io
import json
import pathlib
import re
import shutil
import unicodedata

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from dreamerv2.analysis import figures, scores, study
from dreamerv2.analysis.report import answers as report_answers
from dreamerv2.analysis.report import page as report
from tests.analysis import synthetic
from tests.analysis.page import Page

REPOSITORY = pathlib.Path(__file__).parents[3]
HOSTILE = '<script>alert("x")</script>&amp;\'"><img src=x onerror=alert(1)> $x^$'


@pytest.fixture(scope='module')
def command():
    spec = importlib.util.spec_from_file_location(
        'report_command', REPOSITORY / 'experiments' / 'report.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def made(root, tmp_path_factory, command):
    """(Text of the file, page, what was printed) of a complete synthetic study."""
    out = tmp_path_factory.mktemp('report') / 'below' / 'study.html'
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('sys.stdout', printed)
        assert command.main([str(root), '--out', str(out), '--bins', '8']) == 0
    text = out.read_text()
    return text, Page(text), printed.getvalue()


def check_self_contained(text):
    page = Page(text)
    for address in page.addresses:
        assert address.startswith(('data:', '#')), address[:80]
    assert not re.search(r'url\(|@import|https?://', text)
    assert not page.all('script') and not page.all('iframe')
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith('on')]
    targets = {attributes['id'] for _, attributes in page.elements if 'id' in attributes}
    assert {x[1:] for x in page.addresses if x.startswith('#')} <= targets
    return page


def pictures(page):
    for image in page.all('img'):
        kind, _, content = image['src'].partition(',')
        assert kind in ('data:image/png;base64', 'data:image/gif;base64')
        yield image, Image.open(io.BytesIO(base64.b64decode(content, validate=True)))


def test_the_page_holds_everything_it_shows(made):
    check_self_contained(made[0])


def test_every_picture_decodes_and_is_described(made):
    found = []
    for image, picture in pictures(made[1]):
        picture.load()
        assert min(picture.size) > 40 and len(image['alt']) > 5
        found.append(image['alt'].split('.')[0])
    assert found == [
        'figure3_two',
        'figure3_three',
        'figure5',
        'figure7',
        'break_even_two',
        'break_even_three',
        'figure6',
        'transfer_matrix',
        'figure2',
        'figure4',
        'figure8',
        'by_level_finetune',
        'by_level_transfer',
        'baseline 3-1, seed 0, play',
        'pretrain two (3-1, 3-2), seed 0, play',
    ]


def test_the_numbers_behind_each_figure_can_be_saved(made):
    links = [link for link in made[1].all('a') if 'download' in link]
    assert [link['download'] for link in links][:3] == [
        'figure3_two.csv',
        'figure3_three.csv',
        'figure5.csv',
    ]
    for link in links:
        kind, _, content = link['href'].partition(',')
        assert kind == 'data:text/csv;base64'
        lines = base64.b64decode(content).decode().splitlines()
        assert len(lines) > 1 and ',' in lines[0]


def test_two_seeds_claim_nothing(made):
    """Whatever the effects are: the agents of this study are far better, and two of each."""
    _, page, printed = made
    sentence = (
        'Return: agents transferred from two to levels they have not seen against agents trained '
        'from nothing for as many frames: too few seeds for a verdict (n = 2).'
    )
    assert page.text.count(sentence) == 2 and sentence in printed
    chips = [x['class'] for x in page.all('span') if x.get('class', '').startswith('chip')]
    assert len(chips) == 18 + 3 * (2 + 3 + 2 + 2 + 2 + 2) and set(chips) == {'chip'}
    assert {x['class'] for x in page.all('div') if 'verdict' in x.get('class', '')} == {'verdict'}
    assert not re.search('better|worse|indication', page.text.replace('an indication only. “', ''))
    assert printed.count('\n') == 1 + 18


def test_numbers_are_shown_with_what_they_rest_on(made):
    page = made[1]
    assert 'Ratio, all levels, normalised: ×1.' in page.text
    for words in (
        'Welch’s t-test',
        'Return, left out: 4-4, its return can be farmed by walking a loop; see progress and',
        'Return: n = 2 is too few for any verdict; with 80 % power after correction for 18 '
        'headlines, one standard deviation between runs takes 34 seeds a side.',
        '30 finished, 0 unfinished, 0 missing',
        'level left out return progress completion none +',
        'corrected p',
    ):
        assert words in page.text, words


def test_tables_have_intervals_runs_and_where_they_come_from(made):
    page = made[1]
    for words in ('detectable difference', 'jump-start [95 % interval]', 'verdict', 'revision'):
        assert words in page.text
    assert re.search(r'1-1 return too few seeds ×1\.\d+ \[1\.\d+, 1\.\d+\] \d+ \d+ 2 ', page.text)
    assert 'finetune two 3-1 seed 0 finished 4k' in page.text
    assert 'RTX 2070, float16 0123456789+changes p/two/0 at 4k f/two/3-1/0' in page.text


def test_it_suits_phones_and_the_dark(made):
    text = made[0]
    assert '@media (prefers-color-scheme: dark)' in text
    assert made[1].all('meta')[1]['content'] == 'width=device-width, initial-scale=1'
    # Whatever is wide scrolls by itself.
    tables = text.count('<table>')
    assert tables and tables == text.count('class="scroll"')


# The names are too long for the panels.
@pytest.mark.filterwarnings('ignore:constrained_layout')
def test_hostile_names_stay_text(tmp_path, logdir, command, capsys):
    root = tmp_path / 'study & <b>'
    name = 'p" onload="x'
    path = logdir(
        root / name,
        task=f'gym_{HOSTILE}',
        lines=[{'step': 4, 'train_return': 1.0, f'train_return/{HOSTILE}': 1.0}],
        study={'stage': 'pretrain', 'set': HOSTILE, 'seed': 0, 'levels': [HOSTILE, 'b']},
        config={'init': {'from': HOSTILE}},
        tail=b'{"torn',
    )
    provenance = {'revision': '<i>', 'host': {'name': HOSTILE, 'kind': 'gpu'}}
    (path / 'provenance.json').write_text(json.dumps(provenance))
    synthetic.add_video(path, '<u>.gif')
    assert command.main([str(root), '--bins', '4']) == 0
    text = (root / 'report.html').read_text()
    page = check_self_contained(text)
    assert not page.all('u') and not page.all('b') and not page.all('i')
    assert HOSTILE in page.text and 'study & <b>' in page.text
    assert len(list(pictures(page))) == len(page.all('img'))
    assert capsys.readouterr().err == ''


def test_missing_stages_are_said(tmp_path, logdir, command):
    (tmp_path / 'plan.json').write_text(json.dumps(synthetic.PLAN))
    logdir(
        tmp_path / 'b',
        task='mario_3-1',
        lines=[{'step': 4, 'train_return': 1.0}],
        study={'stage': 'baseline', 'level': '3-1', 'seed': 0},
        done=False,
    )
    assert command.main([str(tmp_path), '--bins', '4']) == 0
    page = check_self_contained((tmp_path / 'report.html').read_text())
    for words in (
        'No pre-training run is here yet.',
        'No fine-tuning run on two is here: no answer yet.',
        'figure3_two: not drawn, no pre-training run on two',
        'figure6: not drawn, no transfer run',
        'figure8: not drawn, no run has reconstructions.npz',
        'transfer_matrix: not drawn, no run but baselines',
        'forgetting: not drawn, no fine-tuning run or transfer run',
        'No run to compare yet.',
        'No run has a video.',
        '0 finished, 1 unfinished, 29 missing',
        'missing: transfer three 1-2 seed 1',
    ):
        assert words in page.text, words


def test_half_written_runs_are_read_as_far_as_they_go(root, tmp_path, command):
    broken = tmp_path / 'study'
    shutil.copytree(root, broken)
    (broken / 'plan.json').unlink()
    shutil.rmtree(broken / 'f')
    for path in ('p/two/0/config.yaml', 'b/3-1/0/metrics.jsonl', 'p/two/1/evaluations.jsonl'):
        content = (broken / path).read_bytes()
        (broken / path).write_bytes(content[: len(content) // 2] + b'\xff{')
    for path in ('p/two/0/reconstructions.npz', 'p/three/0/provenance.json', 'b/3-1/0/done.json'):
        (broken / path).write_bytes(b'')
    assert command.main([str(broken), '--bins', '4', '--out', str(tmp_path / 'r.html')]) == 0
    page = check_self_contained((tmp_path / 'r.html').read_text())
    assert 'figure8: p/two/0: reconstructions.npz cannot be read' in page.text
    assert 'b/3-1/0: 1 bad line in metrics.jsonl skipped' in page.text
    assert 'no plan.json' in page.text


def headline(shift, runs=5, reason=''):
    values = np.random.default_rng(0).normal(size=(runs, 1))
    together = scores.difference('all levels', values + shift, values, measure='progress')
    return scores.Headline(dataclasses.replace(together, reason=reason), ('3-1',))


@pytest.mark.parametrize(
    ('one', 'words'),
    [
        (headline(5), 'Progress: agents fine-tuned after pre-training on e4 do better than agents'),
        (headline(-5), ' do worse than agents trained from nothing'),
        (headline(0.1), ' are not distinguishable at this n from agents trained'),
        (headline(9, 4), 'in all. Indication only: n = 4, below 5 seeds.'),
        (headline(99, 2), 'for the same frames in all: too few seeds for a verdict (n = 2).'),
        (headline(99, 1), 'for the same frames in all: too few seeds for a verdict (n = 1).'),
        (headline(1, 0, 'there is no baseline'), 'no answer yet, there is no baseline.'),
    ],
)
def test_the_plain_sentence_follows_the_verdict(one, words):
    sentence = report_answers.plain_sentence('finetune', 'e4', one)
    assert words in sentence
    assert ('Indication only' in sentence) == (one.together.n == 4)


def clean(text):
    """As a document has it: control characters but tabs and line ends replaced."""
    return ''.join(
        '\ufffd' if unicodedata.category(x) == 'Cc' and x not in '\t\n\r' else x for x in text
    )


@hypothesis.given(st.text(), st.text())
def test_no_text_becomes_markup(words, value):
    template = report.environment().from_string('<p title="{{ value }}">{{ words }}</p>')
    found = Page(template.render(words=words, value=value))
    assert found.elements == [('p', {'title': clean(value)})]
    assert ''.join(found.words) == clean(words)


def test_what_no_document_may_hold_is_replaced():
    assert report.printable('a\x00b\x1bc\td') == 'a\ufffdb\ufffdc\td'
    # As Python reads a file name that is no text.
    assert report.printable('\udcff') == '?'


def test_charts_follow_dark_mode_and_frames_of_the_game_do_not(made):
    kinds = {
        x['aria-label']: x['class'] for x in made[1].all('div') if 'picture' in x.get('class', '')
    }
    assert kinds['figure5'] == kinds['transfer_matrix'] == 'picture curves'
    assert kinds['figure2'] == kinds['figure8'] == 'picture'


def test_long_lists_are_folded(root):
    data = study.read_study(root)
    notes = tuple(f'note {i}' for i in range(50))
    studies = {'': study.Study(data.plan, {}, notes)}
    folded = report.report(studies, root, {'': {}}, figures.Smooth(4))
    details = Page(folded).all('details')
    assert [('open' in x) for x in details] == [True, False, False]


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['ROOT/none'], 'no such folder'),
        (['ROOT', '--out', 'ROOT'], 'a folder'),
        (['ROOT', '--out', 'ROOT/plan.json/x'], 'cannot write there'),
        (['ROOT', '--window', '0'], '--window'),
        ([], 'ROOT'),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(root, command, capsys, arguments, words):
    assert command.main([word.replace('ROOT', str(root)) for word in arguments]) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and words in error
