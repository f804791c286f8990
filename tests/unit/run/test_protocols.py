"""M3L's protocols are those of its results figure: sources in order, sizes, and no one tested on who was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from composition import CONF, composed

from dgreid.errors import InputError
from dgreid.run.build import build_domains
from dgreid.run.folder import run_folder
from dgreid.run.guards import check_leaks, check_training

PAGE = (Path(__file__).parents[3] / "docs" / "protocols.md").read_text(encoding="utf-8")
EXPERIMENTS = ("m3l", "m3l_released")
FAMILIES = ("m3l", "m3l_recommended")
VERSIONS = {
    "market1501": "v15.09.15", "dukemtmc": "reID", "msmt17v1": "V1", "msmt17v2": "V2",
    "cuhk03": "classic split 0, labeled + detected", "cuhknp": "new protocol 767/700, detected",
}  # fmt: skip


class Published(NamedTuple):
    """A column of the figure; sizes are what its sources' training sets add up to, metrics mAP / Rank-1 in %."""

    sources: list[str]
    target: str
    identities: int
    images: int
    resnet50: str
    ibn: str


TABLE = {
    "m3l/to_market1501": Published(
        ["msmt17v2", "dukemtmc", "cuhk03"], "market1501", 3_110, 75_406, "48.1 / 74.5", "50.2 / 75.9"
    ),
    "m3l/to_dukemtmc": Published(
        ["msmt17v2", "market1501", "cuhk03"], "dukemtmc", 3_159, 71_820, "50.5 / 69.4", "51.1 / 69.2"
    ),
    "m3l/to_cuhknp": Published(
        ["msmt17v2", "dukemtmc", "market1501"], "cuhknp", 2_494, 62_079, "29.9 / 30.7", "32.1 / 33.1"
    ),
    "m3l/to_msmt17v2": Published(
        ["dukemtmc", "market1501", "cuhk03"], "msmt17v2", 2_820, 55_721, "12.9 / 33.0", "14.7 / 36.9"
    ),
    "m3l_recommended/to_market1501": Published(
        ["msmt17v1", "dukemtmc", "cuhknp"], "market1501", 2_510, 56_508, "51.1 / 76.5", "52.5 / 78.3"
    ),
    "m3l_recommended/to_dukemtmc": Published(
        ["msmt17v1", "market1501", "cuhknp"], "dukemtmc", 2_559, 52_922, "48.2 / 67.1", "48.8 / 67.2"
    ),
    "m3l_recommended/to_cuhknp": Published(
        ["msmt17v1", "dukemtmc", "market1501"], "cuhknp", 2_494, 62_079, "30.9 / 31.9", "31.4 / 31.6"
    ),
    "m3l_recommended/to_msmt17v1": Published(
        ["dukemtmc", "market1501", "cuhknp"], "msmt17v1", 2_220, 36_823, "13.1 / 32.0", "15.4 / 37.1"
    ),
}
each_protocol = pytest.mark.parametrize(("protocol", "published"), TABLE.items(), ids=TABLE)


def test_the_table_has_every_file():
    files = {f"{family}/{path.stem}" for family in FAMILIES for path in (CONF / "protocol" / family).glob("*.yaml")}
    assert files == set(TABLE)


@each_protocol
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_sources_target_and_no_leak(protocol, published, experiment):
    config = composed(f"experiment={experiment}", f"protocol={protocol}")
    assert list(config.sources) == published.sources  # in the figure's order
    assert config.target == published.target
    assert config.use == "train"
    assert config.strategy._target_ == "dgreid.strategies.m3l.M3L"
    check_training(config)
    sources, targets = build_domains(config, "sources"), build_domains(config, "target")
    assert check_leaks(sources, targets, config.use, config.allow_seen_target) == set()


@each_protocol
def test_sizes_and_versions_of_the_sources(protocol, published):
    config = composed(f"protocol={protocol}")
    sources = build_domains(config, "sources")
    trained_on = [domain.expected["train"] for domain in sources.values()]
    assert sum(size.identities for size in trained_on) == published.identities
    assert sum(size.images for size in trained_on) == published.images
    for name, domain in {**sources, **build_domains(config, "target")}.items():
        assert VERSIONS[name] in domain.version


@each_protocol
def test_file_and_page_say_the_same(protocol, published):
    comment = (CONF / "protocol" / f"{protocol}.yaml").read_text(encoding="utf-8")
    assert f"ResNet-50 {published.resnet50}, ResNet-50-IBN {published.ibn} (Zhao et al., CVPR 2021" in comment
    assert f"{published.identities:,} identities, {published.images:,} images" in comment
    sources = ", ".join(f"`{name}`" for name in published.sources)
    size = f"{published.identities:,} / {published.images:,}"
    assert f"| `{protocol}` | {sources} | {size} | {published.resnet50} | {published.ibn} |" in PAGE
    assert f"\npython train.py experiment=m3l_released protocol={protocol}\n" in PAGE


def test_the_size_that_the_figure_gets_wrong_is_noted():
    assert "55,748" in (CONF / "protocol" / "m3l" / "to_msmt17v2.yaml").read_text(encoding="utf-8")
    assert "55,748" in PAGE


@pytest.mark.parametrize(
    ("protocol", "override", "pair"),
    [
        ("m3l/to_market1501", "target=cuhknp", "target=cuhknp shows the same people as source cuhk03"),
        ("m3l/to_cuhknp", "sources=[msmt17v2,cuhk03]", "target=cuhknp shows the same people as source cuhk03"),
        ("m3l/to_msmt17v2", "sources=[msmt17v1,cuhk03]", "target=msmt17v2 shows the same people as source msmt17v1"),
    ],
)
def test_mixing_the_rows_is_refused(protocol, override, pair):
    config = composed(f"protocol={protocol}", override)
    sources, targets = build_domains(config, "sources"), build_domains(config, "target")
    with pytest.raises(InputError, match=pair):
        check_leaks(sources, targets, config.use, config.allow_seen_target)


def test_no_two_cells_share_a_folder():
    presets = [[], *([f"experiment={experiment}"] for experiment in EXPERIMENTS)]
    cells = [[*preset, f"protocol={protocol}"] for preset in presets for protocol in TABLE]
    folders = {run_folder(composed(*cell), cell, "m3l") for cell in cells}
    assert len(folders) == len(cells) == 3 * 8
