import re
from dataclasses import replace

import pytest
import yaml
from bare_runs import ROW, bare_run, bare_subject

from dgreid.export.model_card import model_card
from dgreid.export.provenance import measured
from dgreid.run.protocols import UNTOLD


def card(folder, *overrides, rows=(ROW,), checkpoint="selected", **kinds):
    """The header as values, and the text."""
    subject = bare_subject(folder, *overrides, checkpoint=checkpoint, **kinds)
    text = model_card(subject, measured(subject, {"rows": list(rows)}))
    _, header, body = text.split("---\n", 2)
    return yaml.safe_load(header), body


def test_the_header_is_what_hugging_face_reads(tmp_path):
    header, body = card(tmp_path / "run")
    assert header["license"] == "other"
    assert header["datasets"] == ["market1501", "msmt17v1"]
    assert "person-re-identification" in header["tags"]
    (model,) = header["model-index"]
    (result,) = model["results"]
    assert result["dataset"] == {"type": "cuhknp", "name": "cuhknp"}
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {
        key: ROW[key] for key in ("mAP", "rank1", "rank5", "rank10", "mINP")
    }
    assert body.lstrip().startswith(f"# {model['name']}\n")


def test_data_and_weights_are_named_with_their_hashes(tmp_path):
    _, body = card(tmp_path / "run")
    assert f"| market1501 | 5 | 20 | 6 | `{'a' * 64}` |" in body
    assert f"| msmt17v1 | 4 | 12 | 15 | `{'b' * 64}` |" in body
    assert f"first weights `weights.pth`, sha256 `{'c' * 64}`" in body
    assert "Trained on the training sets of these domains" in body
    assert "Warning" not in body


def test_the_configuration_is_whole_but_for_places(tmp_path):
    first = bare_run(tmp_path / "earlier")
    _, body = card(tmp_path / "run", f"init={first}", "name=first")
    assert str(tmp_path) not in body
    assert "/home" not in body
    config = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", body, flags=re.DOTALL)[0])
    assert config["net"]["width"] == 4
    assert config["name"] == "first"
    assert config["init"] == "earlier"
    assert "data_root" not in config
    assert "data_root" not in config["domain"]["market1501"]


def test_the_numbers_are_those_of_the_result(tmp_path):
    _, body = card(tmp_path / "run")
    assert "| cuhknp | unseen domain | cosine | 0.1235 | 0.2500 | 0.5000 | 0.7500 | 0.0625 | 12 |" in body
    assert "Selection: `last`, the weights at the end of training" in body
    assert "Protocol: `m3l/to_cuhknp`." in body


def test_rankings_that_are_not_the_net_s_alone_are_told_apart(tmp_path):
    reranked = {**ROW, "ranking": "k-reciprocal", "mAP": 0.875}
    header, body = card(tmp_path / "run", rows=[ROW, reranked])
    assert "| k-reciprocal | 0.8750 |" in body
    (result,) = header["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == ROW["mAP"]


def test_what_the_numbers_were_measured_with_is_said(tmp_path):
    _, plain = card(tmp_path / "plain")
    _, body = card(tmp_path / "run", "metric.same_camera=keep", flip=True)
    assert "Gallery images of a query's identity and camera count as matches." in body
    assert "mean of the embeddings of each image and its mirror image" in body
    assert "count as matches" not in plain
    assert "mirror" not in plain


def test_numbers_of_other_weights_are_left_out(tmp_path):
    of_others = [{**ROW, "selection": "oracle"}, {**ROW, "step": 5}]
    header, body = card(tmp_path / "run", rows=of_others)
    assert "model-index" not in header
    assert header["metrics"] == []
    assert "The run's result has no numbers of these weights." in body


def test_the_oracle_is_called_what_it_is(tmp_path):
    rows = [ROW, {**ROW, "selection": "oracle", "mAP": 0.5}]
    _, body = card(tmp_path / "run", "selection=oracle", "evaluate_every=1", rows=rows)
    assert "Selection: `oracle`, the best on the target's own test set, so its numbers there are higher" in body
    assert "0.5000 | 0.2500" in body
    assert "0.1235" not in body


@pytest.mark.parametrize(
    "overrides",
    [
        ("sources=[dukemtmc,msmt17v1]",),
        ("sources=[copy,msmt17v1]", "+domain.copy._target_=dgreid.data.domains.dukemtmc.DukeMTMC"),
    ],
    ids=["by its name", "under another name"],
)
def test_a_withdrawn_source_is_a_warning(overrides, tmp_path):
    _, body = card(tmp_path / "run", *overrides)
    assert "> **Warning.** Source " in body
    assert "DukeMTMC was taken down by its authors in 2019" in body


def test_weights_that_need_own_code_say_so(tmp_path):
    _, body = card(tmp_path / "run", "strategy=softmax_triplet", "strategy._target_=own_inference.ProjectingStrategy")
    assert "strategy `own_inference.ProjectingStrategy`" in body
    assert "load_exported(folder, net=module)" in body
    assert "```python" not in body


def test_untrained_weights_have_no_numbers(tmp_path):
    _, body = card(tmp_path / "run", checkpoint="initial")
    assert "Selection: `initial`, the weights that training started from" in body
    assert "no numbers of these weights" in body


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ({"variant": []}, "Protocol: `m3l/to_cuhknp`."),
        ({}, "Protocol: `m3l/to_cuhknp`."),
        (
            {"variant": ["use is train+test, not train", "holdout is 0.1, not 0.0"]},
            "A variant of the protocol `m3l/to_cuhknp`: use is train+test, not train; holdout is 0.1, not 0.0.",
        ),
        ({"protocol": "variant of m3l/to_cuhknp"}, f"A variant of the protocol `m3l/to_cuhknp`: {UNTOLD}."),
    ],
)
def test_deviations_from_the_protocol_are_told(tmp_path, recorded, said):
    bare = bare_subject(tmp_path / "run")
    subject = replace(bare, record={**bare.record, **recorded})
    text = model_card(subject, measured(subject, {"rows": [ROW]}))
    assert f" {said}" in text
    assert text.lower().count("protocol") == 1
