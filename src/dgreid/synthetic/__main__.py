"""``python -m dgreid.synthetic contact-sheet <folder>``: pictures of each domain for a look."""

from __future__ import annotations

import argparse
from pathlib import Path

from dgreid.synthetic.contact_sheet import contact_sheet, save_sheet
from dgreid.synthetic.shot import Studio
from dgreid.synthetic.styles import STYLES


def main() -> None:
    """Draws one sheet per domain."""
    parser = argparse.ArgumentParser(prog="python -m dgreid.synthetic", description="The embedded benchmark.")
    commands = parser.add_subparsers(required=True)
    sheets = commands.add_parser("contact-sheet", help="write a picture of each domain")
    sheets.add_argument("folder", type=Path, help="where to write synthetic_<name>.png")
    sheets.add_argument("--seed", type=int, default=0, help="of the benchmark")
    sheets.add_argument("--people", type=int, default=5, help="rows")
    sheets.add_argument("--cameras", type=int, default=8, help="columns")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for name, style in STYLES.items():
        path = chosen.folder / f"{name}.png"
        save_sheet(contact_sheet(Studio(name, style, chosen.seed, 128, 64), chosen.people, chosen.cameras), path)
        print(path)


if __name__ == "__main__":
    main()
