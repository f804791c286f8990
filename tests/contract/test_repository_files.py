"""Files that hosts and citation managers read: they parse, and say what the package says."""

from __future__ import annotations

import re

import pytest
import yaml
from documents import ROOT

import dgreid

TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
FORMS = [path for path in TEMPLATES if path.name != "config.yml"]
INPUTS = {"input", "textarea", "dropdown", "checkboxes"}


def test_the_citation_is_of_this_version_and_names_both_papers():
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= content.keys()
    assert content["version"] == dgreid.__version__
    papers = {(paper["authors"][0]["family-names"], paper["year"]) for paper in content["references"]}
    assert papers == {("Zhao", 2021), ("Tan", 2023)}
    assert all({"type", "title", "authors"} <= paper.keys() for paper in content["references"])


def test_the_version_is_said_once_in_each_place():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^version = "(.+)"$', project, flags=re.MULTILINE)[1] == dgreid.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\] - (\S+)$", changes, flags=re.MULTILINE)
    assert newest[1] == dgreid.__version__
    assert re.fullmatch(r"Unreleased|\d{4}-\d{2}-\d{2}", newest[2])


def test_there_are_three_forms():
    assert [path.stem for path in FORMS] == ["bug", "new_method", "wrong_number"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_one_that_the_host_accepts(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    asked = [part for part in form["body"] if part["type"] in INPUTS]
    assert {part["type"] for part in form["body"]} <= INPUTS | {"markdown"}
    names = [part["id"] for part in asked]
    assert len(set(names)) == len(names) > 1
    assert all(part["attributes"]["label"] for part in asked)
    for part in form["body"]:
        if part["type"] == "markdown":
            assert part["attributes"]["value"]
        if part["type"] in ("dropdown", "checkboxes"):
            assert part["attributes"]["options"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_files_that_a_form_names_exist(path):
    for name in re.findall(r"\b((?:docs/)?[\w/]+\.(?:md|cff))\b", path.read_text(encoding="utf-8")):
        assert (ROOT / name).is_file(), name
