"""When Ctrl-C comes to a program that puts it off."""

import signal
import threading

import pytest

from dreamerv2.signals import InterruptDeferred


def press():
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_comes_at_the_end():
    reached = False
    with pytest.raises(KeyboardInterrupt), InterruptDeferred():
        press()
        reached = True
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_twice_comes_at_once():
    with pytest.raises(KeyboardInterrupt), InterruptDeferred():
        press()
        with pytest.raises(KeyboardInterrupt):
            press()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_outermost_counts():
    reached = False
    with pytest.raises(KeyboardInterrupt), InterruptDeferred():
        with InterruptDeferred():
            press()
        reached = True
    assert reached


def test_a_handler_of_the_programs_own_stays():
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        with InterruptDeferred():
            press()
            assert pressed
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_leave_the_handler_alone():
    seen = []

    def enter():
        with InterruptDeferred():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_an_error_inside_is_not_hidden():
    with pytest.raises(ValueError, match='inside'), InterruptDeferred():
        raise ValueError('inside')
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
