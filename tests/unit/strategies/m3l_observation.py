"""Steps of M3L, and what passes through it meanwhile, seen from outside and told in the recording's names."""

import m3l_recording
import pytest
import recording
import torch

from dgreid.nets.names import own_name
from dgreid.strategies import m3l

GRADIENTS_IN_FULL = ("feat_bn.weight", "base.bn1.weight")


class Observation:
    """What one call of ``M3L.loss`` did.

    Attributes:
        moved: theta' by name.
        meta_test_gradient: dL_test/dtheta' by name.
        found: what the strategy's method returned.
        pooled: features given to each triplet loss, in order.
        embeddings: features given to each memory loss, in order.
        memory_losses: those losses.
        statistics: given to MetaBN.
    """

    def __init__(self, strategy, monkeypatch):
        self.moved, self.meta_test_gradient, self.found = {}, {}, None
        self.pooled, self.embeddings, self.memory_losses, self.statistics = [], [], [], []
        monkeypatch.setattr(strategy, "method", self.of_method(strategy.method))
        monkeypatch.setattr(m3l, "batch_hard_triplet", self.of_triplet(m3l.batch_hard_triplet))
        monkeypatch.setattr(m3l, "metabn", self.of_metabn(m3l.metabn))
        for bank in strategy.banks.values():
            monkeypatch.setattr(bank, "loss", self.of_memory(bank.loss))

    def of_method(self, method):
        def observed(problem):
            def observed_meta_test(moved):
                for name, value in moved.items():
                    self.moved[name] = value.detach()
                    value.register_hook(lambda gradient, name=name: self.keep_gradient(name, gradient))
                return problem.meta_test(moved)

            self.found = method(problem._replace(meta_test=observed_meta_test))
            return self.found

        return observed

    def keep_gradient(self, name, gradient):
        self.meta_test_gradient[name] = gradient.detach().clone()

    def of_triplet(self, triplet):
        def observed(features, *rest):
            self.pooled.append(features.detach())
            return triplet(features, *rest)

        return observed

    def of_memory(self, loss):
        def observed(features, *rest):
            value = loss(features, *rest)
            self.embeddings.append(features.detach())
            self.memory_losses.append(value.detach())
            return value

        return observed

    def of_metabn(self, metabn):
        def observed(features, statistics, *rest):
            self.statistics = list(statistics)
            return metabn(features, statistics, *rest)

        return observed


def step(net, strategy, optimizer, iteration):
    """One training step as the Lightning module does it."""
    batches, clock = m3l_recording.recorded_batches(iteration), recording.clock(iteration)
    with pytest.MonkeyPatch.context() as monkeypatch:
        seen = Observation(strategy, monkeypatch)
        result = strategy.loss(net, batches, clock)
    optimizer.zero_grad()
    result.loss.backward()
    optimizer.step()
    with torch.no_grad():
        strategy.after_step(net, batches, result, clock)
    return result, seen


def losses_of(result, seen, iteration):
    """As recorded; the memory losses of MetaBN's two outputs are seen before they are averaged."""
    meta_train, scalars = m3l_recording.meta_train_domains(iteration), result.scalars
    return m3l_recording.flat_losses(
        {
            "mtr_tri": [scalars[f"triplet/{name}"] for name in meta_train],
            "mtr_mem": [scalars[f"memory/{name}"] for name in meta_train],
            "loss_meta_train": scalars["loss/meta_train"],
            "mte_mem": seen.memory_losses[2:4],
            "mte_tri": scalars["triplet/meta_test"],
            "loss_meta_test": scalars["loss/meta_test"],
            "loss_total": result.loss.detach(),
        }
    )


def parameter_summaries(net, before, seen):
    parameters = dict(net.named_parameters())
    names = m3l_recording.recorded_numbers("plain")["param_names"]
    own = [own_name(name) for name in names]
    lists = {
        "grad": [parameters[name].grad for name in own],
        "param": [parameters[name].detach() for name in own],
        "delta": [parameters[name].detach() - before[name] for name in own],
        "grad_mtr": [seen.found.meta_train_gradient[name] for name in own],
        "grad_mte_at_theta1": [seen.meta_test_gradient[name] for name in own],
        "theta1_delta": [seen.moved[name] - before[name] for name in own],
    }
    return dict(zip(lists, m3l_recording.summary(names, *lists.values()), strict=True))


def buffer_summary(net, statistics):
    """The release keeps MetaBN's statistics as buffers of the neck; here they are no state."""
    buffers = dict(net.named_buffers())
    for k, (mean, variance) in enumerate(statistics, start=1):
        buffers |= {f"neck.meta_mean{k}": mean, f"neck.meta_var{k}": variance}
    names = m3l_recording.recorded_numbers("plain")["buffer_names"]
    (found,) = m3l_recording.summary(names, [buffers[own_name(name)].double() for name in names])
    return found


def measured_step(net, strategy, optimizer, iteration):
    """One step, and what may have been recorded of it."""
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    result, seen = step(net, strategy, optimizer, iteration)
    banks = {f"memory/{name}": strategy.bank(name).rows.clone() for name in m3l_recording.IDENTITIES}
    found = parameter_summaries(net, before, seen) | {
        "losses": losses_of(result, seen, iteration),
        "bufs": buffer_summary(net, seen.statistics),
        "mem_summary": m3l_recording.summary(list(banks), list(banks.values()))[0],
    }
    found = {f"{name}_it{iteration}": value for name, value in found.items()}
    if iteration == 0:
        found |= {f"mem_it0_d{d}": rows for d, rows in enumerate(banks.values())}
        found |= {f"gradvec_it0:{name}": net.get_parameter(own_name(name)).grad for name in GRADIENTS_IN_FULL}
        found |= {"it0_mtr0_tri": seen.pooled[0], "it0_mtr0_feat": seen.embeddings[0], "it0_mte_tri": seen.pooled[2]}
        found |= {"it0_mte_out1": seen.embeddings[2], "it0_mte_out2": seen.embeddings[3]}
    return found
