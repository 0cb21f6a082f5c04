"""Saving in the background: one at a time, and no failure is lost."""

import threading

import pytest

from dreamerv2.run.background import Saver


def test_start_returns_while_the_writing_goes_on():
    saver, go, written = Saver(), threading.Event(), []
    saver.start(lambda: (go.wait(10), written.append(1)))
    saver.check()
    assert written == []
    go.set()
    saver.wait()
    assert written == [1]


def test_the_next_one_starts_when_the_one_before_has_ended():
    saver, order = Saver(), []
    slow = threading.Event()
    saver.start(lambda: (slow.wait(0.1), order.append('first')))
    saver.start(lambda: order.append('second'))
    saver.wait()
    assert order == ['first', 'second']


@pytest.mark.parametrize('ask', ['check', 'wait', 'start'])
def test_a_failure_is_raised_once_by_whatever_comes_next(ask):
    def full():
        raise OSError(28, 'No space left on device')

    saver = Saver()
    saver.start(full)
    saver._running.exception()
    with pytest.raises(OSError, match='No space'):
        saver.start(lambda: None) if ask == 'start' else getattr(saver, ask)()
    saver.wait()


def test_closing_waits_and_does_not_raise():
    saver, ended = Saver(), []

    def fail():
        threading.Event().wait(0.05)
        ended.append(1)
        raise OSError

    saver.start(fail)
    saver.close()
    assert ended == [1]
