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
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from training_rows import DOMAINS, IMAGES_OF_PERSON, ROWS, Problem

from dgreid.run.peak_memory import reset_resident_peak, resident_memory

WARM_UP = 2


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
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined] # torch has no types for it
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
