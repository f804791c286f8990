"""What becomes of a step whose loss or gradient is not finite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from dgreid.errors import InputError
from dgreid.types import Clock

OnNonFinite = Literal["stop", "skip"]
MOST_IN_A_ROW = 10
MOST_NAMED = 3


def not_finite(numbers: Mapping[str, Tensor]) -> str:
    """The scalars that are not finite with their names, as text; empty if all are."""
    if bool(torch.stack(list(numbers.values())).isfinite().all()):
        return ""
    return ", ".join(f"{name} = {float(value)}" for name, value in numbers.items() if not value.isfinite())


def gradients_not_finite(parameters: Iterable[tuple[str, Tensor]]) -> str:
    """The parameters, of name and tensor, whose gradients are not finite, as text; empty if all are."""
    gradients = {name: parameter.grad for name, parameter in parameters if parameter.grad is not None}
    # One number for all of them first; it may be too large for a float though none of them is.
    if not gradients or bool(nn.utils.get_total_norm(list(gradients.values())).isfinite()):
        return ""
    names = [name for name, gradient in gradients.items() if not bool(gradient.isfinite().all())]
    listed = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if names[MOST_NAMED:] else "")
    return f"the gradient of {listed}" if names else ""


class NonFiniteSteps:
    """Stops a run at such a step, or leaves the step out.

    A step that is left out changes neither weights, banks, optimizer nor running statistics, but counts as a step. All
    processes must see the same numbers, and so decide alike.

    Args:
        policy: ``stop``, or ``skip``, which stops at the tenth in a row.

    Attributes:
        skipped: steps left out so far.
        in_a_row: those since the last step that was taken.
    """

    def __init__(self, policy: OnNonFinite) -> None:
        self.policy = policy
        self.skipped = 0
        self.in_a_row = 0
        self._before: list[tuple[Tensor, Tensor]] = []

    def begin(self, net: nn.Module) -> None:
        """Keeps what a forward may spoil."""
        if self.policy == "skip":
            self._before = [(buffer, buffer.clone()) for buffer in net.buffers()]

    def well(self) -> None:
        """The step was taken."""
        self.in_a_row = 0

    def refuse(self, what: str, clock: Clock, checkpoint: str) -> None:
        """Takes back what the step has changed.

        Args:
            what: is not finite.
            clock: of the step.
            checkpoint: the last one that was written, or nothing.

        Raises:
            InputError: the run is to stop here.
        """
        self.in_a_row += 1
        if self.policy == "stop" or self.in_a_row == MOST_IN_A_ROW:
            row = f", the {MOST_IN_A_ROW}th step in a row" if self.policy == "skip" else ""
            kept = f"; the last checkpoint before it is {checkpoint}" if checkpoint else ""
            raise InputError(
                f"what the strategy computed is not finite at step {clock.step}{row} (epoch {clock.epoch}, learning "
                f"rate {clock.learning_rate:g}): {what}{kept}. Lower the learning rate, clip gradients "
                "(trainer.gradient_clip_val=5), use float32, or leave such steps out (on_nonfinite=skip)"
            )
        self.skipped += 1
        with torch.no_grad():
            for buffer, before in self._before:
                buffer.copy_(before)
