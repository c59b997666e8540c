"""The pixel budget: who waits, who is turned away."""

import threading

import pytest

from query_api.errors import Overloaded
from query_api.pixel_budget import PixelBudget


def test_what_does_not_fit_in_time_is_turned_away_and_leaves_the_rest_alone():
    budget = PixelBudget(100, wait_s=0.01)
    with budget.take(60):
        with pytest.raises(Overloaded), budget.take(41):
            pytest.fail("took more than there is")
        with budget.take(40):
            pass
    with budget.take(100):
        pass


def test_what_waits_goes_on_as_soon_as_there_is_room():
    budget, went_on = PixelBudget(100, wait_s=10), threading.Event()

    def second() -> None:
        with budget.take(50):
            went_on.set()

    thread = threading.Thread(target=second)
    with budget.take(60):
        thread.start()
        assert not went_on.wait(0.05)
    assert went_on.wait(5)
    thread.join()


def test_pixels_come_back_when_the_work_fails():
    budget = PixelBudget(10, wait_s=0.01)
    with pytest.raises(ZeroDivisionError), budget.take(10):
        _ = 1 / 0
    with budget.take(10):
        pass
