"""What the world models see: the errors of Mario, of the enemies and of the rest over training."""

from dreamerv2.analysis import curves, plotting, table
from dreamerv2.analysis.figures import Drawn, Pages, Rows, Smooth
from dreamerv2.analysis.plotting import AGENT, BASELINE, Line
from dreamerv2.analysis.study import Study

CAPTION = (
    'What the world models see: squared error in the boxes of Mario and of the enemies, and in the '
    'rest of the image, as a share of that of a drawing without them (1: blind, 0: perfect). The '
    'image is drawn from a state that has seen it (0 steps), or predicted 5 and 15 steps ahead. '
    'Measured on the episodes of each evaluation, all levels together.'
)
_REGIONS = ('player', 'enemies', 'rest')
_AHEAD = {0: '', 5: '_5', 15: '_15'}
_STAGES = {
    'pretrain': ('one agent on several levels', AGENT, '-'),
    'baseline': ('one agent per level', BASELINE, '--'),
}


def draw(data: Study, smooth: Smooth) -> Pages:
    """One page, a row a region and a column a number of steps ahead; a line a stage."""
    if not any(_name(x, 0) in run.series for run in data.runs.values() for x in _REGIONS):
        yield 'model_errors: not drawn, no run was evaluated with sprite errors'
        return
    grid = curves.frame_grid(data.plan.frames, smooth.bins)
    figure, axes = plotting.new_figure(len(_REGIONS), len(_AHEAD), width=3.4, height=2.0)
    rows: Rows = []
    for i, region in enumerate(_REGIONS):
        for j, steps in enumerate(_AHEAD):
            ax, name = axes[i, j], _name(region, steps)
            lines = []
            for stage, (label, color, style) in _STAGES.items():
                stack = table.stack(data.of_stage(stage).values(), name, grid)
                lines.append(Line(stage, grid, stack, color, style, label))
            keys = {'figure': 'model_errors', 'region': region, 'steps_ahead': steps}
            title, label = f'{region}, {steps} steps ahead', '' if j else 'share of blind error'
            rows += plotting.draw_panel(ax, lines, keys, title, label, data.plan.frames)
            ax.set_ylim(-0.03, max(1.25, ax.get_ylim()[1]))
            plotting.draw_level(ax, 1.0, 'blind')
            if i + 1 < len(_REGIONS):
                ax.set_xlabel('')
    plotting.figure_legend(figure)
    yield Drawn('model_errors', figure, rows)


def _name(region: str, steps: int) -> str:
    return f'model_error/{region}{_AHEAD[steps]}'
