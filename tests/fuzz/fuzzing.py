"""Input that nobody meant: arbitrary bytes and text, and valid files with changes. ``EXAMPLES=2000`` tries more."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dgreid.errors import InputError

SHORT = 30
EXAMPLES = int(os.environ.get("EXAMPLES", SHORT))

# The short version tries the same examples each time; the long one others.
fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize="EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# What parsers stumble over, in files of text.
TOKENS = (
    b"", b"\x00", b"\r", b"\n", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b",", b"-1", b"9" * 30, b"1e999", b"NaN", b"null",
    b"../", b"/", b"~", b"~nobody/", b"${oc.env:HOME}", b"_target_: os.system", b"!!python/name:os.system", b"&a [*a]",
    b"[" * 3000, b"{", b"=1+1", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xef\xbc\x91\xef\xbc\x92", b" " * 300,
)  # fmt: skip


def only_documented(task: Callable[[], Any]) -> Any:
    """Runs a parser; errors of the user are what it may raise."""
    try:
        return task()
    except InputError as refusal:
        if not str(refusal).strip():
            raise AssertionError("an error without a message") from refusal
        return None


@st.composite
def mutated(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid file with one to four changes: bytes flipped, cut, repeated, or tokens put in."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        length = draw(st.sampled_from([1, 1, 2, 4, 8, 64, 1000]))
        change = draw(st.sampled_from(["flip", "cut", "repeat", "put in", "replace", "end"]))
        if change == "flip" and start < len(content):
            content[start] ^= draw(st.integers(1, 255))
        elif change == "cut":
            del content[start : start + length]
        elif change == "repeat":
            content[start:start] = content[start : start + length]
        elif change == "put in":
            content[start:start] = draw(st.sampled_from(TOKENS))
        elif change == "replace":
            content[start : start + length] = draw(st.binary(max_size=length))
        elif change == "end":
            del content[start:]
    return bytes(content)


def files(valid: bytes) -> st.SearchStrategy[bytes]:
    """Contents of files: arbitrary ones, a few tokens, and above all changed valid ones."""
    tokens = st.lists(st.sampled_from(TOKENS), max_size=6).map(b"".join)
    return st.one_of(st.binary(max_size=300), tokens, mutated(valid), mutated(valid))


# Sizes are small or absurd: those between would be granted, and fill all memory.
NUMBERS = st.one_of(st.integers(-3, 12), st.sampled_from([2**50, -(2**63), 2**64, 10**30]))
PLAIN = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.floats(), st.text(max_size=8),
    st.sampled_from(["", "???", "${a}", "os.system", "../x", "inf", "torch.optim.Adam", "dgreid.nets.small.small"]),
)  # fmt: skip
KEYS = st.one_of(
    st.text(max_size=6), st.sampled_from(["_target_", "_partial_", "_args_", "_convert_", "_recursive_", "name", "a.b"])
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=4,
)


@st.composite
def changed(draw: st.DrawFn, valid: Any) -> Any:
    """Nested values with one to three of them replaced, taken out or added, wherever they stand."""
    content = _copy(valid)
    for _ in range(draw(st.integers(1, 3))):
        nodes = [node for node in _nodes(content) if node]
        if not nodes:
            return content
        node = draw(st.sampled_from(nodes))
        key = draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
        change = draw(st.sampled_from(["replace", "replace", "take out", "add"]))
        if change == "replace":
            node[key] = draw(VALUES)
        elif change == "take out":
            del node[key]
        elif isinstance(node, dict):
            node[draw(KEYS)] = draw(VALUES)
        else:
            node.append(draw(VALUES))
    return content


def _copy(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _copy(value) for key, value in node.items()}
    return [_copy(value) for value in node] if isinstance(node, list) else node


def _nodes(node: Any) -> list[Any]:
    if not isinstance(node, dict | list):
        return []
    below = node.values() if isinstance(node, dict) else node
    return [node, *(found for value in below for found in _nodes(value))]
