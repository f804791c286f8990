"""Seconds and memory of k-reciprocal re-ranking, against the plain procedure with matrices over all images.

Synthetic embeddings at the size of a benchmark. The time runs from embeddings to figures: distances, re-ranking, and
the same evaluation for both. Each row is a fresh process; peak: the highest resident memory from the embeddings on,
minus its level with them. mAP and rank-1 of both show that they rank alike. The plain procedure is left out where its
matrices exceed this machine's memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from eval_problem import SIZES, Problem, make_problem, size_of
from plain_reranking import rerank, squared_distances

from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranking import RetrievalResult, evaluate_blocks, evaluate_similarities
from dgreid.evaluation.reranking import reranked_blocks
from dgreid.run.peak_memory import reset_resident_peak, resident_memory

PLAIN_BYTES = 22  # at its peak, of each pair of images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="market", help=f"{', '.join(SIZES)}, or such as 842x3978x2048 (%(default)s)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--distance", choices=("squared", "euclidean"), default="squared", help="%(default)s")
    parser.add_argument("--repeats", type=int, default=1, help="processes for each row, in turn (%(default)s)")
    parser.add_argument("--threads", type=int, help="of the CPU (all)")
    parser.add_argument("--json", type=Path, help="also write what was measured here")
    parser.add_argument("--only", choices=ROWS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measured(arguments)))
        return
    rows = [row for row in arguments.rows if row != "plain" or fits(arguments.size)]
    found = [in_a_fresh_process(row, arguments.threads) for _ in range(arguments.repeats) for row in rows]
    show(found, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def fits(size: str) -> bool:
    """Whether the machine has the memory for matrices over all images; says so if not."""
    queries, gallery, _ = size_of(size)
    needed = PLAIN_BYTES * (queries + gallery) ** 2
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > available:
        print(f"plain: needs about {needed / 1e9:.0f} GB, here are {available / 1e9:.0f}; left out", file=sys.stderr)
    return needed <= available


def in_a_fresh_process(row: str, threads: int | None) -> dict[str, Any]:
    """What a row measured; without figures if its process failed."""
    print(f"{row} ...", file=sys.stderr, flush=True)
    environment = dict(os.environ)
    if threads:
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    command = [sys.executable, *sys.argv, "--only", row]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        print(f"{row}: its process ended with {done.returncode} (-9: out of memory)", file=sys.stderr)
        return {"row": row}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds, peak in bytes and figures of one row, in this process."""
    problem = make_problem(*size_of(arguments.size))
    reset_resident_peak()
    before = resident_memory().now
    start = time.perf_counter()
    result, prepared = ROWS[arguments.only](problem, arguments.distance)
    end = time.perf_counter()
    return {
        "row": arguments.only,
        "seconds": end - start,
        "search_seconds": prepared - start,
        "peak_bytes": resident_memory().highest - before,
        "mAP": result.mean_average_precision,
        "rank1": float(result.cmc[0]),
    }


def plain(problem: Problem, distance: str) -> tuple[RetrievalResult, float]:
    """The figures, and when the final distances were there."""
    pairs = [
        (problem.query, problem.gallery),
        (problem.query, problem.query),
        (problem.gallery, problem.gallery),
    ]
    matrices = [squared_distances(*pair) for pair in pairs]
    if distance == "euclidean":
        matrices = [np.sqrt(np.maximum(matrix, 0, out=matrix), out=matrix) for matrix in matrices]
    final = rerank(*matrices)
    prepared = time.perf_counter()
    return evaluate_similarities(np.negative(final, out=final), *labels(problem)), prepared


def ours(problem: Problem, distance: str) -> tuple[RetrievalResult, float]:
    """The figures, and when the neighbours were there."""
    block = reranked_blocks(problem.query, problem.gallery, distance=distance)
    prepared = time.perf_counter()
    return evaluate_blocks(block, *labels(problem)), prepared


def labels(problem: Problem) -> tuple[Labels, Labels]:
    return (
        Labels(problem.query_identities, problem.query_cameras),
        Labels(problem.gallery_identities, problem.gallery_cameras),
    )


ROWS: dict[str, Callable[[Problem, str], tuple[RetrievalResult, float]]] = {"plain": plain, "ours": ours}


def show(found: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """A table with the medians of each row."""
    queries, gallery, width = size_of(arguments.size)
    print(
        f"{queries} queries, {gallery} gallery images, {width} wide, distance={arguments.distance}, "
        f"{arguments.threads or os.cpu_count()} threads ({platform.machine()}), numpy {np.__version__}, "
        f"{arguments.repeats} of each"
    )
    print(f"{'':<6} {'seconds':>8} {'min-max':>15} {'neighbours s':>12} {'peak GB':>8} {'mAP':>11} {'rank-1':>7}")
    medians = {}
    for row in dict.fromkeys(one["row"] for one in found):
        ones = [one for one in found if one["row"] == row and "seconds" in one]
        if not ones:
            print(f"{row:<6} {'failed':>8}")
            continue
        seconds, search, peak = (
            statistics.median(one[key] for one in ones) for key in ("seconds", "search_seconds", "peak_bytes")
        )
        medians[row] = seconds, peak
        spread = f"{min(one['seconds'] for one in ones):.2f}-{max(one['seconds'] for one in ones):.2f}"
        search_cell = f"{search:.2f}" if row == "ours" else "-"
        print(
            f"{row:<6} {seconds:>8.2f} {spread:>15} {search_cell:>12} {peak / 1e9:>8.3f} "
            f"{ones[0]['mAP']:>11.8f} {ones[0]['rank1']:>7.4f}"
        )
    if len(medians) == 2:
        (plain_seconds, plain_peak), (own_seconds, own_peak) = medians["plain"], medians["ours"]
        print(f"plain / ours: time {plain_seconds / own_seconds:.1f}, memory {plain_peak / max(own_peak, 1):.1f}")


if __name__ == "__main__":
    main()
