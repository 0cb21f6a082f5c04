"""A study as one HTML file that needs nothing beside it: questions, answers, figures and runs.

`report.html` is the template; this module gathers what it shows.
"""

import base64
import datetime
import functools
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import jinja2
import markupsafe

from dreamerv2.analysis import answers, figures, plotting, random_policy, study
from dreamerv2.analysis.figures import Drawn, Smooth
from dreamerv2.analysis.report import answers as parts
from dreamerv2.analysis.report import run_table, videos
from dreamerv2.analysis.report.introduction import introduction
from dreamerv2.analysis.study import Study
from dreamerv2.analysis.text import short_frames, tied, without
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


def write_report(
    studies: Mapping[str, Study], root: pathlib.Path, out: pathlib.Path, smooth: Smooth
) -> list[str]:
    """Writes the report of the study under `root`, by its settings, to `out`.

    Returns its plain sentences. Raises OSError where it cannot write there.
    """
    # Before all the work, so that a path that cannot be written to is reported at once.
    out.parent.mkdir(parents=True, exist_ok=True)
    found = answers.by_setting(studies)
    out.write_text(report(studies, root, found, smooth), encoding='utf-8', errors='replace')
    return [
        f'{setting}: {sentence}' if setting else sentence
        for setting, answered in found.items()
        for sentence in parts.plain_sentences(answered)
    ]


def report(
    studies: Mapping[str, Study],
    root: pathlib.Path,
    found: Mapping[str, parts.Answers],
    smooth: Smooth,
) -> str:
    """The whole page; `found` are the answers by setting."""
    return (
        environment()
        .get_template('report.html')
        .render(
            name=root.resolve().name,
            style=markupsafe.Markup((_FOLDER / 'style.css').read_text(encoding='utf-8')),
            studies=[
                {'setting': setting} | _contents(data, root, found[setting], smooth)
                for setting, data in studies.items()
            ],
            by_setting=parts.tables_by_setting(studies, found) if any(studies) else [],
            parts=parts,
            stages=STAGES,
            asked=asked(),
            now=f'{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M}',
            short_frames=short_frames,
            tied=tied,
            data_uri=data_uri,
        )
    )


def _contents(
    data: Study, root: pathlib.Path, found: parts.Answers, smooth: Smooth
) -> dict[str, Any]:
    """What the page shows of a study, or of one of its settings."""
    drawn: dict[str, list[Any]] = {'': []}
    for name in figures.names():
        # Below its question, by itself, or among the further figures.
        matrix = name if name == 'transfer_matrix' else ''
        below = drawn.setdefault(getattr(figures.find(name), 'QUESTION', matrix), [])
        below += [_figure(name, one) for one in figures.draw(data, [name], smooth)]
    rows = run_table.all_facts(data, root)
    hours = [x for run in data.runs.values() if (x := run_table.training_hours(run)) is not None]
    random = {level: study.random_policy_on(data, level) for level in data.plan.all_levels}
    return {
        'data': data,
        'found': found,
        'introduction': introduction(data),
        'random': random_policy.sources(random),
        'figures': drawn,
        'videos': videos.best_videos(data),
        'total': f'{len(rows)} runs' + f', {sum(hours):.1f} hours of training' * bool(hours),
        'runs': parts.Table('Runs and where they come from', run_table.HEAD, rows),
    }


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
