"""Pretraining and finetuning as runs: they learn, they say how well, and they touch what they should and nothing else."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from models_registry.lm import inspect
from models_registry.lm.chain import load
from models_registry.lm.score import documents_loss, logprobs
from training.engine.contract import check_config
from training.engine.methods.pretrain.config import SIZES, Config
from training.engine.methods.pretrain.train import learn_tokenizer, new_model

from . import runs

pytestmark = pytest.mark.slow  # each trains a model, if a tiny one


def metrics(folder: Path) -> dict:
    return json.loads((folder / "output" / "metrics.json").read_text())


def heldout(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["split"] == "heldout"]


def test_a_pretrained_model_loads_in_transformers_and_has_learned(pretrained):
    output = pretrained / "output"
    assert inspect.describe(output).problems == []
    model = AutoModelForCausalLM.from_pretrained(output)
    tokenizer = AutoTokenizer.from_pretrained(output)
    assert model.config.vocab_size == len(tokenizer)
    points = [event for event in runs.events(pretrained) if "heldout_loss" in event]
    assert points[0]["heldout_loss"] > 5.5  # random weights: about ln 300 = 5.7
    assert points[-1]["heldout_loss"] < 3.0
    assert {event["slot"] for event in runs.events(pretrained) if event.get("kind") == "sample"} == {0, 1, 2}


def test_the_heldout_numbers_are_those_of_the_saved_model(pretrained):
    """Packed rows in training, one padded batch in scoring: the same loss."""
    texts = [row["text"] for row in heldout(runs.stories())]
    again = documents_loss(load([pretrained / "output"]), texts)
    told = metrics(pretrained)
    assert told["heldout_loss"] == pytest.approx(again.loss, rel=1e-4)
    assert told["heldout_bits_per_byte"] == pytest.approx(again.bits_per_byte, rel=1e-4)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
def test_every_architecture_learns_and_loads(architecture, tmp_path, corpus):
    config = {**runs.TINY, "architecture": architecture, "max_steps": 15, "lr": 3e-3, "batch_size": 4, "epochs": 50}
    folder = runs.write_run(tmp_path / "run", "pretrain", config, {"dataset": corpus})
    assert runs.go(folder) == 0
    points = [event["heldout_loss"] for event in runs.events(folder) if "heldout_loss" in event]
    assert points[-1] < points[0] - 0.5
    assert type(load([folder / "output"]).model).__name__.lower().startswith(architecture)


def test_a_tokenizer_gives_every_text_back_and_knows_its_special_tokens():
    tokenizer = learn_tokenizer((row["text"] for row in runs.stories()), 300)
    assert len(tokenizer) <= 300
    for text in ["The cat met", "X:1\nK:D\n|:DFA dfa:|\n", "日本 – naïve\t\x00", "  two  spaces "]:
        ids = tokenizer(text)["input_ids"]
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
    common = tokenizer("The cat met the dog.")["input_ids"]
    assert len(common) < len("The cat met the dog.") / 2


def test_learning_a_tokenizer_twice_gives_the_same_one():
    first, second = (learn_tokenizer((row["text"] for row in runs.stories()), 300) for _ in range(2))
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
def test_every_size_is_about_as_large_as_it_says(size, architecture):
    """Millions of parameters, with a full vocabulary, as the setting's description tells."""
    said = {"nano": 0.2, "mini": 1.1, "small": 6, "medium": 34, "base": 111}[size]
    assert f"{said:g}" in Config.model_fields["size"].description
    config = Config(size=size, architecture=architecture)
    tokenizer = learn_tokenizer(iter(["a"]), 260)
    with torch.device("meta"):
        model = new_model(config, tokenizer)
    embedding = (config.shape.vocab_size - len(tokenizer)) * config.shape.hidden_size
    assert (model.num_parameters() + embedding) / 1e6 == pytest.approx(said, rel=0.25)


def test_going_on_from_a_model_starts_where_it_ended(pretrained, corpus, tmp_path):
    inputs = {"dataset": corpus, "base": [str(pretrained / "output")]}
    folder = runs.write_run(tmp_path / "run", "pretrain", {"max_steps": 10, "lr": 1e-3, "batch_size": 4}, inputs)
    assert runs.go(folder) == 0
    points = [event["heldout_loss"] for event in runs.events(folder) if "heldout_loss" in event]
    assert points[0] == pytest.approx(metrics(pretrained)["heldout_loss"], rel=1e-5)
    assert points[-1] < points[0]


def test_going_on_from_a_model_leaves_no_choice_of_size(pretrained, corpus, tmp_path):
    inputs = {"dataset": corpus, "base": [str(pretrained / "output")]}
    folder = runs.write_run(tmp_path / "run", "pretrain", {"size": "mini", "heads": 2}, inputs)
    assert runs.go(folder) == 2
    assert "leave out heads, size" in runs.status(folder)["problems"][0]["text"] % {"settings": "heads, size"}


@pytest.fixture(scope="module", params=["lora", "all"])
def finetuned(request, tmp_path_factory, pretrained, examples) -> tuple[str, Path, list[Path]]:
    """(kind of tuning, run folder, chain of the result)."""
    config = {"tune": {"kind": request.param}, "max_steps": 150, "epochs": 100, "lr": 1e-2, "batch_size": 8}
    inputs = {"base": [str(pretrained / "output")], "dataset": examples}
    folder = runs.write_run(tmp_path_factory.mktemp("runs") / "finetuned", "finetune", config, inputs)
    before = {path: path.read_bytes() for path in (pretrained / "output").iterdir()}
    assert runs.go(folder) == 0
    assert {path: path.read_bytes() for path in (pretrained / "output").iterdir()} == before
    chain = [folder / "output"] if request.param == "all" else [pretrained / "output", folder / "output"]
    return request.param, folder, chain


def test_finetuning_teaches_the_completions(finetuned, pretrained):
    _kind, folder, chain = finetuned
    pairs = [(row["prompt"], row["completion"]) for row in heldout(runs.questions())]
    losses = []
    for links in ([pretrained / "output"], chain):
        rows = logprobs(load(links), pairs)
        losses.append(-sum(map(sum, rows)) / sum(map(len, rows)))
    assert losses[1] < losses[0] - 0.3
    assert metrics(folder)["heldout_loss"] == pytest.approx(losses[1], rel=1e-3)
    first = next(event for event in runs.events(folder) if "heldout_loss" in event)
    assert first["step"] == 0
    assert first["heldout_loss"] == pytest.approx(losses[0], rel=1e-3)  # no effect at step 0


def test_an_adapter_is_small_and_holds_nothing_of_the_base(finetuned, pretrained):
    kind, folder, _chain = finetuned
    told, weights = metrics(folder), next((folder / "output").glob("*.safetensors"))
    if kind == "all":
        assert told["trained_parameters"] == told["total_parameters"]
        return
    assert all("lora_" in name for name in load_file(weights))
    assert told["trained_parameters"] == sum(tensor.numel() for tensor in load_file(weights).values())
    assert not (folder / "output" / "tokenizer.json").exists()


def test_the_loss_looks_at_completions_alone(pretrained, tmp_path):
    """With one completion everywhere the loss goes to zero though no prompt can be foretold; with the prompts it cannot."""
    random = torch.Generator().manual_seed(0)
    rows = [
        {
            "prompt": "".join(chr(97 + c) for c in torch.randint(26, (12,), generator=random)),
            "completion": " ok",
            "split": split,
        }
        for split in ["train"] * 64 + ["heldout"] * 16
    ]
    path = runs.write_rows(tmp_path / "rows.jsonl", rows)
    found = {}
    for learn_prompts in (False, True):
        config = {"tune": {"kind": "all"}, "max_steps": 60, "epochs": 100, "lr": 1e-2, "learn_prompts": learn_prompts}
        inputs = {"base": [str(pretrained / "output")], "dataset": path}
        folder = runs.write_run(tmp_path / f"run{learn_prompts}", "finetune", config, inputs)
        assert runs.go(folder) == 0
        found[learn_prompts] = metrics(folder)["heldout_loss"]
    assert found[False] < 0.4
    assert found[True] > 1.0


def test_finetuning_takes_whole_texts_too(pretrained, corpus, tmp_path):
    inputs = {"base": [str(pretrained / "output")], "dataset": corpus}
    config = {"max_steps": 30, "epochs": 100, "lr": 5e-3, "batch_size": 8}
    folder = runs.write_run(tmp_path / "run", "finetune", config, inputs)
    assert runs.go(folder) == 0
    assert metrics(folder)["heldout_loss"] < metrics(pretrained)["heldout_loss"]


def test_an_adapter_on_an_adapter(finetuned, examples, tmp_path):
    _kind, _folder, chain = finetuned
    inputs = {"base": list(map(str, chain)), "dataset": examples}
    config = {"max_steps": 3, "tune": {"kind": "lora", "rank": 2}}
    folder = runs.write_run(tmp_path / "run", "finetune", config, inputs)
    assert runs.go(folder) == 0
    loaded = load([*chain, folder / "output"])
    pairs = [(row["prompt"], row["completion"]) for row in heldout(runs.questions())]
    rows = logprobs(loaded, pairs)
    assert metrics(folder)["heldout_loss"] == pytest.approx(-sum(map(sum, rows)) / sum(map(len, rows)), rel=1e-3)


def test_smaller_parts_of_a_batch_give_the_same_update(pretrained, examples, tmp_path):
    inputs = {"base": [str(pretrained / "output")], "dataset": examples}
    losses = []
    for micro in (None, 3):
        config = {"max_steps": 8, "batch_size": 8, "micro_batch": micro, "log_every": 1, "lr": 1e-2}
        folder = runs.write_run(tmp_path / f"run{micro}", "finetune", config, inputs)
        assert runs.go(folder) == 0
        losses.append([event["loss"] for event in runs.events(folder) if "loss" in event])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_without_heldout_rows_a_run_says_what_is_missing(pretrained, tmp_path):
    rows = [row | {"split": "train"} for row in runs.questions(20)]
    path = runs.write_rows(tmp_path / "rows.jsonl", rows)
    inputs = {"base": [str(pretrained / "output")], "dataset": path}
    folder = runs.write_run(tmp_path / "run", "finetune", {"max_steps": 2}, inputs)
    assert runs.go(folder) == 0
    notes = [event["message"]["id"] for event in runs.events(folder) if event.get("kind") == "note"]
    assert notes == ["no-heldout-rows"]
    assert "heldout_loss" not in metrics(folder)


def test_examples_beyond_the_context_are_cut_and_it_is_said(pretrained, tmp_path):
    rows = [*runs.questions(20), {"prompt": "The cat met", "completion": " the dog." * 200}]
    path = runs.write_rows(tmp_path / "rows.jsonl", rows)
    inputs = {"base": [str(pretrained / "output")], "dataset": path}
    folder = runs.write_run(tmp_path / "run", "finetune", {"max_steps": 2}, inputs)
    assert runs.go(folder) == 0
    notes = [event["message"] for event in runs.events(folder) if event.get("kind") == "note"]
    assert [(note["id"], note["params"]["cut"]) for note in notes] == [("rows-cut", 1)]


def test_a_loss_that_is_no_number_ends_the_run_with_advice(tmp_path, pretrained, corpus):
    broken = tmp_path / "broken"
    model = AutoModelForCausalLM.from_pretrained(pretrained / "output")
    with torch.no_grad():
        model.get_input_embeddings().weight[5:] = float("nan")
    model.save_pretrained(broken)
    AutoTokenizer.from_pretrained(pretrained / "output").save_pretrained(broken)
    folder = runs.write_run(tmp_path / "run", "finetune", {"max_steps": 5}, {"base": [str(broken)], "dataset": corpus})
    assert runs.go(folder) == 1
    cause = runs.status(folder)["error"]["cause"]
    assert cause["id"] == "diverged"
    assert "learning rate" in cause["text"]


def test_every_config_survives_json():
    config, problems = check_config("pretrain", json.loads(Config(kv_heads=2, heads=4).model_dump_json()))
    assert problems == []
    assert config.kv_heads == 2
