"""FB, FBF and IL against slow transcriptions of their text, and what they have in common."""

import pytest
import small_problem
import torch

from dgreid.draws import SeededDraws
from dgreid.errors import InputError
from dgreid.strategies.fb import FB
from dgreid.strategies.fbf import FBF
from dgreid.strategies.il import IL

METHODS = [FB, FBF, IL]
SLOW = {FB: small_problem.SlowFB, FBF: small_problem.SlowFBF, IL: small_problem.SlowIL}


def prepared(method, **options):
    net = small_problem.float64_net()
    strategy = method(**options)
    strategy.setup(net, small_problem.DOMAINS)
    strategy.fill(small_problem.centroids())
    return strategy, net


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("temperature", "momentum"), [(0.05, 0.2), (0.5, 0.7)])
def test_two_steps_are_those_of_the_text(method, temperature, momentum):
    strategy, net = prepared(method, temperature=temperature, momentum=momentum)
    slow = SLOW[method](net, temperature, momentum)
    results = small_problem.train(strategy, net)
    for iteration, result in enumerate(results):
        expected = slow.step(iteration)
        assert set(result.scalars) == {"loss/first", "loss/second"}
        for name, value in expected.items():
            assert torch.allclose(result.scalars[f"loss/{name}"], value, rtol=1e-10)
        assert torch.allclose(result.loss, sum(expected.values()) / 2, rtol=1e-10)
    for name, memory in slow.memory.items():
        assert torch.allclose(strategy.bank(name).rows, memory, rtol=0, atol=1e-9)
    expected = slow.net.state_dict()
    for name, value in net.state_dict().items():
        assert torch.allclose(value, expected[name], rtol=1e-7, atol=1e-9), name


@pytest.mark.parametrize(("method", "forwards"), [(FB, 2), (FBF, 3), (IL, 3)])
def test_training_forwards_a_step(method, forwards):
    """One for each domain; FBF and IL have one more, of all images at once, without gradient, after the step."""
    strategy, net = prepared(method)
    sizes = []
    net.register_forward_hook(
        lambda module, inputs, features: sizes.append((len(inputs[0]), features.neck.requires_grad))
    )
    small_problem.train(strategy, net, iterations=1)
    assert sizes == [(6, True), (6, True), (12, False)][:forwards]
    assert int(net.neck.num_batches_tracked) == forwards


@pytest.mark.parametrize("method", METHODS)
def test_only_the_net_is_trained_and_banks_are_in_the_checkpoint(method):
    strategy, net = prepared(method)
    assert len(list(strategy.parameter_groups(net))) == sum(p.requires_grad for p in net.parameters())
    assert set(strategy.state_dict()) == {"banks.first.rows", "banks.second.rows"}
    small_problem.train(strategy, net)
    restored, _ = prepared(method)
    restored.load_state_dict(strategy.state_dict())
    assert torch.equal(restored.bank("second").rows, strategy.bank("second").rows)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_of_some_domains_leaves_the_other_banks_alone(method):
    strategy, net = prepared(method)
    batches, clock = small_problem.batches(0), small_problem.clock(0)
    del batches["first"]
    before = {name: strategy.bank(name).rows.clone() for name in small_problem.IDENTITIES}
    result = strategy.loss(net, batches, clock)
    strategy.after_step(net, batches, result, clock)
    assert torch.equal(result.loss.detach(), result.scalars["loss/second"])
    assert torch.equal(strategy.bank("first").rows, before["first"])
    assert (strategy.bank("second").rows - before["second"]).abs().max() > 0.1


def test_permuting_the_domains_permutes_fb_s_banks():
    strategy, net = prepared(FB)
    swapped, swapped_net = FB(), small_problem.float64_net()
    swapped.setup(swapped_net, small_problem.DOMAINS[::-1])
    swapped.fill(small_problem.centroids())
    small_problem.train(strategy, net, iterations=1)
    small_problem.train(swapped, swapped_net, iterations=1)
    for name in small_problem.IDENTITIES:
        assert torch.equal(strategy.bank(name).rows, swapped.bank(name).rows)


def test_fbf_s_order_comes_from_its_draws():
    class Backwards:
        def permutation(self, count, clock, name):
            return torch.arange(count).flip(0)

    found = []
    for draws in (None, SeededDraws(), Backwards()):
        strategy, net = prepared(FBF, draws=draws)
        small_problem.train(strategy, net, iterations=1)
        found.append(strategy.bank("first").rows)
    assert torch.equal(found[0], found[1])
    assert (found[0] - found[2]).abs().max() > 1e-3


def test_banks_follow_the_net_s_precision_and_width():
    strategy = FB()
    strategy.setup(small_problem.float64_net().float(), small_problem.DOMAINS)
    assert strategy.bank("second").rows.shape == (6, 32)
    assert strategy.bank("second").rows.dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, r"temperature=0\.0 must be positive"),
        ({"momentum": 1.0}, r"momentum=1\.0 must lie in \[0, 1\)"),
        ({"momentum": -0.1}, r"momentum=-0\.1 must lie"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_values_out_of_range_are_refused(method, options, message):
    with pytest.raises(InputError, match=message):
        method(**options)


def test_a_net_that_does_not_say_its_width_is_refused():
    with pytest.raises(InputError, match="Linear must have an integer attribute `feature_dimension`"):
        FB().setup(torch.nn.Linear(2, 2), small_problem.DOMAINS)
