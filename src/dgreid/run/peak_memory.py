"""The highest memory from a moment on: allocated on a GPU, resident in the process elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import torch

from dgreid.callbacks import peak_memory_bytes

STATUS = Path("/proc/self/status")
PEAK_RESET = Path("/proc/self/clear_refs")


class Resident(NamedTuple):
    """Memory of this process, in bytes.

    Attributes:
        now: resident at this moment; where the system does not tell, ``highest``.
        highest: the most that was resident since the process began, or since the peak was reset.
    """

    now: int
    highest: int


def resident_memory() -> Resident:
    """What is resident: from ``/proc`` on Linux; elsewhere only the highest since the process began."""
    try:
        found = dict(re.findall(r"(VmRSS|VmHWM):\s*(\d+) kB", STATUS.read_text(encoding="ascii")))
        return Resident(1024 * int(found["VmRSS"]), 1024 * int(found["VmHWM"]))
    except (OSError, KeyError):
        highest = peak_memory_bytes().get("process", 0)
        return Resident(highest, highest)


def reset_resident_peak() -> None:
    """Lets ``highest`` start from the present; systems that cannot do so keep the old one."""
    try:
        PEAK_RESET.write_text("5", encoding="ascii")  # proc(5): resets the peak resident set size
    except OSError:
        return


class PeakMemory:
    """The highest memory from ``start`` on.

    Args:
        device: where the net is.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.before = Resident(0, 0)

    def start(self) -> None:
        """Forgets all earlier peaks, as far as the system lets it."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            reset_resident_peak()
            self.before = resident_memory()

    def describe(self) -> str:
        """The peak in words, with what it counts."""
        if self.device.type == "cuda":
            total = torch.cuda.get_device_properties(self.device).total_memory
            allocated = torch.cuda.max_memory_allocated(self.device)
            return f"{size(allocated)} of {size(total)}, allocated on the GPU, weights and optimizer included"
        highest = resident_memory().highest
        if self.before.now < highest == self.before.highest:
            return f"at most {size(highest)} in all, resident in this process, which held as much before step 1"
        above = size(highest - self.before.now)
        return f"{above} above the {size(self.before.now)} before step 1, resident in this process"


def size(count: int) -> str:
    """Bytes in binary units."""
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
