"""Where the curves of a run go: always ``metrics.csv``, and wandb or TensorBoard beside it if chosen.

Each function returns the loggers of one option of the config group ``logger``.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
import socket
import ssl
import urllib.error
import urllib.request
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_info, rank_zero_only

from dgreid.errors import InputError
from dgreid.files import write_atomically

SECONDS_TO_ANSWER = 5
LONGEST_TAG = 64  # of wandb's


class MetricsTable(Logger):
    """``metrics.csv``: a row per logged step, a column per metric, empty where nothing was logged.

    Args:
        folder: the run's folder. A table that is already there is continued.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self.rows: dict[int, dict[str, str]] = {}
        if self.path.is_file():
            self.rows = {int(row["step"]): row for row in read_metrics(self.path)}
        self._continued = bool(self.rows)

    @property
    def name(self) -> str:
        """Lightning's name for this logger."""
        return "metrics"

    @property
    def version(self) -> str:
        """Lightning's version string; a run folder holds one table."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the configuration is stored in ``config.yaml``."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Adds numbers to the row of a step; a resumed run takes the place of rows that the interrupted one wrote."""
        if self._continued:
            self._continued = False
            self.rows = {done: row for done, row in self.rows.items() if done < (step or 0)}
        row = self.rows.setdefault(step or 0, {"step": str(step or 0)})
        row.update({name: f"{value:.10g}" for name, value in metrics.items()})

    @rank_zero_only
    def save(self) -> None:
        """Writes the table; Lightning calls this when training pauses or ends."""
        if self.rows:
            write_atomically(self.path, self._write)

    def keep(self) -> None:
        """Writes the table such that it is there after a power cut, as the checkpoint that goes on from it."""
        if self.rows:
            write_atomically(self.path, self._write, durable=True)

    def finalize(self, status: str) -> None:
        """Writes the table for the last time."""
        self.save()

    def _write(self, path: Path) -> None:
        columns = list(dict.fromkeys(name for row in self.rows.values() for name in row))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=columns)
            writer.writeheader()
            writer.writerows(self.rows[step] for step in sorted(self.rows))


def read_metrics(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file with a header, such as ``metrics.csv``, by column."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def csv_only(folder: Path) -> list[Logger]:
    """``logger=csv``: the table alone."""
    return [MetricsTable(folder)]


def nothing(folder: Path) -> list[Logger]:
    """``logger=none``: no curves at all."""
    return []


def with_tensorboard(folder: Path) -> list[Logger]:
    """``logger=tensorboard``: event files in ``<run>/tensorboard``.

    Raises:
        InputError: the package is not installed.
    """
    try:
        board = TensorBoardLogger(save_dir=str(folder), name="tensorboard", version="")
    except ModuleNotFoundError as error:
        raise InputError("logger=tensorboard needs a package that is missing: pip install tensorboard") from error
    return [MetricsTable(folder), board]


def with_wandb(
    folder: Path,
    project: str = "dgreid",
    entity: str | None = None,
    mode: str | None = None,
    group: str | None = None,
    job_type: str = "train",
) -> list[Logger]:
    """``logger=wandb``: online if there is a key and the server answers, else offline with one line saying so.

    Args:
        folder: the run's folder; wandb keeps its files in ``<run>/wandb``.
        project: wandb project.
        entity: wandb user or team; None: the key's own.
        mode: ``online``, ``offline`` or ``disabled``; None: chosen by whether there is a key.
        group: what runs belong together by; None: none.
        job_type: ``train`` or ``eval``.
    """
    mode = mode or os.environ.get("WANDB_MODE") or ("online" if _has_wandb_key() else "offline")
    reason = "no key or offline mode"
    if mode == "online" and (problem := _unreachable()):  # wandb itself would try for minutes, then end the run
        mode, reason = "offline", problem
    if mode == "offline":
        rank_zero_info(f"wandb: {reason}; later: wandb sync {folder}/wandb/offline-run-*")
    # wandb would stage copies of tables and pictures in the home folder otherwise.
    _set_unless_chosen("WANDB_DATA_DIR", str(folder))
    _set_unless_chosen("WANDB_CACHE_DIR", str(folder / "wandb" / "cache"))
    name = "/".join(Path(folder).parts[-4:])
    logger = WandbLogger(
        name=name, save_dir=str(folder), project=project, entity=entity, id=_wandb_id(folder, name), resume="allow",
        log_model=False, mode=mode, group=group, job_type=job_type,
    )  # fmt: skip
    return [MetricsTable(folder), logger]


def _wandb_id(folder: Path, name: str) -> str:
    """The id of the run in this folder at wandb, the same whenever it goes on: a cell elsewhere is another run."""
    for kept in sorted(Path(folder, "wandb").glob("*run-*")):
        if found := re.fullmatch(r"(?:offline-)?run-\d{8}_\d{6}-(.+)", kept.name):
            return found[1]  # also where the folder was moved, or is on a disk of several machines
    place = f"{socket.gethostname()}:{Path(folder).absolute()}"
    return f"{name.replace('/', '-')[-100:]}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


@rank_zero_only
def introduce(loggers: Sequence[Logger], config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Tells loggers of a run before it begins.

    Args:
        loggers: the trainer's.
        config: the whole configuration, as plain values.
        facts: of ``run.json``. What dashboards group by goes to wandb's configuration as ``run.<name>``, and with the
            seed into tags.
    """
    about = {key: facts.get(key) for key in ("protocol", "strategy", "seed", "variant", "fingerprint")}
    about["target"] = "+".join(target["name"] for target in facts["targets"])
    about["sources"] = "+".join(source["name"] for source in facts.get("sources") or ())
    tags = [f"{key}={about[key]}" for key in ("protocol", "strategy", "target", "seed") if about[key] is not None]
    tags += ["variant"] if about["variant"] else []
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.config.update({"run": about}, allow_val_change=True)
            logger.experiment.tags = tuple(tag[:LONGEST_TAG] for tag in tags)
        logger.log_hyperparams(dict(config))


def publish(
    loggers: Sequence[Logger], summary: Mapping[str, float], pictures: Sequence[Path], tables: Sequence[Path] = ()
) -> None:
    """Hands results, pictures and tables to wandb, if it is among the loggers; curves are there already.

    Args:
        loggers: the trainer's.
        summary: plain numbers by name; wandb's own summary keys are nested and would not sort.
        pictures: PNG files.
        tables: CSV files with a header.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.summary.update(dict(summary))
            for path in pictures:  # a panel each: wandb shows pictures of one panel at one size
                logger.log_image(f"pictures/{path.stem}", [str(path)])
            for path in tables:
                rows = read_metrics(path)
                columns = {name: _numbers([row[name] for row in rows]) for name in (rows[0] if rows else ())}
                logger.log_table(
                    f"tables/{path.stem}", list(columns), [*map(list, zip(*columns.values(), strict=True))]
                )
            logger.experiment.finish()


def _numbers(column: list[str]) -> list[Any]:
    """A column as numbers if all of it are, since tables sort texts otherwise."""
    try:
        return [float(text) if text else None for text in column]
    except ValueError:
        return list(column)


_OWN_PLACES: dict[str, str] = {}


def _set_unless_chosen(variable: str, place: str) -> None:
    """Sets an environment variable, also a second time in a sweep, but not over the user's own value."""
    if os.environ.get(variable) == _OWN_PLACES.get(variable):
        os.environ[variable] = _OWN_PLACES[variable] = place


def _unreachable() -> str | None:
    """Why wandb's server does not answer; None where it does, whatever it says."""
    import wandb  # takes a second

    server = os.environ.get("WANDB_BASE_URL") or wandb.setup().settings.base_url
    try:
        urllib.request.urlopen(server, timeout=SECONDS_TO_ANSWER).close()
    except urllib.error.HTTPError:
        return None  # an answer
    except (OSError, ValueError) as error:
        # wandb may know certificates that Python does not.
        if isinstance(getattr(error, "reason", None), ssl.SSLError):
            return None
        return f"{server} cannot be reached ({getattr(error, 'reason', error)})"
    return None


def _has_wandb_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    netrc = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
    return netrc.is_file() and "api.wandb.ai" in netrc.read_text(encoding="utf-8", errors="ignore")
