"""What was typed: which run, which index, which images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from dgreid.data.domains.base import Subset
from dgreid.errors import InputError, check_one_of, nearest
from dgreid.evaluation.neighbours import NeighbourIndex
from dgreid.progress import progress
from dgreid.run.build import build_domains, set_precision
from dgreid.run.evaluating import with_domains_of
from dgreid.run.folder import RECORD
from dgreid.run.guards import check_workers, names
from dgreid.run.load import read_run
from dgreid.run.trust import trusted_modules
from dgreid.search.embedding import Embedder
from dgreid.search.images import LIST_SUFFIX, SearchImage, images_in, images_of_domain, unique
from dgreid.search.index_folder import METADATA, IndexFolder
from dgreid.search.indexing import Kind
from dgreid.search.lists import read_list
from dgreid.search.readable import Skipped, readable
from dgreid.search.weights import Weights, load_weights

SEARCH = "search"
LONGEST_NAME = 80
COMMAND = "python -m dgreid.search"
EXAMPLES = {"gallery": "gallery=photos", "images": "images=photo.jpg"}


def places(value: object, key: str) -> list[str]:
    """The files, folders, lists and domains that were named.

    Raises:
        InputError: none is, or one twice.
    """
    if value is None:
        raise InputError(
            f"{key} is empty: give images, a folder of images, a CSV file or a domain, e.g. {EXAMPLES[key]}; see --help"
        )
    return names(value, key)


def run_folder(config: DictConfig) -> Path:
    """The run that was named.

    Raises:
        InputError: none is, or several.
    """
    if config.run is None:
        raise InputError(
            "run is empty: give the folder of a run, whose net makes the embeddings, e.g. run=runs/demo/..."
        )
    given = names(config.run, "run")
    if len(given) > 1:
        raise InputError(f"run names {len(given)} folders: embeddings of one net go into an index; give one")
    return Path(given[0]).expanduser()


def config_of(config: DictConfig, run: Path) -> DictConfig:
    """The configuration of a run.

    Raises:
        InputError: no run there, or one that names code that is neither known nor trusted.
    """
    return read_run(run, trusted_modules(config.trust))[0]


def new_place(config: DictConfig, beside: Path, gallery: Sequence[str]) -> Path:
    """Where a new index goes.

    Args:
        config: ``folder`` or ``name``, if the user chose.
        beside: the folder of indexes.
        gallery: what the index is named after otherwise.

    Raises:
        InputError: both are given, or the name is a path.
    """
    _not_both(config)
    if config.folder is not None:
        return Path(str(config.folder)).expanduser()
    if config.name is not None:
        return beside / _checked_name(str(config.name))
    stems = [Path(place).expanduser().absolute() for place in gallery]
    name = "+".join(stem.stem if stem.suffix == LIST_SUFFIX else stem.name for stem in stems)
    return beside / (re.sub(r"[^\w.+-]+", "_", name).strip("._")[:LONGEST_NAME] or "index")


def existing_index(config: DictConfig) -> IndexFolder:
    """The index that was named, or the only one of the run.

    Raises:
        InputError: there is none, or one must be chosen.
    """
    _not_both(config)
    if config.folder is not None:
        return IndexFolder(Path(str(config.folder)).expanduser())
    if config.run is None:
        raise InputError(
            "no index is named: give run=<folder of a run>, whose only index is taken (or name=<which>), or "
            "folder=<folder of an index>"
        )
    beside = run_folder(config) / SEARCH
    known = sorted(path.parent.name for path in beside.glob(f"*/{METADATA}") if not path.parent.name.startswith("."))
    if config.name is not None:
        name = _checked_name(str(config.name))
        if name not in known:
            there = f"{beside} has no such index; {nearest(name, known)}" if known else f"{beside} has no index"
            raise InputError(f"name={name}: {there}; {_how_to_make(config)}")
        return IndexFolder(beside / name)
    if len(known) != 1:
        if not known:
            raise InputError(f"{beside} has no index; {_how_to_make(config)}")
        raise InputError(f"{beside} has the indexes {', '.join(known)}; choose one with name=...")
    return IndexFolder(beside / known[0])


def opened(config: DictConfig, index: IndexFolder) -> NeighbourIndex:
    """An index, to be searched as the user wants.

    Raises:
        InputError: it is damaged, or cannot be searched so.
    """
    check_one_of("search_device", config.search_device, ("cpu", "gpu", "auto"))
    parameters = None if config.parameters is None else str(config.parameters)
    try:
        return index.neighbours(
            memory_map=switch(config, "memory_map"), device=config.search_device, parameters=parameters
        )
    except InputError as error:  # with this command's name for the option
        raise InputError(re.sub(r"\bdevice=", "search_device=", str(error))) from error


def kind_of(config: DictConfig) -> Kind:
    """Which kind of index is wanted."""
    return Kind(str(config.kind), str(config.parameters or ""), switch(config, "float16"))


def switch(config: DictConfig, key: str) -> bool:
    """A value that is true or false.

    Raises:
        InputError: it is neither.
    """
    value = config[key]
    if not isinstance(value, bool):
        raise InputError(f"{key}={value}: true or false")
    return value


def at_least_one(config: DictConfig, key: str) -> int:
    """A whole number above 0.

    Raises:
        InputError: it is none.
    """
    value = config[key]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{key}={value}: a whole number of at least 1")
    return value


def list_images(
    config: DictConfig, wanted: Sequence[str], key: str, subset: Subset, run: DictConfig
) -> list[SearchImage]:
    """All images that were named, each path once.

    Args:
        config: knows the domains.
        wanted: as :func:`places` gives them.
        key: the option they were typed for.
        subset: which images of a domain, or of a list that has splits.
        run: configuration of the run, whose synthetic domains these are.

    Raises:
        InputError: there is nothing of a name, or no image in it.
    """
    domains = [place for place in wanted if place in config.domain]
    built = {}
    if domains:
        asked = with_domains_of(config, run)
        asked.target = domains
        built = build_domains(asked, "target")
    images: list[SearchImage] = []
    for place in wanted:
        path = Path(place).expanduser()
        if place in built:
            images += images_of_domain(built[place], subset)
        elif path.suffix.lower() == LIST_SUFFIX and path.is_file():
            images += read_list(path, subset)
        else:
            images += images_in(place, key, map(str, config.domain))
    return unique(images)


def readable_images(images: Sequence[SearchImage], config: DictConfig) -> tuple[list[SearchImage], list[Skipped]]:
    """Those that can be decoded, and the others if they are to be left out.

    Raises:
        InputError: some cannot be read, and are not to be left out.
    """
    with progress("reading", len(images)) as advance:
        return readable(images, switch(config, "skip_unreadable"), advance)


def embedder_of(config: DictConfig, run: Path, checkpoint: str, flip: bool | None) -> tuple[Embedder, Weights]:
    """The net of a run, ready to embed, and what identifies it.

    Raises:
        InputError: no such run, checkpoint or device, or a number out of range.
    """
    check_workers(config.workers, "workers")
    batch_size = at_least_one(config, "batch_size")
    net, weights, loaded = load_weights(run, checkpoint, flip, trusted_modules(config.trust))
    set_precision(loaded.config)
    embedder = Embedder(
        net, loaded.config.data.height, loaded.config.data.width, loaded.module.mean, loaded.module.std,
        accelerator=str(config.accelerator), precision=str(config.precision), batch_size=batch_size,
        workers=config.workers,
    )  # fmt: skip
    return embedder, weights


def run_of_index(config: DictConfig, index: IndexFolder) -> Path:
    """The run that is given, or else the one that an index was made with, or in which it lies if that one has moved.

    Raises:
        InputError: that one is gone.
    """
    if config.run is not None:
        return run_folder(config)
    recorded, around = Path(index.metadata.weights.run), index.path.absolute().parent
    if recorded.is_dir():
        return recorded
    if around.name == SEARCH and (around.parent / RECORD).is_file():
        return around.parent
    raise InputError(f"{index.path} was made with {recorded}, which is no longer there: say where it is with run=...")


def embedder_of_index(config: DictConfig, index: IndexFolder) -> Embedder:
    """The net that an index was made with.

    Raises:
        InputError: its run is gone, or the run and checkpoint given now are others.
    """
    made_with = index.metadata.weights
    checkpoint = made_with.checkpoint if config.checkpoint is None else str(config.checkpoint)
    run = run_of_index(config, index)
    embedder, weights = embedder_of(config, run, checkpoint, bool(made_with.preprocessing["flip_average"]))
    made_with.require_same(weights, index.path)
    return embedder


def _not_both(config: DictConfig) -> None:
    if config.folder is not None and config.name is not None:
        raise InputError(f"name={config.name} with folder={config.folder}: each says which index; leave one out")


def _checked_name(name: str) -> str:
    if re.search(r"[/\\]", name) or name.startswith("."):
        raise InputError(f"name={name}: a name is no path; give folder=... for an index at another place")
    return name


def _how_to_make(config: DictConfig) -> str:
    return f"make one with `{COMMAND} index gallery=<images> run={config.run}`"
