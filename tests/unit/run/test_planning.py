"""What a plan says: seconds by a clock that the hooks turn, memory of known sizes, advice only where it applies."""

from __future__ import annotations

import mmap
import sys
import time

import pytest
import pytorch_lightning as lightning
import torch
from omegaconf import OmegaConf
from torch import nn

from dgreid.errors import InputError
from dgreid.run import peak_memory, step_meter
from dgreid.run.peak_memory import PeakMemory, reset_resident_peak, resident_memory, size
from dgreid.run.planning import print_plan, three_digits, total_steps, wants_plan
from dgreid.run.savings import Machine, savings, this_machine
from dgreid.run.step_meter import StepMeter
from dgreid.strategies.base import TrainingStrategy

CPU = torch.device("cpu")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Clock:
    """Time that passes only when told."""

    def __init__(self):
        self.now = 50.0

    def perf_counter(self):
        return self.now


class Training(lightning.LightningModule):
    """Every part of a step takes a time of its own."""

    def __init__(self, clock, first=0.0):
        super().__init__()
        self.clock, self.first = clock, first
        self.layer = nn.Linear(1, 1)

    def on_train_start(self):
        self.clock.now += 100

    def training_step(self, batch, batch_idx):
        self.clock.now += 1 + (self.first if self.global_step == 0 else 0)
        return self.layer(batch).sum()

    def optimizer_step(self, *step):
        super().optimizer_step(*step)
        self.clock.now += 10

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Waiting(torch.utils.data.IterableDataset):
    """Batches without end; each is there after 3 seconds."""

    def __init__(self, clock):
        self.clock = clock

    def __iter__(self):
        while True:
            self.clock.now += 3
            yield torch.ones(1)


def test_a_meter_sees_waiting_computing_and_what_follows_the_update(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(step_meter, "time", clock)
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=-1, max_steps=3, limit_train_batches=5, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    meter = trainer.profiler = StepMeter(CPU, 3)
    trainer.fit(Training(clock, first=70.0), torch.utils.data.DataLoader(Waiting(clock), batch_size=None))
    assert meter.preparation == 100
    assert len(meter.arrived) == len(meter.over) == 3
    assert meter.seconds == 3 + 1 + 10
    assert meter.waiting == pytest.approx(3 / 14)
    assert meter.warm_up >= 70 + 14  # a loader may fetch ahead


def hold_for_a_moment(mebibytes):
    """Pages straight from the system: what an allocator still keeps of earlier tests does not count."""
    with mmap.mmap(-1, mebibytes * 2**20) as pages:
        for position in range(0, len(pages), mmap.PAGESIZE):
            pages[position] = 1


class TestPeakMemory:
    @linux
    def test_it_is_what_was_held_for_a_moment(self):
        hold_for_a_moment(200)
        memory = PeakMemory(CPU)
        memory.start()
        hold_for_a_moment(100)
        above = resident_memory().highest - memory.before.now
        assert 95 * 2**20 < above < 130 * 2**20
        assert memory.describe() == (
            f"{size(above)} above the {size(memory.before.now)} before step 1, resident in this process"
        )

    @linux
    def test_an_old_peak_that_cannot_be_forgotten_is_not_taken_for_the_steps(self, monkeypatch, tmp_path):
        hold_for_a_moment(200)
        monkeypatch.setattr(peak_memory, "PEAK_RESET", tmp_path / "no folder" / "file")
        reset_resident_peak()
        memory = PeakMemory(CPU)
        memory.start()
        assert memory.describe() == (
            f"at most {size(memory.before.highest)} in all, resident in this process, which held as much before step 1"
        )

    @pytest.mark.skipif(sys.platform == "win32", reason="has no such count")
    def test_without_proc_the_highest_is_known(self, monkeypatch, tmp_path):
        told = resident_memory()
        monkeypatch.setattr(peak_memory, "STATUS", tmp_path / "none")
        found = resident_memory()
        assert found.now == found.highest
        assert found.highest >= 0.9 * told.now

    def test_on_a_gpu_torch_counts(self, monkeypatch):
        gpu, reset = torch.device("cuda", 0), []
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**30)
        total = type("Properties", (), {"total_memory": 16 * 2**30})
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: total)
        memory = PeakMemory(gpu)
        memory.start()
        assert reset == [gpu]
        assert memory.describe() == "3.00 GiB of 16.00 GiB, allocated on the GPU, weights and optimizer included"


def test_a_gpu_is_waited_for_at_both_ends_of_what_is_measured_alone(monkeypatch):
    gpu, waits = torch.device("cuda", 0), []
    monkeypatch.setattr(torch.cuda, "synchronize", waits.append)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    meter = StepMeter(gpu, 3)
    name = "[LightningModule]ReIDModule."
    with meter.profile(f"{name}on_train_start"):
        pass
    assert len(waits) == 2
    counts = []
    for _ in range(3):
        with meter.profile(f"{name}on_train_batch_start"):
            pass
        with meter.profile(f"{name}on_train_batch_end"), meter.profile("[Callback]Other.on_train_batch_end"):
            pass
        counts.append(len(waits))
    assert counts == [3, 3, 4]


class Method(TrainingStrategy):
    """With advice of its own."""

    def loss(self, net, batches, clock):
        raise NotImplementedError

    def savings(self):
        return ("strategy.passes=1: fewer passes",)


class WithoutAdvice(Method):
    """As most methods are."""

    savings = TrainingStrategy.savings


def config_of(precision="32-true", tf32=False, identities=16, workers=0, cache="none"):
    return OmegaConf.create(
        {
            "trainer": {"precision": precision}, "tf32": tf32,
            "data": {"identities_per_batch": identities, "workers": workers, "cache": cache},
        }
    )  # fmt: skip


def options(config, machine, waiting=0.0, strategy=None):
    """What is set by each piece of advice."""
    return [one.partition(":")[0] for one in savings(config, strategy or WithoutAdvice(), machine, waiting)]


LAPTOP = Machine(on_gpu=False, bf16=False, gpus=0, cores=4, processes=1)
ONE_GPU = Machine(on_gpu=True, bf16=True, gpus=1, cores=8, processes=1)


class TestSavings:
    def test_the_strategys_own_come_first(self):
        assert options(config_of(), LAPTOP, strategy=Method()) == ["strategy.passes=1", "data.identities_per_batch=8"]

    def test_a_cpu_has_no_precision_to_lower(self):
        assert options(config_of(), LAPTOP) == ["data.identities_per_batch=8"]

    def test_an_idle_gpu_is_named(self):
        assert options(config_of(), LAPTOP._replace(gpus=1))[0] == "trainer.accelerator=gpu"

    def test_fewer_digits_on_a_gpu_that_knows_them(self):
        both = ["trainer.precision=bf16-mixed", "tf32=true matmul_precision=high"]
        assert options(config_of(), ONE_GPU)[:2] == both
        assert options(config_of(tf32=True), ONE_GPU)[:2] == [both[0], "data.identities_per_batch=8"]
        assert options(config_of("bf16-mixed"), ONE_GPU) == ["data.identities_per_batch=8"]
        assert options(config_of(), ONE_GPU._replace(bf16=False)) == ["data.identities_per_batch=8"]

    @pytest.mark.parametrize(
        ("gpus", "processes", "identities", "expected"),
        [
            (1, 1, 16, None),
            (4, 1, 16, 4),
            (3, 1, 16, 2),
            (4, 2, 16, 4),
            (4, 4, 16, None),
            (4, 1, 9, 3),
            (2, 1, 9, None),
        ],
    )
    def test_gpus_that_share_a_batch_evenly(self, gpus, processes, identities, expected):
        machine = ONE_GPU._replace(gpus=gpus, processes=processes)
        found = [one for one in options(config_of("bf16-mixed", identities=identities), machine) if "devices" in one]
        assert found == ([] if expected is None else [f"trainer.devices={expected}"])

    def test_loading_only_where_it_is_waited_for(self):
        assert options(config_of(), LAPTOP, waiting=0.19) == ["data.identities_per_batch=8"]
        assert options(config_of(), LAPTOP, waiting=0.21)[:2] == ["data.cache=disk", "data.workers=4"]
        assert options(config_of(workers=4), LAPTOP, waiting=0.5)[0] == "data.cache=disk"
        assert options(config_of(workers=4, cache="disk"), LAPTOP, waiting=0.5) == ["data.identities_per_batch=8"]

    @pytest.mark.parametrize(
        ("identities", "processes", "expected"), [(16, 1, 8), (5, 1, 2), (3, 1, None), (16, 4, 8), (12, 4, None)]
    )
    def test_a_smaller_batch_is_one_that_can_be_trained(self, identities, processes, expected):
        found = options(config_of(identities=identities), LAPTOP._replace(processes=processes))
        assert found == ([] if expected is None else [f"data.identities_per_batch={expected}"])

    def test_this_machine(self):
        machine = this_machine(CPU, 2)
        assert (machine.on_gpu, machine.bf16, machine.processes) == (False, False, 2)
        assert machine.gpus == torch.cuda.device_count()
        assert machine.cores >= 1


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.000123456, "0.000123"), (0.0123, "0.0123"), (0.5, "0.500"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"),
     (1234.5, "1,234"), (100.0, "100"), (1.0, "1.00")],
)  # fmt: skip
def test_three_digits(number, text):
    assert three_digits(number) == text


@pytest.mark.parametrize(("longest", "expected"), [(-1, 60), (59, 59), (61, 60), (None, 60)])
def test_steps_of_the_whole_run(longest, expected):
    trainer = {} if longest is None else {"max_steps": longest}
    assert total_steps(OmegaConf.create({"epochs": 3, "steps_per_epoch": 20, "trainer": trainer})) == expected


def test_a_plan_is_asked_for_by_true_alone():
    assert wants_plan(OmegaConf.create({"plan": True, "resume": False}))
    assert not wants_plan(OmegaConf.create({"plan": False, "resume": True}))
    with pytest.raises(InputError, match="plan=maybe: true or false"):
        wants_plan(OmegaConf.create({"plan": "maybe", "resume": False}))
    with pytest.raises(InputError, match=r"plan=true with resume=true: .* leave one of the two out"):
        wants_plan(OmegaConf.create({"plan": True, "resume": True}))


def test_lines_are_aligned_and_broken_between_words(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    print_plan([("one", "short"), ("two", "word " * 12)], ["a.b-c=d: " + "reason " * 8])
    assert capsys.readouterr().out.splitlines() == [
        "one               short",
        "two               word word word word word word word word",
        "                  word word word word",
        "",
        "what would lower memory or time:",
        "  - a.b-c=d: reason reason reason reason reason reason",
        "    reason reason",
    ]


def test_no_advice_no_heading(capsys):
    print_plan([("one", "short")], [])
    assert capsys.readouterr().out == "one               short\n"


def test_the_meters_clock_is_the_systems():
    meter = StepMeter(CPU, 2)
    before = time.perf_counter()
    with meter.profile("[LightningModule]Any.on_train_batch_end"):
        pass
    assert before <= meter.over[0] <= time.perf_counter()
