import torch

from dgreid.draws import SeededDraws
from dgreid.types import Clock


def clock(step=0, seed=0, epoch=0, learning_rate=1.0):
    return Clock(step=step, epoch=epoch, learning_rate=learning_rate, seed=seed)


def permutation(clock, name="a"):
    return SeededDraws().permutation(50, clock, name).tolist()


def test_draws_depend_on_seed_step_and_name_alone():
    torch.manual_seed(1)
    first = permutation(clock())
    torch.manual_seed(2)
    assert permutation(clock(epoch=3, learning_rate=0.5)) == first
    others = [permutation(clock(step=1)), permutation(clock(seed=1)), permutation(clock(), "b")]
    assert all(other != first for other in others)


def test_permutations_are_permutations_and_leave_torch_s_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert sorted(permutation(clock(step=7))) == list(range(50))
    assert torch.equal(torch.get_rng_state(), before)


def test_every_position_is_as_likely_as_any_other():
    """Chi-square over 2000 permutations of 6: 25 degrees of freedom, 99.9 % below 52.6."""
    counts = torch.zeros(6, 6)
    for step in range(2000):
        counts[torch.arange(6), SeededDraws().permutation(6, clock(step=step), "order")] += 1
    expected = 2000 / 6
    assert float(((counts - expected) ** 2 / expected).sum()) < 52.6
