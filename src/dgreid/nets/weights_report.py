"""What became of each tensor when weights were copied into a net."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class WeightsReport:
    """Which tensors of a net came from where. Names are the net's own.

    Attributes:
        source: what was asked for: ``random``, ``imagenet_v1``, a file, a run.
        file: the file that was read, or "".
        sha256: of that file (hex), or "".
        matched: copied from the source.
        kept: left at their initial values on purpose.
        missing: not in the source, so at their initial values.
        unexpected: in the source, not in the net.
        mismatched: in both, with different shapes; not copied.
        notes: sentences on what a reader should know of the source.
    """

    source: str
    file: str = ""
    sha256: str = ""
    matched: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def line(self) -> str:
        """One line: source, hash and how many tensors fell into each group."""
        groups = {name: len(getattr(self, name)) for name in ("matched", "kept", "missing", "unexpected", "mismatched")}
        counts = ", ".join(f"{count} {name}" for name, count in groups.items() if count or name == "matched")
        where = f" ({self.file}, sha256 {self.sha256[:8]})" if self.file else ""
        return f"weights {self.source}{where}: {counts}" if any(groups.values()) else f"weights {self.source}"

    def details(self) -> str:
        """The line, then the notes, then the names in every group but the matched."""
        lines = [self.line(), *(f"  {note}" for note in self.notes)]
        for name in ("kept", "missing", "unexpected", "mismatched"):
            if names := getattr(self, name):
                lines += [f"  {name}:", *(f"    {entry}" for entry in names)]
        return "\n".join(lines)


def load_matching(
    net: nn.Module,
    state_dict: Mapping[str, Tensor],
    source: str,
    keep: Collection[str] = (),
    file: str = "",
    sha256: str = "",
    notes: tuple[str, ...] = (),
) -> WeightsReport:
    """Copies into a net every tensor whose name and shape match.

    Args:
        net: changed in place; keeps its dtype and device.
        state_dict: tensors by the net's own names.
        source: for the report.
        keep: names that stay as they are whatever the source holds.
        file: for the report.
        sha256: for the report.
        notes: for the report.

    Returns:
        what was copied and what was not; whether that is enough is the caller's business.
    """
    own = net.state_dict()
    wanted = [name for name in own if name not in keep]
    present = [name for name in wanted if name in state_dict]
    matched = [name for name in present if state_dict[name].shape == own[name].shape]
    net.load_state_dict({name: state_dict[name] for name in matched}, strict=False)
    return WeightsReport(
        source=source,
        file=file,
        sha256=sha256,
        matched=tuple(matched),
        kept=tuple(name for name in own if name in keep),
        missing=tuple(name for name in wanted if name not in state_dict),
        unexpected=tuple(name for name in state_dict if name not in own),
        mismatched=tuple(name for name in present if state_dict[name].shape != own[name].shape),
        notes=notes,
    )
