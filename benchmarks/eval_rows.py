"""A row of the retrieval benchmark, in a process of its own: ``eval_rows.py <row> <size> <times> <limit>``.

Prints JSON: seconds of each time, peak bytes above the embeddings, figures. A time that takes more than the limit
(seconds) ends the process by SIGALRM. Only numpy is imported for all rows, so that another library's row can run in
that library's own environment.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from eval_problem import CAMERAS, Problem, make_problem, size_of

Figures = dict[str, float]
QUERIES_AT_ONCE = 1024
ENOUGH_SECONDS = 30  # a slow row is not repeated
WARM_QUERIES, WARM_GALLERY = 64, 1024


def main() -> None:
    name, size, times, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    problem = make_problem(*size_of(size))
    print(json.dumps((measure_on_gpu if name.endswith("GPU") else measure)(ROWS[name], problem, times, limit)))


def measure(row: Callable[[Problem], Figures], problem: Problem, times: int, limit: int) -> dict:
    """Seconds, and the highest resident memory above the level with the embeddings, after a small warm-up."""
    row(beginning(problem))
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = resident("VmRSS")
    seconds: list[float] = []
    figures: Figures = {}
    while len(seconds) < times and sum(seconds) < ENOUGH_SECONDS:
        signal.alarm(limit)  # nobody handles the signal: it ends a call of a library, too
        start = time.perf_counter()
        figures = row(problem)
        seconds.append(time.perf_counter() - start)
        signal.alarm(0)
    return {"seconds": seconds, "peak_bytes": resident("VmHWM") - before, "figures": figures}


def measure_on_gpu(row: Callable[[Problem], Figures], problem: Problem, times: int, limit: int) -> dict:
    """The same with the embeddings on the GPU, and the memory allocated there."""
    import torch

    query, gallery = (torch.from_numpy(one).cuda() for one in (problem.query, problem.gallery))
    there = problem._replace(query=query, gallery=gallery)
    row(there)  # warms up with the full size: the first product chooses its kernel
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    seconds, figures = [], {}
    for _ in range(times):
        signal.alarm(limit)
        start = time.perf_counter()
        figures = row(there)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        signal.alarm(0)
    return {"seconds": seconds, "peak_bytes": torch.cuda.max_memory_allocated() - before, "figures": figures}


def beginning(problem: Problem) -> Problem:
    """A few queries, and a gallery that holds an image of each."""
    mine = np.isin(problem.gallery_identities, problem.query_identities[:WARM_QUERIES])
    chosen = np.concatenate([np.flatnonzero(mine), np.arange(WARM_GALLERY)])[: len(mine)]
    few, many = np.arange(len(problem.query))[:WARM_QUERIES], np.unique(chosen)
    return Problem(
        problem.query[few],
        problem.gallery[many],
        problem.query_identities[few],
        problem.query_cameras[few],
        problem.gallery_identities[many],
        problem.gallery_cameras[many],
    )


def resident(field: str) -> int:
    """VmRSS, resident now, or VmHWM, the most since the reset; in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{field}:\s*(\d+) kB", status)[1])


def numpy_product(problem: Problem) -> Figures:
    buffer = np.empty((min(QUERIES_AT_ONCE, len(problem.query)), len(problem.gallery)), np.float32)
    for start in range(0, len(problem.query), QUERIES_AT_ONCE):
        queries = problem.query[start : start + QUERIES_AT_ONCE]
        np.matmul(queries, problem.gallery.T, out=buffer[: len(queries)])
    return {}


def torch_product(problem: Problem) -> Figures:
    import torch

    query, gallery = torch.as_tensor(problem.query), torch.as_tensor(problem.gallery)
    buffer = query.new_empty(min(QUERIES_AT_ONCE, len(query)), len(gallery))
    for queries in query.split(QUERIES_AT_ONCE):
        torch.mm(queries, gallery.T, out=buffer[: len(queries)])
    return {}


def whole_matrix(problem: Problem) -> Figures:
    """What M3L and IL do: all squared distances, a sort of each row for CMC and one for mAP, scikit-learn's AP."""
    import torch
    from sklearn.metrics import average_precision_score

    query, gallery = torch.from_numpy(problem.query), torch.from_numpy(problem.gallery)
    squares = query.pow(2).sum(1)[:, None] + gallery.pow(2).sum(1)[None]
    distances = squares.addmm_(query, gallery.T, alpha=-2).numpy()

    order = np.argsort(distances, axis=1)
    matches = problem.gallery_identities[order] == problem.query_identities[:, None]
    precisions = []
    for row in range(len(distances)):
        valid = counted(problem, row, order[row])
        truth, scores = matches[row, valid], -distances[row][order[row]][valid]
        if truth.any():
            precisions.append(average_precision_score(truth, scores))

    order = np.argsort(distances, axis=1)
    matches = problem.gallery_identities[order] == problem.query_identities[:, None]
    firsts = []
    for row in range(len(distances)):
        found = np.flatnonzero(matches[row, counted(problem, row, order[row])])
        if found.size:
            firsts.append(found[0])
    return {"mAP": float(np.mean(precisions)), "rank1": float(np.mean(np.array(firsts) == 0))}


def counted(problem: Problem, row: int, columns: np.ndarray) -> np.ndarray:
    """Which gallery images are not of the query's identity and camera."""
    same = problem.gallery_identities[columns] == problem.query_identities[row]
    return ~(same & (problem.gallery_cameras[columns] == problem.query_cameras[row]))


def open_metric_learning(problem: Problem) -> Figures:
    """Its search and metrics with k = gallery, without which its mAP is another one; junk are its "sequences"."""
    import torch
    from oml.functional.knn import batched_knn_qg
    from oml.functional.metrics import calc_retrieval_metrics

    size = len(problem.gallery)
    sequences = [
        torch.from_numpy(identities * CAMERAS + cameras)
        for identities, cameras in (
            (problem.query_identities, problem.query_cameras),
            (problem.gallery_identities, problem.gallery_cameras),
        )
    ]
    _, retrieved, truth = batched_knn_qg(
        torch.from_numpy(problem.query),
        torch.from_numpy(problem.gallery),
        top_n=size,
        labels_query=torch.from_numpy(problem.query_identities),
        labels_gallery=torch.from_numpy(problem.gallery_identities),
        sequence_ids_query=sequences[0],
        sequence_ids_gallery=sequences[1],
    )
    found = calc_retrieval_metrics(
        retrieved, truth, cmc_top_k=(1,), precision_top_k=(), map_top_k=(size,), verbose=False
    )
    return {"mAP": float(found["map"][size]), "rank1": float(found["cmc"][1])}


def torchreid(problem: Problem) -> Figures:
    """Its distances and its evaluation in Python, which is all that its package has."""
    import torch
    from torchreid.reid.metrics import compute_distance_matrix, evaluate_rank

    distances = compute_distance_matrix(torch.from_numpy(problem.query), torch.from_numpy(problem.gallery)).numpy()
    ranks, precision = evaluate_rank(
        distances,
        problem.query_identities,
        problem.gallery_identities,
        problem.query_cameras,
        problem.gallery_cameras,
    )
    return {"mAP": float(precision), "rank1": float(ranks[0])}


def ours(problem: Problem) -> Figures:
    from dgreid.evaluation.labels import Labels
    from dgreid.evaluation.ranking import evaluate_embeddings

    query = Labels(problem.query_identities, problem.query_cameras)
    gallery = Labels(problem.gallery_identities, problem.gallery_cameras)
    result = evaluate_embeddings(problem.query, problem.gallery, query, gallery)
    return {"mAP": result.mean_average_precision, "rank1": result.rank_accuracy(1)}


ROWS: dict[str, Callable[[Problem], Figures]] = {
    "numpy's product": numpy_product,
    "torch's product": torch_product,
    "M3L's procedure": whole_matrix,
    "Open Metric Learning": open_metric_learning,
    "torchreid": torchreid,
    "ours": ours,
    "torch's product, GPU": torch_product,
    "ours, GPU": ours,
}


if __name__ == "__main__":
    main()
