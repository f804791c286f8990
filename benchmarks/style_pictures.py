"""Draws what styles do to a net's maps: the pictures of docs/methods/il.md, three PNG files.

    python benchmarks/style_pictures.py --run runs/demo/.../il/seed0          the net of a run, its sources and target
    python benchmarks/style_pictures.py -- experiment=demo synthetic=tiny     an untrained net; values of train.py

All domains go through the net in one shuffled forward in training mode, as in the memory forward of IL, except that the
target takes part, with its training images. Nothing is trained. The same command draws the same pictures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from style_figures import batches_figure, operations_figure, save, save_with_palette, space_figure
from style_views import layer_maps, operations, principal_plane, style_vectors
from torch import Tensor, nn

from dgreid.draws import SeededDraws, StepDraws
from dgreid.run.build import build_data, build_domains, build_net
from dgreid.run.compose import conf_folder, readable, register_catalogue
from dgreid.run.evaluating import as_in_the_run
from dgreid.run.guards import names
from dgreid.run.load import load_run, read_run
from dgreid.style import Uniform, check_layers, styled
from dgreid.types import Clock, ReIDBatch

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
SHOWN_OF_A_BATCH = 8
CHANNELS = 6


class Mixed(NamedTuple):
    """The images of all domains in one order.

    Attributes:
        names: of the domains.
        pictures: (B, 3, H, W) uint8.
        owners: (B,) int64, positions in ``names``.
    """

    names: list[str]
    pictures: Tensor
    owners: Tensor


def main(words: Sequence[str] | None = None) -> None:
    arguments = argument_parser().parse_args(words)
    try:
        net, batches = subject(arguments.run, arguments.data_root, arguments.overrides, arguments.steps)
        for path in draw(net, batches, arguments.layer, arguments.folder):
            print(f"{path}: {path.stat().st_size / 1000:.0f} KB")
    except Exception as error:
        message = readable(error)
        if message is None:
            raise
        sys.exit(f"error: {message}")


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="folder of a run (without: an untrained net)")
    parser.add_argument("--data-root", type=Path, help="folder of the data sets ($DGREID_DATA, or data)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go (docs/images)")
    parser.add_argument("--layer", default="backbone.layer1", help="whose maps are shown (%(default)s)")
    parser.add_argument("--steps", type=int, default=2, help="training batches of each domain (%(default)s)")
    parser.add_argument("overrides", nargs="*", metavar="-- key=value", help="values of train.py, without --run")
    return parser


def subject(
    run: Path | None, data_root: Path | None, overrides: Sequence[str], steps: int
) -> tuple[nn.Module, dict[str, list[ReIDBatch]]]:
    """The net, and the first training batches of each domain by its name, a target's with a remark."""
    place = [] if data_root is None else [f'data_root="{data_root}"']
    register_catalogue()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        if run is None:
            config = compose("train", overrides=["experiment=demo", *overrides, *place])
            sources, net = names(config.sources, "sources"), build_net(config)
        else:
            of_the_run, _ = read_run(run)
            config = as_in_the_run(compose("evaluate", overrides=place), of_the_run)
            sources, net = names(of_the_run.sources, "sources"), load_run(run).module.net
    unseen = names(config.target, "target")
    batches = first_batches(config, [*sources, *unseen], steps)
    return net, {f"{name} (unseen)" if name in unseen else name: ones for name, ones in batches.items()}


def first_batches(config: DictConfig, domains: list[str], steps: int) -> dict[str, list[ReIDBatch]]:
    """The first training batches of each domain, as loaded: uint8."""
    OmegaConf.update(config, "target", domains)
    data = build_data(config, build_domains(config, "target"), {})
    return {
        name: list(islice(source.training_loader(lambda: 0, workers=0), steps)) for name, source in data.sources.items()
    }


def shuffled(batches: Mapping[str, Sequence[ReIDBatch]], draws: StepDraws) -> Mixed:
    """All images, shuffled."""
    pictures = torch.cat([batch.images for ones in batches.values() for batch in ones])
    sizes = torch.tensor([sum(len(batch.images) for batch in ones) for ones in batches.values()])
    order = draws.permutation(len(pictures), "order")
    return Mixed(list(batches), pictures[order], torch.arange(len(sizes)).repeat_interleave(sizes)[order])


def draw(net: nn.Module, batches: Mapping[str, Sequence[ReIDBatch]], layer: str, folder: Path) -> list[Path]:
    """Writes the three pictures."""
    interleaving = Uniform(layers=[layer])
    check_layers(net, interleaving)
    draws = StepDraws(SeededDraws(), Clock(step=0, epoch=0, learning_rate=0.0, seed=0), "pictures")
    mixed = shuffled(batches, draws)
    maps = layer_maps(net, mixed.pictures, layer)
    with styled(net, interleaving, draws):
        interleaved = layer_maps(net, mixed.pictures, layer)
    row, restyled = operations(maps, mixed.owners, draws)
    domain = [mixed.names[owner].partition(" ")[0] for owner in mixed.owners]
    before, after = style_vectors(maps), style_vectors(interleaved)
    some = {name: ones[0].images[:SHOWN_OF_A_BATCH] for name, ones in batches.items()}
    plane = principal_plane(before)
    return [
        save(operations_figure(mixed.pictures, maps, row, restyled, domain, CHANNELS), folder / "style_operations.png"),
        save_with_palette(batches_figure(some), folder / "style_batches.png"),
        save(space_figure(before, after, mixed.owners, mixed.names, plane), folder / "style_space.png"),
    ]


if __name__ == "__main__":
    main()
