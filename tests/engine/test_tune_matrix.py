"""Every objective with every choice of what moves: it trains, the result is of the right kind and loads, and nothing else moved."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from models_registry.lm import inspect
from models_registry.lm.chain import active_head, load
from models_registry.lm.heads import read_scale, write_scale
from models_registry.lm.members import read_members, spread
from models_registry.lm.merging import merge, reasons_against
from models_registry.lm.score import class_logprobs, documents_loss, logprobs, rewards, scores_of_members
from models_registry.lm.tuning.config import result_kind
from training.engine.contract import check_config

from . import rankings, runs

KINDS = {
    "all": {},
    "last_layers": {"n": 1},
    "head": {},
    "serial": {"reduction": 4},
    "parallel": {"places": "mlp", "reduction": 4},
    "lora": {"rank": 2},
    "ia3": {},
    "vera": {"rank": 4},
    "lokr": {},
    "oft": {},
    "fourier": {},
    "prefix": {"length": 3},
    "soft_prompt": {"length": 4},
}
METHODS = ["finetune", "classify", "reward", "ppo"]
HEADS = {"finetune": "lm", "classify": "classes", "reward": "reward", "ppo": "lm"}
QUICK: dict[str, dict[str, Any]] = {
    "finetune": {"max_steps": 2, "batch_size": 8, "sample_tokens": 4},
    "classify": {"max_steps": 2, "batch_size": 8},
    "reward": {"max_steps": 2, "batch_size": 4},
    "ppo": {"updates": 2, "episodes": 8, "max_tokens": 8, "minibatches": 2, "epochs": 1, "heldout_prompts": 4},
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, pretrained, examples) -> dict[str, dict[str, Any]]:
    """What each method is given."""
    folder = tmp_path_factory.mktemp("data")
    base = [str(pretrained / "output")]
    labelled = [
        {"text": row["text"], "label": row["text"].split()[1], "split": row["split"]} for row in runs.stories(60)
    ]
    ranked = runs.write_rows(folder / "rankings.jsonl", rankings.rows(20, 3))
    judge = runs.write_run(
        folder / "judge",
        "reward",
        {"max_steps": 2, "batch_size": 4, "lr": 3e-3},
        {"base": base, "dataset": str(ranked)},
    )
    assert runs.go(judge) == 0
    data = {"finetune": examples, "reward": ranked, "ppo": examples}
    data["classify"] = runs.write_rows(folder / "labelled.jsonl", labelled)
    found = {method: {"base": base, "dataset": str(path)} for method, path in data.items()}
    found["ppo"]["reward_model"] = [str(judge / "output")]
    return found


def pairs() -> list[Any]:
    """Every objective with every kind; fast are the three that stand for full weights, adapters and what leads a text."""
    return [
        pytest.param(method, kind, marks=[] if kind in ("all", "lora", "soft_prompt") else [pytest.mark.slow])
        for method in METHODS
        for kind in KINDS
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "kind"), pairs())
def test_every_objective_on_every_kind(method, kind, inputs, pretrained, tmp_path):
    tune = {"kind": kind, **KINDS[kind]}
    watched = {"checkpoint_every": 2, "delete_checkpoints": False}
    config = {**QUICK[method], **watched, "tune": tune, "lr": 1e-2}
    folder = runs.write_run(tmp_path / "run", method, config, inputs[method])
    before = {path.name: path.read_bytes() for path in (pretrained / "output").iterdir()}
    assert runs.go(folder) == 0
    assert {path.name: path.read_bytes() for path in (pretrained / "output").iterdir()} == before

    checked, _problems = check_config(method, {"tune": tune})
    about = inspect.describe(folder / "output")
    assert about.problems == []
    assert about.kind == result_kind(checked.tune)
    chain = [folder / "output"] if about.kind == "full" else [pretrained / "output", folder / "output"]
    loaded = load(chain)
    assert loaded.head == HEADS[method]

    told = json.loads((folder / "output" / "metrics.json").read_text())
    assert told["untouched"]["changed"] == 0
    assert told["untouched"]["identical"] == told["untouched"]["tensors"]
    assert told["base_sha256_before"] == told["base_sha256_after"]
    state = torch.load(folder / "checkpoints" / "step-2" / "optimizer.pt", weights_only=True)["state"]
    # Of the reward model θ moves too, and of PPO the critic's head: 32 weights and a bias.
    besides = {"reward": 1, "ppo": 33}.get(method, 0)
    assert sum(one["exp_avg"].numel() for one in state.values()) == told["trained_parameters"] + besides
    weights = load_file(next((folder / "output").glob("*.safetensors")))
    if about.kind == "full":
        assert moved(weights, load_file(pretrained / "output" / "model.safetensors")) == expected(kind, method)
    else:
        assert sum(tensor.numel() for tensor in weights.values()) == told["trained_parameters"]
    numbers_agree(method, loaded, told, inputs[method]["dataset"])
    if method == "ppo":
        first = next(event for event in runs.events(folder) if "ratio" in event)
        assert first["ratio_start"] == pytest.approx(1, abs=1e-5)
        assert first["clip_fraction_start"] == 0
        # What is put in front of the text has an effect from the start, and it is told as it is.
        if kind not in ("prefix", "soft_prompt"):
            assert first["kl"] == pytest.approx(0, abs=1e-5)
        else:
            assert abs(first["kl"]) > 1e-4
        notes = [event["message"]["id"] for event in runs.events(folder) if event.get("kind") == "note"]
        assert ("start-leads" if kind in ("prefix", "soft_prompt") else "start-agrees") in notes


def moved(after: dict[str, torch.Tensor], before: dict[str, torch.Tensor]) -> set[str]:
    """Where in the model tensors differ: embedding, layer numbers, norm, head."""
    places = set()
    for name, tensor in after.items():
        if name in before and torch.equal(tensor, before[name]):
            continue
        if name == "lm_head.weight" and torch.equal(tensor, before["model.embed_tokens.weight"]):
            continue
        parts = name.split(".")
        places.add(
            {"embed_tokens": "embedding", "norm": "norm"}.get(parts[1], parts[2]) if parts[0] == "model" else "head"
        )
    return places


def expected(kind: str, method: str) -> set[str]:
    head = {"head"}
    if kind == "head":
        return head
    if kind == "last_layers":
        return head | {"1", "norm"}
    # The pretrained model's output layer is its embedding.
    return {"embedding", "0", "1", "norm"} | (head if HEADS[method] != "lm" else set())


def numbers_agree(method: str, loaded: Any, told: dict[str, Any], dataset: str) -> None:
    """What the run said of the held-out rows is what its folder gives when it is loaded."""
    rows = [json.loads(line) for line in Path(dataset).read_text().splitlines()]
    heldout = [row for row in rows if row["split"] == "heldout"]
    if method == "classify":
        table = class_logprobs(loaded, [row["text"] for row in heldout])
        nats = [-table[i, loaded.labels.index(row["label"])] for i, row in enumerate(heldout)]
        assert sum(nats) / len(nats) == pytest.approx(told["heldout_loss"], rel=1e-3)
    elif method == "reward":
        scores = rewards(
            loaded, [(row["prompt"], text) for row in rows if row["split"] == "train" for text in row["completions"]]
        )
        assert sum(scores) / len(scores) == pytest.approx(0, abs=1e-2)  # on the scale that lies beside the weights
        assert torch.tensor(scores).std(correction=0) == pytest.approx(1, abs=1e-2)
    elif method == "finetune":
        pairs = [(row["prompt"], row["completion"]) for row in heldout]
        found = logprobs(loaded, pairs)
        assert -sum(map(sum, found)) / sum(map(len, found)) == pytest.approx(told["heldout_loss"], rel=1e-3)
    else:
        assert documents_loss(loaded, ["The cat met the dog."]).loss > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("all", "last_layers", "head")])
def test_the_head_of_a_reward_model_stays_with_it(kind, inputs, pretrained, tmp_path):
    """Trained, saved, loaded, merged where that can be, and asked by PPO: the same scores, read at the same token; also by each head of an ensemble,
    whose mean they are."""
    config = {**QUICK["reward"], "tune": {"kind": kind, **KINDS[kind]}, "lr": 1e-2, "precision": "fp32", "ensemble": 3}
    folder = runs.write_run(tmp_path / "run", "reward", config, inputs["reward"])
    assert runs.go(folder) == 0
    chain = [pretrained / "output", folder / "output"]
    judge = load(chain)
    rows = [json.loads(line) for line in Path(inputs["reward"]["dataset"]).read_text().splitlines()]
    pairs = [(row["prompt"], text) for row in rows for text in row["completions"]]
    scores = rewards(judge, pairs)
    assert torch.tensor(scores).std() > 0.1
    by_head = scores_of_members(judge, pairs)
    assert by_head.mean(1).tolist() == pytest.approx(scores, abs=1e-4)
    assert (spread(by_head) > 1e-3).all()
    # Padding moves no score: each by itself is what all together are.
    assert [rewards(judge, [pair])[0] for pair in pairs[:5]] == pytest.approx(scores[:5], abs=1e-4)
    # The head moved with what was trained: another one gives other scores.
    with torch.no_grad():
        active_head(judge).weight.neg_()
    scale = read_scale(folder / "output")
    turned = [-2 * scale.mean / scale.std - score for score in scores]
    assert rewards(judge, pairs) == pytest.approx(turned, abs=1e-4)

    ways = {"chain": chain}
    again = load(chain)
    if not reasons_against(again):
        merge(again)
        merged = tmp_path / "merged"
        again.model.save_pretrained(merged)
        again.tokenizer.save_pretrained(merged)
        write_scale(merged, scale)
        read_members(folder / "output").save(merged)
        assert torch.allclose(scores_of_members(load([merged]), pairs), by_head, atol=1e-3)
        assert rewards(load([merged]), pairs) == pytest.approx(scores, abs=1e-3)
        ways["merged"] = [merged]
    assert ("merged" in ways) == (kind not in ("serial", "parallel", "prefix", "soft_prompt"))
    told: dict[str, list[float]] = {}
    for way, links in ways.items():
        asked = inputs["ppo"] | {"reward_model": [str(link) for link in links]}
        policy = runs.write_run(tmp_path / f"ppo-{way}", "ppo", {**QUICK["ppo"], "updates": 1}, asked)
        assert runs.go(policy) == 0
        samples = [json.loads(line) for line in (policy / "samples.jsonl").read_text().splitlines()]
        told[way] = [sample["reward_before"] for sample in samples]
        asked_again = rewards(load(links), [(sample["prompt"], sample["before"]) for sample in samples])
        assert told[way] == pytest.approx(asked_again, abs=1e-3)
    assert told[list(told)[-1]] == pytest.approx(told["chain"], abs=1e-3)
