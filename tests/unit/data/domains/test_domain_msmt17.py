"""MSMT17: lists, two-digit cameras, test identities that restart, both versions and the converted layout."""

import warnings

import pytest
from dataset_trees import MSMT, msmt_converted_tree, msmt_tree

from dgreid.data.domains.base import CountWarning, DatasetError
from dgreid.data.domains.msmt17v1 import MSMT17V1
from dgreid.data.domains.msmt17v2 import MSMT17V2

pytestmark = pytest.mark.filterwarnings("ignore::dgreid.data.domains.base.CountWarning")
LISTS = ("list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt")


def v1(folder):
    return msmt_tree(folder, "train", "test")


def v2(folder):
    return msmt_tree(folder, "mask_train_v2", "mask_test_v2")


LAYOUTS = [
    (MSMT17V1, v1, "msmt17v1/MSMT17_V1"),
    (MSMT17V1, v1, "msmt17/MSMT17_V1"),
    (MSMT17V1, v1, "MSMT17_V1"),
    (MSMT17V1, v1, "."),
    (MSMT17V1, msmt_converted_tree, "msmt17v1/MSMT17_V1"),
    (MSMT17V1, msmt_converted_tree, "."),
    (MSMT17V2, v2, "msmt17v2/MSMT17_V2"),
    (MSMT17V2, v2, "msmt17/MSMT17_V2"),
    (MSMT17V2, v2, "MSMT17_V2"),
    (MSMT17V2, v2, "."),
]


@pytest.fixture
def data_root(tmp_path):
    return tmp_path / "x1_c2_data"


@pytest.mark.parametrize(("domain", "write", "place"), LAYOUTS)
def test_every_layout_gives_the_same_people(data_root, domain, write, place):
    root = write(data_root / place)
    found = domain(data_root=data_root)
    assert found.root == root
    for subset, lists in {"train": ("train", "val"), "query": ("query",), "gallery": ("gallery",)}.items():
        records = found.records(subset)
        expected = [(identity, int(path.split("_")[2]) - 1) for name, path, identity in MSMT if name in lists]
        assert sorted((r.identity, r.camera) for r in records) == sorted(expected)
        assert all(r.path.is_file() for r in records)


def test_test_identities_are_people_of_their_own(data_root):
    v2(data_root / "msmt17v2" / "MSMT17_V2")
    domain = MSMT17V2(data_root=data_root)
    assert sorted(r.identity for r in domain.source_records("train")) == [0, 0, 1, 1]
    both = domain.source_records("train+test")
    assert {r.identity for r in both if "mask_train_v2" in r.path.parts} == {0, 1}
    assert {r.identity for r in both if "mask_test_v2" in r.path.parts} == {2, 3}
    assert len(both) == len(MSMT)


def test_versions_are_not_mixed_up(data_root):
    v1(data_root)
    with pytest.raises(DatasetError, match="msmt17v2 was not found"):
        MSMT17V2(data_root=data_root).records("train")
    assert MSMT17V1(data_root=data_root).family == MSMT17V2(data_root=data_root).family


@pytest.mark.parametrize("missing", LISTS)
def test_a_missing_list_is_named(data_root, missing):
    root = v2(data_root / "msmt17v2" / "MSMT17_V2")
    (root / missing).unlink()
    with pytest.raises(DatasetError, match=f"the list .*{missing} is missing.* lines such as"):
        MSMT17V2(data_root=data_root).records("query")


@pytest.mark.parametrize(
    "line", ["0000/0000_000_01_0303morning_0008_0.jpg", "0000/0000_000_01_0303morning_0008_0.jpg x"]
)
def test_a_line_without_identity_is_shown(data_root, line):
    root = v2(data_root / "MSMT17_V2")
    with (root / "list_query.txt").open("a") as file:
        file.write(line)
    with pytest.raises(DatasetError, match=r"line 5 of .*list_query\.txt is '0000/.*must be '<path> <identity>'"):
        MSMT17V2(data_root=data_root).records("query")


def test_lists_of_another_version_are_noticed(data_root):
    root = v1(data_root / "MSMT17_V1")
    (root / "list_query.txt").write_text("0000/0000_099_05_0303morning_0008_0.jpg 0\n")
    with pytest.raises(DatasetError, match=r"the first image of list_query\.txt, does not exist"):
        MSMT17V1(data_root=data_root).records("query")


def test_an_identity_out_of_range_is_refused(data_root):
    root = v2(data_root / "MSMT17_V2")
    with (root / "list_query.txt").open("a") as file:
        file.write("3060/3060_000_05_0303morning_0008_0.jpg 3060\n")
    with pytest.raises(DatasetError, match=r"identity 3060 .*\(query\) is not in 0\.\.3059"):
        MSMT17V2(data_root=data_root).records("query")


def test_lists_of_full_size_are_what_is_published(tmp_path):
    sizes = {"train": (1_041, 30_248), "val": (1_041, 2_373), "query": (3_060, 11_659), "gallery": (3_060, 82_161)}
    for number, (name, (identities, images)) in enumerate(sizes.items()):
        rows = [(i % identities, f"{i:06d}{number}_{i % 15 + 1:02d}_0303morning_0_0.jpg") for i in range(images)]
        lines = [f"{identity:04d}/{identity:04d}_{rest} {identity}\n" for identity, rest in rows]
        (tmp_path / f"list_{name}.txt").write_text("".join(lines))
        first = tmp_path / ("train" if name in ("train", "val") else "test") / lines[0].split()[0]
        first.parent.mkdir(parents=True, exist_ok=True)
        first.touch()
    domain = MSMT17V1(data_root=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CountWarning)
        sources = domain.source_records("train+test")
    assert len(sources) == 126_441
    assert {r.identity for r in sources} == set(range(4_101))
    assert {r.camera for r in sources} == set(range(15))
    assert len(domain.source_records("train")) == 32_621


def test_lists_as_other_programs_write_them(data_root):
    root = v2(data_root / "MSMT17_V2")
    plain = [(r.path, r.identity, r.camera) for r in MSMT17V2(data_root=data_root).records("gallery")]
    text = (root / "list_gallery.txt").read_text()
    (root / "list_gallery.txt").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "  \r\n\r\n").encode())
    assert [(r.path, r.identity, r.camera) for r in MSMT17V2(data_root=data_root).records("gallery")] == plain
    (root / "list_gallery.txt").write_text(text + text.splitlines()[0] + "\n")
    with pytest.raises(DatasetError, match=r"is listed twice \(gallery\)"):
        MSMT17V2(data_root=data_root).records("gallery")


def test_lists_without_a_line_are_an_empty_data_set(data_root):
    root = v2(data_root / "MSMT17_V2")
    for name in LISTS:
        (root / name).write_text("")
    with pytest.raises(DatasetError, match="MSMT17_V2 holds no image"):
        MSMT17V2(data_root=data_root).records("query")
