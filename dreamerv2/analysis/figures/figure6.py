"""Figure 6 of the thesis: transfer to levels outside the set."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dreamerv2.analysis import answers, curves, plotting, study, text
from dreamerv2.analysis.figures import Drawn, Smooth
from dreamerv2.analysis.plotting import AGENT, BASELINE, Line, counts, draw_lines
from dreamerv2.analysis.study import Study

CAPTION = 'Figure 6: agents transferred to levels they have not seen, against baselines.'
QUESTION = 'transfer'


def draw(data: Study, smooth: Smooth) -> Iterator[Drawn | str]:
    """One page, a row a pre-training set and a column a level.

    Above each panel stand area ratio, jump-start and frames to a threshold.
    """
    if not data.of_stage('transfer'):
        yield 'figure6: not drawn, no transfer run'
        return
    levels = data.plan.transfer
    sets = [name for name in data.plan.sets if levels]
    grid = curves.frame_grid(data.plan.frames, smooth.bins)
    figure, axes = plotting.new_figure(
        max(len(sets), 1), max(len(levels), 1), width=3.4, height=2.9
    )
    rows: list[dict[str, Any]] = []
    wanted = data.plan.places('baseline', '', levels)
    found = answers.by_question(data)
    random = study.random_returns(data, levels)
    for j, set_name in enumerate(sets):
        agents, baselines = study.against_baselines(
            data, 'transfer', set_name, levels, grid, window=smooth.window
        )
        answer = found.get(('transfer', set_name))
        for i, one in enumerate(answers.transfer_measures(data, set_name)):
            level = one.level
            ax = axes[j, i]
            lines = [
                Line('transfer', grid, agents[:, i], AGENT, '-', 'transferred'),
                Line('baseline', grid, baselines[:, i], BASELINE, '--', 'baseline'),
            ]
            keys = {'figure': 6, 'set': set_name, 'level': level, 'metric': 'train_return'}
            rows += draw_lines(ax, lines, keys)
            title = f'{level} from {set_name}   {counts(lines)}'
            label = '' if i else text.metric_label('train_return')
            plotting.style_axis(ax, title=title, ylabel=label, end=data.plan.frames)
            plotting.draw_random(ax, random[i])
            area = answer.level(level).numbers if answer else 'none'
            plotting.subtitle(
                ax, f'area {area}\njump-start {one.jump_start.numbers}\n{_frames_to_threshold(one)}'
            )
        wanted += data.plan.places('transfer', set_name, levels)
    plotting.figure_legend(figure)
    yield Drawn('figure6', figure, rows, data.missing(wanted))


def _frames_to_threshold(one: answers.Transfer) -> str:
    if np.isnan(one.threshold):
        return 'no threshold: the baselines do not beat the random policy at T'
    return f'frames to return {text.short(one.threshold)}: {one.agent}\n against {one.baseline}'
