"""Seconds a training step and peak memory of each method, against the same mathematics as its release computes it.

ResNet-50 with random weights, three domains, fixed random images (no data loading). The releases' options, except that
first order M3L exists for the full objective only. Each row is a fresh process, one after the other. Peak: on the CPU
the highest resident memory from the first step on, minus its level just before; on a GPU the most that was allocated,
weights and optimizer included. The first two steps count for memory, not for time.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from plain_il import Mode, PlainIL, PlainILNet
from plain_m3l import PlainM3L, PlainNet
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from dgreid.nets.reid import NeckBias
from dgreid.nets.resnet import resnet50
from dgreid.run.peak_memory import reset_resident_peak, resident_memory
from dgreid.strategies.base import TrainingStrategy
from dgreid.strategies.fb import FB
from dgreid.strategies.fbf import FBF
from dgreid.strategies.il import IL
from dgreid.strategies.m3l import M3L
from dgreid.types import Clock, DomainInfo, ReIDBatch, StepResult

DOMAINS = [DomainInfo(name, 1000, 10000, 6, "") for name in ("first", "second", "third")]
IMAGES_OF_PERSON = 4
LEARNING_RATE, WEIGHT_DECAY = 3.5e-4, 5e-4
WARM_UP = 2


class Problem:
    """Random images, labels and memories, and how to compute.

    Args:
        arguments: of the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device = torch.device(arguments.device)
        self.mixed = arguments.precision == "bf16-mixed"
        generator = torch.Generator().manual_seed(0)
        people = -(-arguments.images // IMAGES_OF_PERSON)
        self.batches: dict[str, ReIDBatch] = {}
        self.memories: dict[str, Tensor] = {}
        for domain in DOMAINS:
            images = torch.randn(arguments.images, 3, arguments.height, arguments.width, generator=generator)
            labels = torch.randperm(domain.identities, generator=generator)[:people]
            labels = labels.repeat_interleave(IMAGES_OF_PERSON)[: arguments.images]
            nothing = torch.zeros_like(labels)
            self.batches[domain.name] = ReIDBatch(*(one.to(self.device) for one in (images, labels, nothing, nothing)))
            rows = torch.randn(domain.identities, 2048, generator=generator)
            self.memories[domain.name] = F.normalize(rows, dim=1).to(self.device)

    def precision(self) -> torch.autocast:
        """The context of everything but backward and the optimizer's step."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed)


class Training(ABC):
    """A net that is trained, one step after another."""

    optimizer: torch.optim.Optimizer

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @abstractmethod
    def loss(self, number: int) -> Tensor:
        """The loss of a step, whose backward gives the gradient."""

    @abstractmethod
    def after_step(self, number: int) -> None:
        """What follows the update."""

    def step(self, number: int) -> float:
        """One step, as Lightning takes it; its loss."""
        with self.problem.precision():
            loss = self.loss(number)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad(), self.problem.precision():
            self.after_step(number)
        return float(loss.detach())


class PlainTraining(Training):
    """A release's procedure, with its optimizer of one group for each tensor.

    Args:
        problem: what it is trained on.
        net: as constructed.
    """

    def __init__(self, problem: Problem, net: PlainNet) -> None:
        super().__init__(problem)
        torch.backends.cudnn.benchmark = True
        self.net = net.to(problem.device).train()
        self.batches = {name: (batch.images, batch.identities) for name, batch in problem.batches.items()}
        groups = [{"params": [weight]} for weight in net.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.Adam(groups, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)


class PlainM3LTraining(PlainTraining):
    """M3L's."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, PlainNet())
        self.method = PlainM3L(self.net, problem.memories)

    def loss(self, number: int) -> Tensor:
        """The whole graph's."""
        return self.method.loss(self.batches, LEARNING_RATE)

    def after_step(self, number: int) -> None:
        """The memories."""
        self.method.update_memories(self.batches)


class PlainILTraining(PlainTraining):
    """IL's, and its baselines'."""

    def __init__(self, problem: Problem, mode: Mode) -> None:
        net = PlainILNet()
        super().__init__(problem, net)
        self.method = PlainIL(net, problem.memories, mode)

    def loss(self, number: int) -> Tensor:
        """Of all domains, with all their graphs."""
        return self.method.loss(self.batches)

    def after_step(self, number: int) -> None:
        """The memories."""
        self.method.update_memories(self.batches)


class StrategyTraining(Training):
    """A strategy of ours, its net built as a run builds it.

    Args:
        strategy: not set up yet.
        problem: what it is trained on.
    """

    def __init__(self, strategy: TrainingStrategy, problem: Problem) -> None:
        super().__init__(problem)
        self.strategy = strategy
        neck_bias: NeckBias = "trainable" if isinstance(strategy, M3L) else "frozen"
        net = resnet50(weights="random", stem_relu=False, neck_bias=neck_bias)
        self.net = net.to(problem.device, memory_format=torch.channels_last).train()
        strategy.setup(self.net, DOMAINS)
        strategy.fill(problem.memories)
        parameters = list(strategy.parameter_groups(self.net))
        self.optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self.result: StepResult | None = None

    def loss(self, number: int) -> Tensor:
        """The strategy's."""
        self.result = self.strategy.loss(self.net, self.problem.batches, self.clock(number))
        return self.result.loss

    def after_step(self, number: int) -> None:
        """The strategy's part after the update."""
        result, self.result = self.result, None
        assert result is not None
        self.strategy.after_step(self.net, self.problem.batches, result, self.clock(number))

    def clock(self, number: int) -> Clock:
        """Of a step."""
        return Clock(step=number, epoch=0, learning_rate=LEARNING_RATE, seed=0)


def m3l(**options: Any) -> M3L:
    return M3L(metabn_scale="variance", meta_test_updates_bn=True, **options)


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        title: for readers.
        plain: the row that does the same as the release does it.
        training: what is measured.
    """

    title: str
    plain: str
    training: Callable[[Problem], Training]


ROWS = {
    "plain_m3l": Row("M3L, plain procedure", "plain_m3l", PlainM3LTraining),
    "graph": Row(
        "M3L, hypergradient=graph",
        "plain_m3l",
        lambda problem: StrategyTraining(m3l(outer_gradient="second_order_only"), problem),
    ),
    "hvp": Row(
        "M3L, hypergradient=hvp",
        "plain_m3l",
        lambda problem: StrategyTraining(m3l(outer_gradient="second_order_only", hypergradient="hvp"), problem),
    ),
    "first_order": Row("M3L, order=first", "plain_m3l", lambda problem: StrategyTraining(m3l(order="first"), problem)),
    "plain_fb": Row("FB, plain procedure", "plain_fb", lambda problem: PlainILTraining(problem, "fb")),
    "fb": Row("FB", "plain_fb", lambda problem: StrategyTraining(FB(), problem)),
    "plain_fbf": Row("FBF, plain procedure", "plain_fbf", lambda problem: PlainILTraining(problem, "fbf")),
    "fbf": Row("FBF", "plain_fbf", lambda problem: StrategyTraining(FBF(), problem)),
    "plain_il": Row("IL, plain procedure", "plain_il", lambda problem: PlainILTraining(problem, "il")),
    "il": Row("IL", "plain_il", lambda problem: StrategyTraining(IL(), problem)),
}


def main() -> None:
    parser = argument_parser()
    arguments = parser.parse_args()
    if arguments.images <= IMAGES_OF_PERSON:
        parser.error(f"--images {arguments.images}: more than {IMAGES_OF_PERSON}, so that there are two identities")
    if arguments.steps < 1:
        parser.error(f"--steps {arguments.steps}: at least one is counted")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no GPU here")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    # As a run computes float32 by default: in full, not in TF32.
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined] # untyped
    if arguments.profile:
        print(profiled(arguments))
    elif arguments.only:
        print(json.dumps(measured(arguments)))
    else:
        show([in_a_fresh_process(row) for row in arguments.rows], arguments)


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--steps", type=int, default=3, help=f"that count for time, after {WARM_UP} (%(default)s)")
    parser.add_argument("--images", type=int, default=16, help="of each domain (%(default)s)")
    parser.add_argument("--height", type=int, default=256, help="of an image (%(default)s)")
    parser.add_argument("--width", type=int, default=128, help="of an image (%(default)s)")
    parser.add_argument("--threads", type=int, help="of the CPU (all)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--markdown", action="store_true", help="also print the table in Markdown")
    parser.add_argument("--profile", choices=ROWS, metavar="ROW", help="print the dearest operators of one step only")
    parser.add_argument("--only", choices=ROWS, help=argparse.SUPPRESS)
    return parser


def in_a_fresh_process(row: str) -> dict[str, Any]:
    """What a row measured; without figures if its process failed."""
    print(f"{ROWS[row].title} ...", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, *sys.argv, "--only", row], check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"{ROWS[row].title}: its process ended with {done.returncode} (-9: out of memory)", file=sys.stderr)
        return {"row": row}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each counted step and the peak in bytes, in this process."""
    training = ROWS[arguments.only].training(Problem(arguments))
    on_gpu = arguments.device == "cuda"
    reset_resident_peak()
    before = resident_memory().now
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for number in range(WARM_UP + arguments.steps):
        start = time.perf_counter()
        loss = training.step(number)
        if on_gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        if not math.isfinite(loss):
            raise SystemExit(f"{arguments.only}: loss {loss} in step {number}; figures of such steps mean nothing")
    peak = torch.cuda.max_memory_allocated() if on_gpu else resident_memory().highest - before
    return {"row": arguments.only, "seconds": seconds[WARM_UP:], "peak_bytes": peak}


def profiled(arguments: argparse.Namespace) -> str:
    """The operators that take longest in one step after the warm-up."""
    training = ROWS[arguments.profile].training(Problem(arguments))
    for number in range(WARM_UP):
        training.step(number)
    activities, order = [ProfilerActivity.CPU], "self_cpu_time_total"
    if arguments.device == "cuda":
        activities, order = [*activities, ProfilerActivity.CUDA], "self_device_time_total"
    with profile(activities=activities) as profiler:
        training.step(WARM_UP)
    table: str = profiler.key_averages().table(sort_by=order, row_limit=25, max_name_column_width=60)
    return table


def show(found: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Prints the table, and once more in Markdown if asked for."""
    measured_rows = {one["row"]: one for one in found if "seconds" in one}
    head = ["row", "s/step", "min-max", "peak GB", "time/plain", "peak/plain"]
    rows = [head, *(cells(one, measured_rows.get(ROWS[one["row"]].plain)) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    device = f"{torch.get_num_threads()} threads of a CPU ({platform.machine()})"
    if arguments.device == "cuda":
        device = torch.cuda.get_device_name()
    print(
        f"ResNet-50, {len(DOMAINS)} x {arguments.images} images of {arguments.height}x{arguments.width}, "
        f"{arguments.precision}, {device}, torch {torch.__version__}, {arguments.steps} steps after {WARM_UP}"
    )
    for row in rows:
        name, *figures = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join([row[0].ljust(len(name)), *figures]))
    if arguments.markdown:
        print()
        for row in [head, ["---", *["---:"] * (len(head) - 1)], *rows[1:]]:
            print(f"| {' | '.join(row)} |")


def cells(one: dict[str, Any], plain: dict[str, Any] | None) -> list[str]:
    """A row of the table."""
    title = ROWS[one["row"]].title
    if "seconds" not in one:
        return [title, *["failed"] * 3, "-", "-"]
    seconds, peak = statistics.median(one["seconds"]), one["peak_bytes"]
    ratios = ["-", "-"]
    if plain is not None:
        ratios = [f"{seconds / statistics.median(plain['seconds']):.2f}", f"{peak / plain['peak_bytes']:.2f}"]
    spread = f"{min(one['seconds']):.2f}-{max(one['seconds']):.2f}"
    return [title, f"{seconds:.2f}", spread, f"{peak / 1e9:.2f}", *ratios]


if __name__ == "__main__":
    main()
