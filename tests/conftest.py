"""What all tests need."""

import signal

import pytest

# A shell that starts the tests in the background has them ignore Ctrl-C, and all their children
# too; those that press Ctrl-C need what a terminal gives.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # Ignored under `nohup`, and by its children too.


@pytest.fixture(scope='session')
def mario_run(tmp_path_factory):
    """The logdir of a run of 60 steps on level 1-1 with tiny networks; only to be read."""
    import dreamerv2.api as dv2
    from tests.test_api import TINY

    logdir = tmp_path_factory.mktemp('runs') / 'mario'
    changes = {'logdir': str(logdir), 'task': 'mario_1-1', 'steps': 60, 'prefill': 40}
    changes.update(action_repeat=4, eval_every=0, log_every=0, time_limit=10)
    assert dv2.train(None, dv2.defaults.update({**TINY, **changes})) == 0
    return logdir
