import numpy as np
import pytest

from dreamerv2.analysis import figures, study


@pytest.fixture
def data(tmp_path, logdir):
    """Two runs on two levels and one on a single one, evaluated with sprite errors."""
    for seed in range(2):
        logdir(
            tmp_path / 'p' / str(seed),
            task='mario_3-1+3-2',
            study={'stage': 'pretrain', 'set': 'two', 'seed': seed},
            lines=[
                {'step': step, 'model_error/player': 0.5 - seed / 10, 'model_error/player_5': 0.75}
                for step in (1000, 2000)
            ],
        )
    logdir(
        tmp_path / 'b',
        task='mario_3-1',
        study={'stage': 'baseline', 'level': '3-1', 'seed': 0},
        lines=[{'step': 2000, 'model_error/enemies': 1.5}],
    )
    return study.read_study(tmp_path)


def test_a_panel_for_each_region_and_number_of_steps(data):
    (drawn,) = figures.draw(data, ['model_errors'], figures.Smooth(bins=4))
    axes = np.array(drawn.figure.axes).reshape(3, 3)
    assert [ax.get_title('left') for ax in axes[0]] == [
        'player, 0 steps ahead   n = 2 and 0',
        'player, 5 steps ahead   n = 2 and 0',
        'player, 15 steps ahead   n = 0',
    ]
    seen = {
        (row['stage'], row['region'], row['steps_ahead']): row['mean']
        for row in drawn.rows
        if np.isfinite(row['mean'])
    }
    assert seen == pytest.approx(
        {
            ('pretrain', 'player', 0): 0.45,
            ('pretrain', 'player', 5): 0.75,
            ('baseline', 'enemies', 0): 1.5,
        }
    )
    assert axes[1, 0].get_ylim()[1] > 1.5  # Worse than blind is not cut off.
    assert axes[0, 0].get_legend_handles_labels()[1][-1] == 'blind'
