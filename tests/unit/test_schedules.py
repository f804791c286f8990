import json
from pathlib import Path

import pytest
import torch

from dgreid.errors import InputError
from dgreid.schedules import warmup_multi_step

FIXTURES = Path(__file__).parents[1] / "fixtures"
IL = json.loads((FIXTURES / "il" / "lr.json").read_text())
M3L = json.loads((FIXTURES / "m3l" / "lr_schedule.json").read_text())


def rates(epochs, **options):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=3.5e-4)
    schedule = warmup_multi_step(optimizer, **options)
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_recorded_rates_of_il():
    assert rates(len(IL["lr"]), warmup_factor=0.1) == pytest.approx(IL["lr"], rel=1e-12)


def test_recorded_rates_of_m3l():
    expected = M3L["lr_per_epoch"]
    found = rates(
        len(expected),
        milestones=M3L["milestones"],
        gamma=M3L["gamma"],
        warmup_epochs=M3L["warmup_iters"],
        warmup_factor=M3L["warmup_factor"],
    )
    assert found == pytest.approx(expected, rel=1e-12)


def test_warm_up_rises_linearly_and_milestones_inside_it_count():
    found = rates(5, milestones=[1], gamma=0.5, warmup_epochs=4, warmup_factor=0.2)
    assert found == pytest.approx([3.5e-4 * f for f in (0.2, 0.4 / 2, 0.6 / 2, 0.8 / 2, 1 / 2)])


def test_no_warm_up():
    assert rates(2, milestones=[], warmup_epochs=0) == pytest.approx([3.5e-4, 3.5e-4])


def test_a_restored_schedule_goes_on():
    def make():
        optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        return optimizer, warmup_multi_step(optimizer, milestones=[3], warmup_epochs=2)

    optimizer, schedule = make()
    for _ in range(2):
        optimizer.step()
        schedule.step()
    other_optimizer, other = make()
    other.load_state_dict(schedule.state_dict())
    other_optimizer.load_state_dict(optimizer.state_dict())
    for _ in range(2):
        for each in (schedule, other):
            each.step()
        assert optimizer.param_groups[0]["lr"] == other_optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize("milestones", [[50, 30], [30, 30]])
def test_milestones_must_ascend(milestones):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    with pytest.raises(InputError, match=r"must ascend from 1 on without repetition"):
        warmup_multi_step(optimizer, milestones=milestones)
