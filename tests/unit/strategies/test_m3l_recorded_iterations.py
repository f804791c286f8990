"""M3L against two iterations recorded from the release in float64: as published, and with its gradient complete."""

import m3l_recording
import pytest
import recording
import torch
from m3l_observation import measured_step

from dgreid.nets.resnet import resnet50
from dgreid.strategies.m3l import M3L

VARIANTS = {"ref": "second_order_only", "full": "full"}
OTHER = {"ref": "full", "full": "ref"}
RELEASED = {"metabn_scale": "variance", "meta_test_updates_bn": True}
RUNS = [("conditioned", "ref", "graph"), ("conditioned", "full", "graph")]
SLOW_RUNS = [
    ("conditioned", "ref", "hvp"),
    ("conditioned", "full", "hvp"),
    ("plain", "ref", "graph"),
    ("plain", "full", "graph"),
]
# Wrong options, what they leave alone, what they spoil. Of what precedes the outer step a first-order step shows all.
WRONG = {
    "first_order": ({"order": "first"}, "grad_mte_at_theta1_it0", "grad_it0"),
    "std": ({"order": "first", "metabn_scale": "std"}, "theta1_delta_it0", "grad_mte_at_theta1_it0"),
    "no_inner_decay": ({"order": "first", "inner_weight_decay": 0.0}, "grad_mtr_it0", "theta1_delta_it0"),
    "meta_test_leaves_bn": ({"meta_test_updates_bn": False}, "grad_it0", "bufs_it0"),
}
SLOW_WRONG = {"meta_test_leaves_bn"}


def prepared(rule, **options):
    """A net, a strategy and its optimizer, as the recording starts."""
    net = resnet50(weights="random", stem_relu=False, neck_bias="trainable").double()
    m3l_recording.set_recorded_weights(net, rule)
    strategy = M3L(draws=m3l_recording.RecordedDraws(), **options)
    strategy.setup(net, m3l_recording.DOMAINS)
    strategy.fill(m3l_recording.recorded_centroids())
    optimizer = torch.optim.Adam(list(strategy.parameter_groups(net)), lr=3.5e-4, weight_decay=5e-4)
    return net.train(), strategy, optimizer


def two_iterations(rule, variant, method):
    net, strategy, optimizer = prepared(rule, outer_gradient=VARIANTS[variant], hypergradient=method, **RELEASED)
    found = {"eval_feat_before": recording.embeddings_in_evaluation(net, m3l_recording.recorded_batches(0))}
    for iteration in (0, 1):
        found |= measured_step(net, strategy, optimizer, iteration)
    return found | {"eval_feat_after2": recording.embeddings_in_evaluation(net, m3l_recording.recorded_batches(0))}


@pytest.fixture(
    scope="module", params=[*RUNS, *(pytest.param(run, marks=pytest.mark.slow) for run in SLOW_RUNS)], ids="-".join
)
def run(request):
    """Rule of the weights, variant, and what was found."""
    return *request.param[:2], two_iterations(*request.param)


def test_every_recorded_quantity_is_reproduced(run):
    rule, variant, found = run
    recorded = m3l_recording.recorded_tensors(rule, variant)
    assert set(recorded) <= set(found)
    compared = sorted(set(recorded) - m3l_recording.NOT_REPEATABLE[rule])
    errors = {name: m3l_recording.error(name, found[name], recorded[name]) for name in compared}
    assert not {name: value for name, value in errors.items() if not value < m3l_recording.tolerance(rule, name)}


def test_the_gradient_of_the_stem_s_bias_is_rounding(run):
    rule, _, found = run
    row = m3l_recording.recorded_numbers(rule)["param_names"].index(m3l_recording.STEM_BIAS)
    for name in ("grad_it0", "grad_mtr_it0", "grad_mte_at_theta1_it0"):
        assert found[name][row].abs().max() < 1e-12 * found[name][:, 0].max(), name


def test_the_other_outer_gradient_is_told_apart_in_every_tensor(run):
    rule, variant, found = run
    other = m3l_recording.recorded_tensors(rule, OTHER[variant])
    errors = m3l_recording.row_errors("grad_it0", found["grad_it0"], other["grad_it0"])
    assert errors.min() > 100 * m3l_recording.tolerance(rule, "grad_it0")


@pytest.mark.parametrize(
    "wrong", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW_WRONG else []) for name in WRONG]
)
def test_a_wrong_option_misses_the_recorded_numbers_by_far(wrong):
    options, reproduced, missed = WRONG[wrong]
    net, strategy, optimizer = prepared("conditioned", **RELEASED | options)
    found = measured_step(net, strategy, optimizer, 0)
    recorded = m3l_recording.recorded_tensors("conditioned", "full")
    errors = {name: m3l_recording.error(name, found[name], recorded[name]) for name in (reproduced, missed)}
    assert errors[reproduced] < m3l_recording.tolerance("conditioned", reproduced)
    assert errors[missed] > 100 * m3l_recording.tolerance("conditioned", missed)
