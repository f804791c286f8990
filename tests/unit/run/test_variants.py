"""A run that deviates from its protocol says so, in a sentence for each deviation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from composition import CONF
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from dgreid.data.domains.base import Counts, Domain, list_hash
from dgreid.errors import InputError
from dgreid.run.compose import register_catalogue
from dgreid.run.expected_lists import expectations
from dgreid.run.protocols import UNTOLD, deviations, of_an_evaluation, told, variant_line
from dgreid.run.training import resolve
from dgreid.types import ReIDRecord

pytestmark = pytest.mark.filterwarnings("ignore::dgreid.data.domains.base.CountWarning")

CHOSEN = "synthetic/to_night"
ROOT = Path("/data")
SIZES = {"train": (3, 6), "query": (2, 2), "gallery": (2, 4)}


class Listed(Domain):
    """Records of files that nobody reads; as published unless told otherwise."""

    def __init__(self, name: str, published: dict[str, tuple[int, int]] | None = None) -> None:
        self.name = self.family = name
        self.published = published or SIZES

    version, root = "test", ROOT

    @property
    def expected(self):
        return {subset: Counts(*size) for subset, size in self.published.items()}

    def list_images(self):
        return {
            subset: [ReIDRecord(ROOT / self.name / subset / f"{i}.jpg", 10 * (subset != "train") + i % people, 0)
                     for i in range(images)]
            for subset, (people, images) in SIZES.items()
        }  # fmt: skip


@pytest.fixture(autouse=True)
def _leave_no_command():
    yield
    HydraConfig.instance().cfg = None


def typed(*overrides: str, expected: dict | None = None):
    """A run's configuration, composed as the command composes it, and what it says it expects."""
    register_catalogue()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        whole = compose("train", overrides=list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(whole)
    with open_dict(whole):
        del whole["hydra"]
        whole.expected = expected
    return whole


def variant(*overrides: str, domains: Sequence[Domain] = (), expected: dict | None = None) -> list[str] | None:
    config = typed(*overrides, expected=expected)
    protocol = HydraConfig.get().runtime.choices.get("protocol")
    given = {domain.name: domain for domain in domains}
    targets = [config.target] if isinstance(config.target, str) else list(config.target)
    sources = {name: given.get(name, Listed(name)) for name in config.sources}
    return deviations(config, protocol, sources, {name: given.get(name, Listed(name)) for name in targets})


def test_no_protocol_no_variant():
    assert variant("sources=[market1501]", "target=dukemtmc", "holdout=0.1") is None


@pytest.mark.parametrize(
    "overrides",
    [
        [], ["strategy=fbf", "seed=3"], ["experiment=demo"], ["experiment=benchmark"], ["data_root=/elsewhere"],
        ["synthetic.folder=/elsewhere"], ["domain.synthetic_plaza.folder=/elsewhere"], ["synthetic=demo"],
        ["sources=[synthetic_plaza,synthetic_station,synthetic_campus]", "use=train"], ["net=small", "epochs=3"],
        ["domain.market1501.data_root=/d"], ["domain.cuhknp.crops=labeled"], ["metric.flip=true"],
    ],
)  # fmt: skip
def test_what_a_protocol_leaves_open_is_no_deviation(overrides):
    assert variant(f"protocol={CHOSEN}", *overrides) == []


@pytest.mark.parametrize(
    ("overrides", "sentences"),
    [
        (
            ["sources=[synthetic_plaza,synthetic_campus]"],
            ["sources are synthetic_plaza, synthetic_campus, not synthetic_plaza, synthetic_station, synthetic_campus"],
        ),
        (
            ["sources=[synthetic_campus,synthetic_station,synthetic_plaza]"],
            ["sources are synthetic_campus, synthetic_station, synthetic_plaza, not synthetic_plaza, "
             "synthetic_station, synthetic_campus"],
        ),
        (["target=market1501"], ["target is market1501, not synthetic_night"]),
        (["target=[synthetic_night,market1501]"], ["target is synthetic_night, market1501, not synthetic_night"]),
        (["use=train+test"], ["use is train+test, not train"]),
        (["split_by=camera"], ["split_by is camera, not null"]),
        (["holdout=0.1"], ["holdout is 0.1, not 0.0"]),
        (["metric.same_camera=keep"], ["metric.same_camera is keep, not ignore"]),
        (
            ["synthetic=tiny"],
            [f"{key} of synthetic_plaza, synthetic_station, synthetic_campus, synthetic_night is {now}, not {before}"
             for key, now, before in (("height", 64, 128), ("images_per_identity", 4, 8), ("test_identities", 6, 100),
                                      ("train_identities", 8, 150), ("width", 32, 64))],
        ),
        (["domain.synthetic_night.seed=1"], ["seed of synthetic_night is 1, not 0"]),
        (["use=train+test", "holdout=0.1"], ["use is train+test, not train", "holdout is 0.1, not 0.0"]),
    ],
)  # fmt: skip
def test_what_was_typed_over_a_protocol_is_told(overrides, sentences):
    assert variant(f"protocol={CHOSEN}", *overrides) == sentences


def test_crops_of_a_target():
    assert variant("protocol=p2/to_cuhknp", "domain.cuhknp.crops=labeled") == [
        "crops of cuhknp is labeled, not detected"
    ]


def test_an_experiment_may_deviate_too():
    """IL's release trains on test sets, whatever the protocol says."""
    assert variant("protocol=p2/to_market1501", "experiment=il_released") == ["use is train+test, not train"]
    assert variant("protocol=p3/to_market1501", "experiment=il_released") == []


def test_an_incomplete_copy_is_told_for_the_subsets_that_are_used():
    smaller = {"train": (4, 9), "query": (2, 3), "gallery": (2, 5)}
    copies = [Listed("synthetic_plaza", smaller), Listed("synthetic_night", smaller)]
    plaza = "synthetic_plaza: train has 3 identities and 6 images, published are 4 and 9"
    night = [
        "synthetic_night: query has 2 identities and 2 images, published are 2 and 3",
        "synthetic_night: gallery has 2 identities and 4 images, published are 2 and 5",
    ]
    assert variant(f"protocol={CHOSEN}", domains=copies) == [plaza, *night]
    everything = variant(f"protocol={CHOSEN}", "use=train+test", domains=copies)
    assert everything[:4] == [
        "use is train+test, not train", plaza, *(line.replace("night", "plaza") for line in night),
    ]  # fmt: skip


def test_other_sizes_than_the_protocol_expects():
    """What CUHK-SYSU's other crops are noticed by, for which nothing is published."""
    followed = {"identities": 9, "images": 18}
    assert variant(f"protocol={CHOSEN}", expected=followed) == []
    assert variant(f"protocol={CHOSEN}", expected={"identities": 1_009, "images": 18}) == [
        "9 identities are trained on, the protocol has 1,009"
    ]
    assert variant(f"protocol={CHOSEN}", "holdout=0.5", expected=followed) == ["holdout is 0.5, not 0.0"]


def test_other_lists_than_the_protocol_expects():
    plaza, night = Listed("synthetic_plaza"), Listed("synthetic_night")
    known = {
        "synthetic_plaza": list_hash(plaza.source_records("train"), ROOT),
        "synthetic_night/query": list_hash(night.records("query"), ROOT),
        "synthetic_night/gallery": "f" * 64,
    }
    found = list_hash(night.records("gallery"), ROOT)[:12]
    sentence = f"synthetic_night/gallery is another list of images than the protocol's (sha256 {found}, not {'f' * 12})"
    assert variant(f"protocol={CHOSEN}", expected={"lists": known}) == [sentence]


@pytest.mark.parametrize(
    ("expected", "told_of"),
    [
        ({"identites": 3}, r"expected has identites; did you mean 'identities'\?"),
        ([3], r"expected is \[3\]; it takes identities"),
        ({"images": "many"}, "expected.images is many; it is a whole number"),
        ({"lists": {"synthetic_plaza": 7}}, "expected.lists is .*; it takes hashes by name"),
    ],
)
def test_what_is_expected_is_checked_for_its_form(expected, told_of):
    with pytest.raises(InputError, match=f"protocol={CHOSEN}: {told_of}"):
        variant(f"protocol={CHOSEN}", expected=expected)


def test_a_hash_of_no_list_is_refused():
    with pytest.raises(InputError, match=r"expected.lists=synthetic_night: did you mean 'synthetic_night/query'\?"):
        variant(f"protocol={CHOSEN}", expected={"lists": {"synthetic_night": "f" * 64}})


@pytest.fixture
def own(tmp_path):
    """Writes a protocol of one's own, five lines and more; returns what is typed to have it."""
    (tmp_path / "protocol").mkdir()
    five = ["# @package _global_", "sources: [market1501, msmt17v1]", "target: cuhknp", "use: train", "name: mine"]

    def write(*more):
        (tmp_path / "protocol" / "mine.yaml").write_text("\n".join([*five, *more]), encoding="utf-8")
        return "protocol=mine", f'hydra.searchpath=["file://{tmp_path}"]'

    return write


def test_a_protocol_of_one_s_own(own):
    chosen = own()
    assert variant(*chosen) == []
    assert variant(*chosen, "use=train+test") == ["use is train+test, not train"]


def test_what_one_s_own_says_is_what_a_run_is_held_against(own):
    chosen = own("split_by: camera", "domain: {cuhknp: {crops: labeled}}", "holdout: 0.1")
    assert variant(*chosen) == []
    assert variant(*chosen, "split_by=null", "holdout=0", "domain.cuhknp.crops=detected") == [
        "split_by is null, not camera",
        "holdout is 0, not 0.1",
        "crops of cuhknp is detected, not labeled",
    ]


def test_its_expectations_reach_the_configuration_but_not_the_run(own):
    register_catalogue()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        whole = compose("train", overrides=[*own("expected: {images: 20301, lists: {cuhknp/query: abc}}")])
    assert expectations(whole.expected, "mine") == {"images": 20_301, "lists": {"cuhknp/query": "abc"}}
    assert "expected" not in resolve(whole)
    assert "split_by" not in resolve(whole)


def test_records_of_earlier_versions_are_read():
    assert told({"protocol": "variant of m3l/to_cuhknp"}) == {"protocol": "m3l/to_cuhknp", "variant": [UNTOLD]}
    assert told({"protocol": "m3l/to_cuhknp"}) == {"protocol": "m3l/to_cuhknp", "variant": None}
    assert told({"protocol": None}) == told({}) == {"protocol": None, "variant": None}
    now = {"protocol": "m3l/to_cuhknp", "variant": ["use is train+test, not train"]}
    assert told(now) == now


def test_the_terminal_s_line():
    assert variant_line({"protocol": "p2/to_cuhknp", "variant": ["a is 1, not 2", "b is 3, not 4"]}) == (
        "variant:  of p2/to_cuhknp: a is 1, not 2; b is 3, not 4"
    )
    assert variant_line({"protocol": "p2/to_cuhknp", "variant": []}) is None
    assert variant_line({"protocol": "p2/to_cuhknp"}) is None
    assert variant_line({"protocol": None, "variant": None}) is None


class TestEvaluations:
    """An evaluation of a run inherits what the run deviated in, and adds what it does itself."""

    @pytest.fixture
    def of_the_run(self):
        return OmegaConf.create(OmegaConf.to_container(typed("protocol=p2/to_cuhknp"), resolve=True))

    def evaluated(self, record, of_the_run, *overrides, domain=None):
        config = typed("protocol=p2/to_cuhknp", *overrides)
        return of_an_evaluation(record, of_the_run, config, {"cuhknp": domain or Listed("cuhknp")})

    def test_the_run_s_own_sentences_stay(self, of_the_run):
        record = {"protocol": "p2/to_cuhknp", "variant": ["holdout is 0.1, not 0.0"]}
        assert self.evaluated(record, of_the_run) == record

    def test_what_the_evaluation_adds(self, of_the_run):
        record = {"protocol": "p2/to_cuhknp", "variant": ["holdout is 0.1, not 0.0"]}
        smaller = Listed("cuhknp", {"query": (5, 2)})
        found = self.evaluated(
            record, of_the_run, "domain.cuhknp.crops=labeled", "metric.same_camera=keep", domain=smaller
        )
        assert found["variant"] == [
            "holdout is 0.1, not 0.0",
            "metric.same_camera is keep, not ignore",
            "crops of cuhknp is labeled, not detected",
            "cuhknp: query has 2 identities and 2 images, published are 5 and 2",
        ]

    def test_another_target_is_of_no_protocol(self, of_the_run):
        record = {"protocol": "p2/to_cuhknp", "variant": []}
        found = of_an_evaluation(record, of_the_run, of_the_run, {"dukemtmc": Listed("dukemtmc")})
        assert found == {"protocol": None, "variant": None}

    def test_what_is_not_known_of_the_run_is_not_claimed(self, of_the_run):
        assert self.evaluated({"protocol": "p2/to_cuhknp"}, of_the_run) == {"protocol": "p2/to_cuhknp", "variant": None}
