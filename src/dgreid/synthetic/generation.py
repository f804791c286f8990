"""Writes a domain to disk once: whole or not at all, by several processes, whoever else tries at the same time."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from dgreid.errors import InputError
from dgreid.synthetic.plan import Plan, joint_hash
from dgreid.synthetic.worker import Report, Request, write_share

MARKER = "synthetic.json"
FILES_PER_PROCESS = 300  # below that, starting another process takes longer than it saves
log = logging.getLogger(__name__)


def ensure_generated(plan: Plan, folder: Path) -> Path:
    """The data set's folder below ``folder``, drawn now if it is not there.

    Raises:
        InputError: the disk is full or cannot be written, or what is there is not this data set.
    """
    target = folder / plan.folder_name
    if target.exists():
        _verify(plan, target)
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{plan.folder_name}.lock"):  # the system releases it with its process
            if not target.exists():
                _generate(plan, target)
    except OSError as error:
        raise InputError(
            f"{plan.name} cannot be written to {folder}: {error.strerror or error}; free some space, or choose another "
            "folder by synthetic.folder=<folder>"
        ) from error
    _verify(plan, target)
    return target


def _verify(plan: Plan, target: Path) -> None:
    """Refuses a folder whose marker is not the plan's."""
    try:
        marker = json.loads((target / MARKER).read_text())
        found = {key: marker[key] for key in plan.parameters}
    except (OSError, ValueError, KeyError):
        found = {}
    if found != plan.parameters:
        raise InputError(
            f"{target} is not {plan.name} as configured (its {MARKER} is missing or says otherwise); delete the folder "
            "and it is drawn again, or choose another one by synthetic.folder=<folder>"
        )


def _generate(plan: Plan, target: Path) -> None:
    """Draws into a folder beside the target, then renames it."""
    for abandoned in target.parent.glob(f".{plan.folder_name}.part-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    started = time.perf_counter()
    part = Path(tempfile.mkdtemp(prefix=f".{plan.folder_name}.part-", dir=target.parent))
    try:
        report = _draw(plan, part)
        for name, text in plan.layout.lists(plan.census).items():
            (part / name).write_text(text)
        (part / MARKER).write_text(json.dumps({**plan.parameters, **report._asdict()}, indent=2) + "\n")
        part.chmod(0o755)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    log.info("%s: drew %s images in %.1f s: %s", plan.name, f"{report.files:,}", time.perf_counter() - started, target)


def _draw(plan: Plan, part: Path) -> Report:
    """Writes all images, in several processes where that is worth it."""
    paths = [part / file.path for file in plan.layout.files(plan.census)]
    for folder in sorted({path.parent for path in paths}):
        folder.mkdir(parents=True, exist_ok=True)
    shares = max(1, min(_processors(), len(paths) // FILES_PER_PROCESS))
    if shares == 1:
        return write_share(Request(plan, part, 0, 1))
    reports = _run_workers([Request(plan, part, share, shares) for share in range(shares)])
    return Report(sum(report.files for report in reports), joint_hash(int(report.pixels, 16) for report in reports))


def _processors() -> int:
    """Processors this process may use, which in a batch job are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_workers(requests: list[Request]) -> list[Report]:
    command = [sys.executable, "-m", "dgreid.synthetic.worker"]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in requests]
    try:
        for worker, request in zip(workers, requests, strict=True):
            assert worker.stdin is not None  # it is a pipe
            with suppress(BrokenPipeError), worker.stdin as pipe:  # a worker that is gone is reported below
                pickle.dump(request, pipe)
        return [_report(worker) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def _report(worker: subprocess.Popen[bytes]) -> Report:
    assert worker.stdout is not None  # it is a pipe
    with worker.stdout as pipe:
        output = pipe.read()
    if worker.wait() != 0:
        raise RuntimeError(f"a drawing process ended with code {worker.returncode}; its message stands above")
    answer = json.loads(output)
    if "error" in answer:
        raise OSError(*answer["error"])
    return Report(*answer["report"])
