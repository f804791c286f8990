"""Seconds of single training steps, warm-up and waiting told apart."""

from __future__ import annotations

import re
import time

import torch
from pytorch_lightning.profilers import Profiler

from dgreid.run.peak_memory import PeakMemory


class StepMeter(Profiler):
    """Measures the first steps of a training.

    A profiler, because Lightning tells callbacks of the start of training before the module fills its memories.

    Args:
        device: where the net is.
        steps: how many are trained, at least two; the first is a warm-up.

    Attributes:
        memory: the peak over all these steps.
        arrived: for each step, when its batch was there, in seconds of a clock.
        over: for each step, when it ended, its part after the update included.
    """

    def __init__(self, device: torch.device, steps: int) -> None:
        super().__init__()
        self.device = device
        self.steps = steps
        self.memory = PeakMemory(device)
        self.arrived: list[float] = []
        self.over: list[float] = []
        self._begun = self._ready = 0.0

    def start(self, action_name: str) -> None:
        """Before an action of Lightning's."""
        hook = _hook(action_name)
        if hook == "on_train_start":
            self._begun = self._now()
        elif hook == "on_train_batch_start":
            self.arrived.append(time.perf_counter())

    def stop(self, action_name: str) -> None:
        """After an action of Lightning's."""
        hook = _hook(action_name)
        if hook == "on_train_start":
            self.memory.start()
            self._ready = self._now()
        elif hook == "on_train_batch_end":
            # Between the measured steps a GPU is not waited for: loading runs beside it, as in training.
            at_the_ends = len(self.over) in (0, self.steps - 1)
            self.over.append(self._now() if at_the_ends else time.perf_counter())

    @property
    def preparation(self) -> float:
        """Seconds before the first step, in which memories are filled."""
        return self._ready - self._begun

    @property
    def warm_up(self) -> float:
        """Seconds of the first step, from asking for its batch."""
        return self.over[0] - self._ready

    @property
    def seconds(self) -> float:
        """Mean seconds of the steps after the first."""
        return (self.over[-1] - self.over[0]) / (self.steps - 1)

    @property
    def waiting(self) -> float:
        """Share of ``seconds`` (0..1) that steps waited for their batch."""
        waited = sum(arrived - before for before, arrived in zip(self.over, self.arrived[1:], strict=False))
        return waited / (self.over[-1] - self.over[0])

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def _hook(action_name: str) -> str | None:
    """The hook of the Lightning module that an action is, if it is one."""
    found = re.fullmatch(r"\[LightningModule\]\w+\.(\w+)", action_name)
    return found[1] if found else None
