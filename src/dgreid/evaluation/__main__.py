"""The command ``python -m dgreid.evaluation score``: figures for embeddings of any program, without net and GPU."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dgreid.data.images import read_image
from dgreid.errors import InputError, exit_code
from dgreid.evaluation.block_sizes import MEMORY_LIMIT
from dgreid.evaluation.embedding_files.command import score
from dgreid.evaluation.embedding_files.comparison import UNITS, Comparing
from dgreid.evaluation.embedding_files.request import Request
from dgreid.evaluation.scoring import Expansion, Reranking, Scoring
from dgreid.evaluation.verification import RATES

FILES = "`python -m dgreid.evaluate ... export=<file>.npz` writes such files, or any program: see docs/evaluation.md."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0, 1 where something is wrong, or 130 when stopped by the keyboard.
    """
    given = _parser().parse_args(arguments)
    return exit_code(lambda: score(_request(given), read_image))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dgreid.evaluation", description="Figures from embeddings.")
    commands = parser.add_subparsers(dest="command", required=True)
    score = commands.add_parser(
        "score", help="mAP, CMC and more of embeddings in files", description=f"Scores embeddings. {FILES}"
    )
    score.add_argument("files", nargs="+", type=Path, metavar="file.npz|folder", help="several are compared")
    score.add_argument(
        "--same-camera", choices=("ignore", "keep"), default="ignore",
        help="gallery images of the query's identity and camera: left out of its ranking (default), or matches",
    )  # fmt: skip
    _add_rankings(score.add_argument_group("further rankings"))
    _add_figures(score.add_argument_group("further figures"))
    _add_comparison(score.add_argument_group("several files, one for each method on the same images"))
    score.add_argument(
        "--output", type=Path, metavar="FOLDER", help="write result.json, queries.csv and pictures there"
    )
    score.add_argument(
        "--images", type=Path, metavar="FOLDER", help="where the paths in the files begin (default: here)"
    )
    score.add_argument(
        "--memory-limit", type=float, default=MEMORY_LIMIT, metavar="MIB",
        help="for blocks of similarities (default: %(default)g)",
    )  # fmt: skip
    return parser


def _add_rankings(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--rerank", action="store_true", help="k-reciprocal re-ranking (Zhong et al., CVPR 2017)")
    group.add_argument("--k1", type=int, help=f"of re-ranking (default: {Reranking.k1})")
    group.add_argument("--k2", type=int, help=f"of re-ranking (default: {Reranking.k2})")
    group.add_argument("--weight", type=float, help=f"of the original distance (default: {Reranking.weight})")
    group.add_argument("--distance", choices=("euclidean", "squared"), help=f"(default: {Reranking.distance})")
    group.add_argument("--expand", type=int, metavar="K", help="average each query with its K best gallery images")
    group.add_argument("--alpha", type=float, help="power of the similarity that weighs them (default: 0, plain mean)")


def _add_figures(group: argparse._ArgumentGroup) -> None:
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    group.add_argument("--roc", action="store_true", help=f"true accept rates at false accept rates {rates}")
    group.add_argument("--single-shot", type=int, metavar="DRAWS", help="CMC with one gallery image of each identity")
    group.add_argument("--camera-pairs", action="store_true", help="mAP and Rank-1 for each pair of cameras")
    group.add_argument(
        "--open-set", type=float, metavar="RATE",
        help="true accepts at the threshold that takes this share of people outside the gallery for somebody",
    )  # fmt: skip
    group.add_argument(
        "--held-out", type=Path, metavar="FILE",
        help="embeddings of other people, by the same net, to take that threshold from (default: from these queries)",
    )  # fmt: skip


def _add_comparison(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--baseline", metavar="NAME", help="file, without .npz, the others are compared with (first)")
    group.add_argument("--unit", choices=UNITS, help="what the bootstrap draws (default: query)")
    group.add_argument("--resamples", type=int, metavar="N", help=f"(default: {Comparing().resamples:,})")
    group.add_argument("--seed", type=int, help="of the bootstrap (default: 0)")


def _request(given: argparse.Namespace) -> Request:
    """What was asked for.

    Raises:
        InputError: an option without the one it belongs to, or a value outside its range.
    """
    reranking = _chosen(given, "--rerank", given.rerank, ("k1", "k2", "weight", "distance"))
    expansion = _chosen(given, "--expand", given.expand is not None, ("alpha",))
    held_out = _chosen(given, "--open-set", given.open_set is not None, ("held_out",))
    images = _chosen(given, "--output", given.output is not None, ("images",))
    scoring = Scoring(
        same_camera=given.same_camera,
        memory_limit=given.memory_limit,
        expansion=None if expansion is None else Expansion(given.expand, expansion.get("alpha", 0.0)),
        reranking=None if reranking is None else Reranking(**reranking),
        false_accept_rates=RATES if given.roc else (),
        single_shot_repeats=given.single_shot or 0,
        camera_pairs=given.camera_pairs,
    )
    compared = {name: value for name in Comparing._fields if (value := getattr(given, name)) is not None}
    return Request(
        files=given.files,
        scoring=scoring,
        open_set_rate=given.open_set,
        held_out=(held_out or {}).get("held_out"),
        output=given.output,
        images=(images or {}).get("images"),
        comparing=Comparing(**compared),
    )


def _chosen(given: argparse.Namespace, option: str, chosen: bool, names: Sequence[str]) -> dict[str, Any] | None:
    """The options that belong to another one, as far as they were given; None where that one was not.

    Raises:
        InputError: one was given without the other.
    """
    found = {name: value for name in names if (value := getattr(given, name)) is not None}
    if not chosen and found:
        raise InputError(f"--{next(iter(found)).replace('_', '-')} belongs to {option}: give both, or neither")
    return found if chosen else None


if __name__ == "__main__":
    sys.exit(main())
