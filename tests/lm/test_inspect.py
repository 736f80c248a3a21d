"""Looking at folders without loading them: what they hold, and why some are refused."""

import json
import struct
from pathlib import Path

import pytest
import torch
from transformers import LlamaForSequenceClassification

from models_registry.lm import inspect
from models_registry.lm.chain import load

from . import tiny


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny.folder(tmp_path / "model", "llama")


def told(folder: Path) -> str:
    about = inspect.describe(folder)
    assert about.problems
    with pytest.raises(ValueError, match=str(folder)):
        load([folder])
    return " ".join(about.problems)


@pytest.mark.parametrize("shape", tiny.SHAPES)
def test_a_model_is_described_as_it_is(shape, folders):
    about = inspect.describe(folders[shape])
    model = load([folders[shape]]).model
    assert (about.kind, about.head, about.problems, about.files_refused) == ("full", "lm", [], [])
    assert about.parameters == model.num_parameters()
    assert about.architecture == type(model).__name__
    assert (about.dtype, about.context_length, about.vocab_size) == ("F32", 128, model.config.vocab_size)


def test_an_adapter_is_described_as_it_is(model, tmp_path):
    about = inspect.describe(tiny.adapter([model], tmp_path / "adapter", seed=1, rank=2, target="attention"))
    assert (about.kind, about.head, about.architecture, about.problems) == ("adapter", None, "LORA", [])
    # Rank 2 beside q, o (32→32) and k, v (32→16) in two layers.
    assert about.parameters == 2 * 2 * (2 * (32 + 32) + 2 * (32 + 16))


@pytest.mark.parametrize(("outputs", "head"), [(1, "reward"), (3, "classes")])
def test_a_model_that_scores_is_no_language_model(model, outputs, head):
    config = load([model]).model.config
    config.num_labels = outputs
    LlamaForSequenceClassification(config).save_pretrained(model)
    about = inspect.describe(model)
    assert (about.head, about.outputs, about.problems) == (head, outputs, [])


def test_pickles_beside_safetensors_are_left_out_and_named(model):
    torch.save({}, model / "pytorch_model.bin")
    (model / "modeling_x.py").write_text("raise SystemExit")
    about = inspect.describe(model)
    assert about.problems == []
    assert dict(about.files_refused) == {"pytorch_model.bin": inspect.PICKLE, "modeling_x.py": inspect.CODE}


def test_a_folder_of_pickles_alone_is_refused(model):
    torch.save({}, model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()
    assert "pickles only" in told(model)


def test_remote_code_is_refused(model):
    config = json.loads((model / "config.json").read_text()) | {"auto_map": {"AutoModel": "evil.Model"}}
    (model / "config.json").write_text(json.dumps(config))
    assert "never run here" in told(model)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("config.json", b"{", "config.json cannot be read"),
        ("config.json", b"[1]", "no JSON object"),
        ("model.safetensors", b"", "damaged: the header is cut off"),
        ("model.safetensors", struct.pack("<Q", 2**60) + b"{}", "damaged: the header is cut off"),
        ("model.safetensors", struct.pack("<Q", 8) + b"notjson!", "damaged"),
    ],
)
def test_damaged_files_are_told(model, name, content, reason):
    (model / name).write_bytes(content)
    assert reason in told(model)


def test_a_cut_off_download_is_told(model):
    whole = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(whole[:-100])
    assert "cut off" in told(model)


def test_a_missing_shard_is_told_and_none_is_read_from_outside(model):
    (model / "model.safetensors").unlink()
    index = model / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    assert "missing: model-1.safetensors" in told(model)
    index.write_text(json.dumps({"weight_map": {"a": "../outside.safetensors"}}))
    assert "outside the folder" in told(model)


def test_what_is_no_model_is_refused(tmp_path):
    assert "no model folder" in told(tmp_path)
    assert "no such folder" in " ".join(inspect.describe(tmp_path / "nowhere").problems)


def test_problems_can_be_translated(tmp_path):
    (tmp_path / "config.json").write_text("{")
    [problem] = inspect.describe(tmp_path).problems
    assert problem.template % problem.params == problem
    assert problem.params["file"] == "config.json"
