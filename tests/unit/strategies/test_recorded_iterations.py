"""FBF, IL and FB against two iterations recorded from the release, in float64."""

import pytest
import recording
import torch

from dgreid.nets.names import own_name
from dgreid.nets.resnet import resnet50
from dgreid.strategies.fb import FB
from dgreid.strategies.fbf import FBF
from dgreid.strategies.il import IL

MODES = {"FBF": FBF, "IL": IL}
TOLERANCE = {0: 1e-9, 1: 1e-7}
STEM_BIAS = "bn1.bias"  # its gradient is zero but for rounding


def prepared(strategy):
    net = resnet50(weights="random", stem_relu=False, neck_bias="frozen").double()
    recording.set_recorded_weights(net)
    strategy.setup(net, recording.DOMAINS)
    strategy.fill(recording.recorded_centroids())
    optimizer = torch.optim.Adam(list(strategy.parameter_groups(net)), lr=3.5e-4, weight_decay=5e-4)
    return net.train(), optimizer


def tensors_of(net, kind):
    """Names in the release and our tensors, in the recording's order; `kind` is params or buffers."""
    names = recording.recorded_names("resnet_1")[kind]
    tensors = dict(net.named_parameters()) | dict(net.named_buffers())
    return names, [tensors[own_name(name)] for name in names]


def iterate(net, strategy, optimizer, iteration, probes):
    """One training step as the Lightning module does it; returns the recorded quantities."""
    batches, clock = recording.recorded_batches(iteration), recording.clock(iteration)
    seen = iter([f"domain{d}" for d in range(3)] + ["mixed"])

    def note(kind, tag, value):
        probes[f"it{iteration}.probe.{kind}.{tag}"] = recording.probe(f"probe.{kind}.{tag}", value.detach())

    def keep(module, inputs, features):
        tag = next(seen)
        note("layer1", tag, unstyled := layer1.pop())
        note("feat", tag, features.embedding)
        if (styled := layer2.pop()) is not unstyled:
            note("style_out", tag, styled)
            probes.update(ranges(iteration, unstyled))

    # A style is a hook of layer1 that runs after this one; layer2 gets what it makes.
    layer1, layer2 = [], []
    hooks = [
        net.backbone.layer1.register_forward_hook(lambda module, inputs, output: layer1.append(output)),
        net.backbone.layer2.register_forward_hook(lambda module, inputs, output: layer2.append(inputs[0])),
        net.register_forward_hook(keep),
    ]
    result = strategy.loss(net, batches, clock)
    optimizer.zero_grad()
    result.loss.backward()
    optimizer.step()
    strategy.after_step(net, batches, result, clock)
    found = {
        "domain_losses": torch.stack([result.scalars[f"loss/{name}"] for name in batches]),
        "total_loss": result.loss.detach(),
    }
    names, parameters = tensors_of(net, "params")
    gradients, values = [p.grad for p in parameters], [p.detach() for p in parameters]
    (found["grad_norm"], found["grad_proj"]), (found["param_norm"], found["param_proj"]) = (
        recording.norms_and_projections(names, gradients, values)
    )
    names, buffers = tensors_of(net, "buffers")
    ((found["buf_norm"], found["buf_proj"]),) = recording.norms_and_projections(names, buffers)
    counts = {int(value) for name, value in net.named_buffers() if name.endswith("num_batches_tracked")}
    found["num_batches_tracked"] = torch.tensor(sorted(counts))
    for d, name in enumerate(batches):
        found[f"memory{d}"] = strategy.bank(name).rows.clone()
    for hook in hooks:
        hook.remove()
    return {f"it{iteration}.{name}": value for name, value in found.items()}


def ranges(iteration, maps):
    """The channels' ranges of means (0) and of standard deviations (1) that IL draws from, by its text."""
    found = {}
    for number, values in enumerate((maps.mean((2, 3)), maps.var((2, 3)).sqrt())):
        center, spread = values.mean(0), values.std(0).clamp(min=1e-6)
        found |= {f"it{iteration}.ubs_low{number}": center - 3 * spread}
        found |= {f"it{iteration}.ubs_high{number}": center + 3 * spread}
    return found


@pytest.fixture(scope="module", params=MODES)
def mode(request):
    return request.param


@pytest.fixture(scope="module")
def recorded(mode):
    return recording.recorded_arrays("resnet_1", mode)


@pytest.fixture(scope="module")
def found(mode):
    strategy = MODES[mode](draws=recording.RecordedDraws())
    net, optimizer = prepared(strategy)
    found = {"eval_features_init": recording.embeddings_in_evaluation(net, recording.recorded_batches(0))}
    for iteration in (0, 1):
        found |= iterate(net, strategy, optimizer, iteration, found)
    return found | {"eval_features": recording.embeddings_in_evaluation(net, recording.recorded_batches(0))}


def without_stem_bias(values):
    row = recording.recorded_names("resnet_1")["params"].index(STEM_BIAS)
    return torch.cat([values[:row], values[row + 1 :]]), values[row]


def test_every_recorded_quantity_is_compared(found, recorded):
    assert set(found) == set(recorded)


@pytest.mark.parametrize("iteration", [0, 1])
def test_the_recorded_iterations_are_reproduced(found, recorded, iteration):
    for name in (name for name in recorded if name.startswith(f"it{iteration}.")):
        value, expected = found[name], recorded[name]
        assert value.shape == expected.shape, name
        if ".grad_" in name:
            value, stem_bias = without_stem_bias(value)
            expected, _ = without_stem_bias(expected)
            assert stem_bias.abs().max() < 1e-9, name
        error = float((value - expected).abs().max() / expected.abs().max())
        assert error < TOLERANCE[iteration], f"{name}: {error:.1e}"


@pytest.mark.parametrize("iteration", [0, 1])
@pytest.mark.parametrize("kind", ["grad", "param", "buf"])
def test_every_tensor_is_reproduced_at_its_own_scale(found, recorded, kind, iteration):
    """Large tensors hide the errors of small ones above; here each is compared relative to its own norm."""
    name = f"it{iteration}.{kind}"
    errors = (found[f"{name}_proj"] - recorded[f"{name}_proj"]).abs().amax(1) / recorded[f"{name}_norm"]
    if kind == "grad":
        errors, _ = without_stem_bias(errors)
    assert errors.max() < TOLERANCE[iteration]


@pytest.mark.parametrize("name", ["eval_features_init", "eval_features"])
def test_the_features_of_evaluation_are_reproduced(found, recorded, name):
    assert (found[name] - recorded[name]).abs().max() < 1e-9


def test_fb_starts_as_the_recorded_fbf_and_forwards_no_mixed_batch():
    """Losses, gradients and parameters of FB's first iteration are FBF's."""
    recorded = recording.recorded_arrays("resnet_1", "FBF")
    strategy = FB()
    net, optimizer = prepared(strategy)
    batches, clock = recording.recorded_batches(0), recording.clock(0)
    result = strategy.loss(net, batches, clock)
    result.loss.backward()
    optimizer.step()
    strategy.after_step(net, batches, result, clock)
    losses = torch.stack([result.scalars[f"loss/{name}"] for name in batches])
    assert torch.allclose(losses, recorded["it0.domain_losses"], rtol=1e-9)
    _, parameters = tensors_of(net, "params")
    assert torch.allclose(torch.stack([p.norm() for p in parameters]), recorded["it0.param_norm"], rtol=1e-9)
    found, stem_bias = without_stem_bias(torch.stack([p.grad.norm() for p in parameters]))
    assert torch.allclose(found, without_stem_bias(recorded["it0.grad_norm"])[0], rtol=1e-9)
    assert stem_bias < 1e-9
    assert {int(b) for name, b in net.named_buffers() if name.endswith("num_batches_tracked")} == {3}
