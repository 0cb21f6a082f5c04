"""The report as a reader has it: one file that holds everything, and says what is missing."""

import base64
import importlib.util
import io
import json
import math
import pathlib
import re
import shutil

import pytest
from PIL import Image

from dreamerv2.analysis import report, report_answers, scores, study
from dreamerv2.analysis.scores import Comparison
from tests.analysis import synthetic
from tests.analysis.page import Page

REPOSITORY = pathlib.Path(__file__).parents[2]
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
        'figure6',
        'transfer_matrix',
        'figure2',
        'figure4',
        'figure8',
        'baseline 3-1 seed 0, play',
        'pretrain two seed 0, play',
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


def test_sentences_are_computed_and_printed(made, root):
    text, page, printed = made
    sentence = (
        'Agents transferred from two to levels they have not seen do better than agents trained '
        'from nothing for as many frames. Indication only: n = 2, below 5 seeds.'
    )
    assert page.text.count(sentence) == 2 and sentence in printed
    assert 'Ratio of areas under the curves, all levels: ×1.49' in page.text
    assert page.text.count('One agent trained on all levels of three does better than') == 2
    assert 'Interquartile mean of normalised scores over 2 levels: ' in page.text
    assert page.text.count('Caution: the return of 4-4 can be farmed') == 2
    assert '30 finished, 0 unfinished, 0 missing' in page.text
    assert printed.count('\n') == 7


def test_tables_have_intervals_runs_and_where_they_come_from(made):
    page = made[1]
    for words in ('P(improvement)', 'jump-start [95 % interval]', 'verdict', 'revision'):
        assert words in page.text
    assert re.search(r'1-1 better ×1\.\d+ \[1\.\d+, 1\.\d+\] \d+ \d+ 2 ', page.text)
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
        'No run to aggregate yet.',
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


def comparison(low, high, n=5, value=1.0):
    return Comparison('all levels', 'difference', value, low, high, 2.0, 1.0, n)


@pytest.mark.parametrize(
    ('one', 'words'),
    [
        (comparison(0.5, 2), 'Agents fine-tuned after pre-training on e4 do better than agents'),
        (comparison(-2, -0.5), ' do worse than agents trained from nothing'),
        (comparison(-1, 1), ' are not distinguishable at this n from agents trained'),
        (comparison(0.5, 2, n=4), 'in all. Indication only: n = 4, below 5 seeds.'),
        (comparison(math.nan, math.nan, n=1), ' are not distinguishable at this n from'),
        (comparison(math.nan, math.nan, n=0, value=math.nan), 'no answer yet, too few runs'),
    ],
)
def test_the_plain_sentence_follows_the_interval_and_n(one, words):
    answer = scores.Answer('Q', (), one, ())
    sentence = report_answers.plain_sentence('finetune', 'e4', answer)
    assert words in sentence
    assert ('Indication only' in sentence) == (0 < one.n < 5)


def test_long_lists_are_folded(root):
    data = study.read_study(root)
    notes = tuple(f'note {i}' for i in range(50))
    folded = report.report(study.Study(data.plan, {}, notes), root, {}, bins=4)
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
