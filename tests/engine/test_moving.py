"""What moves in a run: sensible rates told, impossible choices refused with the reason, and proof that nothing else moved."""

import json

import pytest
import torch

from models_registry.lm.chain import load
from models_registry.lm.tuning.apply import apply
from models_registry.lm.tuning.config import TuneAll, TuneHead, TuneLora
from models_registry.lm.tuning.untouched import Untouched, folders_sha256
from tests.lm import tiny
from training.engine import tunes
from training.engine.contract import check_config
from training.engine.methods.ppo.actors import Actors

from . import runs


def decimal(number: float) -> str:
    return f"{number:.8f}".rstrip("0")


def test_the_rates_in_the_description_are_those_of_the_table():
    names = {
        "last_layers": "last layers", "head": "output layer", "serial": "bottleneck adapters", "lora": "LoRA", "ia3": "(IA)³",
        "prefix": "prefix", "soft_prompt": "soft prompt",
    }  # fmt: skip
    for kind, name in names.items():
        low, high = tunes.RANGES[kind]
        assert f"{name} {decimal(low)} to {decimal(high)}" in tunes.BY_KIND
    others = [tunes.RANGES[kind] for kind in tunes.RANGES.keys() - names.keys() - {"parallel"}]
    low, high = min(low for low, _high in others), max(high for _low, high in others)
    assert f"other adapters {decimal(low)} to {decimal(high)}" in tunes.BY_KIND
    assert tunes.RANGES["parallel"] == tunes.RANGES["serial"]
    for parameters, rate in (tunes.SMALL, tunes.LARGE):
        assert decimal(rate) in tunes.BY_KIND
        low, high = tunes.suggested_lr("all", int(parameters))
        assert low < rate < high


def test_every_kind_has_a_rate_and_larger_models_a_smaller_one():
    schema = check_config("finetune", {})[0].model_json_schema()
    for kind in schema["properties"]["tune"]["discriminator"]["mapping"]:
        low, high = tunes.suggested_lr(kind, 10**7)
        assert 0 < low < high <= 1
    middles = [tunes.suggested_lr("all", size)[0] for size in (10**5, 10**6, 10**8, 10**9, 10**11)]
    assert middles == sorted(middles, reverse=True)


def test_an_unusual_rate_is_remarked_upon_and_used(pretrained, examples, tmp_path):
    inputs = {"base": [str(pretrained / "output")], "dataset": str(examples)}
    config = {"tune": {"kind": "soft_prompt", "length": 2}, "lr": 1e-6, "max_steps": 1, "sample_tokens": 2}
    folder = runs.write_run(tmp_path / "run", "finetune", config, inputs)
    assert runs.go(folder) == 0
    remarks = [event["message"] for event in runs.events(folder) if event.get("kind") == "note"]
    assert "unusual-lr" in [remark["id"] for remark in remarks]
    assert next(event["lr"] for event in runs.events(folder) if "lr" in event) == pytest.approx(1e-6)


@pytest.mark.parametrize(
    ("tune", "problem"),
    [({"kind": "last_layers", "n": 9}, "cannot-tune"), ({"kind": "prefix", "length": 64}, "no-room-for-text")],
)
def test_what_this_model_cannot_do_is_refused_with_the_reason(tune, problem, pretrained, examples, tmp_path):
    inputs = {"base": [str(pretrained / "output")], "dataset": str(examples)}
    folder = runs.write_run(tmp_path / "run", "finetune", {"tune": tune}, inputs)
    assert runs.go(folder) == 2
    assert [found["id"] for found in runs.status(folder)["problems"]] == [problem]


def test_what_no_model_can_do_is_refused_by_the_settings_alone():
    tune = {"tune": {"kind": "soft_prompt", "init": "labels"}}
    for method in ("finetune", "prompt_tuning", "reward", "ppo"):
        [problem] = check_config(method, tune)[0].problems(set())
        assert problem.id == "no-labels-to-start-from"
    assert check_config("classify", tune)[0].problems(set()) == []  # the data bring labels
    tune["tune"]["labels"] = ["good", "bad"]
    assert check_config("finetune", tune)[0].problems(set()) == []


def test_what_an_adapter_cannot_be_folded_into_is_refused(pretrained, examples, tmp_path):
    """A bottleneck adapter is not linear: the whole model cannot move with it inside."""
    inputs = {"base": [str(pretrained / "output")], "dataset": str(examples)}
    below = runs.write_run(tmp_path / "below", "adapter", {"max_steps": 1, "sample_tokens": 2}, inputs)
    assert runs.go(below) == 0
    inputs["base"].append(str(below / "output"))
    folder = runs.write_run(tmp_path / "run", "finetune", {"tune": {"kind": "all"}, "max_steps": 1}, inputs)
    assert runs.go(folder) == 2
    [found] = runs.status(folder)["problems"]
    assert found["id"] == "cannot-tune"
    # The reason is a message again, for the web to translate.
    assert found["params"]["reason"]["text"].startswith("a bottleneck adapter is not linear")
    assert not (folder / "output").exists()


def test_a_tensor_that_moved_is_found(tmp_path):
    loaded = load([tiny.folder(tmp_path / "base", "llama")])
    apply(loaded, TuneHead())
    proof = Untouched(loaded.model)
    assert proof.changed(loaded.model) == []
    with torch.no_grad():
        loaded.model.get_output_embeddings().weight.add_(1)  # this one may
        assert proof.changed(loaded.model) == []
        loaded.model.model.layers[1].mlp.up_proj.weight[0, 0] += 1e-7
    assert proof.changed(loaded.model) == ["model.layers.1.mlp.up_proj.weight"]


def test_the_hash_of_a_chain_sees_every_byte_and_every_name(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "a").write_bytes(b"abc")
        (folder / "b").write_bytes(b"")
    assert folders_sha256([one]) == folders_sha256([two])
    assert folders_sha256([one]) != folders_sha256([one, two])
    (two / "sub" / "a").write_bytes(b"abd")
    assert folders_sha256([one]) != folders_sha256([two])
    (one / "b").rename(one / "c")
    assert folders_sha256([one]) != folders_sha256([two])


@pytest.mark.parametrize("tune", [TuneHead(), TuneAll(), TuneLora()], ids=lambda tune: tune.kind)
def test_the_reference_shares_what_is_frozen_and_keeps_what_moved(tune, tmp_path):
    loaded = load([tiny.folder(tmp_path / "base", "llama")])
    apply(loaded, tune)
    before = tiny.logits(loaded)
    actors = Actors(loaded, separate_critic=False)
    with torch.no_grad():
        for parameter in actors.parameters().values():
            parameter.add_(0.1)
    assert not torch.allclose(tiny.logits(loaded), before)
    with actors.reference() as start:
        assert torch.equal(tiny.logits(start), before)
        own = {id(p) for p in start.model.parameters()} - {id(p) for p in loaded.model.parameters()}
    copies = {"head": 1, "all": len(list(loaded.model.parameters())), "lora": 0}[tune.kind]
    assert len(own) == copies


@pytest.mark.slow
def test_adapter_and_prompt_tuning_are_finetuning_with_fewer_choices(pretrained, examples, tmp_path):
    inputs = {"base": [str(pretrained / "output")], "dataset": str(examples)}
    found: dict[str, dict[str, bytes]] = {}
    for method, tune in (("adapter", {"kind": "serial"}), ("prompt_tuning", {"kind": "soft_prompt", "length": 3})):
        for name in (method, "finetune"):
            config = {
                "tune": tune,
                "lr": 0.01,
                "schedule": "constant",
                "weight_decay": 0.0,
                "max_steps": 2,
                "sample_tokens": 2,
            }
            folder = runs.write_run(tmp_path / f"{method}-{name}", name, config, inputs)
            assert runs.go(folder) == 0
            found[name] = runs.weights(folder)
        assert found[method] == found["finetune"]
    for method, tune in (("adapter", "all"), ("adapter", "soft_prompt"), ("prompt_tuning", "lora")):
        assert check_config(method, {"tune": {"kind": tune}})[0] is None
    assert check_config("prompt_tuning", {})[0].lr == 0.3
    assert json.loads(check_config("adapter", {})[0].model_dump_json())["tune"]["kind"] == "serial"
