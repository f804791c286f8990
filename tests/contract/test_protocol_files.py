"""Every file of conf/protocol: what it may say, its sizes as published, its lists as the benchmark has them."""

from __future__ import annotations

from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from dgreid.data.domains.base import list_hash
from dgreid.data.domains.synthetic import SyntheticDomain
from dgreid.run.build import build_domains
from dgreid.run.compose import conf_folder, register_catalogue
from dgreid.run.expected_lists import EXPECTED, unexpected_lists
from dgreid.run.guards import USES, check_leaks, check_training
from dgreid.run.protocols import SUBSETS

CONF = conf_folder()
PROTOCOLS = sorted(
    path.relative_to(CONF / "protocol").with_suffix("").as_posix() for path in (CONF / "protocol").rglob("*.yaml")
)
KEYS = {"name", "sources", "target", "use", "split_by", "expected"}
MSMT = {"msmt17v1", "msmt17v2"}
FAMILIES = {  # sources, versions and subsets as the papers have them
    "m3l": ({"market1501", "dukemtmc", "msmt17v2", "cuhk03"}, {"cuhknp"}, "train"),
    "m3l_recommended": ({"market1501", "dukemtmc", "msmt17v1", "cuhknp"}, set(), "train"),
    "il": ({"market1501", "dukemtmc", "msmt17v1", "cuhknp"}, set(), "train+test"),
    "p2": ({"market1501", "msmt17v1", "cuhknp", "cuhk_sysu"}, set(), "train"),
    "p3": ({"market1501", "msmt17v1", "cuhknp", "cuhk_sysu"}, set(), "train+test"),
    "synthetic": ({f"synthetic_{name}" for name in ("plaza", "station", "campus", "night")}, set(), "train"),
    "synthetic_cameras": ({"synthetic_plaza"}, {"synthetic_night"}, "train"),
}
SYSU = (11_934, 34_574)  # torchreid's crops; which are there is known on disk only
DISTRACTORS = {"market1501": 2_798}
each_protocol = pytest.mark.parametrize("option", PROTOCOLS)
each_real = pytest.mark.parametrize("option", [o for o in PROTOCOLS if not o.startswith("synthetic")])


def composed(option: str) -> DictConfig:
    register_catalogue()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=[f"protocol={option}"])


def written(option: str) -> dict[str, Any]:
    content = OmegaConf.to_container(OmegaConf.load(CONF / "protocol" / f"{option}.yaml"))
    assert isinstance(content, dict)
    return content


def build(option: str) -> tuple[DictConfig, dict, dict]:
    config = composed(option)
    return config, build_domains(config, "sources"), build_domains(config, "target")


@each_protocol
def test_a_file_says_what_is_trained_on_and_tested_and_nothing_of_how(option: str) -> None:
    content = written(option)
    assert {"name", "sources", "target", "use", "expected"} <= content.keys() <= KEYS
    assert content["use"] in USES
    assert {"identities", "images"} <= content["expected"].keys() <= set(EXPECTED)
    check_training(composed(option))


@each_protocol
def test_sources_versions_and_subsets_are_those_of_the_paper(option: str) -> None:
    content = written(option)
    source_sets, targets_only, use = FAMILIES[option.partition("/")[0]]
    assert set(content["sources"]) <= source_sets
    assert content["target"] in (source_sets | targets_only) - {"cuhk_sysu"}
    assert content["use"] == use
    assert len(content["sources"]) == (1 if "split_by" in content else 3)
    _, sources, targets = build(option)
    assert check_leaks(sources, targets, use, False) == set()


def test_each_family_leaves_every_domain_out_once_that_can_be_a_target() -> None:
    for family, (sources, targets_only, _) in FAMILIES.items():
        if family == "synthetic_cameras":
            continue
        targets = [written(option)["target"] for option in PROTOCOLS if option.startswith(f"{family}/")]
        left_out = sources - {"cuhk_sysu"} - ({"cuhk03"} if targets_only else set())
        assert sorted(targets) == sorted(left_out | targets_only)


@each_real
def test_expected_sizes_are_the_sums_of_the_published_ones(option: str) -> None:
    config, sources, _ = build(option)
    identities = images = 0
    for name, domain in sources.items():
        if name == "cuhk_sysu":
            identities, images = identities + SYSU[0], images + SYSU[1]
            continue
        counts = {subset: domain.expected[subset] for subset in SUBSETS[config.use]}
        identities += sum(count.identities for subset, count in counts.items() if subset != "query")
        images += sum(count.images for count in counts.values())
        images -= DISTRACTORS.get(name, 0) if "gallery" in counts else 0
    assert written(option)["expected"] == {"identities": identities, "images": images}
    said = f"Expected to train on: {identities:,} identities, {images:,} images"
    assert said in " ".join((CONF / "protocol" / f"{option}.yaml").read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def undrawn(tmp_path_factory):
    """A folder for each domain of the benchmark with all its files, none of which has been drawn."""

    def root(domain: SyntheticDomain):
        folder = tmp_path_factory.getbasetemp() / "undrawn" / domain.plan.folder_name
        if not folder.exists():
            for file in domain.plan.layout.files(domain.plan.census):
                (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
                (folder / file.path).touch()
            for name, text in domain.plan.layout.lists(domain.plan.census).items():
                (folder / name).write_text(text, encoding="utf-8")
        return folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SyntheticDomain, "root", property(root))
        yield


@pytest.mark.parametrize("option", [o for o in PROTOCOLS if o.startswith("synthetic")])
def test_expected_lists_are_those_of_the_benchmark(option: str, undrawn: None) -> None:
    config, sources, targets = build(option)
    expected = written(option)["expected"]
    assert set(expected["lists"]) == {
        *sources,
        *(f"{name}/{subset}" for name in targets for subset in ("query", "gallery")),
    }
    assert unexpected_lists(expected, config.use, sources, targets) == []
    for name, domain in sources.items():
        assert list_hash(domain.source_records("train"), domain.root) == expected["lists"][name]
    other = {**expected, "lists": {**expected["lists"], config.sources[0]: "0" * 64}}
    assert len(unexpected_lists(other, config.use, sources, targets)) == 1
