"""``python -m dgreid.search index | add | query``: see ``conf/search_*.yaml``."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from dgreid.errors import nearest
from dgreid.run.compose import command
from dgreid.search.commands import add, index_images, query

COMMANDS = {"index": index_images, "add": add, "query": query}
# Names that a user chose, and faiss's words for indexes, are full of signs that mean something to Hydra.
PLAIN_TEXT = (
    "gallery", "images", "run", "checkpoint", "name", "folder", "output", "kind", "parameters", "data_root",
)  # fmt: skip
USAGE = """Who is this? Finds the most similar images among your own.

  python -m dgreid.search index gallery=photos run=runs/demo/...      embed and index images
  python -m dgreid.search query images=someone.jpg run=runs/demo/...  find the most similar ones
  python -m dgreid.search add images=more_photos run=runs/demo/...    index more, without the old ones again

Each takes --help, and --cfg job to show its values."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; ends the process with code 1 at an error of the user."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(USAGE)
        sys.exit(0 if words else 1)
    if words[0] not in COMMANDS:
        print(f"error: {words[0]}: the first word says what to do; {nearest(words[0], COMMANDS)}", file=sys.stderr)
        sys.exit(1)
    sys.argv[1:] = [as_override(word) for word in words[1:]]
    command(COMMANDS[words[0]], f"search_{words[0]}")()


def as_override(word: str) -> str:
    """What was typed as Hydra's grammar wants it: names of files are taken as they are, with all their signs.

    Lists (``[a,b]``), quoted text and ``null`` stay what they are.
    """
    key, equals, value = word.partition("=")
    if key not in PLAIN_TEXT or not equals or not value or value == "null" or value[0] in "['\"":
        return word
    # A backslash is only special in front of a quotation mark, the last one included.
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), value)
    return f'{key}="{escaped}"'


if __name__ == "__main__":
    main()
