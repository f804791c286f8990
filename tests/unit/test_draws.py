import pytest
import torch
from scipy import stats

import dgreid.distributed
import dgreid.draws
from dgreid.batch_parts import BatchParts
from dgreid.draws import AmbientDraws, SeededDraws, StepDraws, beta_draws
from dgreid.types import Clock


def clock(step=0, seed=0, epoch=0, learning_rate=1.0):
    return Clock(step=step, epoch=epoch, learning_rate=learning_rate, seed=seed)


def be_rank(monkeypatch, rank):
    """One of three processes."""
    for module in (dgreid.draws, dgreid.distributed):
        monkeypatch.setattr(module, "rank_and_world_size", lambda: (rank, 3))


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
    drawn = torch.tensor([SeededDraws().number(clock(step=step), "metabn_weight") for step in range(2000)])
    assert float(drawn.min()) >= 0
    assert float(drawn.max()) < 1
    assert chi_square((drawn * 10).long().bincount(minlength=10), 200) < 27.9
    assert isinstance(SeededDraws().number(clock(), "a"), float)


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
    whole_uniforms = SeededDraws().uniform(12, 5, clock(step=2), "a")
    whole_weights = SeededDraws().beta(12, 0.5, clock(step=2), "a")
    parts, uniforms, weights, shared = [], [], [], []
    for rank in range(3):
        be_rank(monkeypatch, rank)
        draws = SeededDraws()
        parts.append(draws.normal(4, 5, clock(step=2), "metabn/0"))
        uniforms.append(draws.uniform(4, 5, clock(step=2), "a"))
        weights.append(draws.beta(4, 0.5, clock(step=2), "a"))
        shared.append((draws.choice(7, clock(), "a"), draws.number(clock(), "a"), permutation(clock())))
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(torch.cat(uniforms), whole_uniforms)
    assert torch.equal(torch.cat(weights), whole_weights)
    assert shared[0] == shared[1] == shared[2]


def test_every_draw_leaves_torch_s_generator_alone():
    before = torch.get_rng_state()
    draws = SeededDraws()
    draws.choice(3, clock(), "a")
    draws.number(clock(), "a")
    draws.normal(2, 3, clock(), "a")
    draws.uniform(2, 3, clock(), "a")
    draws.beta(2, 0.1, clock(), "a")
    assert torch.equal(torch.get_rng_state(), before)


def test_uniform_rows_fill_the_unit_interval_and_differ_between_names():
    """Chi-square over ten bins: 9 degrees of freedom, 99.9 % below 27.9; correlation within four standard errors."""
    first, second = (SeededDraws().uniform(100, 50, clock(), name) for name in ("mean", "std"))
    for drawn in (first, second):
        assert drawn.shape == (100, 50)
        assert drawn.dtype == torch.float32
        assert float(drawn.min()) >= 0
        assert float(drawn.max()) < 1
        assert chi_square((drawn.flatten() * 10).long().bincount(minlength=10), 500) < 27.9
    assert abs(float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])) < 0.057


@pytest.mark.parametrize("concentration", [0.01, 0.1, 1.0, 3.0])
def test_beta_draws_have_their_distribution(concentration):
    """Chi-square over ten bins of equal width against scipy's distribution: 99.9 % below 27.9."""
    drawn = SeededDraws().beta(5000, concentration, clock(), "weight")
    assert drawn.shape == (5000,)
    assert drawn.dtype == torch.float32
    edges = torch.linspace(0, 1, 11)
    expected = 5000 * torch.from_numpy(stats.beta(concentration, concentration).cdf(edges.double().numpy())).diff()
    assert chi_square(torch.histc(drawn, 10, 0, 1).double(), expected) < 27.9


def test_beta_draws_of_tiny_concentrations_are_numbers_at_the_ends():
    drawn = beta_draws(1000, 1e-6, torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == {0.0, 1.0}
    assert abs(float(drawn.mean()) - 0.5) < 0.064  # four standard errors


ROW_DRAWS = {
    "uniform": lambda draws, rows: draws.uniform(rows, 3, "a"),
    "normal": lambda draws, rows: draws.normal(rows, 3, "a"),
    "beta": lambda draws, rows: draws.beta(rows, 0.1, "a"),
}


def in_parts(chunks, step=0):
    return StepDraws(SeededDraws(), clock(step=step), "memory_style", BatchParts(chunks))


@pytest.mark.parametrize("kind", ROW_DRAWS)
def test_parts_of_a_forward_share_what_one_forward_draws(kind):
    draw, whole = ROW_DRAWS[kind], StepDraws(SeededDraws(), clock(step=3), "memory_style")
    parts = [draw(in_parts(3, step=3).at(part), 4) for part in range(3)]
    assert torch.equal(torch.cat(parts), draw(whole, 12))


@pytest.mark.parametrize("kind", [*ROW_DRAWS, "permutation", "number"])
def test_a_part_in_one_process_draws_what_a_rank_of_as_many_processes_draws(monkeypatch, kind):
    draw = {
        **ROW_DRAWS,
        "permutation": lambda draws, rows: draws.permutation(rows, "a"),
        "number": lambda draws, rows: torch.tensor(draws.number("a")),
    }[kind]
    parts = [draw(in_parts(6, step=3).at(part), 4) for part in range(6)]
    for rank in range(3):
        be_rank(monkeypatch, rank)
        for chunk in range(2):
            assert torch.equal(draw(in_parts(2, step=3).at(chunk), 4), parts[2 * rank + chunk])


@pytest.mark.parametrize("kind", [*ROW_DRAWS, "permutation"])
def test_ranks_that_share_statistics_draw_what_one_process_draws(monkeypatch, kind):
    draw = {**ROW_DRAWS, "permutation": lambda draws, rows: draws.permutation(rows, "a")}[kind]
    whole = draw(StepDraws(SeededDraws(), clock(), "memory_style"), 12)
    shared = StepDraws(SeededDraws(), clock(), "memory_style", BatchParts(shared=True))
    ranks = []
    for rank in range(3):
        be_rank(monkeypatch, rank)
        ranks.append(draw(shared, 4))
    assert torch.equal(torch.cat(ranks), whole)


def test_parts_have_permutations_of_their_own_and_share_numbers():
    parts = [in_parts(4).at(part) for part in range(4)]
    orders = {tuple(part.permutation(20, "partner").tolist()) for part in parts}
    assert len(orders) == 4
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert len({part.number("gate") for part in parts}) == 1


def test_step_draws_ask_under_their_prefix():
    seeded, here = SeededDraws(), StepDraws(SeededDraws(), clock(step=5), "memory_style").under("backbone.layer1")
    name = "memory_style/backbone.layer1/mean"
    assert torch.equal(here.uniform(4, 2, "mean"), seeded.uniform(4, 2, clock(step=5), name))
    assert torch.equal(here.normal(4, 2, "mean"), seeded.normal(4, 2, clock(step=5), name))
    assert torch.equal(here.beta(4, 0.3, "mean"), seeded.beta(4, 0.3, clock(step=5), name))
    assert torch.equal(here.permutation(9, "mean"), seeded.permutation(9, clock(step=5), name + "/0"))
    assert here.number("mean") == seeded.number(clock(step=5), name)
    assert torch.equal(in_parts(2).under("x").at(1).uniform(2, 2, "a"), in_parts(1).under("x").uniform(4, 2, "a")[2:])


def test_ambient_draws_come_from_torch_s_generator_whatever_the_name():
    def drawn(name):
        torch.manual_seed(3)
        draws = AmbientDraws().under(name)
        rows = (
            draws.uniform(3, 2, name),
            draws.normal(3, 2, name),
            draws.beta(3, 0.5, name),
            draws.permutation(9, name),
        )
        return [*(row.tolist() for row in rows), draws.number(name)]

    assert drawn("a") == drawn("b")
    draws = AmbientDraws()
    assert not torch.equal(draws.uniform(3, 2, "a"), draws.uniform(3, 2, "a"))
    assert sorted(draws.permutation(30, "a").tolist()) == list(range(30))
