"""A study as one HTML file that needs nothing beside it: questions, answers, figures and runs."""

import datetime
import math
import pathlib

from dreamerv2.analysis import (
    answers,
    figures,
    plotting,
    random_policy,
    run_table,
    study,
    thesis,
    videos,
)
from dreamerv2.analysis import report_answers as parts
from dreamerv2.analysis.figures import Drawn
from dreamerv2.analysis.introduction import introduction
from dreamerv2.analysis.markup import Markup, data_uri, element, join, listing, names, page, table
from dreamerv2.analysis.study import Study
from dreamerv2.analysis.style import STYLE
from dreamerv2.analysis.text import short, short_frames, without

_BANDS = (
    'Lines are means over seeds, bands 95 % t intervals of the mean at each frame; where two or '
    'three runs leave them wider than all curves, they are cut off.'
)
_CURVES = ('figure3', 'figure4', 'figure5', 'figure6', 'figure7')
_LONG_LIST = 40


def write_report(
    data: Study, root: pathlib.Path, out: pathlib.Path, *, bins: int = 50, window: int = 20
) -> list[str]:
    """Writes the report of the study under `root` to `out`; returns its plain sentences.

    Raises OSError where it cannot write there.
    """
    # Before all the work, so that a place that cannot be written to is told at once.
    out.parent.mkdir(parents=True, exist_ok=True)
    found = answers.by_question(data)
    text = report(data, root, found, bins=bins, window=window)
    out.write_text(text, encoding='utf-8', errors='replace')
    return parts.plain_sentences(found)


def report(
    data: Study, root: pathlib.Path, found: parts.Answers, *, bins: int = 50, window: int = 20
) -> str:
    """The whole page; `found` are the answers."""
    pictures: dict[str, list[Markup]] = {}
    for name in figures.names():
        for drawn in figures.draw(data, [name], figures.Smooth(bins, window)):
            pictures.setdefault(name, []).append(_figure(drawn))
    sections = [('short', 'In short', _in_short(data, found))]
    for stage, title, question in parts.QUESTIONS:
        own = [name for name in pictures if getattr(figures.find(name), 'QUESTION', '') == stage]
        shown = join(picture for name in own for picture in pictures.pop(name))
        body = parts.question_body(data, stage, found)
        asked = element('p', element('em', question))
        sections.append((stage, title, join([asked, body, shown])))
    matrix = join(pictures.pop('transfer_matrix', []))
    sections += [
        ('headlines', 'All headlines', _headlines(found)),
        ('matrix', 'Transfer matrix', matrix),
        ('figures', 'Further figures', join(x for shown in pictures.values() for x in shown)),
        ('videos', 'Videos of the best runs', _videos(data)),
        ('runs', 'Runs', _runs(data, root)),
    ]
    links = [element('a', title, href=f'#{name}') for name, title, _ in sections]
    title = f'Study {root.resolve().name}'
    return page(
        title,
        STYLE,
        element('header', element('h1', title), _introduction(data), _about(data)),
        element('nav', *links, aria_label='Sections'),
        element(
            'main',
            *(
                element('section', element('h2', heading), body, id=name)
                for name, heading, body in sections
            ),
        ),
    )


def _introduction(data: Study) -> Markup:
    return join(element('p', words) for words in introduction(data))


def _about(data: Study) -> Markup:
    plan = data.plan
    now = datetime.datetime.now(datetime.timezone.utc)
    entries: list[tuple[str, str]] = [
        (f'Set {name}', names(levels)) for name, levels in plan.sets.items()
    ]
    entries += [
        ('Fine-tuning on', names(plan.finetune) or 'nothing'),
        ('Transfer to', names(plan.transfer) or 'nothing'),
        ('Seeds', ' '.join(map(str, plan.seeds))),
        ('Frames a run (T)', short_frames(plan.frames)),
        ('Random policy', _random_policy(data)),
        ('Runs', thesis.state_of_runs(data)[0].partition(': ')[2]),
        ('Read', f'{now:%Y-%m-%d %H:%M} UTC'),
    ]
    return element(
        'dl',
        *(element(tag, x) for pair in entries for tag, x in zip(('dt', 'dd'), pair, strict=True)),
    )


def _random_policy(data: Study) -> str:
    levels = study.evaluated_levels(data)
    return random_policy.sources({x: study.random_policy_on(data, x) for x in levels})


def _in_short(data: Study, found: parts.Answers) -> Markup:
    boxes = [parts.verdict_box(*key, answer) for key, answer in found.items()]
    asked = {stage for stage, _ in found}
    names = {'pretrain': 'pre-training', 'finetune': 'fine-tuning', 'transfer': 'transfer'}
    boxes += [
        element('p', f'No {name} run is here yet.')
        for stage, name in names.items()
        if stage not in asked
    ]
    method = [element('p', words, class_='soft') for words in parts.METHOD]
    return join([*boxes, *method])


def _figure(drawn: Drawn | str) -> Markup:
    """A figure on a card with its caption and numbers, or the line on why it is not there."""
    if isinstance(drawn, str):
        return element('p', drawn, class_='soft')
    kind = drawn.kind
    caption = figures.find(kind).CAPTION
    image = element(
        'img',
        src=data_uri(plotting.png_bytes(drawn.figure), 'image/png'),
        alt=f'{drawn.name}. {caption}',
        style=f'--inches:{drawn.figure.get_figwidth():.2f}',
    )
    numbers = element(
        'a',
        'Numbers (CSV)',
        href=data_uri(plotting.csv_text(drawn.rows).encode(), 'text/csv'),
        download=f'{drawn.name}.csv',
    )
    words = [
        f'{caption} {_BANDS}' if kind in _CURVES else caption,
        ' ',
        f'Drawn{without(drawn.missing)}. ' if drawn.missing else '',
        element('span', 'Wide figures scroll sideways. ', class_='swipe'),
        numbers,
    ]
    paper = element(
        'div', image, class_='picture', tabindex=0, role='region', aria_label=drawn.name
    )
    return element('figure', paper, element('figcaption', *words))


def _headlines(found: parts.Answers) -> Markup:
    rows = parts.headline_table(found)
    if not rows:
        return element('p', 'No run to compare yet.')
    words = (
        'Corrected p: after correction for all headlines. Detectable difference: the smallest '
        'that this n and spread show with 80 % power after correction. n: runs a level, of the '
        'agents and of the baselines.'
    )
    return join([rows, element('p', words, class_='soft')])


def _videos(data: Study) -> Markup:
    figures = []
    for video in videos.best_videos(data):
        source = data_uri(video.content, video.media_type)
        name = f'{video.place}, {video.path.name}'
        if video.media_type.startswith('image/'):
            player = element('img', src=source, alt=name)
        else:
            options = {'controls': True, 'loop': True, 'muted': True, 'playsinline': True}
            player = element('video', src=source, aria_label=name, **options)
        score = f'; normalised score {short(video.score)}' if math.isfinite(video.score) else ''
        figures.append(element('figure', player, element('figcaption', name, score)))
    if not figures:
        return element('p', 'No run has a video.', class_='soft')
    return element('div', *figures, class_='videos')


def _runs(data: Study, root: pathlib.Path) -> Markup:
    rows = run_table.all_facts(data, root)
    hours = [row.hours for row in rows if row.hours is not None]
    state = thesis.state_of_runs(data)
    cells = table(run_table.HEAD, [row.cells for row in rows], 'Runs and where they come from')
    total = f'{len(rows)} runs' + f', {sum(hours):.1f} hours of training' * bool(hours)
    return join(
        [
            element('p', f'{state[0]}.'),
            element(
                'details', element('summary', total), cells, open=len(rows) <= _LONG_LIST or None
            ),
            _details('Missing and unfinished', state[1:]),
            _details('Remarks on what was read', data.notes),
        ]
    )


def _details(title: str, lines: list[str] | tuple[str, ...]) -> Markup:
    if not lines:
        return Markup()
    opened = len(lines) <= _LONG_LIST // 4 or None
    summary = element('summary', f'{title} ({len(lines)})')
    return element('details', summary, listing(lines), open=opened)
