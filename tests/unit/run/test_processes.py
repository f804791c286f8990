"""Into which processes a run is divided, and what is refused because it cannot be."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from dgreid.errors import InputError
from dgreid.run import processes
from dgreid.run.processes import batch_line, check_processes, effective_batch, process_count
from dgreid.types import DomainInfo


def config_of(chunks=None, identities=8, images=2, statistics="global", **trainer):
    return OmegaConf.create(
        {
            "strategy": {"statistics_chunks": chunks} if chunks else {},
            "data": {"identities_per_batch": identities, "images_per_identity": images},
            "trainer": {"devices": 1, "accelerator": "cpu", **trainer},
            "batch_statistics": statistics,
        }
    )


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({}, 1), ({"devices": 3}, 3), ({"devices": "2"}, 2), ({"devices": [0, 2, 3]}, 3), ({"devices": "0,5"}, 2),
        ({"devices": "auto"}, 1), ({"devices": 4, "num_nodes": 2}, 8), ({"devices": "auto", "accelerator": "gpu"}, 6),
        ({"devices": -1, "accelerator": "auto", "num_nodes": 2}, 12),
    ],
)  # fmt: skip
def test_processes_are_devices_times_nodes(monkeypatch, trainer, expected):
    monkeypatch.setattr(processes.torch.cuda, "device_count", lambda: 6)
    assert process_count(config_of(**trainer)) == expected


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"devices": 0}, "trainer.devices=0: a number of at least 1, auto"),
        ({"devices": "two"}, "trainer.devices=two: a number"),
        ({"devices": None}, "trainer.devices=None: a number"),
        ({"num_nodes": 0}, "trainer.num_nodes=0: a whole number of at least 1"),
        ({"num_nodes": True}, "trainer.num_nodes=True: a whole number"),
    ],
)
def test_what_is_no_number_of_processes_is_refused(trainer, message):
    with pytest.raises(InputError, match=message):
        process_count(config_of(**trainer))


@pytest.mark.parametrize(("chunks", "devices"), [(None, 1), (1, 1), (4, 1), (8, 1), (2, 2), (4, "auto")])
def test_equal_parts_of_two_images_or_more_pass(chunks, devices):
    check_processes(config_of(chunks, devices=devices))


@pytest.mark.parametrize(
    ("chunks", "devices", "message"),
    [
        (3, 1, "statistics_chunks=3 of the 16 images of a domain on a process: .* take 1, 2, 4, 8$"),
        (16, 1, "of two images or more; take 1, 2, 4, 8$"),
        (8, 2, "statistics_chunks=8 of the 8 images .* take 1, 2, 4$"),
    ],
)
def test_unequal_parts_and_single_images_are_refused(chunks, devices, message):
    with pytest.raises(InputError, match=message):
        check_processes(config_of(chunks, devices=devices))


def test_people_that_do_not_divide_are_refused():
    with pytest.raises(InputError, match=r"identities_per_batch=8 on 6 processes: .* a multiple of theirs, e\.g\. 12"):
        check_processes(config_of(devices=3, num_nodes=2))


def test_one_image_has_no_statistics_of_its_own():
    with pytest.raises(InputError, match=r"^1 image of a domain .*identities_per_batch=2, .*images_per_identity=1"):
        check_processes(config_of(None, 2, 1, "local", devices=2))
    check_processes(config_of(None, 2, 1, "global", devices=2))
    with pytest.raises(InputError, match="batch statistics need two"):
        check_processes(config_of(None, 1, 1))


def test_torch_s_own_shared_statistics_are_refused():
    with pytest.raises(InputError, match=r"sync_batchnorm=true.*batch_statistics=global shares all of them"):
        check_processes(config_of(sync_batchnorm=True))


def test_the_batch_is_said_in_total_per_domain_and_per_process():
    domains = [DomainInfo(name, 10, 100, 3, "") for name in "abc"]
    batch = effective_batch(config_of(identities=16, images=4, statistics="local"), domains, processes=2)
    assert batch["images"] == 192
    assert batch["images_per_domain"] == 64
    assert batch["images_per_process"] == 96
    assert batch_line(batch) == (
        "batch: 3 domains x 16 identities x 4 images = 192 images a step, 96 on each of 2 processes "
        "(batch_statistics=local)"
    )
    assert batch_line({**batch, "processes": 1}) == "batch: 3 domains x 16 identities x 4 images = 192 images a step"
