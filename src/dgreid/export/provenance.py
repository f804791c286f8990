"""Where exported weights come from: the rule that chose them, the numbers that belong to them, withdrawn sources."""

from __future__ import annotations

from typing import Any

from dgreid.evaluation.scoring import COSINE
from dgreid.export.subject import Subject

RULES = {
    "last": "the weights at the end of training; nothing was selected",
    "source": "the best mean mAP over held-out people of the sources; the target was not looked at",
    "oracle": (
        "the best on the target's own test set, so its numbers there are higher than those of an unseen target would be"
    ),
    "initial": "the weights that training started from, untrained on the sources",
}
WITHDRAWN = {
    "dukemtmc": (
        "DukeMTMC was taken down by its authors in 2019, because people had been filmed without proper consent; think "
        "before you use or pass on weights that were trained on it"
    )
}


def measured(subject: Subject, result: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The rows of a run's ``result.json`` that are of the exported weights.

    With several targets each has an oracle of its own: the step tells which of them these weights are. Results that say
    nothing of a ranking, from before there were several, have the plain one.
    """
    found = (row for row in (result or {}).get("rows", []) if row["selection"] == selection_rule(subject))
    return [{"ranking": COSINE, **row} for row in found if row["step"] == subject.facts["step"]]


def selection_rule(subject: Subject) -> str:
    """Which rule chose the weights; a file's name for a checkpoint that was given as one."""
    checkpoint: str = subject.facts["checkpoint"]
    return str(subject.config["selection"]) if checkpoint == "selected" else checkpoint


def withdrawn(subject: Subject) -> list[str]:
    """A sentence for each source data set that its authors have taken back."""
    domains = subject.config["domain"]
    targets = {name: str(domains.get(name, {}).get("_target_", "")) for name in subject.facts["sources"]}
    return [
        f"source {name}: {sentence}"
        for name, target in targets.items()
        for withdrawn_name, sentence in WITHDRAWN.items()
        if withdrawn_name in (name, *target.split("."))
    ]
