"""Every file of the Hydra tree composes, and its keys are arguments of what it builds."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from dgreid.data.modules import DomainDataModule
from dgreid.data.transforms import TrainTransform
from dgreid.evaluation.scoring import Scoring
from dgreid.run.compose import conf_folder, register_catalogue
from dgreid.testing.configured import require_bound

CONF = conf_folder()
INTERNAL = {"_target_", "_partial_", "_convert_", "_recursive_"}
PLAIN_GROUPS = {"data", "synthetic", "protocol", "experiment"}
LISTS = ("false_accept_rates", "open_set_rates")
RUN = ["sources=[market1501,msmt17v1]", "target=dukemtmc"]


def options(group: str) -> list[str]:
    return sorted(p.relative_to(CONF / group).with_suffix("").as_posix() for p in (CONF / group).rglob("*.yaml"))


def composed(*overrides: str, config: str = "train") -> DictConfig:
    register_catalogue()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(config, overrides=list(overrides))


GROUPS = sorted(p.name for p in CONF.iterdir() if p.is_dir())
STYLES = ("loss_style", "memory_style")
FURTHER_RANKINGS = ("expansion", "reranking")
BUILT = [(g, o) for g in GROUPS for o in options(g) if g not in {*PLAIN_GROUPS, *STYLES, *FURTHER_RANKINGS, "domain"}]


@pytest.mark.parametrize(("group", "option"), BUILT, ids="/".join)
def test_keys_are_constructor_arguments(group: str, option: str) -> None:
    node = composed(*RUN, f"{group}={option}")[group]
    require_bound(OmegaConf.to_container(node, resolve=True), ("folder",) if group == "logger" else ())


@pytest.mark.parametrize(("group", "option"), [(g, o) for g in STYLES for o in options(g)], ids="/".join)
def test_styles_are_built_by_their_names_and_none_is_null(group: str, option: str) -> None:
    node = composed(*RUN, f"{group}={option}")[group]
    if option == "none":
        assert node is None
        return
    style = instantiate(node, _convert_="all")
    assert type(style).__name__.lower() == option
    assert set(node) - INTERNAL == set(inspect.signature(type(style)).parameters), "each option is shown"
    # A style alone is configured as its class is by default.
    assert vars(style) == vars(type(style)())


@pytest.mark.parametrize(("group", "option"), [(g, o) for g in FURTHER_RANKINGS for o in options(g)], ids="/".join)
def test_further_rankings_are_built_and_none_is_null(group: str, option: str) -> None:
    config = composed(*RUN, f"{group}={option}")
    if option == "none":
        assert config[group] is None
        return
    built = getattr(instantiate(config.metric, _convert_="all"), group)
    assert set(config[group]) - INTERNAL == set(inspect.signature(type(built)).parameters), "each option is shown"
    assert vars(built) == {key: value for key, value in config[group].items() if key not in INTERNAL}


def test_an_evaluation_is_configured_as_its_class_is_by_default() -> None:
    node = composed(*RUN).metric
    assert set(node) - INTERNAL == set(inspect.signature(Scoring).parameters)
    assert instantiate(node, _convert_="all") == replace(Scoring(), **{k: list(getattr(Scoring(), k)) for k in LISTS})


def test_only_styles_that_need_one_domain_are_offered_for_losses() -> None:
    assert set(options("memory_style")) - set(options("loss_style")) == {"swap"}


def test_a_strategy_s_file_may_choose_its_memory_style() -> None:
    assert composed(*RUN, "strategy=fbf").memory_style is None
    assert composed(*RUN, "strategy=il").memory_style._target_ == "dgreid.style.Uniform"
    assert composed(*RUN, "strategy=il", "memory_style=swap").memory_style._target_ == "dgreid.style.Swap"


@pytest.mark.parametrize("name", options("domain"))
def test_every_domain_is_in_the_catalogue_and_binds(name: str) -> None:
    catalogue = composed(*RUN).domain
    assert name in catalogue, f"conf/domain/{name}.yaml must contribute the key {name}"
    require_bound(OmegaConf.to_container(catalogue[name], resolve=True))


@pytest.mark.parametrize("option", options("data"))
def test_data_keys_are_arguments_of_the_data_module(option: str) -> None:
    data = OmegaConf.to_container(composed(*RUN, f"data={option}").data, resolve=True)
    assert isinstance(data, dict)
    inspect.signature(TrainTransform).bind(**data.pop("transform"))
    inspect.signature(DomainDataModule).bind_partial(**data)


@pytest.mark.parametrize("group", ["protocol", "experiment"])
def test_presets_compose_and_resolve(group: str) -> None:
    for option in options(group):
        config = composed(*([] if group == "protocol" else RUN), f"{group}={option}")
        assert OmegaConf.to_container(config, resolve=True), f"{group}={option}"


@pytest.mark.parametrize("option", options("protocol"))
def test_protocols_name_domains_of_the_catalogue(option: str) -> None:
    config = composed(f"protocol={option}")
    targets = config.target if OmegaConf.is_list(config.target) else [config.target]
    for name in [*config.sources, *targets]:
        assert name in config.domain
    assert not set(targets) & set(config.sources)


def test_evaluation_configuration_composes() -> None:
    config = composed("run=somewhere", config="evaluate")
    assert set(config.domain) == set(options("domain"))


def test_every_group_is_read_by_a_command() -> None:
    text = "".join((CONF / name).read_text() for name in ("train.yaml", "evaluate.yaml"))
    for group in GROUPS:
        assert f"- {group}:" in text, f"conf/{group} is not in any defaults list"


def test_no_file_is_empty() -> None:
    for path in Path(CONF).rglob("*.yaml"):
        assert path.read_text().strip(), path
