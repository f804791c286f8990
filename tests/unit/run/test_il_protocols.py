"""IL's protocols and Protocol-3: sources in order, what of them is trained on, sizes, and the published numbers."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from composition import CONF, comment_of, composed

from dgreid.errors import InputError
from dgreid.run.build import build_domains
from dgreid.run.folder import run_folder
from dgreid.run.guards import check_leaks, check_training

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "protocols.md").read_text(encoding="utf-8")
VERSIONS = {
    "market1501": "v15.09.15", "dukemtmc": "reID", "msmt17v1": "V1", "cuhknp": "new protocol 767/700, detected",
}  # fmt: skip
# Identities and images of training set, queries and gallery together, without junk and distractors, as the released
# logs of IL print them ("mix"; of DukeMTMC-reID theirs lacks an image); of CUHK-SYSU torchreid's crops.
ALL_OF = {
    "market1501": (1_501, 29_419), "dukemtmc": (1_812, 36_411), "msmt17v1": (4_101, 126_441),
    "cuhknp": (1_467, 14_097), "cuhk_sysu": (11_934, 34_574),
}  # fmt: skip
DISTRACTORS = {"market1501": 2_798}


class Published(NamedTuple):
    """A column of a results figure; sizes are the sums of its sources', metrics mAP / Rank-1 in %."""

    sources: list[str]
    target: str
    identities: int
    images: int
    metrics: tuple[str, ...]


# FB, FBF, IL, the best epoch of IL's released log, and its last.
IL_TABLE = {
    "il/to_market1501": Published(
        ["dukemtmc", "cuhknp", "msmt17v1"], "market1501", 7_380, 176_949,
        ("59.3 / 81.2", "59.7 / 81.5", "65.8 / 86.2", "65.4 / 86.5", "65.0 / 86.6"),
    ),
    "il/to_dukemtmc": Published(
        ["cuhknp", "market1501", "msmt17v1"], "dukemtmc", 7_069, 169_957,
        ("54.3 / 70.9", "53.6 / 73.0", "57.1 / 75.4", "57.1 / 76.0", "56.5 / 75.0"),
    ),
    "il/to_msmt17v1": Published(
        ["dukemtmc", "market1501", "cuhknp"], "msmt17v1", 4_780, 79_927,
        ("14.7 / 35.2", "13.7 / 33.4", "20.2 / 45.7", "20.4 (mAP)", "none"),
    ),
    "il/to_cuhknp": Published(
        ["msmt17v1", "market1501", "dukemtmc"], "cuhknp", 7_414, 192_271,
        ("36.1 / 37.4", "35.3 / 35.9", "38.3 / 40.9", "38.2 / 40.7", "37.9 / 40.0"),
    ),
}  # fmt: skip
# Baseline and IL.
P3_TABLE = {
    "p3/to_market1501": Published(
        ["msmt17v1", "cuhk_sysu", "cuhknp"], "market1501", 17_502, 175_112, ("66.4 / 84.6", "72.0 / 88.5")
    ),
    "p3/to_msmt17v1": Published(
        ["market1501", "cuhk_sysu", "cuhknp"], "msmt17v1", 14_902, 78_090, ("17.6 / 38.0", "23.8 / 51.2")
    ),
    "p3/to_cuhknp": Published(
        ["market1501", "msmt17v1", "cuhk_sysu"], "cuhknp", 17_536, 190_434, ("35.6 / 36.1", "41.0 / 41.8")
    ),
}
TABLE = IL_TABLE | P3_TABLE
each_protocol = pytest.mark.parametrize(("protocol", "published"), TABLE.items(), ids=TABLE)


def test_the_table_has_every_file():
    files = {f"{family}/{path.stem}" for family in ("il", "p3") for path in (CONF / "protocol" / family).glob("*.yaml")}
    assert files == set(TABLE)


@each_protocol
def test_sources_target_and_no_leak(protocol, published):
    config = composed("experiment=il", f"protocol={protocol}")
    assert list(config.sources) == published.sources
    assert config.target == published.target
    assert config.use == "train+test"
    check_training(config)
    sources, targets = build_domains(config, "sources"), build_domains(config, "target")
    assert check_leaks(sources, targets, config.use, config.allow_seen_target) == set()
    for name, domain in {**sources, **targets}.items():
        assert name == "cuhk_sysu" or VERSIONS[name] in domain.version


def test_every_data_set_of_a_family_is_left_out_once_but_the_one_without_cameras():
    for table, one_camera in ((IL_TABLE, set()), (P3_TABLE, {"cuhk_sysu"})):
        names = {name for published in table.values() for name in published.sources}
        for published in table.values():
            assert {*published.sources, published.target} == names
        assert {published.target for published in table.values()} == names - one_camera


@each_protocol
def test_sizes_are_the_sums_of_the_sources(protocol, published):
    assert published.identities == sum(ALL_OF[name][0] for name in published.sources)
    assert published.images == sum(ALL_OF[name][1] for name in published.sources)
    size = f"{published.identities:,} identities, {published.images:,} images"
    assert f"Expected to train on: {size}" in comment_of(protocol)


def test_all_of_a_source_is_its_published_subsets_without_distractors():
    sources = build_domains(composed("protocol=il/to_msmt17v1"), "sources")
    sources |= build_domains(composed("protocol=il/to_market1501"), "sources")
    for name, domain in sources.items():
        train, query, gallery = (domain.expected[subset] for subset in ("train", "query", "gallery"))
        images = train.images + query.images + gallery.images - DISTRACTORS.get(name, 0)
        assert (train.identities + gallery.identities, images) == ALL_OF[name]
    assert set(sources) == set(ALL_OF) - {"cuhk_sysu"}


@pytest.mark.parametrize("name", ALL_OF)
def test_the_page_of_data_sets_has_the_same_sizes(name):
    identities, images = ALL_OF[name]
    lines = (DOCS / "datasets.md").read_text(encoding="utf-8").splitlines()
    size = f"| {identities:,} / {images:,} |"
    assert len([line for line in lines if line.startswith(f"| `{name}`") and line.endswith(size)]) == 1


@each_protocol
def test_file_and_page_say_the_same(protocol, published):
    sources = ", ".join(f"`{name}`" for name in published.sources)
    size = f"{published.identities:,} / {published.images:,}"
    assert f"| `{protocol}` | {sources} | {size} | {' | '.join(published.metrics)} |" in PAGE
    assert f"\npython train.py experiment=il_released protocol={protocol}\n" in PAGE
    comment = comment_of(protocol)
    assert "Tan et al., TMM 2023" in comment
    assert "read by eye" in comment
    assert "selected on the target's test set" in comment
    if protocol in IL_TABLE:
        fb, fbf, il, best, last = published.metrics
        assert f"FB {fb}, FBF {fbf} (" in comment
        assert f"IL {il} (" in comment
        assert best.removesuffix(" (mAP)") in comment
        assert last == "none" or f"{last} in its last" in comment
    else:
        baseline, il = published.metrics
        assert f"ResNet-50: baseline {baseline}, IL {il} (" in comment
        assert "torchreid's crops" in comment


def test_the_averages_on_the_page():
    for position, expected in enumerate(("41.1 / 56.2", "40.6 / 56.0", "45.4 / 62.1")):
        cells = [published.metrics[position].split(" / ") for published in IL_TABLE.values()]
        mean = [sum(float(cell[i]) for cell in cells) / 4 for i in (0, 1)]
        assert [float(value) for value in expected.split(" / ")] == pytest.approx(mean, abs=0.0501)
        assert expected in PAGE


@pytest.mark.parametrize(
    ("protocol", "override", "pair"),
    [
        ("il/to_cuhknp", "sources=[msmt17v1,cuhk03]", "target=cuhknp shows the same people as source cuhk03"),
        ("p3/to_msmt17v1", "target=msmt17v2", None),
        ("p3/to_market1501", "target=msmt17v2", "target=msmt17v2 shows the same people as source msmt17v1"),
        ("p3/to_market1501", "target=cuhk_sysu", "target=cuhk_sysu is among the sources"),
    ],
)
def test_people_of_a_source_are_no_target(protocol, override, pair):
    config = composed(f"protocol={protocol}", override)
    sources, targets = build_domains(config, "sources"), build_domains(config, "target")
    if pair is None:
        assert check_leaks(sources, targets, config.use, config.allow_seen_target) == set()
        return
    with pytest.raises(InputError, match=pair):
        check_leaks(sources, targets, config.use, config.allow_seen_target)


def test_no_two_protocols_share_a_folder():
    """Also where an experiment gives them one name: some of M3L's and IL's differ in ``use`` alone."""
    protocols = [path.relative_to(CONF / "protocol").with_suffix("") for path in (CONF / "protocol").rglob("*.yaml")]
    cells = [["experiment=il", f"protocol={protocol.as_posix()}"] for protocol in protocols]
    folders = {run_folder(composed(*cell), cell, "il") for cell in cells}
    assert len(folders) == len(cells) >= 19
