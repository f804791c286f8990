"""What there is to choose from: the files of the Hydra tree and of folders of one's own, and what they say."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_object

from dgreid.errors import InputError, nearest
from dgreid.run.compose import conf_folder

TARGET = "_target_"
OF_HYDRA = (TARGET, "_partial_", "_convert_", "_recursive_", "defaults")
# What a user calls the groups; a group that is not here is called by its own name.
KINDS = {
    "strategies": "strategy", "nets": "net", "domains": "domain", "protocols": "protocol", "experiments": "experiment",
    "styles": "memory_style", "expansions": "expansion", "rerankings": "reranking", "schedules": "schedule",
    "optimizers": "optim", "loggers": "logger", "trainers": "trainer", "metrics": "metric",
}  # fmt: skip
PAPER = re.compile(r"\(([^()]*\b(?:19|20)\d{2}[^()]*)\)")
SENTENCE = re.compile(r"(.+?)(?:\.(?<!al\.)(?=\s|$)|$)", re.DOTALL)


@dataclass(frozen=True)
class Choice:
    """One file of a group.

    Attributes:
        name: as it is typed.
        file: where it stands.
        target: the class or function that it builds; empty if it only sets values.
        text: one sentence.
        paper: as the documentation of what it builds names it; empty if there is none.
        options: value by name, as typed; what the file leaves open has the constructor's default, and ``...`` stands
            for what is chosen under its own name at the top, such as ``loss_style``.
    """

    name: str
    file: Path
    target: str
    text: str
    paper: str
    options: Mapping[str, str]


def kinds(folders: Sequence[Path]) -> dict[str, str]:
    """The group of each kind, of the project's and of one's own."""
    groups = {place.name for folder in folders for place in folder.iterdir() if place.is_dir()}
    named = {kind: group for kind, group in KINDS.items() if group in groups}
    others = sorted(groups - set(named.values()) - {"hydra"})
    return named | {group: group for group in others if _files(folders, group)}


def group_of(kind: str, folders: Sequence[Path]) -> str:
    """The group that a word means: ``strategies`` or ``strategy``.

    Raises:
        InputError: there is no such kind.
    """
    known = kinds(folders)
    if kind in known:
        return known[kind]
    if kind in known.values():
        return kind
    raise InputError(f"list {kind}: {nearest(kind, known)}")


def search_path(words: Sequence[str]) -> list[Path]:
    """The folders of groups: the project's, then those of one's own.

    Args:
        words: folders as ``--config-dir`` or ``hydra.searchpath`` take them: ``file:///...``, ``pkg://...`` or a path.

    Raises:
        InputError: one is not there.
    """
    folders = [conf_folder()]
    for word in words:
        if word.startswith("pkg://"):
            try:
                folder = Path(str(resources.files(word.removeprefix("pkg://"))))
            except ModuleNotFoundError as error:
                raise InputError(f"{word}: {error}; Python must find it, e.g. with PYTHONPATH=<its folder>") from error
        else:
            folder = Path(word.removeprefix("file://")).expanduser()
        if not folder.is_dir():
            raise InputError(f"{word}: there is no such folder; give the one that holds strategy/, net/ ...")
        folders.append(folder)
    return folders


def choices(group: str, folders: Sequence[Path]) -> list[Choice]:
    """All files of a group, sorted by name; one of two with one name is the first folder's, as for Hydra."""
    found = _files(folders, group)
    return [_choice(name, file, found) for name, file in sorted(found.items())]


def _files(folders: Sequence[Path], group: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in folders:
        for file in sorted((folder / group).rglob("*.yaml")):
            found.setdefault(file.relative_to(folder / group).with_suffix("").as_posix(), file)
    return found


def _choice(name: str, file: Path, group: Mapping[str, Path]) -> Choice:
    content = _content(file, group)
    node = _built(content)
    target = str(node.get(TARGET, ""))
    built: Any = None
    trouble = ""
    if target:
        try:
            built = get_object(target)
        except Exception as error:  # a module of one's own may fail in any way
            trouble = f"cannot be imported: {error}"
    documentation = inspect.getdoc(built) or ""
    own_text = _comment(file)
    about = (documentation, inspect.getdoc(inspect.getmodule(built)) or "") if built is not None else ()
    return Choice(
        name=name,
        file=file,
        target=target,
        text=trouble or _without_paper(_sentence(own_text) or _sentence(documentation)),
        paper=next((match[1] for text in (own_text, *about) if (match := PAPER.search(" ".join(text.split())))), ""),
        options=_options(node, built),
    )


def _content(file: Path, group: Mapping[str, Path], depth: int = 0) -> dict[str, Any]:
    """The values of a file over those of the files of its own group that its defaults name."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{file} is no YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} holds no keys and values")
    values: dict[str, Any] = {}
    for entry in content.get("defaults", []):
        if isinstance(entry, str) and entry in group and depth < len(group):
            values |= _content(group[entry], group, depth + 1)
    return values | {key: value for key, value in content.items() if key != "defaults"}


def _built(content: dict[str, Any]) -> dict[str, Any]:
    """What is built: the values themselves, or those of the one key that a packaged file has."""
    if TARGET in content or len(content) != 1:
        return content
    (only,) = content.values()
    return only if isinstance(only, dict) else content


def _options(node: Mapping[str, Any], built: Any) -> dict[str, str]:
    defaults: dict[str, Any] = {}
    if callable(built):
        try:
            parameters = inspect.signature(built).parameters
            defaults = {name: one.default for name, one in parameters.items() if one.default is not one.empty}
        except ValueError:
            pass  # some built-in classes tell nothing
    given = {key: value for key, value in node.items() if key not in OF_HYDRA}
    if "_partial_" in node:
        defaults = {}
    plain = {key: value for key, value in defaults.items() if isinstance(value, str | bool | int | float)}
    merged = {key: _of_elsewhere(key, value, defaults.get(key)) for key, value in given.items()}
    return {
        key: _typed(value) for key, value in {**merged, **{k: v for k, v in plain.items() if k not in given}}.items()
    }


def _of_elsewhere(key: str, value: Any, default: Any) -> Any:
    """A value that is looked up elsewhere is shown by the constructor's default, if that is plain."""
    if not isinstance(value, str) or "${" not in value:
        return value
    if isinstance(default, str | bool | int | float):
        return default
    return "..." if value == f"${{{key}}}" else value


def _typed(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(_typed(one) for one in value)}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_typed(one)}" for key, one in value.items() if key not in OF_HYDRA) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _comment(file: Path) -> str:
    """The comment that a file begins with."""
    lines = file.read_text(encoding="utf-8").splitlines()
    text = []
    for line in lines:
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            text.append(line.removeprefix("#").strip())
    return " ".join(text)


def _without_paper(sentence: str) -> str:
    return " ".join(PAPER.sub("", sentence).split()).replace(" ,", ",")


def _sentence(text: str) -> str:
    match = SENTENCE.match(" ".join(text.split("\n\n")[0].split()))
    return match[1].strip() if match else ""
