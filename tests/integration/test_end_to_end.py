"""A run from configuration to folder, with every strategy, and what evaluation makes of the folder."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
import torch
from omegaconf import OmegaConf
from small_runs import composed, evaluate_small, strategies, train_small, typed

from dgreid.data.modules import MultiDomainDataModule
from dgreid.module import ReIDModule
from dgreid.run import training
from dgreid.run.folder import fingerprint
from dgreid.run.load import load_run


def read(folder, name="result.json"):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rows(result):
    return {(row["target"], row["selection"]): row for row in result["rows"]}


@pytest.fixture(scope="module")
def trained(data_root, tmp_path_factory):
    """A run of each strategy, made when first asked for."""
    folders = {}

    def of(strategy):
        if strategy not in folders:
            folders[strategy] = train_small(
                data_root, tmp_path_factory.mktemp("runs") / strategy, f"strategy={strategy}"
            )
        return folders[strategy]

    return of


@pytest.mark.parametrize("strategy", strategies())
def test_a_run_leaves_what_the_readme_says(strategy, trained):
    folder = trained(strategy)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    of_the_target = {f"{name}_synthetic_night" for name in ("ranked", "similarities", "activations")}
    of_all = {"curves", "cmc", "precision_recall", "embeddings"}
    pictures = {f"pictures/{name}.png" for name in of_all | of_the_target}
    checkpoints = {f"checkpoints/{name}.ckpt" for name in ("last", "previous", "selected")}
    lists = {"config.yaml", "run.json", "metrics.csv", "result.json", "queries.csv", ".lock"}
    assert found == pictures | checkpoints | lists
    assert all((folder / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)


@pytest.mark.parametrize("strategy", strategies())
def test_the_record_is_consistent(strategy, trained, data_root):
    folder = trained(strategy)
    result, record = read(folder), read(folder, "run.json")
    assert result["fingerprint"] == record["fingerprint"]
    assert result["fingerprint"] == fingerprint(OmegaConf.to_container(OmegaConf.load(folder / "config.yaml")))
    assert result["strategy"] == strategy
    assert result["steps"] == 4
    assert [source["name"] for source in result["sources"]] == ["synthetic_plaza", "synthetic_campus"]
    assert result["weights"]["source"] == "random"
    assert result["training_seconds"] > 0
    assert result["peak_memory_bytes"]["process"] > 2**20
    (row,) = result["rows"]
    assert (row["target"], row["selection"], row["step"]) == ("synthetic_night", "last", 4)
    assert row["domain"] == "unseen domain"
    assert result["summary"] == {"synthetic_night": row}
    assert 0 < row["mINP"] <= row["mAP"] <= 1
    assert row["rank1"] <= row["rank5"] <= row["rank10"]
    queries = table(folder / "queries.csv")
    (target,) = result["targets"]
    assert len(queries) == row["queries"] == target["query"]["images"] == 12
    precision = [float(query["AP"]) for query in queries]
    assert sum(precision) / len(precision) == pytest.approx(row["mAP"], abs=1e-6)


# What makes up a logged loss, and by what the sum is divided; by default a mean over domains.
PARTS_OF_THE_LOSS = dict.fromkeys(("m3l", "m3l_released"), (("loss/meta_train", "loss/meta_test"), 1))


@pytest.mark.parametrize("strategy", strategies())
def test_the_curves_have_a_row_for_each_step(strategy, trained):
    logged = table(trained(strategy) / "metrics.csv")
    assert [int(row["step"]) for row in logged] == [0, 1, 2, 3]
    assert [int(row["epoch"]) for row in logged] == [0, 0, 1, 1]
    for name in ("loss", "learning_rate", "seconds_per_step", "data_wait"):
        assert all(float(row[name]) >= 0 for row in logged), name
    assert all(float(row["data_wait"]) <= 1 for row in logged)
    names, divisor = PARTS_OF_THE_LOSS.get(strategy, (("loss/synthetic_plaza", "loss/synthetic_campus"), 2))
    parts = [sum(float(row[name]) for name in names) / divisor for row in logged]
    assert parts == pytest.approx([float(row["loss"]) for row in logged], rel=1e-5)


def test_the_selected_checkpoint_is_the_last(trained):
    last, selected = (trained("fb") / "checkpoints" / f"{name}.ckpt" for name in ("last", "selected"))
    assert selected.read_bytes() == last.read_bytes()


def test_evaluation_of_checkpoints_before_and_after_training(trained, data_root):
    folder = trained("fb")
    before = {path: path.read_bytes() for path in folder.glob("*.*")}
    evaluate_small(data_root, folder, "checkpoint=[initial,last]")
    result = read(folder / "evaluations" / "synthetic_night_initial+last")
    found = rows(result)
    assert found["synthetic_night", "last"] == rows(read(folder))["synthetic_night", "last"]
    assert found["synthetic_night", "initial"]["step"] == 0
    assert result["summary"] == {"synthetic_night": found["synthetic_night", "last"]}
    assert {path: path.read_bytes() for path in before} == before


def test_the_initial_weights_are_those_training_began_with(data_root, tmp_path, monkeypatch):
    kept = {}
    original = ReIDModule.on_train_start

    def on_train_start(self):
        kept.update({name: value.clone() for name, value in self.net.state_dict().items()})
        original(self)

    monkeypatch.setattr(ReIDModule, "on_train_start", on_train_start)
    folder = train_small(data_root, tmp_path / "run", "strategy=softmax_triplet", "seed=5")
    assert kept
    net = load_run(folder, "initial").module.net
    for name, value in net.state_dict().items():
        assert torch.equal(value, kept[name]), name


def test_evaluation_on_another_target(trained, data_root):
    folder = trained("fb")
    evaluate_small(data_root, folder, "target=synthetic_station", "batch_size=5")
    (row,) = read(folder / "evaluations" / "synthetic_station_selected")["rows"]
    assert (row["target"], row["step"], row["domain"]) == ("synthetic_station", 4, "unseen domain")


def test_two_targets_in_one_training(data_root, tmp_path):
    folder = train_small(data_root, tmp_path / "run", "target=[synthetic_night,synthetic_station]", "evaluate_every=1")
    found = rows(read(folder))
    assert set(found) == {(t, rule) for t in ("synthetic_night", "synthetic_station") for rule in ("last", "oracle")}
    assert set(read(folder)["summary"]) == {"synthetic_night", "synthetic_station"}
    assert (folder / "queries_synthetic_night.csv").is_file()
    assert (folder / "queries_synthetic_station.csv").is_file()
    evaluate_small(data_root, folder, "checkpoint=oracle")
    evaluated = rows(read(folder / "evaluations" / "synthetic_night+synthetic_station_oracle"))
    for target in ("synthetic_night", "synthetic_station"):
        assert evaluated[target, "oracle"] == found[target, "oracle"]


def test_every_rule_that_has_data_gets_a_row(data_root, tmp_path):
    overrides = ("holdout=0.25", "evaluate_every=1", "epochs=4", "selection=oracle", "optim.lr=0.01")
    folder = train_small(data_root, tmp_path / "run", *overrides)
    result, curve = read(folder), [row for row in table(folder / "metrics.csv") if row["target/synthetic_night/mAP"]]
    found = {row["selection"]: row for row in result["rows"]}
    assert set(found) == {"last", "source", "oracle"}
    assert len(curve) == 4
    for rule, column in (("oracle", "target/synthetic_night/mAP"), ("source", "source/mAP")):
        scores = [float(row[column]) for row in curve]
        best = max(range(4), key=lambda epoch: scores[epoch])
        assert found[rule]["step"] == 2 * (best + 1), rule
    assert found["oracle"]["mAP"] == pytest.approx(max(float(r["target/synthetic_night/mAP"]) for r in curve), abs=1e-6)
    assert found["last"]["mAP"] == pytest.approx(float(curve[-1]["target/synthetic_night/mAP"]), abs=1e-6)
    sources = [[float(row[f"source/{name}/mAP"]) for name in ("synthetic_plaza", "synthetic_campus")] for row in curve]
    assert [sum(pair) / 2 for pair in sources] == pytest.approx([float(row["source/mAP"]) for row in curve])
    assert result["summary"]["synthetic_night"] == found["oracle"]
    assert read(folder)["sources"][0]["identities"] == 6
    selected = torch.load(folder / "checkpoints" / "selected.ckpt", weights_only=True)
    assert selected["global_step"] == found["oracle"]["step"]


@pytest.mark.parametrize("strategy", strategies())
def test_a_run_loads_without_any_data(strategy, data_root, tmp_path, monkeypatch):
    modules = []
    original = training.build_module
    monkeypatch.setattr(training, "build_module", lambda *args: modules.append(original(*args)) or modules[-1])
    own_data = tmp_path / "data"
    for domain in data_root.joinpath("synthetic").iterdir():
        if domain.is_dir():
            shutil.copytree(domain, own_data / "synthetic" / domain.name)
    folder = train_small(own_data, tmp_path / "run", f"strategy={strategy}")
    shutil.rmtree(own_data)
    images = torch.randn(3, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    loaded = load_run(folder)
    assert loaded.step == 4
    with torch.no_grad():
        found = loaded.inference_net(images)
        expected = modules[0].eval().net(images).embedding
    assert torch.equal(found, expected)
    assert not torch.equal(found, load_run(folder, "initial").inference_net(images))
    for name, value in loaded.module.strategy.state_dict().items():
        assert torch.equal(value, modules[0].strategy.state_dict()[name]), name


def losses(folder):
    return [{k: v for k, v in row.items() if k not in ("seconds_per_step", "data_wait")} for row in table(folder)]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_and_cache_do_not_show(data_root, tmp_path):
    plain = train_small(data_root, tmp_path / "plain", "data.transform.random_erasing=0.5")
    ways = {
        "workers": ["data.workers=2"],
        "cache": ["data.cache=disk", f"data.cache_folder={tmp_path / 'crops'}"],
        "both": ["data.workers=3", "data.cache=disk", f"data.cache_folder={tmp_path / 'crops'}"],
    }
    for name, overrides in ways.items():
        other = train_small(data_root, tmp_path / name, "data.transform.random_erasing=0.5", *overrides)
        assert losses(other / "metrics.csv") == losses(plain / "metrics.csv"), name
        assert read(other)["rows"] == read(plain)["rows"], name
        assert read(other)["fingerprint"] == read(plain)["fingerprint"], name
        one, two = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (plain, other))
        for key, value in one["state_dict"].items():
            assert torch.equal(value, two["state_dict"][key]), f"{name} {key}"


def test_weights_of_an_earlier_run_start_a_new_one(trained, data_root, tmp_path, capsys):
    first = trained("fb")
    folder = train_small(data_root, tmp_path / "run", "strategy=softmax_triplet", f"init={first}", "epochs=1")
    net, before = load_run(folder, "initial").module.net, load_run(first).module.net
    for name, value in net.state_dict().items():
        assert torch.equal(value, before.state_dict()[name]), name
    weights = read(folder)["weights"]
    assert str(first) in weights["source"]
    assert len(weights["sha256"]) == 64
    assert read(folder)["steps"] == 2


def test_a_seen_domain_is_marked(data_root, tmp_path, capsys):
    overrides = ("target=synthetic_campus", "allow_seen_target=true", "epochs=1")
    folder = train_small(data_root, tmp_path / "run", *overrides)
    (row,) = read(folder)["rows"]
    assert row["domain"] == "seen domain"
    assert "seen domain" in capsys.readouterr().out


@pytest.mark.parametrize("override", ["trainer.precision=bf16-mixed", "trainer.gradient_clip_val=0.1", "logger=none"])
def test_switches_of_lightning_work(override, data_root, tmp_path):
    folder = train_small(data_root, tmp_path / "run", "epochs=1", override)
    (row,) = read(folder)["rows"]
    assert 0 < row["mAP"] <= 1
    assert (folder / "metrics.csv").exists() == (override != "logger=none")


def test_the_sources_of_a_run_are_not_read_by_evaluation(trained, data_root, monkeypatch):
    run = trained("fbf")
    asked = []
    original = MultiDomainDataModule.setup
    monkeypatch.setattr(
        MultiDomainDataModule,
        "setup",
        lambda self, *stage: asked.append(list(self.sources)) or original(self, *stage),
    )
    evaluate_small(data_root, run)
    assert asked == [[]]


def test_equal_commands_name_equal_folders(data_root, tmp_path):
    names = set()
    for extra in ([], ["trainer.log_every_n_steps=7"]):
        overrides = typed(data_root, f"runs={tmp_path}", "strategy=fbf", "seed=3", *extra)
        config = composed(overrides)
        names.add(training.run_folder(config, overrides, "fbf"))
    (name,) = names
    assert name.parts[-4:-1] == ("default", "synthetic_plaza+synthetic_campus_to_synthetic_night", "fbf")
    assert name.name.startswith("seed3_")
