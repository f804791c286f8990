"""The Lightning module adds nothing to a method: order of calls, randomness, normalisation."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import pytorch_lightning as lightning
import torch
from pytorch_lightning.plugins import MixedPrecision
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from dgreid.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from dgreid.errors import InputError
from dgreid.module import ReIDModule
from dgreid.strategies.base import TrainingStrategy
from dgreid.types import Clock, DomainInfo, Features, ReIDBatch, StepResult

DOMAINS = (DomainInfo("a", 4, 8, 2, ""), DomainInfo("b", 3, 6, 2, ""))


class Net(nn.Module):
    """A linear map of mean colours."""

    feature_dimension = 2

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, images):
        pooled = self.linear(images.mean((2, 3)))
        return Features(pooled, pooled)


class Recorder(TrainingStrategy):
    """Writes down what it is asked, and by which weights."""

    def __init__(self, value=1.0):
        super().__init__()
        self.calls, self.draws, self.value = [], [], value

    def setup(self, net, domains):
        self.calls.append(("setup", [domain.name for domain in domains]))

    def loss(self, net, batches, clock):
        self.calls.append(("loss", clock, net.linear.weight.detach().clone(), torch.is_grad_enabled(), net.training))
        self.draws.append(("loss", clock.step, torch.rand(()).item()))
        self.images = {name: batch.images for name, batch in batches.items()}
        loss = sum(net(batch.images).pooled.square().mean() for batch in batches.values()) * self.value
        return StepResult(loss, {"loss/a": loss.detach()}, {})

    def after_step(self, net, batches, result, clock):
        self.calls.append(("after", clock, net.linear.weight.detach().clone(), torch.is_grad_enabled(), net.training))
        self.draws.append(("after", clock.step, torch.rand(()).item()))


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(2, dtype=torch.int64)
    images = torch.randint(0, 256, (2, 3, 4, 4), generator=generator, dtype=torch.uint8)
    return ReIDBatch(images, labels, labels, labels)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.1)


def fit(strategy, tmp_path, seed=0, steps=3, on_nonfinite="stop", optimizer=sgd, **options):
    torch.manual_seed(3)
    module = ReIDModule(
        Net(), strategy, DOMAINS, optimizer, lambda o: LambdaLR(o, lambda e: 0.5**e), seed, on_nonfinite=on_nonfinite
    )
    loader = DataLoader([{"a": batch(i), "b": batch(10 + i)} for i in range(steps)], batch_size=None)
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=str(tmp_path), **options,
    )  # fmt: skip
    trainer.fit(module, loader)
    return module


def test_the_order_of_a_step(tmp_path):
    strategy = Recorder()
    fit(strategy, tmp_path, seed=9)
    assert strategy.calls[0] == ("setup", ["a", "b"])
    assert [call[0] for call in strategy.calls[1:]] == ["loss", "after"] * 6
    for step, (loss, after) in enumerate(zip(strategy.calls[1::2], strategy.calls[2::2], strict=True)):
        assert loss[1] == after[1] == Clock(step, step // 3, pytest.approx(0.1 * 0.5 ** (step // 3)), 9)
        assert not torch.equal(loss[2], after[2]), "after_step must meet the new weights"
        assert loss[3:] == (True, True)
        assert after[3:] == (False, True)
    for after, following in zip(strategy.calls[2::2], strategy.calls[3::2], strict=False):
        assert torch.equal(after[2], following[2])


def test_callbacks_hear_of_the_end_of_a_step_when_the_strategy_is_done_with_it(tmp_path):
    strategy, heard = Recorder(), []

    class Listener(lightning.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            heard.append((trainer.global_step, [call[0] for call in strategy.calls[-2:]], strategy.calls[-1][1].step))

    fit(strategy, tmp_path, callbacks=[Listener()])
    assert heard == [(step + 1, ["loss", "after"], step) for step in range(6)]


def test_a_step_that_loss_scaling_skips_is_a_step(tmp_path):
    """Too large a scale makes all gradients infinite: weights stay, and what follows the update comes all the same."""
    strategy = Recorder()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100, growth_interval=1)
    fit(strategy, tmp_path, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    assert [call[0] for call in strategy.calls[1:]] == ["loss", "after"] * 6
    assert [call[1].step for call in strategy.calls[2::2]] == list(range(6))
    first = strategy.calls[1][2]
    assert all(torch.equal(call[2], first) for call in strategy.calls[1:])


def test_random_numbers_are_a_function_of_seed_and_step(tmp_path):
    first, again, other = Recorder(), Recorder(), Recorder()
    fit(first, tmp_path)
    torch.rand(5)
    fit(again, tmp_path)
    fit(other, tmp_path, seed=1)
    assert first.draws == again.draws
    values = [value for _, _, value in first.draws + other.draws]
    assert len(set(values)) == len(values)


def test_images_are_normalised(tmp_path):
    strategy = Recorder()
    fit(strategy, tmp_path, steps=1)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    torch.testing.assert_close(strategy.images["b"], (batch(10).images.float() / 255 - mean) / std)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops(tmp_path, value):
    with pytest.raises(
        InputError, match=r"at step 0 \(epoch 0, learning rate 0.1\): loss = (nan|inf), loss/a = (nan|inf)"
    ):
        fit(Recorder(value), tmp_path)


def test_a_number_that_is_not_finite_stops_though_the_loss_is(tmp_path):
    class Lost(Recorder):
        def loss(self, net, batches, clock):
            result = super().loss(net, batches, clock)
            return result._replace(scalars={**result.scalars, "gradient/cosine": torch.tensor(float("nan"))})

    with pytest.raises(InputError, match=r"not finite at step 0 .*: gradient/cosine = nan"):
        fit(Lost(), tmp_path)


class Spoiled(Recorder):
    """Not finite in two of six steps: in the loss, then in the gradient alone."""

    def loss(self, net, batches, clock):
        result = super().loss(net, batches, clock)
        if clock.step == 1:
            return result._replace(loss=result.loss * float("nan"))
        if clock.step == 4:
            return result._replace(loss=result.loss + (net.linear.weight - net.linear.weight.detach()).sum().sqrt())
        return result


def test_steps_that_are_not_finite_are_left_out(tmp_path):
    strategy = Spoiled()
    module = fit(strategy, tmp_path, on_nonfinite="skip", optimizer=adam)
    assert module.non_finite.skipped == 2
    names = [(call[0], call[1].step) for call in strategy.calls[1:]]
    assert names == [(name, k) for k in range(6) for name in (("loss",) if k in (1, 4) else ("loss", "after"))]
    weights = {call[1].step: call[2] for call in strategy.calls[1:] if call[0] == "loss"}
    assert torch.equal(weights[1], weights[2])
    assert torch.equal(weights[4], weights[5])
    assert not torch.equal(weights[2], weights[3])
    moments = module.trainer.optimizers[0].state_dict()["state"]
    assert {int(state["step"]) for state in moments.values()} == {4}, "the optimizer does not hear of them"


def test_a_gradient_that_is_not_finite_stops(tmp_path):
    class Late(Spoiled):
        def loss(self, net, batches, clock):
            return super().loss(net, batches, clock._replace(step=max(clock.step, 2)))

    with pytest.raises(InputError, match=r"at step 4 \(epoch 1, .*: the gradient of net.linear.weight\. Lower"):
        fit(Late(), tmp_path)


def test_steps_left_out_are_counted_on_when_a_run_goes_on():
    module, checkpoint = ReIDModule(Net(), Recorder(), DOMAINS, on_nonfinite="skip"), {}
    module.non_finite.skipped, module.non_finite.in_a_row = 3, 2
    module.on_save_checkpoint(checkpoint)
    other = ReIDModule(Net(), Recorder(), DOMAINS)
    other.on_load_checkpoint(checkpoint)
    assert (other.non_finite.skipped, other.non_finite.in_a_row) == (3, 2)


def test_a_scaler_may_see_what_is_not_finite(tmp_path):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0, growth_interval=100)
    strategy = Spoiled()
    module = fit(strategy, tmp_path, on_nonfinite="skip", plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    assert module.non_finite.skipped == 1  # the other is the scaler's business
    assert [call[1].step for call in strategy.calls[1:] if call[0] == "after"] == [0, 2, 3, 4, 5]


def test_a_module_for_evaluation_cannot_be_trained():
    with pytest.raises(InputError, match="loaded for evaluation"):
        ReIDModule(Net(), Recorder(), DOMAINS).configure_optimizers()


def test_centroids_are_not_taken_for_those_who_do_not_ask():
    module = ReIDModule(Net(), Recorder(), DOMAINS)
    module._trainer = SimpleNamespace(global_step=0)  # neither a data module nor a device to ask
    module.on_train_start()
