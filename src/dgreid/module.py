"""The Lightning module: connects a net, a strategy and metrics, and adds nothing to the method."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, cast, get_args

import pytorch_lightning as lightning
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dgreid.centroids import class_centroids
from dgreid.data.transforms import IMAGENET_MEAN, IMAGENET_STD, normalise
from dgreid.distributed import follow_first_rank, mean_over_ranks, rank_and_world_size
from dgreid.errors import InputError, check_one_of
from dgreid.evaluation.flip import FlipAveraged
from dgreid.evaluation.metric import RetrievalMetric
from dgreid.evaluation.ranking import RetrievalResult
from dgreid.nets.shared_batch_norm import share_batch_norm
from dgreid.nonfinite import NonFiniteSteps, OnNonFinite, gradients_not_finite, not_finite
from dgreid.strategies.base import TrainingStrategy
from dgreid.types import Clock, DomainInfo, ReIDBatch, StepResult

Triple = tuple[float, float, float]
BatchStatistics = Literal["global", "local"]


class ReIDModule(lightning.LightningModule):
    """Trains one net by one strategy with one optimizer, by Lightning's automatic optimization.

    Args:
        net: module from normalised images to :class:`~dgreid.types.Features`, with its initial weights.
        strategy: the method; its ``setup`` is called here.
        domains: the source domains, in the order of the batches.
        optimizer: parameters to optimizer.
        schedule: optimizer to a scheduler over epochs.
        seed: the run's seed.
        batch_statistics: of several processes: ``global`` takes statistics of a batch over all of them, so that the
            result is that of one process; ``local`` of each process's rows by themselves.
        on_nonfinite: ``stop`` ends training at a loss or gradient that is not finite; ``skip`` leaves the step out.
        mean: RGB mean that images are normalised with, in 0..1.
        std: RGB standard deviation, likewise.

    Attributes:
        retrieval_metrics: the sets that a validation loop scores, by name, in the order of its dataloaders.
        retrieval_results: what the last validation loop found, by name.
        non_finite: counts the steps left out.
        flip_average: whether a validation loop averages each embedding with that of the mirrored image.
    """

    def __init__(
        self,
        net: nn.Module,
        strategy: TrainingStrategy,
        domains: Sequence[DomainInfo],
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] | None = None,
        schedule: Callable[[Optimizer], LRScheduler] | None = None,
        seed: int = 0,
        batch_statistics: BatchStatistics = "global",
        on_nonfinite: OnNonFinite = "stop",
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.net = net
        self.strategy = strategy
        self.domains = tuple(domains)
        self.optimizer = optimizer
        self.schedule = schedule
        self.seed = seed
        check_one_of("batch_statistics", batch_statistics, get_args(BatchStatistics))
        self.batch_statistics = batch_statistics
        self.mean, self.std = cast(Triple, tuple(mean)), cast(Triple, tuple(std))
        strategy.setup(net, self.domains)
        self.retrieval_metrics: dict[str, RetrievalMetric] = {}
        self.retrieval_results: dict[str, RetrievalResult] = {}
        self.flip_average = False
        self._inference_net: nn.Module | None = None
        self.non_finite = NonFiniteSteps(on_nonfinite)
        self._step: tuple[Mapping[str, ReIDBatch], StepResult, Clock] | None = None

    def setup(self, stage: str) -> None:
        """Divides the training among the processes that there are; called by Lightning in each of them.

        Raises:
            InputError: the strategy or the net cannot be divided so.
        """
        processes = rank_and_world_size()[1]
        if stage != "fit" or processes == 1:
            return
        shared = self.batch_statistics == "global"
        self.strategy.distribute(processes, shared)
        if shared:
            share_batch_norm(self)

    def configure_optimizers(self) -> Any:
        """One optimizer over what the strategy lets move; the schedule is stepped once per epoch."""
        if self.optimizer is None or self.schedule is None:
            raise InputError("this module was loaded for evaluation; give it an optimizer and a schedule to train it")
        optimizer = self.optimizer(list(self.strategy.parameter_groups(self.net)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.schedule(optimizer), "interval": "epoch"}}

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Normalises uint8 images on the device they were sent to."""
        if isinstance(batch, ReIDBatch):
            return self._normalised(batch)
        return {name: self._normalised(one) for name, one in batch.items()}

    def _normalised(self, batch: ReIDBatch) -> ReIDBatch:
        return batch._replace(images=normalise(batch.images, self.mean, self.std).to(self.dtype))

    def on_train_start(self) -> None:
        """Fills what the strategy starts from class centroids; a resumed run has it in its checkpoint."""
        overrides_fill = type(self.strategy).fill is not TrainingStrategy.fill
        if not overrides_fill or self.trainer.global_step > 0:
            return
        sources = cast(Any, self.trainer).datamodule.sources
        to_device = self.trainer.strategy.batch_to_device
        with self.trainer.precision_plugin.forward_context():
            centroids = {
                info.name: class_centroids(
                    self.net,
                    sources[info.name].centroid_dataloader(),
                    info.identities,
                    to_device,  # which normalises, by on_after_batch_transfer
                )
                for info in self.domains
            }
        self.strategy.fill(centroids)

    def training_step(self, batches: Mapping[str, ReIDBatch], batch_idx: int) -> Tensor:
        """The strategy's loss; see :meth:`TrainingStrategy.loss`."""
        clock = self._clock()
        self.non_finite.begin(self.net)
        self._seed("loss", clock)
        result = self.strategy.loss(self.net, batches, clock)
        numbers = self._numbers(result)
        self.log_dict(numbers)
        self.log("learning_rate", clock.learning_rate)
        what = not_finite(numbers)
        if what:
            self._refuse(what, clock)
            # A loss that reaches no weight moves none; a scaler wants to see for itself.
            return result.loss if self._scaler() else torch.zeros_like(result.loss, requires_grad=True)
        self._step = (batches, result, clock)
        return result.loss

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """The update, by Lightning, and the strategy's part after it; see :meth:`TrainingStrategy.after_step`.

        Callbacks hear of the end of a step after both, so that whatever they save belongs to one step.
        """
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self._step is not None:
            self._after_step(*self._step)
            self._step = None
            self.non_finite.well()
            # Without shared statistics each process has its own running ones; those of the first are the run's.
            follow_first_rank(list(self.net.buffers()))

    @torch.no_grad()
    def _after_step(self, batches: Mapping[str, ReIDBatch], result: StepResult, clock: Clock) -> None:
        self._seed("after_step", clock)
        with self.trainer.precision_plugin.forward_context():
            self.strategy.after_step(self.net, batches, result, clock)

    def _clock(self) -> Clock:
        rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        return Clock(self.trainer.global_step, self.trainer.current_epoch, rate, self.seed)

    def _seed(self, phase: str, clock: Clock) -> None:
        """Ambient random numbers become a function of (seed, step, rank), so that a resumed run draws the same."""
        torch.manual_seed(zlib.crc32(f"{phase} {clock.seed} {clock.step} {self.global_rank}".encode()))

    def _numbers(self, result: StepResult) -> dict[str, Tensor]:
        """The loss and what else there is to log: on every process the mean over all of them."""
        named = {"loss": result.loss, **result.scalars}
        device = result.loss.device
        dtype = torch.promote_types(result.loss.dtype, torch.float32)
        values = [torch.as_tensor(value, dtype=dtype, device=device).detach().reshape(()) for value in named.values()]
        return dict(zip(named, mean_over_ranks(torch.stack(values)).unbind(), strict=True))

    def _refuse(self, what: str, clock: Clock) -> None:
        written = [getattr(callback, "best_model_path", "") for callback in self.trainer.checkpoint_callbacks]
        self.non_finite.refuse(what, clock, next(filter(None, reversed(written)), ""))
        self._step = None

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Looks at the gradients, which are equal on all processes by now; a loss scaler does so itself."""
        if self._step is None or self._scaler():
            return
        what = gradients_not_finite(self.named_parameters())
        if what:
            self._refuse(what, self._step[2])
            self.zero_grad(set_to_none=True)

    def _scaler(self) -> Any:
        return getattr(self.trainer.precision_plugin, "scaler", None)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the number of steps left out, and of those that the run has not recovered from."""
        checkpoint["skipped_steps"] = self.non_finite.skipped
        checkpoint["skipped_in_a_row"] = self.non_finite.in_a_row

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Goes on counting."""
        self.non_finite.skipped = int(checkpoint.get("skipped_steps", 0))
        self.non_finite.in_a_row = int(checkpoint.get("skipped_in_a_row", 0))

    def on_validation_epoch_start(self) -> None:
        """Asks the strategy for the net to evaluate, and empties the metrics."""
        net = self.strategy.inference_net(self.net).eval()
        self._inference_net = FlipAveraged(net) if self.flip_average else net
        for metric in self.retrieval_metrics.values():
            metric.reset()

    def validation_step(self, batch: ReIDBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Embeds a batch of the query and gallery images of one set."""
        assert self._inference_net is not None
        metric = list(self.retrieval_metrics.values())[dataloader_idx]
        metric.update(self._inference_net(batch.images), batch.indices)

    def on_validation_epoch_end(self) -> None:
        """Scores every set; logs ``<kind>/<domain>/mAP`` and ``rank1``, and the mean over the source sets."""
        self._inference_net = None
        self.retrieval_results = {name: metric.compute() for name, metric in self.retrieval_metrics.items()}
        if self.trainer.state.fn != "fit":
            return
        for name, result in self.retrieval_results.items():
            summary = result.summary()
            self.log_dict({f"{name}/mAP": float(summary["mAP"]), f"{name}/rank1": float(summary["rank1"])})
        source = [r.mean_average_precision for name, r in self.retrieval_results.items() if name.startswith("source/")]
        if source:
            self.log("source/mAP", float(torch.tensor(source).mean()))
