"""What is published, or a protocol's file says, of the lists of images: sentences where the lists found are others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from omegaconf import OmegaConf

from dgreid.data.domains.base import Domain, Subset, list_hash
from dgreid.errors import InputError, check_one_of, nearest
from dgreid.types import ReIDRecord

SIZES = ("identities", "images")
EXPECTED = (*SIZES, "lists")
TESTED: tuple[Subset, ...] = ("query", "gallery")

Lists = Mapping[str, tuple[Domain, Sequence[ReIDRecord]]]


def expectations(value: object, protocol: str) -> dict[str, Any]:
    """What a protocol's file expects, checked for its form.

    Args:
        value: its ``expected``: ``identities`` and ``images`` of all that is trained on, held-out people included and
            before sources are split; ``lists``, their hashes as results have them, by ``<source>``, ``<target>/query``
            and ``<target>/gallery``. None: nothing.
        protocol: its name, for the message.

    Raises:
        InputError: another key, or another kind of value.
    """
    content = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value or {}
    where = f"protocol={protocol}: expected"
    if not isinstance(content, dict):
        raise InputError(f"{where} is {content}; it takes {', '.join(EXPECTED)} by name")
    for key, given in content.items():
        if key not in EXPECTED:
            raise InputError(f"{where} has {key}; {nearest(str(key), EXPECTED)}")
        if key in SIZES and type(given) is not int:
            raise InputError(f"{where}.{key} is {given}; it is a whole number")
    lists = content.get("lists", {})
    if not isinstance(lists, dict) or not all(isinstance(digest, str) for digest in lists.values()):
        raise InputError(f"{where}.lists is {lists}; it takes hashes by name, e.g. market1501: 2458...")
    return cast(dict[str, Any], content)


def count_differences(domains: Mapping[str, Domain], subsets: Sequence[Subset]) -> list[str]:
    """A sentence for each of the subsets that is not of the published size."""
    counts = [
        (f"{name}: {subset}", domain.count(domain.records(subset)), domain.expected[subset])
        for name, domain in domains.items()
        for subset in subsets
        if subset in domain.expected
    ]
    return [
        f"{what} has {found.identities:,} identities and {found.images:,} images, published are "
        f"{published.identities:,} and {published.images:,}"
        for what, found, published in counts
        if found != published
    ]


def unexpected_lists(
    expected: Mapping[str, Any], use: Any, sources: Mapping[str, Domain], targets: Mapping[str, Domain]
) -> list[str]:
    """A sentence for each list of images that is not what the protocol's file expects.

    Args:
        expected: of :func:`expectations`.
        use: which subsets of the sources are trained on.
        sources: by name, before they are split.
        targets: by name.

    Raises:
        InputError: a hash is of no list of these domains.
    """
    if not expected:
        return []
    trained_on = {name: (domain, domain.source_records(use)) for name, domain in sources.items()}
    tested = {f"{name}/{s}": (domain, domain.records(s)) for name, domain in targets.items() for s in TESTED}
    return [*_other_sizes(expected, trained_on), *_other_hashes(expected.get("lists", {}), {**trained_on, **tested})]


def _other_sizes(expected: Mapping[str, Any], trained_on: Lists) -> Iterator[str]:
    found = {
        "identities": sum(len({record.identity for record in records}) for _, records in trained_on.values()),
        "images": sum(len(records) for _, records in trained_on.values()),
    }
    for key, number in found.items():
        if expected.get(key, number) != number:
            yield f"{number:,} {key} are trained on, the protocol has {expected[key]:,}"


def _other_hashes(known: Mapping[str, str], lists: Lists) -> Iterator[str]:
    for name, digest in known.items():
        check_one_of("expected.lists", name, lists)
        domain, records = lists[name]
        found = list_hash(records, domain.root)
        if found != digest:
            yield f"{name} is another list of images than the protocol's (sha256 {found[:12]}, not {digest[:12]})"
