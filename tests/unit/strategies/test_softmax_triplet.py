import pytest
import small_problem
import torch

from dgreid.errors import InputError
from dgreid.strategies.softmax_triplet import SoftmaxTriplet


def prepared(**options):
    net = small_problem.float64_net()
    strategy = SoftmaxTriplet(**options)
    strategy.setup(net, small_problem.DOMAINS)
    return strategy, net


def smoothed_cross_entropy(logits, labels, smoothing):
    """Luo et al.: the target is 1 - (N - 1) / N * smoothing for the identity, smoothing / N for each other."""
    total = 0.0
    for row, label in zip(logits, labels.tolist(), strict=True):
        log_probabilities = row - row.exp().sum().log()
        target = torch.full_like(row, smoothing / len(row))
        target[label] = 1 - (len(row) - 1) / len(row) * smoothing
        total = total - (target * log_probabilities).sum()
    return total / len(logits)


def hard_triplet(features, labels, margin):
    terms = []
    for anchor, label in zip(features, labels, strict=True):
        distances = (features - anchor).square().sum(1).clamp(min=1e-12).sqrt()
        terms.append((distances[labels == label].max() - distances[labels != label].min() + margin).clamp(min=0))
    return sum(terms) / len(terms)


@pytest.mark.parametrize(("smoothing", "margin"), [(0.1, 0.3), (0.0, 1.0)])
def test_loss_is_the_formula(smoothing, margin):
    strategy, net = prepared(label_smoothing=smoothing, margin=margin)
    batches = small_problem.batches(0)
    result = strategy.loss(net, batches, small_problem.clock(0))
    total = 0.0
    for name, batch in batches.items():
        features = net(batch.images)
        logits = features.neck @ strategy.classifiers[name].weight.T
        cross_entropy = smoothed_cross_entropy(logits, batch.identities, smoothing)
        triplet = hard_triplet(features.pooled, batch.identities, margin)
        for scalar, value in (
            ("cross_entropy", cross_entropy),
            ("triplet", triplet),
            ("loss", cross_entropy + triplet),
        ):
            assert torch.allclose(result.scalars[f"{scalar}/{name}"], value, rtol=1e-9), scalar
        assert torch.allclose(result.embeddings[name], features.embedding)
        total = total + (cross_entropy + triplet) / 2
    assert torch.allclose(result.loss, total, rtol=1e-9)
    assert not any(value.requires_grad for value in (*result.scalars.values(), *result.embeddings.values()))


def test_classifiers_reach_the_optimizer_and_move():
    strategy, net = prepared()
    groups = list(strategy.parameter_groups(net))
    before = {name: c.weight.detach().clone() for name, c in strategy.classifiers.items()}
    assert all(any(c.weight is parameter for parameter in groups) for c in strategy.classifiers.values())
    small_problem.train(strategy, net, iterations=1)
    for name, classifier in strategy.classifiers.items():
        assert (classifier.weight - before[name]).abs().min() > 1e-5


def test_classifiers_are_in_the_checkpoint():
    strategy, net = prepared()
    small_problem.train(strategy, net)
    assert {name: tuple(v.shape) for name, v in strategy.state_dict().items()} == {
        "classifiers.first.weight": (4, 32),
        "classifiers.second.weight": (6, 32),
    }
    restored, _ = prepared()
    restored.load_state_dict(strategy.state_dict())
    assert torch.equal(restored.classifiers["first"].weight, strategy.classifiers["first"].weight)


def test_classifiers_start_small():
    strategy, _ = prepared()
    weight = strategy.classifiers["second"].weight
    assert weight.dtype == torch.float64
    assert float(weight.detach().std()) == pytest.approx(0.001, rel=0.2)


def test_one_training_forward_for_each_domain_and_none_after_the_step():
    strategy, net = prepared()
    small_problem.train(strategy, net, iterations=1)
    assert int(net.neck.num_batches_tracked) == 2


def test_training_lowers_the_loss():
    strategy, net = prepared()
    optimizer = torch.optim.Adam(list(strategy.parameter_groups(net)), lr=1e-2)
    losses = []
    for _ in range(20):
        result = strategy.loss(net, small_problem.batches(0), small_problem.clock(0))
        optimizer.zero_grad()
        result.loss.backward()
        optimizer.step()
        losses.append(result.loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_a_label_smoothing_out_of_range_is_refused(smoothing):
    with pytest.raises(InputError, match=rf"label_smoothing={smoothing} must lie in \[0, 1\)"):
        SoftmaxTriplet(label_smoothing=smoothing)
