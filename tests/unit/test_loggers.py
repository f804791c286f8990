"""Where curves go: the table that a resumed run continues, and wandb without a network."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dgreid.loggers import (
    MetricsTable,
    csv_only,
    introduce,
    nothing,
    publish,
    read_metrics,
    with_tensorboard,
    with_wandb,
)


def table(folder, *rows):
    logger = MetricsTable(folder)
    for step, values in rows:
        logger.log_metrics(values, step)
    logger.save()
    return logger


def test_a_row_for_each_step_and_empty_cells(tmp_path):
    table(tmp_path, (0, {"loss": 1.5}), (1, {"loss": 0.1234567891234}), (1, {"target/mAP": 0.25}))
    assert read_metrics(tmp_path / "metrics.csv") == [
        {"step": "0", "loss": "1.5", "target/mAP": ""},
        {"step": "1", "loss": "0.1234567891", "target/mAP": "0.25"},
    ]


def test_a_resumed_run_takes_the_place_of_rows_it_repeats(tmp_path):
    table(tmp_path, *((step, {"loss": float(step)}) for step in range(6)))
    table(tmp_path, (4, {"loss": 40.0, "extra": 1.0}), (5, {"loss": 50.0}), (6, {"loss": 60.0}))
    rows = read_metrics(tmp_path / "metrics.csv")
    assert [(row["step"], float(row["loss"])) for row in rows] == [
        ("0", 0.0), ("1", 1.0), ("2", 2.0), ("3", 3.0), ("4", 40.0), ("5", 50.0), ("6", 60.0),
    ]  # fmt: skip
    assert [row["extra"] for row in rows] == ["", "", "", "", "1", "", ""]


def test_nothing_logged_leaves_no_file(tmp_path):
    table(tmp_path).finalize("success")
    assert list(tmp_path.iterdir()) == []


def test_the_plain_options(tmp_path):
    assert nothing(tmp_path) == []
    (logger,) = csv_only(tmp_path)
    assert isinstance(logger, MetricsTable)


def test_tensorboard_writes_beside_the_table(tmp_path):
    pytest.importorskip("tensorboard")
    loggers = with_tensorboard(tmp_path)
    for logger in loggers:
        logger.log_metrics({"loss": 1.0}, 0)
        logger.save()
        logger.finalize("success")
    assert (tmp_path / "metrics.csv").is_file()
    assert any((tmp_path / "tensorboard").glob("events.out.*"))


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
class TestWandb:
    @pytest.fixture(autouse=True)
    def _at_home(self, monkeypatch, tmp_path):
        for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
            monkeypatch.setenv(name, "restored after the test")
            monkeypatch.delenv(name)
        monkeypatch.setattr("dgreid.loggers._OWN_PLACES", {})
        monkeypatch.setenv("NETRC", str(tmp_path / "no_netrc"))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def test_without_a_key_it_stays_offline_and_says_so(self, tmp_path, caplog):
        caplog.set_level("INFO")
        folder = tmp_path / "runs" / "demo" / "a_to_b" / "fb" / "seed0"
        folder.mkdir(parents=True)
        table, logger = with_wandb(folder)
        assert isinstance(table, MetricsTable)
        assert logger._wandb_init["mode"] == "offline"
        assert logger._wandb_init["name"] == "demo/a_to_b/fb/seed0"
        lines = [record.getMessage() for record in caplog.records if "wandb" in record.getMessage()]
        assert len(lines) == 1
        assert "offline" in lines[0]
        assert "wandb sync" in lines[0]

    def test_with_a_key_it_goes_online(self, tmp_path, monkeypatch):
        server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # answers that it knows no such request
        threading.Thread(target=server.handle_request).start()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        assert with_wandb(tmp_path)[1]._wandb_init["mode"] == "online"
        assert with_wandb(tmp_path, mode="disabled")[1]._wandb_init["mode"] == "disabled"
        server.server_close()

    @pytest.mark.parametrize("mode", [None, "online"])
    def test_a_server_that_does_not_answer_is_not_waited_for(self, mode, tmp_path, monkeypatch, caplog):
        caplog.set_level("INFO")
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
            monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
            assert with_wandb(tmp_path, mode=mode)[1]._wandb_init["mode"] == "offline"
        (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("wandb: ")]
        assert f"{os.environ['WANDB_BASE_URL']} cannot be reached (" in line
        assert "Connection refused); later" in line
        assert line.endswith(f"later: wandb sync {tmp_path}/wandb/offline-run-*")

    def test_a_cell_repeated_elsewhere_is_another_run(self, tmp_path):
        folders = [tmp_path / machine / "demo" / "a_to_b" / "fb" / "seed0" for machine in ("mine", "yours")]
        for folder in folders:
            folder.mkdir(parents=True)
        mine, yours = (with_wandb(folder)[1]._wandb_init for folder in folders)
        assert mine["name"] == yours["name"]
        assert mine["id"] != yours["id"]
        assert with_wandb(folders[0])[1]._wandb_init["id"] == mine["id"]

    def test_each_run_of_a_sweep_keeps_its_own_files_where_the_user_chose_no_place(self, tmp_path, monkeypatch):
        monkeypatch.setenv("WANDB_CACHE_DIR", "/chosen")
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            with_wandb(tmp_path / name)
            assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / name)
            assert os.environ["WANDB_CACHE_DIR"] == "/chosen"

    def test_curves_result_and_pictures_are_kept(self, tmp_path, monkeypatch):
        from PIL import Image

        monkeypatch.setenv("WANDB_SILENT", "true")
        folder = tmp_path / "run"
        folder.mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / "cmc.png")
        (tmp_path / "queries.csv").write_text("query,AP\n0001_c1.jpg,0.5\n0002_c2.jpg,0.25\n")
        loggers = with_wandb(folder, mode="offline", group="demo")
        facts = {"protocol": "a/to_night", "strategy": "fb", "seed": 3, "targets": [{"name": "night"}],
                 "sources": [{"name": "day"}, {"name": "dusk"}], "variant": ["use is train+test"]}  # fmt: skip
        introduce(loggers, {"optim": {"lr": 0.1}}, facts)
        experiment = loggers[1].experiment
        assert experiment.tags == ("protocol=a/to_night", "strategy=fb", "target=night", "seed=3", "variant")
        assert (experiment.group, experiment.job_type) == ("demo", "train")
        about = {"protocol": "a/to_night", "strategy": "fb", "seed": 3, "target": "night", "sources": "day+dusk"}
        assert about.items() <= dict(experiment.config["run"]).items()
        assert experiment.config["optim"] == {"lr": 0.1}
        loggers[1].log_metrics({"loss": 2.0}, 0)
        summary, finish = {}, experiment.finish
        monkeypatch.setattr(experiment, "finish", lambda: (summary.update(dict(experiment.summary)), finish()))
        publish(loggers, {"last/night/mAP": 0.5}, [tmp_path / "cmc.png"], [tmp_path / "queries.csv"])
        assert with_wandb(folder, mode="offline")[1]._wandb_init["id"] == loggers[1]._wandb_init["id"]
        assert summary["last/night/mAP"] == 0.5
        kept = [path for path in (folder / "wandb").rglob("*") if path.is_file()]
        assert any(path.suffix == ".wandb" for path in kept)
        assert any(path.suffix == ".png" for path in kept)
        (table,) = [path for path in kept if path.name.endswith(".table.json")]
        content = json.loads(table.read_text())
        assert content["columns"] == ["query", "AP"]
        assert content["data"] == [["0001_c1.jpg", 0.5], ["0002_c2.jpg", 0.25]]
        assert not (tmp_path / "home" / "wandb").exists()


def test_publishing_needs_no_wandb(tmp_path):
    publish(csv_only(tmp_path), {"a": 1.0}, [])
    assert list(tmp_path.iterdir()) == []
