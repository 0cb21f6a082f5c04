"""Figure 5 of the thesis: fine-tuning against baselines."""

from dreamerv2.analysis import answers, curves, plotting, study
from dreamerv2.analysis.figures import Drawn, Pages, Rows, Smooth
from dreamerv2.analysis.plotting import AGENT, BASELINE, SHIFTED, Line
from dreamerv2.analysis.study import Place, Study

CAPTION = (
    'Figure 5: fine-tuned agents against baselines, and against the baseline T/M earlier, where it '
    'has cost as much as a fine-tuned agent with its share of pre-training.'
)
QUESTION = 'finetune'


def draw(data: Study, smooth: Smooth) -> Pages:
    """One page, a row a pre-training set and a column a level.

    The baseline is drawn a second time, T / M earlier: there it has cost what a fine-tuned agent
    with its share of the pre-training has. A mark stands at T - T / M, where that one ends.
    """
    levels_of = {
        name: levels for name in data.plan.sets if (levels := data.plan.levels_of('finetune', name))
    }
    if not levels_of:
        yield 'figure5: not drawn, no fine-tuning run'
        return
    total = data.plan.frames
    grid = curves.frame_grid(total, smooth.bins)
    found = answers.by_question(data)
    columns = max(map(len, levels_of.values()))
    figure, axes = plotting.new_figure(len(levels_of), columns, width=3.4, height=2.7)
    rows: Rows = []
    wanted: list[Place] = []
    for j, (set_name, levels) in enumerate(levels_of.items()):
        share = total / len(levels)
        side = 'finetune', set_name, levels
        agents, baselines = study.against_baselines(data, side, grid, window=smooth.window)
        random = study.random_returns(data, levels)
        answer = found.get(('finetune', set_name))
        for i, level in enumerate(levels):
            ax = axes[j, i]
            later = grid > share
            earlier = (grid - share)[later], baselines[:, i, later]
            name = 'baseline, T/M earlier'
            lines = [
                Line('finetune', grid, agents[:, i], AGENT, '-', 'fine-tuned'),
                Line('baseline', grid, baselines[:, i], BASELINE, '--', 'baseline'),
                Line(name, *earlier, SHIFTED, '-.', f'{name} (equal cost)'),
            ]
            keys = {'figure': 5, 'set': set_name, 'level': level, 'metric': 'train_return'}
            title, label = f'{level} from {set_name}', '' if i else 'training return'
            rows += plotting.draw_panel(ax, lines, keys, title, label, total)
            plotting.draw_level(ax, random[i])
            bottom, top = ax.get_ylim()
            ax.set_ylim(bottom, top + 0.1 * (top - bottom))  # for the mark's name
            plotting.draw_mark(ax, total - share, 'T − T/M')
            if answer:
                plotting.subtitle(ax, f'at T − T/M: {answer.level(level).numbers}')
        for ax in axes[j, len(levels) :]:
            ax.set_visible(False)
        wanted += data.plan.places('finetune', set_name, levels)
        wanted += data.plan.places('baseline', '', levels)
    plotting.figure_legend(figure)
    yield Drawn('figure5', figure, rows, data.missing(wanted))
