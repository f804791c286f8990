"""What is refused before anything is read or trained."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from dgreid.errors import InputError
from dgreid.run import guards
from dgreid.run.guards import (
    check_inner_steps,
    check_leaks,
    check_own_gradients,
    check_start,
    check_styles,
    known_domains,
    names,
)

FAMILIES = {"cuhk03": "cuhk", "cuhknp": "cuhk", "market1501": "market", "dukemtmc": "duke"}


def domains(*wanted):
    return {name: SimpleNamespace(family=FAMILIES[name]) for name in wanted}


def test_unseen_targets_pass():
    assert check_leaks(domains("market1501", "cuhk03"), domains("dukemtmc"), "train+test", False) == set()


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("use", ["train", "train+test"])
def test_the_same_people_in_another_dress_never_pass(use, allowed):
    with pytest.raises(InputError, match="target=cuhknp shows the same people as source cuhk03"):
        check_leaks(domains("market1501", "cuhk03"), domains("cuhknp"), use, allowed)


def test_a_seen_domain_passes_only_by_name_and_with_disjoint_people():
    sources, targets = domains("market1501", "dukemtmc"), domains("dukemtmc", "cuhk03")
    with pytest.raises(InputError, match=r"target=dukemtmc is among the sources.*allow_seen_target=true"):
        check_leaks(sources, targets, "train", False)
    with pytest.raises(InputError, match="set use=train"):
        check_leaks(sources, targets, "train+test", True)
    assert check_leaks(sources, targets, "train", True) == {"dukemtmc"}


def test_names():
    assert names("a", "target") == ["a"]
    assert names(OmegaConf.create(["a", "b"]), "target") == ["a", "b"]
    with pytest.raises(InputError, match="target names b twice"):
        names(["b", "a", "b"], "target")
    for nothing in (None, []):
        with pytest.raises(InputError, match="target is empty"):
            names(nothing, "target")


def test_unknown_domains_and_starts(tmp_path):
    with pytest.raises(InputError, match="sources=markt1501: no such domain; did you mean 'market1501'"):
        known_domains(["markt1501"], FAMILIES, "sources")
    known_domains(list(FAMILIES), FAMILIES, "sources")
    check_start(None)
    check_start(str(tmp_path))
    with pytest.raises(InputError, match=r"init=.*no such run folder or checkpoint"):
        check_start(str(tmp_path / "none"))


@pytest.mark.parametrize("precision", ["16-mixed", 16])
def test_scaled_losses_are_refused_where_a_strategy_computes_gradients(precision):
    trainer = {"precision": precision}
    with pytest.raises(InputError, match=f"precision={precision} with gradients .* take .*bf16-mixed or 32-true$"):
        check_own_gradients(OmegaConf.create({"trainer": trainer, "strategy": {}}))
    with pytest.raises(InputError, match=r"or 32-true, or strategy\.domain_graphs=joint$"):
        check_own_gradients(OmegaConf.create({"trainer": trainer, "strategy": {"domain_graphs": "separate"}}))


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"precision": "bf16-true"}, "precision=bf16-true with inner steps: weights of 16 bits"),
        ({"precision": "16-true"}, "precision=16-true with inner steps: weights of 16 bits"),
    ],
)
def test_what_inner_steps_do_not_get_along_with_is_refused(trainer, message):
    with pytest.raises(InputError, match=message):
        check_inner_steps(OmegaConf.create({"trainer": trainer}))


def test_other_precisions_pass():
    for precision in ("32-true", "bf16-mixed", "64-true"):
        check_own_gradients(OmegaConf.create({"trainer": {"precision": precision}}))
        check_inner_steps(OmegaConf.create({"trainer": {"precision": precision}}))


STYLES_OF = {"fb": ["loss_style"], "fbf": ["loss_style", "memory_style"], "m3l": []}


class TestStyles:
    """A tree of strategies of which FB has one style, FBF both, M3L none."""

    @pytest.fixture(autouse=True)
    def conf(self, monkeypatch, tmp_path):
        (tmp_path / "strategy").mkdir()
        for name in STYLES_OF:
            OmegaConf.save(self.strategy(name), tmp_path / "strategy" / f"{name}.yaml")
        monkeypatch.setattr(guards, "conf_folder", lambda: tmp_path)

    def strategy(self, name):
        keys = {key: f"${{{key}}}" for key in STYLES_OF[name]}
        return OmegaConf.create({"_target_": f"package.{name}.{name.upper()}", **keys})

    def config(self, strategy, **styles):
        built = {key: {"_target_": f"package.style.{style}"} for key, style in styles.items()}
        return OmegaConf.create({"loss_style": None, **built, "strategy": self.strategy(strategy)})

    @pytest.mark.parametrize(
        ("strategy", "styles", "message"),
        [
            ("fb", {"memory_style": "Uniform"}, r"memory_style is Uniform, but .* FB .*=none, .* has one \(fbf\)"),
            ("m3l", {"loss_style": "DSU"}, r"loss_style is DSU, but .* M3L .* loss_style=none, .* one \(fb, fbf\)"),
            ("fb", {"loss_style": "DSU", "memory_style": "Swap"}, "memory_style is Swap"),
        ],
    )
    def test_one_that_the_strategy_does_not_take_up_is_refused(self, strategy, styles, message):
        with pytest.raises(InputError, match=message):
            check_styles(self.config(strategy, **styles))

    @pytest.mark.parametrize(
        ("strategy", "styles"),
        [("m3l", {}), ("fb", {"loss_style": "DSU"}), ("fbf", {"loss_style": "DSU", "memory_style": "Uniform"})],
    )
    def test_others_pass(self, strategy, styles):
        check_styles(self.config(strategy, **styles))
