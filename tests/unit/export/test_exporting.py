import json

import pytest
from bare_runs import bare_run

from dgreid.errors import InputError
from dgreid.export import exporting
from dgreid.export.exporting import check_free, export_run


@pytest.fixture
def folder(tmp_path):
    return bare_run(tmp_path / "run")


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_exports_go_into_the_run_by_default(folder):
    lines = export_run(folder, "onnx")
    assert lines[0].startswith(f"written:   {folder}/exports/selected.onnx (ONNX, opset 18; largest difference from")
    assert lines[1] == "images:    float32 (N, 3, 32, 16), RGB in [0, 1]; normalised inside"
    assert lines[2] == "embedding: (N, 32), unit length"
    export_run(folder, "safetensors", "last")
    assert files(folder / "exports") == ["last/model_card.md", "last/weights.safetensors", "selected.onnx"]


def test_nothing_is_overwritten(folder, tmp_path, monkeypatch):
    export_run(folder, "safetensors")
    (tmp_path / "net.onnx").write_text("precious")
    monkeypatch.setattr(exporting, "load_run", None)  # nothing is loaded to say so
    with pytest.raises(InputError, match=r"exports/selected exists, and nothing is overwritten"):
        export_run(folder, "safetensors")
    with pytest.raises(InputError, match=r"net.onnx exists, and nothing is overwritten"):
        export_run(folder, "onnx", output=tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_text() == "precious"


def test_a_link_to_nothing_is_something(tmp_path):
    check_free(tmp_path / "new")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"give another place with output=\.\.\., or remove it"):
        check_free(tmp_path / "link")


def test_wrong_values_are_named(folder, tmp_path):
    with pytest.raises(InputError, match="format=onx: did you mean 'onnx'"):
        export_run(folder, "onx")
    with pytest.raises(InputError, match=r"output=net: the name of an ONNX file ends with \.onnx"):
        export_run(folder, "onnx", output=type(tmp_path)("net"))
    with pytest.raises(InputError, match=r"output=w.safetensors: format=safetensors writes a folder"):
        export_run(folder, "safetensors", output=type(tmp_path)("w.safetensors"))
    with pytest.raises(InputError, match="holds no run"):
        export_run(tmp_path / "none", "onnx")
    with pytest.raises(InputError, match=r"checkpoint=source: .* this run has: last, selected"):
        export_run(folder, "onnx", "source")
    assert not (folder / "exports").exists()


def test_a_result_that_is_missing_is_no_obstacle(tmp_path):
    folder = bare_run(tmp_path / "run", result=False)
    export_run(folder, "safetensors", output=tmp_path / "out")
    assert "no numbers of these weights" in (tmp_path / "out" / "model_card.md").read_text()


def test_weights_that_do_not_come_back_are_not_kept(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "load_exported", lambda place, net: lambda images: images.mean((2, 3)))
    monkeypatch.setattr(exporting, "largest_difference", lambda *args: 0.5)
    with pytest.raises(InputError, match=r"out was not kept: .* by up to 0\.5"):
        export_run(folder, "safetensors", output=tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_withdrawn_source_is_a_warning_at_the_end(tmp_path):
    folder = bare_run(tmp_path / "run", sources="[dukemtmc,msmt17v1]")
    lines = export_run(folder, "safetensors")
    assert lines[-1].startswith("warning: source dukemtmc: DukeMTMC was taken down")


def test_the_oracle_of_a_target_is_found(tmp_path):
    folder = bare_run(tmp_path / "run")
    config = (folder / "config.yaml").read_text().replace("target: cuhknp", "target: [cuhknp, dukemtmc]")
    (folder / "config.yaml").write_text(config)
    (folder / "checkpoints" / "last.ckpt").rename(folder / "checkpoints" / "oracle_dukemtmc.ckpt")
    (folder / "result.json").write_text(json.dumps({"rows": []}))
    export_run(folder, "safetensors", "oracle", "dukemtmc")
    assert (folder / "exports" / "oracle_dukemtmc" / "weights.safetensors").is_file()
    with pytest.raises(InputError, match=r"checkpoint=oracle: .*oracle_dukemtmc, selected"):
        export_run(folder, "onnx", "oracle")
