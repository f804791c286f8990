"""M3L against a slow transcription of its text, for any number of sources and each option alone."""

import m3l_problem
import pytest
import torch
from m3l_problem import METHODS, Draws, gradient_of, net_of_four_channels, prepared, train
from slow_m3l import assert_is_the_text
from small_problem import clock
from torch import nn

from dgreid.nets.batch_norm import BatchNorm2d
from dgreid.nets.convolution import Conv2d

DEVIATIONS = {
    "outer gradient": {"outer_gradient": "second_order_only"},
    "MetaBN's scale": {"metabn_scale": "variance"},
    "running statistics": {"meta_test_updates_bn": True},
    "order": {"order": "first"},
    "inner learning rate": {"inner_learning_rate": 0.02},
    "inner weight decay": {"inner_weight_decay": 0.2},
    "temperature": {"temperature": 0.3},
    "momentum": {"momentum": 0.7},
    "margin": {"margin": 1.0},
    "the release": {"outer_gradient": "second_order_only", "metabn_scale": "variance", "meta_test_updates_bn": True},
}


@pytest.mark.parametrize("hypergradient", METHODS)
@pytest.mark.parametrize("sources", [2, 3, 4])
def test_two_steps_are_those_of_the_text(sources, hypergradient):
    assert_is_the_text(sources, hypergradient=hypergradient)


@pytest.mark.parametrize("hypergradient", METHODS)
@pytest.mark.parametrize("options", DEVIATIONS.values(), ids=DEVIATIONS)
def test_two_steps_are_those_of_the_text_with_each_option(options, hypergradient):
    assert_is_the_text(3, hypergradient=hypergradient, **options)


def after_two_steps(**options):
    """Losses, and all that the net keeps."""
    strategy, net = prepared(3, **options)
    losses = [result.loss.detach() for result, _ in train(strategy, net, 3)]
    return torch.cat([one.double().flatten() for one in (*losses, *net.state_dict().values())])


@pytest.mark.parametrize("options", DEVIATIONS.values(), ids=DEVIATIONS)
def test_each_option_makes_a_difference(options):
    assert (after_two_steps(**options) - after_two_steps()).abs().max() > 1e-4


@pytest.mark.parametrize("held_out", [0, 1, 2])
def test_any_domain_may_be_held_out(held_out):
    assert_is_the_text(3, draws=Draws(held_out))


@pytest.mark.parametrize("hypergradient", METHODS)
def test_what_is_drawn_in_a_step(hypergradient):
    draws = Draws(1)
    strategy, net = prepared(3, draws=draws, hypergradient=hypergradient)
    strategy.loss(net, m3l_problem.batches(0, 3), clock(0))
    rows = len(m3l_problem.LABELS[0]["second"])
    assert draws.asked[0] == ("meta_test_domain", 3)
    assert sorted(draws.asked[1:]) == [("metabn/0", rows, 32), ("metabn/1", rows, 32), ("metabn_weight",)]


@pytest.mark.parametrize("hypergradient", METHODS)
def test_a_step_is_repeatable_and_leaves_the_weights_to_the_optimizer(hypergradient):
    strategy, net = prepared(3, hypergradient=hypergradient)
    before = {name: value.clone() for name, value in net.named_parameters()}
    first = gradient_of(strategy, net, 3)
    assert torch.equal(gradient_of(strategy, net, 3), first)
    assert all(torch.equal(value, before[name]) for name, value in net.named_parameters())
    result = strategy.loss(net, m3l_problem.batches(0, 3), clock(0))
    assert not any(value.requires_grad for value in result.scalars.values())
    net.zero_grad()
    assert all(value.grad is None for value in net.parameters())
    (result.loss * 8).backward()
    assert torch.equal(torch.cat([value.grad.flatten() for value in net.parameters()]), 8 * first)


def test_scalars_name_the_parts_of_both_losses():
    strategy, net = prepared(3, draws=Draws(1))
    scalars = dict(strategy.loss(net, m3l_problem.batches(0, 3), clock(0)).scalars)
    gradient = {
        name: float(scalars.pop(f"gradient/{name}")) for name in ("cosine", "meta_train_norm", "meta_test_norm")
    }
    assert -1 <= gradient["cosine"] <= 1
    assert min(gradient["meta_train_norm"], gradient["meta_test_norm"]) > 0
    parts = {
        name: {part: scalars.pop(f"{part}/{name}") for part in ("memory", "triplet")} for name in ("first", "third")
    }
    total = sum(part for of_domain in parts.values() for part in of_domain.values())
    assert torch.allclose(scalars.pop("loss/meta_train"), total / 2, rtol=1e-12)
    assert torch.allclose(
        scalars.pop("loss/meta_test"), scalars.pop("memory/meta_test") + scalars.pop("triplet/meta_test"), rtol=1e-12
    )
    assert not scalars


class SeenByNorms:
    """Batch means of what each batch normalisation is given, forward by forward."""

    def __init__(self, net):
        self.means = {}
        for name, layer in net.named_modules():
            if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
                layer.register_forward_pre_hook(lambda _, inputs, name=name: self.note(name, inputs[0].detach()))

    def note(self, name, maps):
        self.means.setdefault(name, []).append(maps.transpose(0, 1).flatten(1).mean(1))

    def moving_mean(self, name, forwards):
        mean = torch.zeros_like(self.means[name][0])
        for forward in forwards:
            mean = 0.9 * mean + 0.1 * self.means[name][forward]
        return mean


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("hypergradient", METHODS)
@pytest.mark.parametrize("sources", [2, 3, 4])
def test_number_and_order_of_forwards_and_of_moves_of_running_statistics(sources, hypergradient, moves):
    """Meta-train domains, the meta-test domain, (meta-train domains again,) then all domains with the new weights."""
    draws = Draws(sources - 2)
    strategy, net = prepared(sources, draws=draws, hypergradient=hypergradient, meta_test_updates_bn=moves)
    batches, seen, images = m3l_problem.batches(0, sources), SeenByNorms(net), []
    net.backbone.register_forward_pre_hook(lambda _, inputs: images.append(inputs[0]))
    train(strategy, net, sources, iterations=1)

    names = list(batches)
    held_out = names[sources - 2]
    meta_train = [name for name in names if name != held_out]
    again = meta_train if hypergradient == "hvp" else []
    order = [*meta_train, held_out, *again, *names]
    assert len(images) == len(order)
    assert all(torch.equal(one, batches[name].images) for one, name in zip(images, order, strict=True))

    trained, tested = list(range(sources - 1)), [sources - 1] if moves else []
    after = list(range(len(order) - sources, len(order)))
    counts = {name: int(layer.num_batches_tracked) for name, layer in net.named_modules() if name in seen.means}
    assert set(counts.values()) == {2 * sources - 1 + moves}
    assert len(counts) == 14
    for name in counts:
        forwards = [*trained, *(tested if name != "neck" else []), *after]
        assert len(forwards) == 2 * sources - 1 + (moves and name != "neck")
        expected = seen.moving_mean(name, forwards)
        assert torch.allclose(net.get_submodule(name).running_mean, expected, rtol=1e-10, atol=1e-14), name


@pytest.mark.parametrize("held_out", [0, 1, 2])
def test_every_memory_takes_up_its_batch_under_the_new_weights(held_out):
    strategy, net = prepared(3, draws=Draws(held_out))
    before = {name: strategy.bank(name).rows.clone() for name in strategy.banks}
    train(strategy, net, 3, iterations=1)
    for name, batch in m3l_problem.batches(0, 3).items():
        moved = (strategy.bank(name).rows - before[name]).norm(dim=1) > 0.1
        assert moved.nonzero().flatten().tolist() == sorted(set(batch.identities.tolist()))


def test_memories_are_the_whole_state_and_the_net_s_names_stay():
    names = set(net_of_four_channels().state_dict())
    strategy, net = prepared(3)
    assert set(strategy.state_dict()) == {"banks.first.rows", "banks.second.rows", "banks.third.rows"}
    assert set(net.state_dict()) == names


@pytest.mark.parametrize(
    ("order", "kinds"), [("second", (Conv2d, BatchNorm2d)), ("first", (nn.Conv2d, nn.BatchNorm2d))]
)
def test_only_the_second_order_needs_other_layers(order, kinds):
    _, net = prepared(2, order=order)
    assert (type(net.backbone.conv1), type(net.backbone.bn1)) == kinds
    assert type(net.neck) is nn.BatchNorm1d
