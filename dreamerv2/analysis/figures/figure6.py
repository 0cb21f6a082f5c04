"""Figure 6 of the thesis: transfer to levels outside the set."""

import numpy as np

from dreamerv2.analysis import answers, curves, plotting, study, text
from dreamerv2.analysis.figures import Drawn, Pages, Rows, Smooth
from dreamerv2.analysis.plotting import AGENT, BASELINE, Line
from dreamerv2.analysis.study import Study

CAPTION = 'Figure 6: agents transferred to levels they have not seen, against baselines.'
QUESTION = 'transfer'


def draw(data: Study, smooth: Smooth) -> Pages:
    """One page, a row a pre-training set and a column a level.

    Above each panel stand area ratio, jump-start and frames to a threshold.
    """
    if not data.of_stage('transfer'):
        yield 'figure6: not drawn, no transfer run'
        return
    levels, total = data.plan.transfer, data.plan.frames
    sets = [name for name in data.plan.sets if levels]
    grid = curves.frame_grid(total, smooth.bins)
    figure, axes = plotting.new_figure(len(sets) or 1, len(levels) or 1, width=3.4, height=2.9)
    rows: Rows = []
    wanted = data.plan.places('baseline', '', levels)
    found = answers.by_question(data)
    random = study.random_returns(data, levels)
    for j, set_name in enumerate(sets):
        side = 'transfer', set_name, levels
        agents, baselines = study.against_baselines(data, side, grid, window=smooth.window)
        answer = found.get(('transfer', set_name))
        for i, one in enumerate(answers.transfer_measures(data, set_name)):
            level = one.level
            ax = axes[j, i]
            lines = [
                Line('transfer', grid, agents[:, i], AGENT, '-', 'transferred'),
                Line('baseline', grid, baselines[:, i], BASELINE, '--', 'baseline'),
            ]
            keys = {'figure': 6, 'set': set_name, 'level': level, 'metric': 'train_return'}
            title, label = f'{level} from {set_name}', '' if i else 'training return'
            rows += plotting.draw_panel(ax, lines, keys, title, label, total)
            plotting.draw_level(ax, random[i])
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
