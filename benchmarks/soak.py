"""Does a long run stay as it began? All methods in turn on the embedded benchmark, each for its share of the time.

Of each process of a run (the main one and its loading workers) resident memory, open files and threads are taken every
second. After warm-up memory must stay within 3 % and the others must not grow. Runs end in turn by themselves, by
SIGTERM and by SIGKILL; after each no process, shared memory, temporary file or half-written file may be left.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import psutil

from dgreid.run.compose import conf_folder

ENDS = {"itself": None, "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}
WARM_UP, WINDOW = 0.3, 0.2  # shares of a run
LARGEST_GROWTH = 0.03
SECONDS_TO_LEAVE = 30.0
TORCHS_OWN = "torchinductor_"  # the folder of its compiler's cache, one for a user, made when torch is imported
SHARED_MEMORY = Path("/dev/shm")
OPTIONS = (
    "experiment=demo", "synthetic=tiny", "data.height=64", "data.width=32", "data.transform.pad=2", "net.width=8",
    "data.identities_per_batch=4", "data.images_per_identity=2", "data.workers=3", "steps_per_epoch=25",
    "epochs=100000", "evaluate_every=2", "trainer.accelerator=cpu", "trainer.log_every_n_steps=10",
)  # fmt: skip


class Sample(NamedTuple):
    """One process at one moment.

    Attributes:
        memory: resident bytes; of a worker also those it shares with the main process.
        files: open file descriptors.
        threads: threads.
    """

    memory: int
    files: int
    threads: int


class Growth(NamedTuple):
    """How a kind of process ended, against what it was after warm-up.

    Attributes:
        process: the main one, or workers.
        memory: MB after warm-up.
        growth: share by which it grew until the end.
        files: by how many open files it grew.
        threads: by how many threads.
    """

    process: str
    memory: float
    growth: float
    files: int
    threads: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0, help="for all methods together (%(default)s)")
    parser.add_argument("--strategies", nargs="+", default=strategies(), help="(all)")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where images are drawn (%(default)s)")
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes / len(arguments.strategies)
    print("| method | ended by | steps | process | MB | growth | files | threads | left behind |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | --- |")
    wrong = False
    for position, strategy in enumerate(arguments.strategies):
        end = list(ENDS)[position % len(ENDS)]
        with tempfile.TemporaryDirectory() as folder:
            grown, left, steps = soaked(strategy, end, seconds, Path(folder), arguments.data)
        for growth in grown:
            print(
                f"| {strategy} | {end} | {steps} | {growth.process} | {growth.memory:.0f} | {growth.growth:+.1%} "
                f"| {growth.files:+d} | {growth.threads:+d} | {', '.join(left) or 'nothing'} |",
                flush=True,
            )
            wrong |= growth.growth > LARGEST_GROWTH or growth.files > 0 or growth.threads > 0
        if not grown:
            print(f"| {strategy} | {end} | {steps} | its workers were never seen | | | | | {', '.join(left)} |")
        wrong |= bool(left) or not grown
    sys.exit(int(wrong))


def strategies() -> list[str]:
    """The methods that exist."""
    return sorted(path.stem for path in (conf_folder() / "strategy").glob("*.yaml"))


def soaked(strategy: str, end: str, seconds: float, folder: Path, data: Path) -> tuple[list[Growth], list[str], int]:
    """Lets a method train for so many seconds; how its processes grew, what it left behind, and its steps."""
    temporary, shared_before = folder / "tmp", shared_memory()
    temporary.mkdir()
    minutes, rest = divmod(int(seconds), 60)
    stop = [f"+trainer.max_time='00:00:{minutes:02}:{rest:02}'"] if ENDS[end] is None else []
    command = [sys.executable, "-m", "dgreid.train", *OPTIONS, *stop, f"strategy={strategy}"]
    command += [f"folder={folder / 'run'}", f"data_root={data}"]
    run = subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(temporary)},
        stdout=(folder / "log").open("w"), stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    samples = watched(run, seconds)
    family = psutil.Process(run.pid).children(recursive=True) if run.poll() is None else []
    if ENDS[end] is not None and run.poll() is None:
        run.send_signal(ENDS[end])
    try:
        run.wait(timeout=120)
    except subprocess.TimeoutExpired:
        run.kill()
    _, alive = psutil.wait_procs(family, timeout=SECONDS_TO_LEAVE)
    left = [f"process {process.pid}" for process in alive]
    left += [f"shared memory {name}" for name in sorted(shared_memory() - shared_before)]
    left += [f"temporary {path.name}" for path in temporary.iterdir() if not path.name.startswith(TORCHS_OWN)]
    if end != "SIGKILL":
        left += [f"half-written {path.name}" for path in (folder / "run").rglob("*.part")]
    expected = {"itself": 0, "SIGTERM": 143, "SIGKILL": -9}[end]
    if run.returncode != expected:
        left.append(f"exit code {run.returncode}: {(folder / 'log').read_text()[-300:]!r}")
    return growths(samples), left, steps_of(folder / "run" / "metrics.csv")


def shared_memory() -> set[str]:
    """What lies in the machine's shared memory.

    A worker that ends between making a name and giving it room leaves the empty name, which takes no memory.
    """
    files = list(SHARED_MEMORY.iterdir()) if SHARED_MEMORY.is_dir() else []
    return {path.name for path in files if path.exists() and path.stat().st_size > 0}


def watched(run: subprocess.Popen[bytes], seconds: float) -> dict[str, list[list[Sample]]]:
    """Samples of the main process and of its workers, once a second while the workers are there."""
    samples: dict[str, list[list[Sample]]] = defaultdict(list)
    end = time.monotonic() + seconds
    while time.monotonic() < end and run.poll() is None:
        time.sleep(1)
        try:
            process = psutil.Process(run.pid)
            workers = process.children()
            if len(workers) == 3:  # in an evaluation there are others beside them
                samples["main"].append([sample(process)])
                samples["workers"].append([sample(worker) for worker in workers])
        except psutil.Error:  # one has just ended
            continue
    return samples


def sample(process: psutil.Process) -> Sample:
    """One process now."""
    return Sample(process.memory_info().rss, process.num_fds(), process.num_threads())


def growths(samples: dict[str, list[list[Sample]]]) -> list[Growth]:
    """The end of a run against what it was after warm-up: medians, of workers the one that grew most."""
    found = []
    for kind, moments in samples.items():
        window = max(1, int(WINDOW * len(moments)))
        first, last = moments[int(WARM_UP * len(moments)) :][:window], moments[-window:]
        before, after = (list(map(median, zip(*part, strict=True))) for part in (first, last))
        pairs = list(zip(before, after, strict=True))
        worst = max(pairs, key=lambda pair: pair[1].memory / pair[0].memory)
        found.append(
            Growth(
                kind, worst[0].memory / 1e6, worst[1].memory / worst[0].memory - 1,
                max(after.files - before.files for before, after in pairs),
                max(after.threads - before.threads for before, after in pairs),
            )
        )  # fmt: skip
    return found


def median(samples: tuple[Sample, ...]) -> Sample:
    """Of each figure."""
    return Sample(*(int(statistics.median(values)) for values in zip(*samples, strict=True)))


def steps_of(metrics: Path) -> int:
    """The last step that a run has logged."""
    rows = [line.split(",") for line in metrics.read_text().splitlines()] if metrics.is_file() else []
    column = rows[0].index("step") if rows else 0
    return max((int(float(row[column])) for row in rows[1:] if row[column]), default=0)


if __name__ == "__main__":
    main()
