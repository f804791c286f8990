"""Signals are noted within a step and end what changes nothing."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from dgreid.run.interruption import Interrupted, StopRequests


@pytest.fixture
def requests():
    listening = StopRequests()
    listening.listen()
    yield listening
    listening.leave()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_within_a_step_a_signal_is_noted(requests, number):
    requests.at_once = False
    os.kill(os.getpid(), number)
    assert requests.received == number


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_otherwise_it_ends_the_run(requests, number, code):
    with pytest.raises(Interrupted) as stopped:
        os.kill(os.getpid(), number)
    assert stopped.value.code == code
    assert stopped.value.name == number.name


def test_the_first_signal_counts_and_a_second_ctrl_c_does_not_wait(requests):
    requests.at_once = False
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert requests.received == signal.SIGTERM


def test_afterwards_signals_mean_what_they_meant():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    listening = StopRequests()
    listening.listen()
    listening.listen()
    assert signal.getsignal(signal.SIGTERM) != before[0]
    listening.leave()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_another_thread_cannot_listen_and_need_not():
    errors = []

    def listen():
        try:
            StopRequests().listen()
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert errors == []
