"""PPO's options on real tiny models: what each does to a run, and that all of them together go through a checkpoint."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from models_registry.lm.chain import load
from models_registry.lm.generate import generate
from models_registry.lm.score import documents_loss, rewards, scores_of_members
from models_registry.lm.text import encode_documents
from models_registry.lm.tuning.apply import apply, trained_parameters
from models_registry.lm.tuning.config import TuneLora
from training.engine import export
from training.engine.context import Context
from training.engine.methods.ppo.kept import folder_of, policies
from training.engine.methods.ppo.ptx import Pretraining
from training.engine.methods.ppo.scoring import reward_of
from training.engine.methods.ppo.train import train

from . import rankings, runs
from .ppo_runs import ALL, LORA, QUICK, metrics, notes

pytestmark = pytest.mark.slow  # each trains a model, if a tiny one


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> Path:
    rows = [
        {"prompt": f"The {a} met the {b}", "split": "heldout" if (i + j) % 4 == 0 else "train"}
        for i, a in enumerate(runs.ANIMALS)
        for j, b in enumerate(runs.ANIMALS)
    ]
    return runs.write_rows(tmp_path_factory.mktemp("data") / "prompts.jsonl", rows)


def reward_model(folder: Path, base: Path, rows: list[dict[str, Any]], steps: int, **more: Any) -> list[str]:
    """The chain of a reward model: an adapter over `base`."""
    data = runs.write_rows(folder / "rankings.jsonl", rows)
    config = {"lr": 3e-3, "max_steps": steps, "batch_size": 8, "tune": LORA} | more
    run = runs.write_run(folder / "run", "reward", config, {"base": [str(base)], "dataset": str(data)})
    assert runs.go(run) == 0
    return [str(base), str(run / "output")]


@pytest.fixture(scope="module")
def judges(tmp_path_factory, pretrained, corpus) -> list[list[str]]:
    """Two reward models that like foxes, the second over a base of its own with a tokenizer of its own."""
    other = runs.write_run(
        tmp_path_factory.mktemp("other") / "run",
        "pretrain",
        {**runs.TINY, "hidden_size": 16, "vocab_size": 310, "max_steps": 5, "batch_size": 4},
        {"dataset": corpus},
    )
    assert runs.go(other) == 0
    return [
        reward_model(tmp_path_factory.mktemp("first"), pretrained / "output", rankings.rows(), 20),
        reward_model(tmp_path_factory.mktemp("second"), other / "output", rankings.rows(seed=1), 5),
    ]


@pytest.fixture
def ppo_run(tmp_path, pretrained, prompts) -> Callable[..., Path]:
    def make(name: str = "run", inputs: dict[str, Any] | None = None, **config: Any) -> Path:
        given = {"base": [str(pretrained / "output")], "dataset": str(prompts)} | (inputs or {})
        return runs.write_run(tmp_path / name, "ppo", QUICK | config, given)

    return make


def updates(folder: Path) -> list[dict[str, Any]]:
    return [event for event in runs.events(folder) if "reward" in event]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(next((folder / "output").glob("*.safetensors")))


def round_letters(_asked: Any, answers: Any) -> list[float]:
    return [answer.count("o") / 2 - 1 for answer in answers]


def go(folder: Path, reward: Callable = round_letters, **options: Any) -> None:
    """With a reward function that a Python caller brings."""
    assert runs.go(folder, method=lambda ctx: train(ctx, reward_fn=reward), without=["reward_model"], **options) == 0


# What the result is -----------------------------------------------------------------------------------------------------------


def test_the_result_is_the_average_of_the_policy(ppo_run, pretrained):
    """An average that keeps nothing is the last policy, and one that keeps all is the start; training goes the same way under all of them."""
    folders = {
        decay: ppo_run(f"ema {decay}", tune=ALL, lr=1e-2, ema_decay=decay) for decay in (None, 1e-9, 0.7, 1 - 1e-9)
    }
    for folder in folders.values():
        go(folder)
    last, none, some, all_ = (weights(folder) for folder in folders.values())
    start = load_file(pretrained / "output" / "model.safetensors")
    for name, tensor in last.items():
        assert torch.allclose(none[name], tensor, atol=1e-6), name
        assert torch.allclose(all_[name], start[name], atol=1e-6), name
    moved = sum((last[name] - start[name]).square().sum() for name in start).sqrt()
    between = sum((some[name] - last[name]).square().sum() for name in start).sqrt()
    assert 0.01 * moved < between < moved
    points = [[each for each in runs.curves(folder) if "kind" not in each] for folder in folders.values()]
    assert points[0] == points[1] == points[2] == points[3]
    shown = [
        [each["text"] for each in runs.events(folder) if each.get("kind") == "sample"] for folder in folders.values()
    ]
    assert shown[0] == shown[1] != shown[2]
    assert shown[3] == shown[0][:4] * 4  # what the start wrote
    found = [metrics(folder) for folder in folders.values()]
    assert [each.get("ema_decay") for each in found] == list(folders)
    assert found[3]["kl"] == pytest.approx(0, abs=1e-4) != found[0]["kl"]  # what is judged at the end is what is saved


@pytest.mark.parametrize("tune", [ALL, LORA], ids=["all", "lora"])
def test_samples_and_kept_policies_are_of_what_the_run_would_save_if_it_ended_there(tune, ppo_run, pretrained):
    config = {"tune": tune, "lr": 2e-2, "kl_coef": 0.0, "ema_decay": 0.7, "updates": 4, "sample_every": 1}
    folder = ppo_run(**config, checkpoint_every=1, keep_checkpoints=9, delete_checkpoints=False)
    go(folder)
    found = policies(folder)
    assert found
    assert all(policy.kl > 0.25 for policy in found)
    for policy in found:
        kept, there = folder_of(folder, policy.step), export.prepare(folder, policy.step)
        go(there, only_result=True)
        (name,) = (path.name for path in kept.glob("*.safetensors"))
        assert (kept / name).read_bytes() == (there / "output" / name).read_bytes()
        samples = [e for e in runs.events(folder) if e.get("kind") == "sample" and e["step"] == policy.step]
        writer = load([kept] if tune is ALL else [pretrained / "output", kept])
        texts = generate(writer, [sample["prompt"] for sample in samples], max_tokens=QUICK["max_tokens"], seed=1)
        assert [sample["text"] for sample in samples] == [output.text for output in texts]


def test_pretraining_texts_are_not_forgotten(ppo_run, corpus):
    """The same strong push towards the letter o, with and without PPO-ptx: the loss on the texts stays lower with it."""
    push = {"tune": ALL, "lr": 1e-2, "kl_coef": 0.0, "updates": 6}
    plain = ppo_run("plain", **push)
    kept = ppo_run("kept", {"pretraining": str(corpus)}, **push, ptx_coef=5.0, micro_batch=3)
    go(plain)
    go(kept)
    texts = [row["text"] for row in runs.stories() if row["split"] == "heldout"]
    forgotten, remembered = (documents_loss(load([folder / "output"]), texts).loss for folder in (plain, kept))
    assert remembered < forgotten - 0.3
    assert all(event["ptx_loss"] > 0 for event in updates(kept))
    assert "ptx_loss" not in updates(plain)[0]


@pytest.mark.parametrize("micro_batch", [None, 3])
def test_the_gradient_of_ptx_is_that_of_its_slow_twin(micro_batch, ppo_run, corpus, pretrained, monkeypatch):
    """Each piece by itself through the model, the loss over all their tokens; which pieces come depends on the step alone."""
    config = {"ptx_coef": 2.5, "ptx_batch": 7, "ptx_tokens": 20, "micro_batch": micro_batch, "tune": LORA}
    folder = ppo_run(inputs={"pretraining": str(corpus)}, **config)
    seen: dict[str, Any] = {}

    def look(ctx: Context) -> None:
        loaded = load(ctx.inputs["base"])
        ptx = Pretraining(ctx, loaded)
        apply(loaded, TuneLora(rank=4))
        with torch.no_grad():
            for parameter in trained_parameters(loaded).values():  # LoRA's zeros would hide half of the gradients
                parameter.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
        loss = ptx.backward(3)
        seen["gradients"] = {name: p.grad.clone() for name, p in trained_parameters(loaded).items()}
        loaded.model.zero_grad()
        texts = [row["text"] for row in runs.stories() if row["split"] == "train"]
        pieces = [ids[i : i + 21] for ids in encode_documents(loaded, texts) for i in range(0, len(ids) - 1, 20)]
        total, tokens = torch.zeros(()), 0
        for piece in (pieces[i] for i in ptx._pieces(3)):
            logits = loaded.model(torch.tensor([piece[:-1]])).logits[0]
            total = total + cross_entropy(logits, torch.tensor(piece[1:]), reduction="sum")
            tokens += len(piece) - 1
        (2.5 * total / tokens).backward()
        seen["twin"] = {name: p.grad.clone() for name, p in trained_parameters(loaded).items()}
        assert loss.item() == pytest.approx((total / tokens).item(), abs=1e-5)
        assert ptx.backward(4).item() != pytest.approx(loss.item(), abs=1e-7)
        again = Pretraining(ctx, load(ctx.inputs["base"]))  # from the cache, as after a resume
        assert again._pieces(3).tolist() == ptx._pieces(3).tolist()
        ctx.processes.share = slice(7, None, 8)  # of eight processes the last: there is no piece for it
        assert ptx.backward(3).item() == 0
        ctx.finish({})

    assert runs.go(folder, method=look, without=["reward_model"]) == 0
    for name, gradient in seen["gradients"].items():
        assert torch.allclose(gradient, seen["twin"][name], atol=1e-5), name
        assert gradient.abs().max() > 1e-4


def test_pretraining_texts_without_training_rows_are_refused(ppo_run, tmp_path):
    held = runs.write_rows(tmp_path / "held.jsonl", [{"text": "The cat", "split": "heldout"}])
    folder = ppo_run(inputs={"pretraining": str(held)}, ptx_coef=1.0)
    assert runs.go(folder, method=lambda ctx: train(ctx, round_letters), without=["reward_model"]) == 2
    assert [problem["id"] for problem in runs.status(folder)["problems"]] == ["no-pretraining-texts"]


# When it ends -----------------------------------------------------------------------------------------------------------------


def test_an_update_ends_where_it_has_gone_far_enough(ppo_run):
    far = {"tune": ALL, "lr": 1e-2, "epochs": 4}
    limited, unlimited, plain = ppo_run("a", **far, update_kl_limit=0.02), ppo_run("b", **far, update_kl_limit=100.0), ppo_run("c", **far)  # fmt: skip
    for folder in (limited, unlimited, plain):
        go(folder)
    steps = [event["optimizer_steps"] for event in updates(limited)]
    assert all(1 <= step < 8 for step in steps)
    assert all(event["approx_kl"] <= 0.02 for event in updates(limited))
    assert [event["optimizer_steps"] for event in updates(unlimited)] == [8, 8, 8]
    assert runs.weights(unlimited) == runs.weights(plain)
    assert runs.weights(limited) != runs.weights(plain)


def test_the_run_ends_above_its_largest_kl_and_says_why(ppo_run):
    """The result is what a run of so many updates would have made."""
    far = {"tune": ALL, "lr": 1e-2, "schedule": "constant", "kl_coef": 0.0}
    folder = ppo_run(**far, updates=12, kl_stop=4.0)
    go(folder)
    told = updates(folder)
    assert len(told) < 12
    assert told[-1]["kl"] > 4.0 >= max(event["kl"] for event in told[:-1])
    assert "ratio" not in told[-1]  # nothing was learned from these answers
    assert metrics(folder)["updates"] == len(told) - 1
    assert runs.status(folder)["state"] == "complete"
    [said] = [event["message"] for event in runs.events(folder) if event.get("message", {}).get("id") == "kl-stop"]
    assert said["params"] == {"updates": len(told) - 1, "planned": 12, "kl": told[-1]["kl"], "limit": 4.0}
    shorter = ppo_run("shorter", **far, updates=len(told) - 1)
    go(shorter)
    assert runs.weights(shorter) == runs.weights(folder)


# How answers end --------------------------------------------------------------------------------------------------------------


def test_an_answer_ends_before_a_stop_text_as_if_by_itself(ppo_run):
    seen: list[str] = []

    def keep(_asked: Any, answers: Any) -> list[float]:
        seen.extend(answers)
        return round_letters(_asked, answers)

    plain = ppo_run("plain", tune=ALL, max_tokens=24, stop=[])
    stopped = ppo_run("stopped", tune=ALL, max_tokens=24, stop=[".", "\\n"], missing_eos_penalty=50.0)
    go(plain, keep)
    assert any("." in text for text in seen)
    seen.clear()
    go(stopped, keep)
    assert seen
    assert not any("." in text or "\n" in text for text in seen)
    first, before = updates(stopped)[0], updates(plain)[0]
    assert first["eos_rate"] > before["eos_rate"]
    assert first["length"] < before["length"]
    assert (first["ratio_start"], first["kl"]) == (pytest.approx(1, abs=1e-6), pytest.approx(0, abs=1e-6))
    assert metrics(stopped)["eos_rate_start"] > metrics(plain)["eos_rate_start"]


# Rewards ----------------------------------------------------------------------------------------------------------------------


def test_an_ensemble_is_its_mean_less_its_spread_whatever_its_models_are_made_of(ppo_run, judges):
    inputs = {"reward_model": judges[0], "reward_model_2": judges[1]}
    folder = ppo_run(inputs=inputs, tune=LORA, reward_caution=0.5, updates=2)
    assert runs.go(folder) == 0
    pairs = [json.loads(line) for line in (folder / "samples.jsonl").open()]
    each = [rewards(load(chain), [(pair["prompt"], pair["after"]) for pair in pairs]) for chain in judges]
    for pair, first, second in zip(pairs, *each, strict=True):
        expected = (first + second) / 2 - 0.5 * abs(first - second) / 2
        assert pair["reward_after"] == pytest.approx(expected, abs=1e-4)
    event = updates(folder)[0]
    mean = (event["reward_1"] + event["reward_2"]) / 2
    assert event["reward"] == pytest.approx(mean - 0.5 * event["reward_spread"], abs=1e-5)
    assert (event["ratio_start"], event["kl"]) == (pytest.approx(1, abs=1e-6), pytest.approx(0, abs=1e-6))


def test_the_heads_of_one_reward_model_are_put_together_as_several_models_are(ppo_run, pretrained, tmp_path):
    chain = reward_model(tmp_path, pretrained / "output", rankings.rows(), 20, ensemble=3)
    config = {"tune": LORA, "reward_caution": 0.5, "reward_weights": [2.0], "updates": 2}
    folder = ppo_run("policy", {"reward_model": chain}, **config)
    assert runs.go(folder) == 0
    pairs = [json.loads(line) for line in (folder / "samples.jsonl").open()]
    heads = scores_of_members(load(chain), [(pair["prompt"], pair["after"]) for pair in pairs])
    for pair, scores in zip(pairs, heads.tolist(), strict=True):
        mean = sum(scores) / 3
        apart = (sum((score - mean) ** 2 for score in scores) / 3) ** 0.5
        assert apart > 1e-3
        assert pair["reward_after"] == pytest.approx(mean - 0.5 * apart, abs=1e-4)
    for event in updates(folder):
        assert event["reward_spread"] > 1e-3
        assert event["reward"] == pytest.approx(event["reward_1"] - 0.5 * event["reward_spread"], abs=1e-5)


def test_caution_about_a_reward_model_of_one_head_is_refused(ppo_run, judges):
    folder = ppo_run(inputs={"reward_model": judges[0]}, reward_caution=0.5)
    assert runs.go(folder) == 2
    [problem] = runs.status(folder)["problems"]
    assert (problem["id"], problem["params"]) == ("caution-of-one", {"field": "reward_caution"})


@pytest.fixture
def rewards_module(tmp_path, monkeypatch) -> Path:
    """A module of somebody's reward functions, where Python finds it."""
    file = tmp_path / "somebodys_rewards.py"
    file.write_text("def short(prompts, texts):\n    return [-len(text) / 10 for text in texts]\n\nnumber = 3\n")
    (tmp_path / "a_whole_program.py").write_text("raise SystemExit(2)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "somebodys_rewards", raising=False)
    return file


def test_a_function_is_called_where_the_environment_names_it(ppo_run, rewards_module, monkeypatch):
    monkeypatch.setenv("PERINGKAT_REWARD_FUNCTIONS", "somebodys_rewards.short")
    folder = ppo_run(reward_function="somebodys_rewards.short", tune=LORA, updates=1)
    assert runs.go(folder) == 0
    pairs = [json.loads(line) for line in (folder / "samples.jsonl").open()]
    assert all(pair["reward_after"] == pytest.approx(-len(pair["after"]) / 10) for pair in pairs)
    assert runs.status(folder)["reward_function"]["path"] == "somebodys_rewards.short"
    assert len(runs.status(folder)["reward_function"]["sha256"]) == 64


def test_a_function_beside_a_reward_model_is_one_more_in_the_mix(ppo_run, rewards_module, monkeypatch, judges):
    monkeypatch.setenv("PERINGKAT_REWARD_FUNCTIONS", "somebodys_rewards.short")
    given = {"reward_function": "somebodys_rewards.short", "reward_weights": [3.0, 1.0]}
    folder = ppo_run(inputs={"reward_model": judges[0]}, tune=LORA, updates=1, **given)
    assert runs.go(folder) == 0
    event = updates(folder)[0]
    assert event["reward"] == pytest.approx(0.75 * event["reward_1"] + 0.25 * event["reward_2"], abs=1e-5)


def test_one_reward_with_a_negative_weight_is_not_wanted(ppo_run, rewards_module, monkeypatch):
    monkeypatch.setenv("PERINGKAT_REWARD_FUNCTIONS", "somebodys_rewards.short")
    given = {"reward_function": "somebodys_rewards.short", "reward_weights": [-2.0]}
    folder = ppo_run(tune=LORA, updates=1, **given)
    assert runs.go(folder) == 0
    pairs = [json.loads(line) for line in (folder / "samples.jsonl").open()]
    assert all(pair["reward_after"] == pytest.approx(len(pair["after"]) / 10) for pair in pairs)
    assert updates(folder)[0]["reward"] == pytest.approx(-updates(folder)[0]["reward_1"])


@pytest.mark.parametrize(
    ("allowed", "path", "problem"),
    [
        ("", "somebodys_rewards.short", "functions-off"),
        ("somebodys_rewards.other", "somebodys_rewards.short", "function-not-allowed"),
        ("somebodys_rewards.gone", "somebodys_rewards.gone", "function-not-there"),
        ("somebodys_rewards.number", "somebodys_rewards.number", "function-not-there"),
        ("nobodys_rewards.short", "nobodys_rewards.short", "function-not-there"),
        ("a_whole_program.short", "a_whole_program.short", "function-not-there"),
    ],
)
def test_a_function_that_may_not_or_cannot_be_called_is_refused(
    allowed, path, problem, ppo_run, rewards_module, monkeypatch
):
    monkeypatch.setenv("PERINGKAT_REWARD_FUNCTIONS", allowed)
    folder = ppo_run(reward_function=path)
    assert runs.go(folder) == 2
    assert [each["id"] for each in runs.status(folder)["problems"]] == [problem]
    if problem != "function-not-there":
        assert "somebodys_rewards" not in sys.modules  # its code was not even read


# All at once ------------------------------------------------------------------------------------------------------------------


def test_with_every_option_stopped_and_resumed_is_the_same_as_never_stopped(ppo_run, judges, corpus):
    inputs = {"reward_model": judges[0], "reward_model_2": judges[1], "pretraining": str(corpus)}
    config = {
        "updates": 5, "lr": 3e-3, "tune": LORA, "reward_caution": 0.5, "reward_weights": [2.0, 1.0],
        "normalize_scores": "standardize", "score_clip": 3.0, "length_penalty": 0.01, "length_free": 4,
        "stop": ["."], "ptx_coef": 0.5, "ema_decay": 0.9, "dual_clip": 3.0, "update_kl_limit": 0.05, "kl_stop": 500.0,
        "kl_target": 2.0, "kl_horizon": 200,
    }  # fmt: skip
    whole, stopped = ppo_run("whole", inputs, **config), ppo_run("stopped", inputs, **config)
    assert runs.go(whole) == 0

    def interrupted(ctx: Context) -> None:
        tell = ctx.event

        def event(step: int, **numbers: Any) -> None:
            tell(step, **numbers)
            if step == 3:
                os.kill(os.getpid(), signal.SIGTERM)

        ctx.event = event
        train(ctx, reward_of(ctx))

    assert runs.go(stopped, method=interrupted) == 75
    assert runs.go(stopped) == 0
    assert runs.weights(stopped) == runs.weights(whole)
    assert runs.curves(stopped) == runs.curves(whole)
    assert notes(stopped) == notes(whole)
    assert metrics(stopped) == metrics(whole)
