"""Recall, speed, size and build time of faiss's indexes on this machine, against exact search.

A gallery of unit vectors, ten images of each person, and queries of other images of the same persons. Each index is
built in a fresh process and searched through dgreid.evaluation.neighbours. What was measured is kept in the folder, so
a call that was stopped goes on where it was. Recall is against exact search over the same vectors; "right" is the share
of queries whose best match shows their person.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from search_problem import IMAGES_OF_PERSON, SearchProblem, search_problem
from search_rows import ROWS, SLOW_TO_BUILD, kind_for

from dgreid.evaluation.indexes.recall import recall
from dgreid.evaluation.neighbours import NeighbourIndex

NEIGHBOURS = 10
ALONE = 50
ENOUGH_SECONDS, REPEATS = 30.0, 3
HEAD = ["index", "parameters", "recall@1", "recall@10", "right", "queries/s", "x exact", "ms alone", "MB", "build s"]


def main() -> None:
    parser = argument_parser()
    arguments = parser.parse_args()
    if arguments.queries * IMAGES_OF_PERSON > arguments.size:
        parser.error(f"--queries {arguments.queries}: at most one for each of {arguments.size // IMAGES_OF_PERSON}")
    torch.set_num_threads(arguments.threads)
    vectors = arguments.folder / f"{arguments.size}x{arguments.dimension}"
    folder = vectors / f"{arguments.queries}_queries_{arguments.threads}_threads"
    folder.mkdir(parents=True, exist_ok=True)
    problem = search_problem(vectors, arguments.size, arguments.dimension, arguments.queries)
    if arguments.only:
        print(json.dumps(measured(arguments.only, problem, folder, arguments.threads)))
        return
    quick = [row for row in ROWS if arguments.size <= 10**5 or row not in SLOW_TO_BUILD]
    for row in dict.fromkeys(["exact", *(arguments.rows or quick)]):
        if not (folder / f"{row}.json").exists():
            in_a_fresh_process(row, folder)
    show(folder, arguments)


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=10**6, help="images in the gallery (%(default)s)")
    parser.add_argument("--dimension", type=int, default=512, help="of a vector (%(default)s)")
    parser.add_argument("--queries", type=int, default=1000, help="(%(default)s)")
    parser.add_argument(
        "--rows", nargs="+", choices=ROWS, metavar="ROW",
        help=f"of {', '.join(ROWS)} (all; above 100,000 images without {' and '.join(SLOW_TO_BUILD)})",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of the CPU (all)")
    parser.add_argument("--folder", type=Path, default=Path("runs/bench_search"), help="vectors, results (%(default)s)")
    parser.add_argument("--only", choices=ROWS, help=argparse.SUPPRESS)
    return parser


def in_a_fresh_process(row: str, folder: Path) -> None:
    """Measures a row and keeps what it found."""
    print(f"{row} ...", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, *sys.argv, "--only", row], check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{row}: its process ended with {done.returncode} (-9: out of memory)")
    partial = folder / f"{row}.part"
    partial.write_text(done.stdout.splitlines()[-1] + "\n")
    partial.rename(folder / f"{row}.json")


def measured(row: str, problem: SearchProblem, folder: Path, threads: int) -> dict[str, Any]:
    """Builds an index, saves it for its size, and searches with each of its parameters, in this process."""
    kind = kind_for(row, len(problem.gallery))
    start = time.perf_counter()
    index = NeighbourIndex.build(
        problem.gallery, kind, float16=ROWS[row].float16, threads=threads, recall_queries=1, progress=shown(row)
    )
    build = time.perf_counter() - start
    saved = index.save(folder / "index.tmp")
    size = saved.stat().st_size
    saved.unlink()
    searches = [searched(index, parameters, problem, folder) for parameters in ROWS[row].parameters]
    name = f"{kind}, float16" if ROWS[row].float16 else kind
    return {"index": name, "build": build, "bytes": size, "threads": threads, "searches": searches}


def shown(row: str) -> Callable[[int], None]:
    """Says how far a build is, at most every ten seconds."""
    last = time.perf_counter()

    def progress(done: int) -> None:
        nonlocal last
        if time.perf_counter() - last > 10:
            last = time.perf_counter()
            print(f"{row}: {done} vectors", file=sys.stderr, flush=True)

    return progress


def searched(index: NeighbourIndex, parameters: str, problem: SearchProblem, folder: Path) -> dict[str, Any]:
    """Speed of all queries together and of each alone, and what was found."""
    if parameters:
        index.set_parameters(parameters)
    together: list[float] = []
    while len(together) < REPEATS and (not together or sum(together) < ENOUGH_SECONDS):
        start = time.perf_counter()
        found = index.search(problem.queries, NEIGHBOURS).indices
        together.append(time.perf_counter() - start)
    alone = []
    for query in problem.queries[:ALONE]:
        start = time.perf_counter()
        index.search(query[None], NEIGHBOURS)
        alone.append(time.perf_counter() - start)
    path = folder / "exact.npy"
    if index.kind == "exact" and not index.float16:
        np.save(path, found)
    exact = np.load(path)
    return {
        "parameters": parameters,
        "at_1": recall(found, exact, 1),
        "at_10": recall(found, exact, NEIGHBOURS),
        "right": float(np.mean((found[:, 0] // IMAGES_OF_PERSON == problem.identities) & (found[:, 0] >= 0))),
        "queries_per_second": len(found) / statistics.median(together),
        "alone": statistics.median(alone),
    }


def show(folder: Path, arguments: argparse.Namespace) -> None:
    """Prints what the folder holds as a table in Markdown."""
    found = [json.loads((folder / f"{row}.json").read_text()) for row in ROWS if (folder / f"{row}.json").exists()]
    exact = found[0]["searches"][0]["queries_per_second"]
    rows = [HEAD, ["---", "---", *["---:"] * (len(HEAD) - 2)]]
    for one in found:
        rows += [cells(one, search, exact) for search in one["searches"]]
    print(
        f"{arguments.size} x {arguments.dimension} vectors, {arguments.queries} queries, {found[0]['threads']} threads"
    )
    for row in rows:
        print(f"| {' | '.join(row)} |")


def cells(one: dict[str, Any], search: dict[str, Any], exact: float) -> list[str]:
    """A row of the table."""
    rate = search["queries_per_second"]
    return [
        one["index"], search["parameters"] or "-",
        *(f"{search[name]:.3f}" for name in ("at_1", "at_10", "right")),
        f"{rate:.0f}", f"{rate / exact:.1f}", f"{1000 * search['alone']:.2f}",
        f"{one['bytes'] / 1e6:.0f}", f"{one['build']:.1f}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
