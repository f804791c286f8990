"""What M3L refuses, and what it says then."""

import m3l_problem
import pytest
import torch
from m3l_problem import net_of_four_channels, prepared
from small_problem import clock
from torch import nn

from dgreid.errors import InputError
from dgreid.strategies.m3l import M3L


def test_a_batch_of_one_identity_is_refused():
    strategy, net = prepared(3)
    batches = m3l_problem.batches(0, 3)
    batches["third"] = batches["third"]._replace(identities=torch.full((6,), 2))
    with pytest.raises(InputError, match="a batch with identity 2 alone has no negatives"):
        strategy.loss(net, batches, clock(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outer_gradient": "half"}, r"outer_gradient=half: .*full"),
        ({"metabn_scale": "deviation"}, r"metabn_scale=deviation: .*std"),
        ({"order": "third"}, r"order=third: .*second"),
        ({"hypergradient": "hessian"}, r"hypergradient=hessian: .*graph"),
        (
            {"order": "first", "outer_gradient": "second_order_only"},
            r"leaves nothing of the meta-test loss: take outer_g",
        ),
        ({"inner_learning_rate": "inner"}, r"inner_learning_rate=inner: 'outer', or a number above 0"),
        ({"inner_learning_rate": 0.0}, r"inner_learning_rate=0\.0: 'outer', or a number above 0"),
        ({"inner_learning_rate": True}, r"inner_learning_rate=True: 'outer', or a number above 0"),
        ({"inner_learning_rate": float("nan")}, r"inner_learning_rate=nan: 'outer', or a number above 0"),
        ({"inner_weight_decay": -1e-4}, r"inner_weight_decay=-0\.0001: a number, not negative"),
        ({"inner_weight_decay": "optim"}, r"inner_weight_decay=optim: a number, not negative"),
        ({"temperature": 0.0}, r"temperature=0\.0 must be positive"),
        ({"momentum": 1.0}, r"momentum=1\.0 must lie in \[0, 1\)"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        M3L(**options)


def test_one_source_is_refused():
    with pytest.raises(InputError, match=r"sources: first; M3L holds one source out .* at least two.*strategy=fb"):
        prepared(1)
    strategy, net = prepared(2)
    batches = m3l_problem.batches(0, 2)
    del batches["second"]
    with pytest.raises(
        InputError, match=r"a step of M3L needs the batches of two domains or more, got those of \['first'\]"
    ):
        strategy.loss(net, batches, clock(0))


def test_a_source_of_one_identity_is_refused():
    domains = [
        domain._replace(identities=1) if domain.name == "second" else domain for domain in m3l_problem.domains(3)
    ]
    with pytest.raises(InputError, match="source second has 1 training identity: the triplet loss needs negatives"):
        M3L().setup(net_of_four_channels(), domains)


def neckless(neck):
    net = net_of_four_channels()
    net.neck = neck
    return net


@pytest.mark.parametrize(
    "neck",
    [nn.Identity(), nn.LayerNorm(32), nn.BatchNorm1d(32, affine=False), nn.BatchNorm1d(32, track_running_stats=False)],
)
def test_a_net_without_a_batch_normalisation_neck_is_refused(neck):
    with pytest.raises(
        InputError, match=f"ReIDNet has no attribute `neck` that is .* but {type(neck).__name__}: MetaBN"
    ):
        M3L().setup(neckless(neck), m3l_problem.domains(2))


def test_a_compiled_net_is_refused_for_second_derivatives_alone():
    net = torch.compile(net_of_four_channels())
    with pytest.raises(InputError, match=r"torch\.compile gives no second derivatives.*strategy\.order=first"):
        M3L().setup(net, m3l_problem.domains(2))
    M3L(order="first").setup(net, m3l_problem.domains(2))
