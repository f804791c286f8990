import torch
from given_draws import GivenDraws
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_styles import slow_partners

from dgreid.draws import SeededDraws, StepDraws
from dgreid.style.partners import of_another_domain
from dgreid.types import Clock

TWO_OR_MORE = st.lists(st.integers(-2, 3), min_size=2, max_size=12).filter(lambda names: len(set(names)) > 1)


@settings(max_examples=100, deadline=None)
@given(names=TWO_OR_MORE, seed=st.integers(0, 10**6))
def test_a_partner_is_the_image_of_another_domain_that_the_draw_points_at(names, seed):
    domains = torch.tensor(names)
    uniform = torch.rand(len(names), 1, generator=torch.Generator().manual_seed(seed))
    partner = of_another_domain(domains, GivenDraws(partner=uniform))
    assert bool((domains[partner] != domains).all())
    assert torch.equal(partner, slow_partners(domains, uniform))


@settings(max_examples=50, deadline=None)
@given(names=TWO_OR_MORE)
def test_the_ends_of_the_unit_interval_are_the_first_and_the_last_image_of_other_domains(names):
    domains = torch.tensor(names)
    others = [[row for row, name in enumerate(names) if name != own] for own in names]
    for end, which in ((0.0, 0), (1 - 2**-24, -1), (1.0, -1)):
        partner = of_another_domain(domains, GivenDraws(partner=torch.full((len(names), 1), end)))
        assert partner.tolist() == [rows[which] for rows in others]


def test_every_image_of_other_domains_is_as_likely():
    """Chi-square over 3000 steps for each of six images: at most 4 degrees of freedom, 99.99 % below 23.5."""
    domains, counts = torch.tensor([0, 1, 1, 2, 2, 2]), torch.zeros(6, 6)
    for step in range(3000):
        draws = StepDraws(SeededDraws(), Clock(step=step, epoch=0, learning_rate=1.0, seed=0), "memory_style")
        counts[torch.arange(6), of_another_domain(domains, draws)] += 1
    for row in range(6):
        others = domains != domains[row]
        expected = 3000 / int(others.sum())
        assert int(counts[row, ~others].sum()) == 0
        assert float(((counts[row, others] - expected) ** 2 / expected).sum()) < 23.5
