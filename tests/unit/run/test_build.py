"""Domains from a configuration: those that could not be told apart later are refused."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from dgreid.errors import InputError
from dgreid.run.build import build_domains


def build(key: str, name: str):
    node = {"_target_": "dgreid.data.domains.csv_list.CSVDomain", "data_root": None, "name": name}
    return build_domains(OmegaConf.create({"sources": [key], "domain": {key: node}}), "sources")


def test_domains_by_name_without_any_file():
    assert build("campus", "campus")["campus"].family == "campus"


def test_a_copied_file_whose_name_was_left_as_it_was():
    with pytest.raises(InputError, match=r"sources=campus: its file in conf/domain says `name: csv`.*must agree"):
        build("campus", "csv")


@pytest.mark.parametrize("name", ["training", "my.shop"])
def test_names_that_no_torch_module_can_have(name):
    with pytest.raises(InputError, match=f"sources={name}: torch cannot store state under this name"):
        build(name, name)
