"""Kills small runs at random moments, continues them, and compares each with the run that was not stopped.

`make test-faults` starts as many kills as KILLS says over all strategies; the seed that it prints repeats them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from interrupted_runs import assert_same_run
from running_command import RunningCommand
from small_runs import strategies, typed

STEPS = 12
RUN = (
    "epochs=3", "steps_per_epoch=4", "schedule=il", "optim.lr=1e-3", "data.transform.random_erasing=0.5",
    "holdout=0.25", "evaluate_every=1", "selection=source",
)  # fmt: skip
INTERVALS = ("null", "1 step", "3 steps", "0.005 minutes")
SIGNALS = ("SIGKILL", "SIGKILL", "SIGKILL", "SIGTERM", "SIGINT")
CODES = {"SIGKILL": {-9}, "SIGTERM": {143, -15}, "SIGINT": {130, -2}, "worker": {1}, "disk": {1}, "rank": {1}}
ON_SEVERAL = ("trainer=ddp", "data.identities_per_batch=4")


class Case(NamedTuple):
    """What a run is, apart from its interruptions."""

    strategy: str
    workers: int
    processes: int = 1

    def overrides(self) -> tuple[str, ...]:
        """What is typed for it."""
        several = (*ON_SEVERAL, f"trainer.devices={self.processes}") if self.processes > 1 else ()
        return (*RUN, f"strategy={self.strategy}", f"data.workers={self.workers}", *several)

    def name(self) -> str:
        """As a file's name."""
        return f"{self.strategy}_{self.workers}_{self.processes}"


class Bench:
    """Where runs are interrupted.

    Args:
        folder: keeps runs, their logs, and the images.
        seed: of the moments and kinds of interruptions.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self._whole: dict[Case, tuple[Path, float]] = {}
        self._numbers = itertools.count()

    def whole(self, case: Case) -> tuple[Path, float]:
        """The uninterrupted run of a case and the seconds it took, trained when first asked for."""
        if case not in self._whole:
            folder = self.folder / f"{case.name()}_whole"
            run = self._start(case, folder, "null")
            assert run.end() == 0, run.log.read_text()
            self._whole[case] = folder, time.monotonic() - run.begun
        return self._whole[case]

    def interrupt(self, case: Case, most: int) -> int:
        """One run, interrupted at most so often and then left alone, compared with the uninterrupted one.

        Returns:
            How often it was interrupted.
        """
        whole, seconds = self.whole(case)
        folder = self.folder / f"{case.name()}_{next(self._numbers)}"
        story: list[str] = []
        while len(story) < most:
            run = self._start(case, folder, self.random.choice(INTERVALS))
            moment = self.random.uniform(0, seconds)
            code = run.ended(moment)
            told = self._hit(run, case) if code is None else ""
            code = run.end() if code is None else code
            if code == 0:
                break
            run.outlive()
            assert told, f"code {code} without a fault; see {run.log}"
            assert code in CODES[told.split()[0]], f"{told}: code {code}; see {run.log}"
            story.append(f"{told} after {moment:.2f} s (code {code})")
            self.counts[told.split()[0]] += 1
        for _ in range(2):  # the second time there is nothing left to do
            run = self._start(case, folder, "null")
            assert run.end() == 0, f"{story}; see {run.log}"
        try:
            assert_same_run(folder, whole, STEPS)
            assert rows(folder) == rows(whole)
            assert leftovers(folder) == leftovers(whole)
        except AssertionError as error:
            raise AssertionError(f"{folder} differs from {whole} after {story}: {error}") from error
        return len(story)

    def _hit(self, run: RunningCommand, case: Case) -> str:
        # Workers would take the limit that stands for a full disk to be one of shared memory, too.
        faults = (*SIGNALS, "worker" if case.workers else "disk", *(["rank"] if case.processes > 1 else []))
        fault, everyone = self.random.choice(faults), self.random.random() < 0.5
        if not run.hit(fault, everyone):
            return ""
        return f"{fault} to all" if everyone and fault.startswith("SIG") else fault

    def _start(self, case: Case, folder: Path, interval: str) -> RunningCommand:
        place = (f"folder={folder}", "resume=auto", f"checkpoint_every={interval}")
        words = typed(self.folder / "data", *case.overrides(), *place)
        return RunningCommand(words, self.folder / f"{folder.name}.log", several=case.processes > 1)


def rows(folder: Path) -> tuple[object, object]:
    """What a run's result says."""
    result = json.loads((folder / "result.json").read_text())
    return result["rows"], result["selection_scores"]


def leftovers(folder: Path) -> list[str]:
    """All files of a run."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def cases() -> Iterator[Case]:
    """All strategies, on one process with 0 and 2 workers and on two processes, over and over."""
    shapes = ((0, 1), (2, 1), (2, 2))
    return itertools.cycle([Case(strategy, *shape) for strategy in strategies() for shape in shapes])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="dgreid-faults-"))
    bench, hits = Bench(folder, options.seed), 0
    print(f"seed {options.seed}, runs and their logs in {folder}", flush=True)
    for case in cases():
        if hits >= options.kills:
            break
        hits += bench.interrupt(case, most=min(3, options.kills - hits))
        print(
            f"{hits} of {options.kills}: {case.strategy}, workers {case.workers}, processes {case.processes}: equal",
            flush=True,
        )
    shutil.rmtree(folder)
    print(f"{sum(bench.counts.values())} interruptions: {dict(sorted(bench.counts.items()))}; all continued runs equal")


if __name__ == "__main__":
    main()
