"""Whether a run follows the protocol that it names; where not, it is a variant, and says in which sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf, open_dict

from dgreid.data.domains.base import Domain, Subset
from dgreid.run.compose import conf_folder
from dgreid.run.expected_lists import TESTED, count_differences, expectations, unexpected_lists
from dgreid.run.folder import flatten, of_the_machine
from dgreid.run.guards import names

SAID = ("sources", "target", "use", "split_by", "holdout", "metric.same_camera")  # by a protocol, or left at default
SUBSETS: Mapping[str, tuple[Subset, ...]] = {"train": ("train",), "train+test": ("train", "query", "gallery")}
NOT_THE_USERS = ("hydra", "main", "schema")  # providers of folders of groups
OLD_VARIANT = "variant of "  # so did results say it before there were sentences
UNTOLD = "an earlier version recorded that it deviates, not in what"


def deviations(
    config: DictConfig, protocol: str | None, sources: Mapping[str, Domain], targets: Mapping[str, Domain]
) -> list[str] | None:
    """What of a run is not as its protocol says.

    Args:
        config: the run's; its ``expected`` is what the protocol's file says of the lists.
        protocol: the protocol's file in ``conf/protocol`` or a folder of one's own, without suffix.
        sources: the domains to train on, by name, before they are split.
        targets: the domains to be evaluated on.

    Returns:
        A sentence for each deviation; None without a protocol.

    Raises:
        InputError: the protocol expects something that is not known.
    """
    if protocol is None:
        return None
    expected = expectations(config.get("expected"), protocol)
    plain = plain_protocol(config, protocol)
    options = [*changed_values(plain, config), *changed_options(plain, config, [*sources, *targets])]
    lists = [] if options else unexpected_lists(expected, config.use, sources, targets)
    return [*options, *count_differences(sources, SUBSETS[config.use]), *count_differences(targets, TESTED), *lists]


def plain_protocol(config: DictConfig, protocol: str) -> DictConfig:
    """The configuration that the protocol alone would have, on this machine.

    Args:
        config: the run's, for the places of its data.
        protocol: its name.
    """
    name = HydraConfig.get().job.config_name or "train"
    is_command = GlobalHydra.instance().is_initialized()
    with nullcontext() if is_command else initialize_config_dir(str(conf_folder()), version_base="1.3"):
        plain = compose(name, overrides=[f"protocol={protocol}", *_own_search_path()])
    with open_dict(plain):
        plain.data_root = config.data_root
    return plain


def _own_search_path() -> list[str]:
    """``hydra.searchpath=...`` with the folders of groups that the user gave to this call; empty without any."""
    sources = HydraConfig.get().runtime.config_sources
    own = [f"{source.schema}://{source.path}" for source in sources if source.provider not in NOT_THE_USERS]
    quoted = ",".join(QuotedString(folder, Quote.double).with_quotes() for folder in own)
    return [f"hydra.searchpath=[{quoted}]"] if own else []


def changed_values(plain: DictConfig, config: DictConfig, keys: Sequence[str] = SAID) -> list[str]:
    """A sentence for each value that a protocol fixes and that is another."""
    pairs = ((key, _shown(plain, key), _shown(config, key)) for key in keys)
    return [f"{key} {'are' if key == 'sources' else 'is'} {now}, not {old}" for key, old, now in pairs if old != now]


def changed_options(plain: DictConfig, config: DictConfig, domains: Sequence[str]) -> list[str]:
    """A sentence for each option of the domains that is not as catalogue and protocol have it.

    Args:
        plain: what the options should be.
        config: what they are.
        domains: names of those that take part.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for name in domains:
        before, now = _options(plain, name), _options(config, name)
        for key in sorted(before.keys() | now.keys()) if before and now else ():
            if before.get(key) != now.get(key):
                found.setdefault((key, str(now.get(key)), str(before.get(key))), []).append(name)
    return [f"{key} of {', '.join(names)} is {now}, not {before}" for (key, now, before), names in found.items()]


def told(record: Mapping[str, Any]) -> dict[str, Any]:
    """``protocol`` and ``variant`` of a stored record, as results have them now.

    Returns:
        ``variant`` is None without a protocol, and where an earlier version named one and nothing else.
    """
    protocol = record.get("protocol")
    if protocol is not None and str(protocol).startswith(OLD_VARIANT):
        return {"protocol": str(protocol).removeprefix(OLD_VARIANT), "variant": [UNTOLD]}
    sentences = None if protocol is None else record.get("variant")
    return {"protocol": protocol, "variant": list(map(str, sentences)) if isinstance(sentences, list) else None}


def of_an_evaluation(
    record: Mapping[str, Any], of_the_run: DictConfig, config: DictConfig, targets: Mapping[str, Domain]
) -> dict[str, Any]:
    """``protocol`` and ``variant`` of an evaluation of a run, which is of no protocol on other targets than the run's.

    Args:
        record: of the run.
        of_the_run: its configuration.
        config: the evaluation's.
        targets: the domains evaluated on, by name.
    """
    if list(targets) != names(of_the_run.target, "target"):
        return told({})
    facts = told(record)
    if facts["variant"] is None:
        return facts
    changed = changed_values(of_the_run, config, ["metric.same_camera"])
    changed += [*changed_options(of_the_run, config, list(targets)), *count_differences(targets, TESTED)]
    return {**facts, "variant": list(dict.fromkeys([*facts["variant"], *changed]))}


def variant_line(record: Mapping[str, Any]) -> str | None:
    """What a terminal shows of a run that deviates from its protocol; None if it does not, or that is not known."""
    facts = told(record)
    sentences = facts["variant"]
    return f"variant:  of {facts['protocol']}: {'; '.join(sentences)}" if sentences else None


def _shown(config: DictConfig, key: str) -> str:
    value = OmegaConf.select(config, key)
    if OmegaConf.is_list(value):
        return ", ".join(map(str, value))
    return "null" if value is None else str(value)


def _options(config: DictConfig, name: str) -> dict[str, Any]:
    """A domain's values by dotted key, without places of the machine; empty if the catalogue has no such domain."""
    node = config.domain.get(name)
    content = cast(dict[str, Any], OmegaConf.to_container(node, resolve=True)) if node is not None else {}
    return {key: value for key, value in flatten(content).items() if not of_the_machine(f"domain.{name}.{key}")}
