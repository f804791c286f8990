"""Runs to rows: what is equal in everything but its seed is one method, named by its strategy and by what differs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dgreid.errors import InputError, nearest
from dgreid.report.reading import Run
from dgreid.run.protocols import UNTOLD

# What a run is tested on and trained on is told by the table; weights are told by their hash, not by their place.
OF_THE_TABLE = ("seed", "target", "sources", "domain", "net.weights")
NO_PROTOCOL = "no protocol"
OTHER_SOURCES = "sources are "  # so begins the sentence of a run whose sources are not its protocol's
HASH_DIGITS = 8


class Row(NamedTuple):
    """A method: runs that are equal in all but their seed, one for each seed and target.

    Attributes:
        name: its strategy, and what tells it from others of this strategy.
        runs: sorted by target and seed.
        settings: everything in which rows of its table differ, by dotted key; as text.
    """

    name: str
    runs: tuple[Run, ...]
    settings: Mapping[str, str]

    def on(self, target: str) -> list[Run]:
        """Its runs that are tested on a target, by seed."""
        return [run for run in self.runs if target in run.targets]

    @property
    def variant(self) -> tuple[str, ...] | None:
        """What of any of its runs deviates from the protocol; None where that was not recorded."""
        if self.runs[0].variant is None:
            return None
        return tuple(dict.fromkeys(sentence for run in self.runs for sentence in run.variant or ()))

    @property
    def weights(self) -> str:
        """The initial weights: where they came from, and the beginning of the file's hash."""
        return initial_weights(self.runs[0])

    @property
    def selection(self) -> str:
        """The rule that chose its checkpoints."""
        return self.runs[0].selection


class Sheet(NamedTuple):
    """What belongs into one table.

    Attributes:
        protocol: the group of protocols, for instance ``m3l``; empty where none was named.
        title: of the table.
        targets: its columns, sorted.
        rows: its methods, sorted by name.
    """

    protocol: str
    title: str
    targets: tuple[str, ...]
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """The row of this name, or the only one of this strategy.

        Raises:
            InputError: there is none, or several.
        """
        named = [row for row in self.rows if row.name == name]
        found = named or [row for row in self.rows if row.runs[0].strategy == name]
        if len(found) != 1:
            names = [row.name for row in found or self.rows]
            what = "several rows are meant" if found else "no such row"
            raise InputError(f"baseline={name}: {what} in {self.title}; {nearest(name, names)}")
        return found[0]


def sheets(runs: Sequence[Run]) -> list[Sheet]:
    """All tables, sorted by protocol.

    Raises:
        InputError: two runs are equal, their seed included.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.protocol.partition("/")[0], []).append(run)
    return [
        Sheet(protocol, _title(protocol, members), tuple(sorted(_targets(members))), tuple(_rows(members)))
        for protocol, members in sorted(groups.items())
    ]


def _targets(runs: Sequence[Run]) -> set[str]:
    return {target for run in runs for target in run.targets}


def initial_weights(run: Run) -> str:
    """Where the first weights came from, and the beginning of the file's hash."""
    weights = run.record.get("weights", {})
    source = str(weights.get("source") or "not recorded").replace("\\", "/").rstrip("/").rpartition("/")[2]
    digest = str(weights.get("sha256") or "")[:HASH_DIGITS]
    start = run.config.get("init")
    told = f"{source} {digest}".strip()
    return f"{told}, then init={start}" if start else told


def _title(protocol: str, runs: Sequence[Run]) -> str:
    if protocol:
        return protocol
    trained = {f"{'+'.join(run.sources)} ({run.config.get('use', 'train')})" for run in runs}
    return f"{NO_PROTOCOL}: trained on {trained.pop()}" if len(trained) == 1 else NO_PROTOCOL


def _sources_tell(runs: Sequence[Run]) -> bool:
    """Whether what is trained on tells methods apart: not where a protocol gives each target its sources."""
    sources: dict[str, set[str]] = {}
    for run in runs:
        for target in run.targets if not run.variant else ():
            sources.setdefault(target, set()).add("+".join(run.sources))
    return not runs[0].protocol or any(len(found) > 1 for found in sources.values())


def _rows(runs: Sequence[Run]) -> list[Row]:
    sources_tell = _sources_tell(runs)
    described = [_described(run, sources_tell) for run in runs]
    differing = _differing(described)
    groups: dict[str, list[int]] = {}
    for index, one in enumerate(described):
        key = {name: value for name, value in one.items() if name in differing}
        groups.setdefault(json.dumps(key, sort_keys=True), []).append(index)
    members = [[runs[index] for index in indices] for indices in groups.values()]
    settings = [_settings(described[indices[0]], differing) for indices in groups.values()]
    for row in members:
        _check_seeds(row)
    names = _names([row[0].strategy for row in members], settings)
    rows = [
        Row(name, tuple(sorted(row, key=lambda run: (run.targets, run.seed))), setting)
        for name, row, setting in zip(names, members, settings, strict=True)
    ]
    return sorted(rows, key=lambda row: row.name)


def _described(run: Run, sources_tell: bool) -> dict[str, str]:
    """What makes a run's method, with the data of its domains: by key, as text."""
    told = {
        key: _text(value)
        for key, value in run.identity.items()
        if not any(key == other or key.startswith(f"{other}.") for other in OF_THE_TABLE)
    }
    told["strategy"] = run.strategy
    told["initial weights"] = initial_weights(run)
    # Not in what: sentences name a target's own sources, and its runs belong into one row with those of other targets.
    told["deviates from its protocol"] = "not recorded" if run.variant is None else "yes" if run.variant else "no"
    if sources_tell or any(one.startswith(OTHER_SOURCES) or one == UNTOLD for one in run.variant or ()):
        told["sources"] = "+".join(run.sources)
    told.update({key: _text(value) for key, value in run.identity.items() if key.startswith("domain.")})
    for target in run.record.get("targets", ()):
        for subset in ("query", "gallery"):
            told[f"domain.{target.get('name')}.{subset} images"] = str(target.get(subset, {}).get("list_hash"))[
                :HASH_DIGITS
            ]
    return told


def _differing(described: Sequence[Mapping[str, str]]) -> set[str]:
    """Keys with several values; a domain that a run has nothing to do with differs in nothing."""
    values: dict[str, set[str | None]] = {}
    keys = {key for one in described for key in one}
    for one in described:
        for key in keys:
            if key in one or not key.startswith("domain."):
                values.setdefault(key, set()).add(one.get(key))
    return {key for key, found in values.items() if len(found) > 1}


def _settings(described: Mapping[str, str], differing: set[str]) -> dict[str, str]:
    return {key: described[key] for key in sorted(differing) if key in described}


def _names(strategies: Sequence[str], settings: Sequence[Mapping[str, str]]) -> list[str]:
    """For each row its strategy, with as few of its settings as tell it from others of this strategy."""
    names = list(strategies)
    for strategy, count in Counter(strategies).items():
        if count > 1:
            rows = [index for index, other in enumerate(strategies) if other == strategy]
            for index, told in zip(rows, _told_apart([settings[index] for index in rows]), strict=True):
                names[index] = ", ".join([strategy, *told])
    return names


def _told_apart(settings: Sequence[Mapping[str, str]]) -> list[list[str]]:
    """Of each row as many settings as it takes that no two rows say the same."""
    keys = sorted({key for one in settings for key in one}, key=_telling)
    told: list[list[str]] = [[] for _ in settings]
    for key in keys:
        if len({tuple(one) for one in told}) == len(settings):
            break
        before = [tuple(one) for one in told]
        same = Counter(before)
        values: dict[tuple[str, ...], set[str | None]] = {}
        for one, setting in zip(before, settings, strict=True):
            values.setdefault(one, set()).add(setting.get(key))
        for index, setting in enumerate(settings):
            group = before[index]
            if same[group] > 1 and len(values[group]) > 1 and key in setting and setting[key] != "null":
                told[index].append(_setting(key, setting[key]))
    return told


def _setting(key: str, value: str) -> str:
    """A setting as it is typed; of a class its own name alone."""
    part = key.removesuffix("._target_")
    return f"{part}={value if part == key else value.rpartition('.')[2]}"


def _telling(key: str) -> tuple[bool, bool, int, str]:
    """What says most first: what a part is before its values, and what is typed before what follows from it."""
    return key.startswith(("domain.", "deviates")), not key.endswith("_target_"), key.count("."), key


def _check_seeds(runs: Sequence[Run]) -> None:
    seen: dict[tuple[str, int], Run] = {}
    for run in runs:
        for target in run.targets:
            other = seen.setdefault((target, run.seed), run)
            if other is not run:
                raise InputError(
                    f"{other.folder} and {run.folder} are the same run twice (seed {run.seed}, target {target}); "
                    "give folders that hold it once"
                )


def _text(value: object) -> str:
    return json.dumps(value, default=str) if isinstance(value, list | bool) or value is None else str(value)
