"""Where styles act in FB, FBF and IL, and where they must not."""

import weakref

import pytest
import small_problem
import torch

from dgreid.errors import InputError
from dgreid.strategies.fb import FB
from dgreid.strategies.fbf import FBF
from dgreid.strategies.il import IL
from dgreid.style import DSU, MixStyle, Style, Swap, Uniform, styled


class Watched(Style):
    """Doubles maps, and keeps what it was called with."""

    def __init__(self, layers=("backbone.layer2",)):
        super().__init__(layers, 1.0)
        self.calls = []

    def apply(self, maps, draws, domains):
        self.calls.append((len(maps), torch.is_grad_enabled(), draws.prefix, domains))
        return maps * 2


def prepared(strategy):
    net = small_problem.float64_net()
    strategy.setup(net, small_problem.DOMAINS)
    strategy.fill(small_problem.centroids())
    return net


def trained(strategy, iterations=2):
    net = prepared(strategy)
    small_problem.train(strategy, net, iterations)
    return net, strategy


def states(net, strategy):
    return net.state_dict() | strategy.state_dict()


def assert_bit_equal(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def hooks_of(net):
    return sum(len(module._forward_hooks) for module in net.modules())


@pytest.mark.parametrize("style", [Uniform(probability=0.0), MixStyle(probability=0.0), Swap(probability=0.0)])
def test_with_probability_0_il_is_fbf_bit_for_bit(style):
    assert_bit_equal(states(*trained(IL(memory_style=style))), states(*trained(FBF())))


def test_il_is_fbf_with_interleaved_styles():
    assert_bit_equal(states(*trained(IL())), states(*trained(FBF(memory_style=Uniform()))))


@pytest.mark.parametrize("method", [FB, FBF, IL])
def test_with_probability_0_a_loss_style_changes_nothing(method):
    styled = method(loss_style=MixStyle(probability=0.0))
    assert_bit_equal(states(*trained(styled)), states(*trained(method())))


def test_memory_styles_act_in_the_mixed_forward_alone():
    style = Watched()
    trained(FBF(memory_style=style), iterations=1)
    ((rows, with_gradient, prefix, domains),) = style.calls
    assert (rows, with_gradient, prefix) == (12, False, "memory_style/backbone.layer2")
    assert sorted(domains.tolist()) == [0] * 6 + [1] * 6


@pytest.mark.parametrize("method", [FB, FBF, IL])
def test_loss_styles_act_in_the_forward_of_each_domain_s_loss_alone(method):
    style = Watched()
    trained(method(loss_style=style), iterations=1)
    assert [call[:3] for call in style.calls] == [
        (6, True, "loss_style/first/backbone.layer2"),
        (6, True, "loss_style/second/backbone.layer2"),
    ]


def test_the_rows_domains_are_those_of_the_images():
    """Swapping styles with images of another domain needs to know which is which, after the shuffle."""
    seen = []

    class Watch(Watched):
        def apply(self, maps, draws, domains):
            seen.append(domains)
            return maps

    strategy = FBF(memory_style=Watch())
    net = prepared(strategy)
    images = []
    net.register_forward_pre_hook(lambda module, inputs: images.append(inputs[0]))
    small_problem.train(strategy, net, iterations=1)
    batches = list(small_problem.batches(0).values())
    for image, domain in zip(images[2], seen[0].tolist(), strict=True):
        assert any(torch.equal(image, one) for one in batches[domain].images)


@pytest.mark.parametrize("style", [Uniform(), MixStyle(probability=1.0), DSU(probability=1.0), Swap()])
def test_every_style_serves_memories_and_leaves_no_hook(style):
    net, strategy = trained(FBF(memory_style=style))
    plain = FBF()
    trained(plain)
    assert hooks_of(net) == 0
    difference = strategy.bank("first").rows - plain.bank("first").rows
    assert difference.isfinite().all()
    assert difference.abs().max() > 1e-3


def slope_along_the_gradient(strategy, net, layer):
    """Difference quotient of the loss along the gradient of a layer, and what the gradient says it is."""
    batches, clock = small_problem.batches(0), small_problem.clock(0)
    net.zero_grad()
    strategy.loss(net, batches, clock).loss.backward()
    parameters = [p for p in net.get_submodule(layer).parameters() if p.grad is not None]
    gradients = [p.grad.clone() for p in parameters]
    values = []
    for step in (1e-6, -1e-6):
        torch._foreach_add_([p.data for p in parameters], gradients, alpha=step)
        values.append(float(strategy.loss(net, batches, clock).loss.detach()))
        torch._foreach_add_([p.data for p in parameters], gradients, alpha=-step)
    return (values[0] - values[1]) / 2e-6, sum(float(one.square().sum()) for one in gradients)


@pytest.mark.parametrize("layer", ["backbone.conv1", "backbone.layer4"])
def test_the_gradient_before_and_behind_a_style_is_that_of_the_loss(layer):
    """DSU detaches nothing, so the loss changes as its gradient says."""
    strategy = FB(loss_style=DSU(probability=1.0))
    slope, expected = slope_along_the_gradient(strategy, prepared(strategy), layer)
    assert slope == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("style", [Uniform(), MixStyle(probability=1.0)])
def test_statistics_of_the_other_styles_are_constants(style):
    strategy = FB(loss_style=style)
    net = prepared(strategy)
    slope, expected = slope_along_the_gradient(strategy, net, "backbone.layer4")
    assert slope == pytest.approx(expected, rel=1e-5)
    slope, expected = slope_along_the_gradient(strategy, net, "backbone.conv1")
    assert expected > 0
    assert slope != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("method", [FB, FBF, IL])
def test_separate_graphs_give_the_gradient_of_the_joint_one(method):
    style = MixStyle(probability=1.0)
    nets, values = [], []
    for graphs in ("separate", "joint"):
        strategy = method(loss_style=style, domain_graphs=graphs)
        net = prepared(strategy)
        result = strategy.loss(net, small_problem.batches(0), small_problem.clock(0))
        result.loss.backward()
        nets.append(net)
        values.append(result.loss.detach())
        assert all(not one.requires_grad for one in result.embeddings.values())
    assert torch.equal(*values)
    for (name, first), second in zip(nets[0].named_parameters(), nets[1].parameters(), strict=True):
        if second.grad is None:
            assert first.grad is None, name
            continue
        assert torch.allclose(first.grad, second.grad, rtol=1e-12, atol=1e-15), name


@pytest.mark.parametrize(("graphs", "alive_at_the_second_forward"), [("separate", False), ("joint", True)])
def test_one_domain_s_graph_is_in_memory_at_a_time(graphs, alive_at_the_second_forward):
    """Followed by a tensor that only the first domain's graph keeps."""
    kept, alive = [], []

    class Keep(torch.autograd.Function):
        @staticmethod
        def forward(ctx, maps):
            saved = maps.clone()
            ctx.save_for_backward(saved)
            kept.append(weakref.ref(saved))
            return maps.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * ctx.saved_tensors[0].isfinite()

    strategy = FB(domain_graphs=graphs)
    net = prepared(strategy)
    net.register_forward_pre_hook(lambda module, inputs: alive.append([one() is not None for one in kept]))
    net.backbone.register_forward_hook(lambda module, inputs, maps: Keep.apply(maps))
    strategy.loss(net, small_problem.batches(0), small_problem.clock(0)).loss.backward()
    assert alive == [[], [alive_at_the_second_forward]]


@pytest.mark.parametrize(("method", "expected"), [(FB, True), (FBF, True), (IL, True)])
def test_joint_graphs_leave_the_gradient_to_the_trainer(method, expected):
    assert method().computes_gradients is expected
    assert method(domain_graphs="joint").computes_gradients is not expected
    assert method().savings() == ()
    assert "domain_graphs=separate" in method(domain_graphs="joint").savings()[0]


def test_permuting_the_domains_permutes_the_banks_of_il():
    """The same images in the same places of the mixed forward: only the domains' order differs."""

    class Order:
        """Default draws, but for the order of images, which is turned to that of the permuted domains."""

        def __init__(self, swapped):
            self.swapped = swapped

        def permutation(self, count, clock, name):
            order = torch.randperm(count, generator=torch.Generator().manual_seed(clock.step))
            return (order + count // 2) % count if self.swapped else order

        def uniform(self, rows, width, clock, name):
            return torch.rand(rows, width, generator=torch.Generator().manual_seed(len(name)))

    banks = []
    for swapped in (False, True):
        strategy, net = IL(draws=Order(swapped)), small_problem.float64_net()
        strategy.setup(net, small_problem.DOMAINS[::-1] if swapped else small_problem.DOMAINS)
        strategy.fill(small_problem.centroids())
        batches, clock = small_problem.batches(0), small_problem.clock(0)
        if swapped:
            batches = dict(reversed(batches.items()))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        result = strategy.loss(net, batches, clock)
        result.loss.backward()
        optimizer.step()
        strategy.after_step(net, batches, result, clock)
        banks.append({name: strategy.bank(name).rows for name in small_problem.IDENTITIES})
    for name, rows in banks[0].items():
        assert torch.allclose(rows, banks[1][name], rtol=0, atol=1e-10)
        assert (rows - small_problem.centroids()[name]).abs().max() > 0.1


def test_every_il_has_a_style_of_its_own():
    changed = IL()
    changed.memory_style.strength = 0.0
    assert IL().memory_style.strength == 3.0


def test_il_without_a_memory_style_is_refused():
    with pytest.raises(InputError, match="memory_style=none with IL is FBF: take strategy=fbf"):
        IL(memory_style=None)


@pytest.mark.parametrize("style", [Swap(), MixStyle(partner="cross_domain")])
def test_styles_that_pair_domains_are_refused_in_the_loss(style):
    with pytest.raises(InputError, match=r"pairs images of different domains.*use it as memory_style"):
        FB(loss_style=style)


@pytest.mark.parametrize("key", ["loss_style", "memory_style"])
def test_a_layer_that_the_net_lacks_is_refused_before_the_first_step(key):
    strategy = FBF(**{key: Uniform(layers=["backbone.stage1"])})
    with pytest.raises(InputError, match=r"layer backbone\.stage1 is not in the net.*backbone\.layer1"):
        strategy.setup(small_problem.float64_net(), small_problem.DOMAINS)


def test_evaluation_sees_no_style():
    """Neither after a step, nor while a style is open."""
    style = Watched()
    strategy = IL(loss_style=style, memory_style=style)
    net = prepared(strategy)
    small_problem.train(strategy, net, iterations=1)
    assert len(style.calls) == 3
    inference = strategy.inference_net(net).eval()
    images = small_problem.batches(0)["first"].images
    with torch.no_grad():
        embeddings = inference(images)
        with styled(net, style):
            assert torch.equal(inference(images), embeddings)
    assert len(style.calls) == 3


@pytest.mark.parametrize("style", [Swap(), MixStyle(partner="cross_domain")])
def test_styles_that_pair_domains_need_two_of_them_in_each_part(style):
    with pytest.raises(InputError, match="a part of the shuffled ones may have one domain only: take statistics_chu"):
        FBF(memory_style=style, statistics_chunks=2)
    with pytest.raises(InputError, match="pairs images of different domains, but the only source is first: name two"):
        FBF(memory_style=style).setup(small_problem.float64_net(), small_problem.DOMAINS[:1])
