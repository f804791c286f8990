"""What is M3L's own in a whole run: refusals before training, remarks, what is logged, precision."""

from __future__ import annotations

import csv
import logging

import pytest
from small_runs import train_small

from dgreid.errors import InputError

LOGGED = (
    "loss/meta_train", "loss/meta_test", "memory/meta_test", "triplet/meta_test", "gradient/cosine",
    "gradient/meta_train_norm", "gradient/meta_test_norm", "learning_rate",
)  # fmt: skip


def columns(folder):
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_logs_losses_norms_and_cosine(data_root, tmp_path):
    folder = train_small(data_root, tmp_path / "run", "strategy=m3l")
    rows = [row for row in columns(folder) if row["loss/meta_train"]]
    assert len(rows) == 4
    for row in rows:
        assert all(row[name] for name in LOGGED)
        assert float(row["loss"]) == pytest.approx(float(row["loss/meta_train"]) + float(row["loss/meta_test"]))
        parts = float(row["memory/meta_test"]) + float(row["triplet/meta_test"])
        assert float(row["loss/meta_test"]) == pytest.approx(parts)
        (domain,) = [name for name in ("synthetic_plaza", "synthetic_campus") if row[f"memory/{name}"]]
        parts = float(row[f"memory/{domain}"]) + float(row[f"triplet/{domain}"])
        assert float(row["loss/meta_train"]) == pytest.approx(parts)
        assert -1 <= float(row["gradient/cosine"]) <= 1


def test_bfloat16_trains_to_second_order(data_root, tmp_path):
    exact = train_small(data_root, tmp_path / "exact", "strategy=m3l", "epochs=1")
    mixed = train_small(data_root, tmp_path / "mixed", "strategy=m3l", "epochs=1", "trainer.precision=bf16-mixed")
    first, second = (columns(folder)[1] for folder in (exact, mixed))  # the step after the first update
    assert float(first["loss"]) != float(second["loss"])
    assert float(second["loss"]) == pytest.approx(float(first["loss"]), rel=0.05)
    for name in ("gradient/meta_train_norm", "gradient/meta_test_norm"):
        assert float(second[name]) == pytest.approx(float(first[name]), rel=0.3)


@pytest.mark.parametrize(("outer_gradient", "times"), [("second_order_only", 1), ("full", 0)])
def test_the_run_says_what_the_releases_gradient_leaves_out(outer_gradient, times, data_root, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        train_small(data_root, tmp_path / "run", "strategy=m3l", f"strategy.outer_gradient={outer_gradient}")
    assert caplog.text.count("outer_gradient=second_order_only: as in the M3L release") == times


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("sources=[synthetic_plaza]",), "M3L holds one source out in each step, so it needs at least two"),
        (("trainer.precision=16-mixed",), "trainer.precision=16-mixed with gradients that the strategy"),
        (("trainer.precision=16-mixed", "strategy.order=first"), "trainer.precision=16-mixed with gradients"),
        (("strategy.meta_test_updates_bn=no",), "meta_test_updates_bn=no: true or false"),
        (("+trainer.sync_batchnorm=true",), "SyncBatchNorm has no second derivative"),
        (("trainer.accumulate_grad_batches=2",), "accumulate_grad_batches=2: only 1"),
        (("strategy.order=first", "strategy.outer_gradient=second_order_only"), "leaves nothing of the meta-test loss"),
        (("strategy.outer_gradient=half",), "outer_gradient=half: known: full, second_order_only"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_a_folder_is_made(overrides, message, data_root, tmp_path):
    with pytest.raises(Exception, match=message) as raised:
        train_small(data_root, tmp_path / "run", "strategy=m3l", *overrides)
    cause = raised.value if isinstance(raised.value, InputError) else raised.value.__cause__
    assert isinstance(cause, InputError)
    assert not (tmp_path / "run").exists()
