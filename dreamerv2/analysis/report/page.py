"""A study as one HTML file that needs nothing beside it: questions, answers, figures and runs.

`report.html` is the template; this module gathers what it shows.
"""

import base64
import datetime
import functools
import pathlib
import re
from typing import Any

import jinja2
import markupsafe

from dreamerv2.analysis import answers, figures, plotting, random_policy, study
from dreamerv2.analysis.figures import Drawn, Smooth
from dreamerv2.analysis.report import answers as parts
from dreamerv2.analysis.report import run_table, videos
from dreamerv2.analysis.report.introduction import introduction
from dreamerv2.analysis.study import Study
from dreamerv2.analysis.text import short_frames, without
from dreamerv2.studies.definition import STAGES, asked

_BANDS = (
    'Lines are means over seeds, bands 95 % t intervals of the mean at each frame; where two or '
    'three runs leave them wider than all curves, they are cut off.'
)
# Figures of recorded frames, whose colors stay as they are in the dark.
_OF_FRAMES = ('figure2', 'figure8')
_FOLDER = pathlib.Path(__file__).parent
# Characters that no HTML document may hold.
_FORBIDDEN = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]')


def write_report(data: Study, root: pathlib.Path, out: pathlib.Path, smooth: Smooth) -> list[str]:
    """Writes the report of the study under `root` to `out`; returns its plain sentences.

    Raises OSError where it cannot write there.
    """
    # Before all the work, so that a path that cannot be written to is reported at once.
    out.parent.mkdir(parents=True, exist_ok=True)
    found = answers.by_question(data)
    out.write_text(report(data, root, found, smooth), encoding='utf-8', errors='replace')
    return parts.plain_sentences(found)


def report(data: Study, root: pathlib.Path, found: parts.Answers, smooth: Smooth) -> str:
    """The whole page; `found` are the answers."""
    drawn: dict[str, list[Any]] = {'': []}
    for name in figures.names():
        shown = [_figure(name, one) for one in figures.draw(data, [name], smooth)]
        # Below its question, by itself, or among the further figures.
        matrix = name if name == 'transfer_matrix' else ''
        below = getattr(figures.find(name), 'QUESTION', matrix)
        drawn.setdefault(below, []).extend(shown)
    questions = [
        {
            'stage': stage,
            'title': question.heading,
            'asked': question.words,
            'run': STAGES[stage].run,
            'sets': parts.question_sets(data, stage, found),
            'figures': drawn.get(stage, []),
        }
        for stage, question in asked()
    ]
    rows = run_table.all_facts(data, root)
    hours = [x for run in data.runs.values() if (x := run_table.training_hours(run)) is not None]
    state = data.state
    answered = {stage for stage, _ in found}
    return (
        environment()
        .get_template('report.html')
        .render(
            name=root.resolve().name,
            style=markupsafe.Markup((_FOLDER / 'style.css').read_text(encoding='utf-8')),
            introduction=introduction(data),
            about=_about(data),
            questions=questions,
            verdicts_in_short=[x for key in found for x in parts.verdicts(*key, found[key])],
            runs_not_there=[STAGES[stage].run for stage, _ in asked() if stage not in answered],
            method=parts.METHOD,
            headlines=parts.headline_table(found),
            matrix=drawn['transfer_matrix'],
            further=drawn[''],
            videos=videos.best_videos(data),
            data_uri=data_uri,
            state=state[0],
            total=f'{len(rows)} runs' + f', {sum(hours):.1f} hours of training' * bool(hours),
            runs=parts.Table('Runs and where they come from', run_table.HEAD, rows),
            missing=state[1:],
            notes=data.notes,
        )
    )


def printable(value: object) -> object:
    """What a document may hold of a value: names of files can have bytes that are no text."""
    if not isinstance(value, str) or hasattr(value, '__html__'):
        return value
    text = value.encode('utf-8', 'replace').decode()
    return _FORBIDDEN.sub('\N{REPLACEMENT CHARACTER}', text)


def data_uri(content: bytes, media_type: str) -> str:
    """Content as an address that holds it."""
    return f'data:{media_type};base64,{base64.b64encode(content).decode()}'


@functools.cache
def environment() -> jinja2.Environment:
    """The templates of this folder, in which nothing that comes from a file becomes markup."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _about(data: Study) -> list[tuple[str, Any]]:
    """Terms with a text or a list of names each."""
    plan = data.plan
    random = {level: study.random_policy_on(data, level) for level in plan.all_levels}
    now = datetime.datetime.now(datetime.timezone.utc)
    return [
        *((f'Set {name}', levels) for name, levels in plan.sets.items()),
        *(
            (stage.done.capitalize(), plan.trained_on[stage.name])
            for stage in STAGES.values()
            if stage.done
        ),
        ('Seeds', ' '.join(map(str, plan.seeds))),
        ('Frames a run (T)', short_frames(plan.frames)),
        ('Random policy', random_policy.sources(random)),
        ('Runs', data.state[0].partition(': ')[2]),
        ('Read', f'{now:%Y-%m-%d %H:%M} UTC'),
    ]


def _figure(name: str, drawn: Drawn | str) -> dict[str, Any] | str:
    """A figure with its caption and numbers, or the line on why it is not there."""
    if isinstance(drawn, str):
        return drawn
    words = caption = figures.find(name).CAPTION
    if any({'low', 'frames'} <= set(row) for row in drawn.rows):
        words += f' {_BANDS}'
    if drawn.missing:
        words += f' Drawn{without(drawn.missing)}.'
    return {
        'name': drawn.name,
        'caption': caption,
        'words': words,
        'curves': name not in _OF_FRAMES,
        'image': data_uri(plotting.png_bytes(drawn.figure), 'image/png'),
        'inches': f'{drawn.figure.get_figwidth():.2f}',
        'numbers': data_uri(plotting.csv_text(drawn.rows).encode(), 'text/csv'),
    }
