"""``python -m dgreid``: the commands that there are; ``python -m dgreid list``: what there is to choose from."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from dgreid import __version__
from dgreid.errors import InputError, exit_code
from dgreid.run.listing import Choice, choices, group_of, kinds, search_path

COMMANDS = {
    "python -m dgreid.train": "train on source domains, evaluate on unseen ones; -m sweeps over values",
    "python -m dgreid.evaluate": "evaluate checkpoints of a run, or a file of weights, on any domain",
    "python -m dgreid.report": "tables and pages of many runs; what a sweep has done",
    "python -m dgreid.benchmark": "whole tables: every protocol, strategy and seed, then their report",
    "python -m dgreid.evaluation": "score: figures for embeddings of any program",
    "python -m dgreid.search": "index, query, add: find a person among your own images",
    "python -m dgreid.export": "a trained run as ONNX or safetensors",
    "python -m dgreid.data": "check, prepare: data sets on disk",
    "python -m dgreid.synthetic": "contact-sheet: pictures of the embedded benchmark",
    "python -m dgreid list": "strategies, nets, domains, protocols and what else there is to choose from",
}
LIST_USAGE = """python -m dgreid list [kind] [--config-dir=<folder> | hydra.searchpath=[<folder>,...]]

Says what can be chosen by name, from the project's files and those of your own folders."""
NAME_WIDTH = 26
WIDEST = 120


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the commands, or a list.

    Returns:
        The exit code: 0, or 1 where something typed is wrong.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_commands())
        return 0
    return exit_code(lambda: print(_listed(words)))


def _commands() -> str:
    width = max(map(len, COMMANDS))
    rows = [_entry(name, text, width) for name, text in COMMANDS.items()]
    title = f"dgreid {__version__}: domain-generalizable person re-identification"
    return "\n".join([title, "", *rows, "", "Each takes --help."])


def _listed(words: Sequence[str]) -> str:
    if words[0] != "list":
        raise InputError(f"{words[0]}: `python -m dgreid` knows `list`; a program is python -m dgreid.<name>")
    return _list(words[1:])


def _list(words: Sequence[str]) -> str:
    if words and words[0] in ("-h", "--help"):
        return LIST_USAGE
    asked, places = _understood(words)
    folders = search_path(places)
    if not asked:
        known = {kind: [choice.name for choice in choices(group, folders)] for kind, group in kinds(folders).items()}
        rows = [_entry(kind, ", ".join(names), max(map(len, known))) for kind, names in known.items()]
        return "\n".join([*rows, "", "python -m dgreid list <kind> says more of one."])
    found = [choice for kind in asked for choice in choices(group_of(kind, folders), folders)]
    width = min(NAME_WIDTH, max(len(choice.name) for choice in found))
    return "\n\n".join(_described(choice, folders, width) for choice in found)


def _understood(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The kinds that are asked for, and folders of one's own."""
    asked: list[str] = []
    places: list[str] = []
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if option in ("--config-dir", "-cd"):
            places.append(value if equals else next(rest, ""))
        elif option == "hydra.searchpath" and equals:
            places += [place.strip(" '\"") for place in value.strip("[]").split(",") if place.strip()]
        elif equals or word.startswith("-"):
            raise InputError(f"{word}: list takes kinds, --config-dir=<folder> and hydra.searchpath=[<folder>]")
        else:
            asked.append(word)
    return asked, places


def _described(choice: Choice, folders: Sequence[Path], width: int) -> str:
    """A name with its sentence, its source and its options, each on lines of its own."""
    source = " · ".join(filter(None, (choice.paper, _shown(choice.file, folders), choice.target)))
    options = "  ".join(f"{key}={value}" for key, value in choice.options.items())
    first, *further = [text for text in (choice.text, source, options) if text]
    return "\n".join([_entry(choice.name, first, width), *(_entry("", text, width) for text in further)])


def _shown(file: Path, folders: Sequence[Path]) -> str:
    """A file of the project beginning with ``conf``, one of one's own as it was given."""
    project = folders[0]
    return f"conf/{file.relative_to(project)}" if file.is_relative_to(project) else str(file)


def _entry(name: str, text: str, width: int) -> str:
    columns = min(WIDEST, shutil.get_terminal_size().columns)
    indent = min(width, NAME_WIDTH + 2) + 4
    lines = textwrap.wrap(text, max(30, columns - indent), break_long_words=False, break_on_hyphens=False) or [""]
    if name and len(name) > indent - 4:
        lines = [f"  {name}", *(" " * indent + line for line in lines)]
        return "\n".join(lines)
    return "\n".join([f"  {name:<{indent - 4}}  {lines[0]}".rstrip(), *(" " * indent + line for line in lines[1:])])


if __name__ == "__main__":
    sys.exit(main())
