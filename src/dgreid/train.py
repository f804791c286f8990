"""``python -m dgreid.train``: see ``conf/train.yaml``."""

from __future__ import annotations

from dgreid.run.compose import command
from dgreid.run.launching import on_all_devices
from dgreid.run.sweeps import told_at_the_end
from dgreid.run.training import train

main = command(on_all_devices(train), "train", around=told_at_the_end)

if __name__ == "__main__":
    main()
