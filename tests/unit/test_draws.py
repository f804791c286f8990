import torch

import dgreid.draws
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


def chi_square(counts, expected):
    return float(((torch.as_tensor(counts, dtype=torch.float64) - expected) ** 2 / expected).sum())


def test_choices_are_uniform_and_independent_from_step_to_step():
    """Chi-square over 3000 steps: 2 degrees of freedom for three domains, 8 for pairs; 99.9 % below 13.8 and 26.1."""
    chosen = torch.tensor([SeededDraws().choice(3, clock(step=step), "meta_test_domain") for step in range(3000)])
    assert chi_square(chosen.bincount(minlength=3), 1000) < 13.8
    pairs = (3 * chosen[::2] + chosen[1::2]).bincount(minlength=9)
    assert chi_square(pairs, 1500 / 9) < 26.1


def test_a_choice_is_repeated_by_its_step_and_differs_between_seeds():
    of_seed = [[SeededDraws().choice(4, clock(step=step, seed=seed), "a") for step in range(50)] for seed in (0, 0, 1)]
    assert of_seed[0] == of_seed[1] != of_seed[2]


def test_uniform_numbers_fill_the_unit_interval():
    """Chi-square over ten bins: 9 degrees of freedom, 99.9 % below 27.9."""
    drawn = torch.tensor([SeededDraws().uniform(clock(step=step), "metabn_weight") for step in range(2000)])
    assert float(drawn.min()) >= 0
    assert float(drawn.max()) < 1
    assert chi_square((drawn * 10).long().bincount(minlength=10), 200) < 27.9
    assert isinstance(SeededDraws().uniform(clock(), "a"), float)


def test_normal_draws_have_mean_0_and_variance_1_and_are_independent_between_names():
    first, second = (SeededDraws().normal(200, 100, clock(), name) for name in ("metabn/0", "metabn/1"))
    assert first.shape == (200, 100)
    assert first.dtype == torch.float32
    for drawn in (first, second):
        assert abs(float(drawn.mean())) < 0.03  # four standard errors
        assert abs(float(drawn.var()) - 1) < 0.04
        assert abs(float((drawn**4).mean()) - 3) < 0.3
    assert abs(float((first * second).mean())) < 0.03
    assert torch.equal(first, SeededDraws().normal(200, 100, clock(epoch=5, learning_rate=0.1), "metabn/0"))


def test_each_process_gets_its_rows_of_what_all_draw(monkeypatch):
    """Three processes with 4 rows each share what one process draws for 12; all else is equal on every rank."""
    whole = SeededDraws().normal(12, 5, clock(step=2), "metabn/0")
    parts, shared = [], []
    for rank in range(3):
        monkeypatch.setattr(dgreid.draws, "rank_and_world_size", lambda rank=rank: (rank, 3))
        draws = SeededDraws()
        parts.append(draws.normal(4, 5, clock(step=2), "metabn/0"))
        shared.append((draws.choice(7, clock(), "a"), draws.uniform(clock(), "a"), permutation(clock())))
    assert torch.equal(torch.cat(parts), whole)
    assert shared[0] == shared[1] == shared[2]


def test_every_draw_leaves_torch_s_generator_alone():
    before = torch.get_rng_state()
    draws = SeededDraws()
    draws.choice(3, clock(), "a")
    draws.uniform(clock(), "a")
    draws.normal(2, 3, clock(), "a")
    assert torch.equal(torch.get_rng_state(), before)
