"""Frames per second and updates per step."""

from dreamerv2.run.metrics.logger import Throughput


def test_pauses_do_not_count():
    now = [0.0]
    throughput = Throughput(4, lambda: now[0])
    throughput.start(100, 10)
    now[0] = 2.0
    with throughput.paused():
        now[0] = 50.0
    now[0] = 52.0
    assert throughput.take(180, 20) == {'fps': 80.0, 'train_ratio': 0.125}
    now[0] = 53.0
    assert throughput.take(190, 20) == {'fps': 40.0, 'train_ratio': 0.0}
