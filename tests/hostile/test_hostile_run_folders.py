"""A run's folder from elsewhere: its configuration names code, asks for values, or points to other places."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from bare_runs import TRUST, bare_run
from hydra.core.global_hydra import GlobalHydra
from small_runs import composed

from dgreid.errors import InputError
from dgreid.export.exporting import export_run
from dgreid.run.evaluating import evaluate
from dgreid.run.load import load_run, read_run
from dgreid.search.commands import index_images


def changed(folder, change):
    """The run with another configuration; ``change`` is given its values."""
    file = folder / "config.yaml"
    config = yaml.safe_load(file.read_text())
    change(config)
    file.write_text(yaml.safe_dump(config))
    return folder


def put(config, key, value):
    """Sets a dotted key."""
    *parents, last = key.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[last] = value


def system(trace):
    return {"_target_": "os.system", "command": f"touch {trace}"}


def mkdir(trace):
    return {"_target_": "os.mkdir", "path": str(trace)}


PLACES = (
    "net", "strategy", "optim", "schedule", "metric", "data", "domain.cuhknp", "domain.new", "expansion", "reranking",
    "net.weights", "strategy.memory_style", "strategy.new.deep.inside", "data.transform",
)  # fmt: skip


@pytest.fixture
def run(tmp_path):
    return bare_run(tmp_path / "run")


@pytest.mark.parametrize("place", PLACES)
def test_code_that_a_run_names_is_not_run(place, run, trace):
    changed(run, lambda config: put(config, place, mkdir(trace)))
    key = rf"config\.yaml: {place}\._target_=os\.mkdir names code that is not dgreid's.*trust="
    with pytest.raises(InputError, match=key):
        load_run(run)


@pytest.mark.parametrize("task", [evaluate, index_images, "export"])
def test_no_command_runs_code_that_a_run_names(task, run, trace, tmp_path):
    changed(run, lambda config: put(config, "net", mkdir(trace)))
    refusal = r"net\._target_=os\.mkdir names code"
    if task == "export":
        with pytest.raises(InputError, match=refusal):
            export_run(run, "safetensors")
        return
    typed = ["run={}", "accelerator=cpu"] if task is evaluate else ["run={}", f"gallery={tmp_path}"]
    with pytest.raises(InputError, match=refusal):
        task(composed([word.format(run) for word in typed], "evaluate" if task is evaluate else "search_index"))


@pytest.mark.parametrize(
    "target",
    [
        "os.system", "builtins.eval", "builtins.exec", "subprocess.Popen", "pickle.loads", "torch.load",
        "hydra.utils.call", "hydra._internal.instantiate._instantiate2.instantiate", "functools.partial",
        "dgreid.files.shutil.rmtree", "dgreid.files.write_text", "dgreid.run.load.load_run", "torch.hub.load",
        "pytorch_lightning.Trainer", "dgreid.loggers.with_wandb", "dgreid.nets.small", "", 7, None, ["os.system"],
        {"_target_": "os.system"},
    ],
    ids=str,
)  # fmt: skip
def test_other_code_than_that_of_groups_is_refused(target, run, trace):
    changed(run, lambda config: put(config, "net._target_", target))
    with pytest.raises(InputError, match=r"net\._target_=.* names code that is not dgreid's"):
        read_run(run)


def test_code_in_lists_and_partials_is_refused(run, trace):
    changed(run, lambda config: put(config, "schedule.milestones", [1, [{"_partial_": True, **mkdir(trace)}]]))
    with pytest.raises(InputError, match=r"schedule\.milestones\.1\.0\._target_=os\.mkdir"):
        load_run(run)


def test_what_is_never_built_again_may_name_anything(run, trace):
    changed(run, lambda config: (put(config, "trainer", mkdir(trace)), put(config, "logger", mkdir(trace))))
    changed(run, lambda config: put(config, "trainer.precision", "32-true"))
    assert load_run(run).step == 7


@pytest.mark.parametrize(
    "asked", ["${oc.env:HOME}", "a ${net.width} b", "${oc.decode:'[1]'}", "${hydra:runtime.cwd}", "\\${oc.env:HOME}"]
)
def test_a_run_asks_this_machine_for_nothing(asked, run):
    changed(run, lambda config: put(config, "data.cache_folder", asked))
    with pytest.raises(InputError, match=r"config\.yaml: data\.cache_folder=.* is not looked up"):
        read_run(run)


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.mkdir [{trace}]",
        "!!python/object/new:os.mkdir [{trace}]",
        "a: !!python/name:os.mkdir",
        "a: !!python/module:antigravity",
        "a: &x [1, 1]\nb: &y [*x, *x]\nc: [*y, *y]",
        "a: [" * 5000,
        "- 1",
        "a: b: c",
        "\x00",
    ],
    ids=["apply", "new", "name", "module", "repeated", "deep", "list", "no YAML", "NUL"],
)
def test_tags_and_tricks_of_yaml_are_refused(text, run, trace):
    (run / "config.yaml").write_text(text.replace("{trace}", str(trace)))
    with pytest.raises(InputError, match=r"config\.yaml (is damaged|is no run's configuration)"):
        load_run(run)


def test_a_file_too_large_to_be_a_configuration_is_not_read(run):
    os.truncate(run / "config.yaml", 20 * 2**20)
    with pytest.raises(InputError, match="more than 16 MB"):
        load_run(run)


@pytest.mark.parametrize("record", ["[1]", "{}", "[" * 100_000, '{"sources": 3}', "nul", "\xff", "9" * 5000])
def test_a_record_that_is_none(record, run):
    (run / "run.json").write_bytes(record.encode("latin-1"))
    with pytest.raises(InputError, match=r"run\.json is damaged"):
        load_run(run)


@pytest.mark.parametrize(
    "source",
    [{}, 3, {"name": 1, "identities": 2, "images": 3, "cameras": 4, "list_hash": ""}, {"_target_": "os.mkdir"}],
)
def test_a_record_with_other_sources(source, run):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "sources": [source]}))
    with pytest.raises(InputError, match=r"run\.json is damaged \(sources: "):
        load_run(run)


# Own code


OWN = ("strategy=softmax_triplet", "strategy._target_=own_inference.ProjectingStrategy")


def test_own_code_is_run_where_the_user_vouches_for_its_module(tmp_path):
    run = bare_run(tmp_path / "run", *OWN)
    with pytest.raises(InputError, match=r"strategy\._target_=own_inference\.ProjectingStrategy names code"):
        load_run(run)
    assert type(load_run(run, trust=TRUST).module.strategy).__name__ == "ProjectingStrategy"


@pytest.mark.parametrize("target", ["own_inference.F.normalize", "own_inference.nn.Linear", "own_inference_2.System"])
def test_to_vouch_for_a_module_is_not_to_vouch_for_what_it_imports(target, tmp_path):
    run = bare_run(tmp_path / "run", *OWN)
    changed(run, lambda config: put(config, "net._target_", target))
    with pytest.raises(InputError, match=r"net\._target_=own_inference.* names code"):
        load_run(run, trust=TRUST)


def test_own_groups_on_the_search_path_of_this_call(tmp_path, monkeypatch):
    run = bare_run(tmp_path / "run", *OWN)
    group = tmp_path / "own" / "strategy" / "mine"
    group.mkdir(parents=True)
    (group / "projecting.yaml").write_text("_target_: own_inference.ProjectingStrategy\n")
    (tmp_path / "own" / "strategy" / "unreadable.yaml").write_bytes(b"a: [\xff")
    composed([f"run={run}", f"hydra.searchpath=[file://{tmp_path}/own]"], "evaluate")
    assert type(load_run(run).module.strategy).__name__ == "ProjectingStrategy"
    composed([f"run={run}"], "evaluate")  # another call
    with pytest.raises(InputError, match="names code"):
        load_run(run)
    GlobalHydra.instance().clear()


def test_a_run_cannot_name_its_own_search_path_or_trust(run, trace):
    groups = run / "net"
    groups.mkdir()
    (groups / "evil.yaml").write_text(yaml.safe_dump(mkdir(trace)))

    def change(config):
        put(config, "hydra.searchpath", [f"file://{run}"])
        put(config, "trust", ["os", "posix"])
        put(config, "net", mkdir(trace))

    changed(run, change)
    with pytest.raises(InputError, match=r"net\._target_=os\.mkdir names code"):
        load_run(run)


@pytest.mark.parametrize("trust", ["os; import sys", "", ".", "my-package", "/tmp", 3])
def test_trust_names_modules(trust, run):
    config = composed([f"run={run}"], "evaluate")
    config.trust = [trust]
    with pytest.raises(InputError, match="name modules, as Python imports them"):
        evaluate(config)


def test_a_trusted_module_that_is_not_there(run):
    changed(run, lambda config: put(config, "net._target_", "nowhere_at_all.Net"))
    with pytest.raises(InputError, match=r"trust=nowhere_at_all: .* cannot be imported"):
        load_run(run, trust=["nowhere_at_all"])


# Places


@pytest.mark.parametrize("name", ["/{}", "a/b", "..", "../../{}", "a\\b", "a\0b"])
def test_a_name_of_a_domain_is_no_path(name, run, trace):
    """Folders of results are called after targets."""
    name = name.format(trace.name)

    def change(config):
        config["domain"][name] = {**config["domain"]["cuhknp"], "name": name}
        config["target"] = name

    changed(run, change)
    with pytest.raises(InputError, match="torch cannot store state under this name, or no file can be called so"):
        evaluate(composed([f"run={run}", "accelerator=cpu"], "evaluate"))


def test_a_stored_domain_draws_no_pictures_at_a_place_of_its_own(run, trace):
    """The only domains that write are those of the embedded benchmark, whose folder is the user's choice."""

    def change(config):
        config["domain"]["new"] = {
            "_target_": "dgreid.data.domains.synthetic.SyntheticNight", "name": "new", "folder": str(trace.parent),
            "train_identities": 2, "test_identities": 2, "images_per_identity": 4, "height": 32, "width": 16,
        }  # fmt: skip
        config["target"] = "new"

    changed(run, change)
    mine = run.parent / "mine"
    mine.mkdir()
    evaluate(composed([f"run={run}", f"data_root={mine}", "accelerator=cpu"], "evaluate"))
    assert [path.name for path in mine.iterdir()] == ["synthetic"]


@pytest.mark.parametrize("link", ["exports", "exports/selected"])
def test_an_export_does_not_follow_a_link_out_of_the_run(link, run, trace):
    (run / link).parent.mkdir(exist_ok=True)
    (run / link).symlink_to(trace.parent, target_is_directory=True)
    with pytest.raises(InputError, match=r"leads out of|exists, and nothing is overwritten"):
        export_run(run, "safetensors")


def test_an_evaluation_does_not_follow_a_link_out_of_the_run(run, trace, tmp_path):
    (run / "evaluations").symlink_to(trace.parent, target_is_directory=True)
    typed = [f"run={run}", f"data_root={tmp_path}", "synthetic=tiny", "target=synthetic_night", "accelerator=cpu"]
    with pytest.raises(InputError, match=r"evaluations.* leads out of"):
        evaluate(composed(typed, "evaluate"))


def test_an_index_does_not_follow_a_link_out_of_the_run(run, trace, tmp_path):
    (run / "search").symlink_to(trace.parent, target_is_directory=True)
    photos = Path(tmp_path / "photos")
    photos.mkdir()
    with pytest.raises(InputError, match=r"search.* leads out of"):
        index_images(composed([f"run={run}", f"gallery={photos}"], "search_index"))
