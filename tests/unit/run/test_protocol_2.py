"""Protocol-2: the page, the files and the list of published rows say the same; the page starts with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from composition import comment_of, composed

import dgreid
from dgreid.run.protocols import SUBSETS

PAGE = (Path(__file__).parents[3] / "docs" / "protocols.md").read_text(encoding="utf-8")
PUBLISHED = Path(dgreid.__file__).parent / "report" / "published.yaml"
SHOWN = ("M3L", "MetaBIN", "ACL", "BAU", "CILP-FGDI")
SIZES = {"market1501": (13_742, 74_560), "msmt17v1": (13_452, 54_875), "cuhknp": (13_726, 80_131)}


@pytest.fixture(scope="module")
def rows():
    """Published scores by target and method, of the table that lists all of them."""
    tables = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))["tables"]
    table = next(one for one in tables if one["protocol"] == "p2" and one["source"] == "fgdi_2")
    listed = [row for row in table["rows"] if "rerun" not in row.get("remarks", [])]
    return {
        target: {row["method"]: row["scores"][column].replace("/", " / ") for row in listed}
        for column, target in enumerate(table["targets"])
    }


@pytest.mark.parametrize("target", SIZES)
def test_page_file_and_published_rows_agree(target, rows):
    config = composed(f"protocol=p2/to_{target}")
    sources = ", ".join(f"`{name}`" for name in config.sources)
    identities, images = SIZES[target]
    scores = [rows[target][method] for method in SHOWN]
    assert f"| `p2/to_{target}` | {sources} | {identities:,} / {images:,} | {' | '.join(scores)} |" in PAGE
    comment = comment_of(f"p2/to_{target}")
    for method, score in zip(SHOWN, scores, strict=True):
        assert f"{method} {score}" in comment
    assert config.expected == {"identities": identities, "images": images}


def test_it_differs_from_protocol_3_in_use_alone():
    for target in SIZES:
        two, three = (composed(f"protocol={family}/to_{target}") for family in ("p2", "p3"))
        assert (list(two.sources), two.target) == (list(three.sources), three.target)
        assert (two.use, three.use) == ("train", "train+test")
        assert set(SUBSETS[two.use]) < set(SUBSETS[three.use])


def test_the_page_starts_with_the_protocols_that_need_no_withdrawn_data():
    table = [line for line in PAGE.splitlines() if line.startswith("| [`")]
    assert table[0].startswith("| [`p2/...`]")
    assert table[1].startswith("| [`p3/...`]")
    assert (
        PAGE.index("**Start with `p2` and `p3`.**")
        < PAGE.index("## `protocol=p2/...`")
        < PAGE.index("## `protocol=m3l")
    )
    for family in ("p2", "p3"):
        for target in SIZES:
            config = composed(f"protocol={family}/to_{target}")
            assert "dukemtmc" not in [*config.sources, config.target]
