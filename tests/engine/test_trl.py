"""DPO, KTO, RLOO and GRPO through TRL's trainers: exact at their start, measured against the chain they start from, and fed what was ranked."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from labeling.ranking import WeakOrder
from models_registry.lm import inspect
from models_registry.lm.chain import load
from models_registry.lm.generate import generate
from models_registry.lm.packed import Group
from models_registry.lm.score import logprobs, rewards
from training.engine import methods
from training.engine.contract import check_config
from training.engine.methods.dpo.train import pair_rows
from training.engine.methods.kto.train import labels, mismatched
from training.engine.trl.bridge import lent
from training.engine.trl.rankings import Ranking, told_apart

from . import rankings, runs
from .tiny import causal_lm

LORA = {"kind": "lora", "rank": 4}
QUICK: dict[str, dict[str, Any]] = {
    "dpo": {"max_steps": 3, "batch_size": 8, "eval_every": 2, "sample_tokens": 4, "lr": 3e-3, "tune": LORA},
    "kto": {"max_steps": 3, "batch_size": 8, "eval_every": 2, "sample_tokens": 4, "lr": 3e-3, "tune": LORA},
    "rloo": {"updates": 3, "episodes": 8, "group_size": 4, "max_tokens": 6, "heldout_prompts": 4, "lr": 3e-3, "tune": LORA},
    "grpo": {"updates": 3, "episodes": 8, "group_size": 4, "max_tokens": 6, "heldout_prompts": 4, "lr": 3e-3, "tune": LORA},
}  # fmt: skip
WRITING = ("rloo", "grpo")


def foxes(_prompts: Any, completions: Any) -> list[float]:
    """A reward function: foxes are liked, and so is an early end."""
    return [rankings.taste(text) - len(text) / 20 for text in completions]


def with_lines() -> list[dict[str, Any]]:
    """The tests' rankings, with the line under the first tier."""
    return [row | {"ranking": row["ranking"].replace(">", "|", 1)} for row in rankings.rows() if ">" in row["ranking"]]


def go(folder: Path, *, stop_at: int | None = None) -> int:
    """Carry a run out, where the method writes with `foxes` as its reward; `stop_at`: SIGTERM to this process when that update is told."""
    method = json.loads((folder / "run.json").read_text())["method"]

    def carry_out(ctx: Any) -> None:
        if stop_at is not None:
            tell = ctx.event

            def event(step: int, **numbers: Any) -> None:
                tell(step, **numbers)
                if step == stop_at and "lr" in numbers:
                    os.kill(os.getpid(), signal.SIGTERM)

            ctx.event = event
        if method in WRITING:
            methods.run_of(method).__globals__["train"](ctx, foxes)
        else:
            methods.run_of(method)(ctx)

    return runs.go(folder, method=carry_out, without=["reward_model"])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    ranked = runs.write_rows(folder / "rankings.jsonl", rankings.rows())
    lines = runs.write_rows(folder / "lines.jsonl", with_lines())
    return {"dpo": ranked, "kto": lines, "rloo": ranked, "grpo": ranked}


@pytest.fixture
def make(tmp_path, pretrained, data) -> Callable[..., Path]:
    def write(method: str, name: str = "run", base: tuple[Path, ...] = (), seed: int = 1, **config: Any) -> Path:
        inputs = {"base": [str(link) for link in (pretrained / "output", *base)], "dataset": str(data[method])}
        return runs.write_run(tmp_path / name, method, QUICK[method] | config, inputs, seed=seed)

    return write


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, pretrained) -> Path:
    """An adapter over the pretrained model that makes it write something else."""
    folder = tmp_path_factory.mktemp("runs")
    sft = runs.write_rows(folder / "sft.jsonl", runs.questions())
    run = runs.write_run(
        folder / "tuned",
        "finetune",
        {"max_steps": 20, "batch_size": 8, "lr": 1e-2, "tune": LORA},
        {"base": [str(pretrained / "output")], "dataset": str(sft)},
    )
    assert runs.go(run) == 0
    return run / "output"


def updates(folder: Path) -> list[dict[str, Any]]:
    return [event for event in runs.events(folder) if "lr" in event]


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "output" / "metrics.json").read_text())


def starts_from_itself(method: str, folder: Path) -> bool:
    """Whether before the first step the model is its own reference."""
    first = updates(folder)[0]
    if method in WRITING:
        return first["kl"] == pytest.approx(0, abs=1e-5)
    before = next(event for event in runs.events(folder) if event.get("step") == 0 and "heldout_loss" in event)
    margins = [first["margin"], first["chosen_reward"], before["heldout_margin"], before["heldout_chosen_reward"]]
    return margins == pytest.approx([0] * 4, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", list(QUICK))
def test_a_run_starts_from_itself_moves_and_leaves_an_adapter(method, make, pretrained):
    folder = make(method)
    before = {path.name: path.read_bytes() for path in (pretrained / "output").iterdir()}
    assert go(folder) == 0
    assert starts_from_itself(method, folder)
    told = updates(folder)
    assert [event["step"] for event in told] == [1, 2, 3]
    moved = [event["kl"] if method in WRITING else event["chosen_reward"] for event in told]
    assert moved[0] == pytest.approx(0, abs=1e-5)
    assert abs(moved[-1]) > 1e-4
    assert {event["slot"] for event in runs.events(folder) if event.get("kind") == "sample"}
    status = runs.status(folder)
    assert status["progress"] == 1
    assert 0 < status["trained_parameters"] < status["total_parameters"]
    assert metrics(folder)["trained_parameters"] == status["trained_parameters"]
    assert status["tokens_seen"] == told[-1]["tokens"] > 0
    assert inspect.describe(folder / "output").kind == "adapter"
    chain = load([pretrained / "output", folder / "output"])
    assert chain.adapters == ("link1",)
    assert {path.name: path.read_bytes() for path in (pretrained / "output").iterdir()} == before
    figures = metrics(folder)
    if method in WRITING:
        assert figures["wins"] + figures["ties"] + figures["losses"] == figures["heldout_prompts"] == 4
        assert figures["kl_per_token"] != 0
    else:
        assert figures["heldout_accuracy_low"] <= figures["heldout_accuracy"] <= figures["heldout_accuracy_high"]
        assert figures["heldout_loss"] == [e for e in runs.events(folder) if "heldout_loss" in e][-1]["heldout_loss"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dpo", "grpo"])
def test_the_reference_is_the_chain_and_not_its_root(method, make, pretrained, tuned):
    folder = make(method, base=(tuned,))
    assert go(folder) == 0
    assert starts_from_itself(method, folder)
    root, start = load([pretrained / "output"]), load([pretrained / "output", tuned])
    texts = [generate(model, ["The cat met"], max_tokens=8, seed=5, samples=3) for model in (root, start)]
    assert [output.text for output in texts[0]] != [output.text for output in texts[1]]
    assert load([pretrained / "output", tuned, folder / "output"]).adapters == ("link1", "link2")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dpo", "rloo"])
def test_with_all_weights_the_reference_is_the_start_and_the_model_keeps_its_settings(method, make, pretrained):
    folder = make(method, tune={"kind": "all"})
    assert go(folder) == 0
    assert starts_from_itself(method, folder)
    assert updates(folder)[-1]["kl" if method in WRITING else "chosen_reward"] != 0
    start, result = pretrained / "output", folder / "output"
    assert inspect.describe(result).kind == "full"
    for name in ("config.json", "tokenizer.json", "generation_config.json"):
        assert (result / name).read_bytes() == (start / name).read_bytes()
    before, after = (json.loads((folder / "tokenizer_config.json").read_text()) for folder in (start, result))
    assert before.get("pad_token") == after.get("pad_token")  # TRL wants one; the result does not show it
    assert (result / "model.safetensors").read_bytes() != (start / "model.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "config", "stop_at"),
    [
        ("dpo", {"max_steps": 6, "batch_size": 8, "micro_batch": 4, "ties": "both"}, 3),
        ("grpo", {"updates": 4, "episodes": 16, "minibatches": 2, "epochs": 2, "micro_batch": 4}, 2),
        ("kto", {"max_steps": 6}, 4),
        ("rloo", {"updates": 4, "minibatches": 2, "tune": {"kind": "all"}}, 1),
    ],
)
def test_stopped_and_resumed_is_the_same_as_never_stopped(method, config, stop_at, make):
    whole, stopped = (make(method, name, **config) for name in ("whole", "stopped"))
    assert go(whole) == 0
    assert go(stopped, stop_at=stop_at) == 75
    assert runs.status(stopped)["state"] == "stopped"
    assert runs.status(stopped)["checkpoint_step"] == stop_at
    assert go(stopped) == 0
    assert [event["step"] for event in runs.events(stopped) if event.get("kind") == "attempt"] == [0, stop_at]
    assert runs.weights(stopped) == runs.weights(whole)
    assert runs.curves(stopped) == runs.curves(whole)
    assert metrics(stopped) == metrics(whole)
    assert runs.status(stopped)["tokens_seen"] == runs.status(whole)["tokens_seen"]


@pytest.mark.slow
def test_an_answer_that_meets_a_stop_text_has_ended(make, tmp_path):
    """Here an e, of which the tiny model writes many."""
    for name, stop in (("plain", []), ("stopped", ["e"])):
        assert go(make("grpo", name, updates=1, max_tokens=16, stop=stop)) == 0
    plain, stopped = (updates(tmp_path / name)[0] for name in ("plain", "stopped"))
    assert stopped["eos_rate"] > plain["eos_rate"]
    assert stopped["length"] < plain["length"]
    shown = [event["text"] for event in runs.events(tmp_path / "stopped") if event.get("kind") == "sample"]
    assert shown
    assert not any("e" in text for text in shown)


@pytest.mark.slow
def test_a_held_out_loss_that_rises_is_told(make):
    """Held-out rankings that say the opposite: what is learned is worth nothing to them."""
    folder = make("dpo", max_steps=8, sample_prompts=0)
    rows = [
        row | ({"ranking": " > ".join(reversed(row["ranking"].split(" > ")))} if row["split"] == "heldout" else {})
        for row in rankings.rows()
    ]
    order = json.loads((folder / "run.json").read_text())
    order["inputs"]["dataset"] = str(runs.write_rows(folder.parent / "opposite.jsonl", rows))
    (folder / "run.json").write_text(json.dumps(order))
    assert go(folder) == 0
    notes = {e["message"]["id"]: e["message"]["params"] for e in runs.events(folder) if e.get("kind") == "note"}
    assert notes["learned-by-heart"]["step"] < 8
    assert metrics(folder)["heldout_accuracy"] < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dpo", "grpo"])
@pytest.mark.parametrize("kind", ["last_layers", "head", "serial", "parallel", "ia3", "prefix", "soft_prompt"])
def test_whatever_moves_trl_trains_it_and_nothing_else(kind, method, make, pretrained):
    folder = make(method, tune={"kind": kind})
    assert go(folder) == 0
    figures = metrics(folder)
    assert figures["untouched"]["changed"] == 0
    assert figures["base_sha256_before"] == figures["base_sha256_after"]
    told = updates(folder)
    if kind not in ("prefix", "soft_prompt"):  # these have an effect before the first step
        assert starts_from_itself(method, folder)
    assert (
        told[-1]["kl" if method in WRITING else "chosen_reward"]
        != told[0]["kl" if method in WRITING else "chosen_reward"]
    )
    result = folder / "output"
    links = [result] if inspect.describe(result).kind == "full" else [pretrained / "output", result]
    start, end = load([pretrained / "output"]), load(links)
    pair = [("The cat met", " the fox.")]
    assert logprobs(start, pair)[0] != pytest.approx(logprobs(end, pair)[0], abs=1e-6)


@pytest.mark.slow
def test_trl_and_this_program_read_the_same_tokens(make, pretrained):
    """The log-probabilities that TRL tells of the held-out pairs are those that score.logprobs gives their texts."""
    folder = make("dpo", max_steps=1, batch_size=4, micro_batch=2)
    assert go(folder) == 0
    before = next(event for event in runs.events(folder) if "heldout_loss" in event)
    loaded = load([pretrained / "output"])
    better = [
        (row["prompt"], row["completions"][a])
        for row in rankings.rows()
        if row["split"] == "heldout"
        for a, b in WeakOrder.parse(row["ranking"], items=4).strict_pairs()
        if row["completions"][a] != row["completions"][b]
    ]
    sums = [sum(values) for values in logprobs(loaded, better)]
    # TRL means over batches, the last of which may be shorter.
    batches = [np.mean(sums[begin : begin + 2]) for begin in range(0, len(sums), 2)]
    assert before["heldout_chosen_logprob"] == pytest.approx(np.mean(batches), rel=1e-5)


def test_positions_are_counted_from_the_first_real_token(pretrained):
    """TRL pads prompts in front and tells no positions; a model that learned its positions must not notice."""
    loaded = load([pretrained / "output"])
    loaded.model = causal_lm("gpt2")
    ids = torch.tensor([[5, 6, 7, 8]])
    shifted, mask = torch.tensor([[0, 0, 0, 5, 6, 7, 8]]), torch.tensor([[0, 0, 0, 1, 1, 1, 1]])
    with torch.no_grad():
        plain = loaded.model(input_ids=ids).logits
        assert not torch.allclose(loaded.model(input_ids=shifted, attention_mask=mask).logits[:, 3:], plain, atol=1e-3)
        with lent(loaded):
            assert torch.allclose(loaded.model(input_ids=shifted, attention_mask=mask).logits[:, 3:], plain, atol=1e-5)


# From rankings to rows


def ranked(text: str, *answers: list[int]) -> Ranking:
    return Ranking("p", Group([1], list(answers)), WeakOrder.parse(text, items=len(answers)))


def rows_of(text: str, ties: str, *answers: list[int]) -> list[tuple[list[int], list[int]]]:
    return [(row["chosen_ids"], row["rejected_ids"]) for row in pair_rows(ranked(text, *answers), ties)]


def test_a_tie_never_becomes_one_pair_with_a_winner():
    a, b, c = [10], [20], [30]
    assert rows_of("A > B = C", "drop", a, b, c) == [(a, b), (a, c)]
    assert rows_of("A > B = C", "both", a, b, c) == [(a, b), (a, c), (b, c), (c, b)]
    assert rows_of("A = B = C", "drop", a, b, c) == []
    assert len(rows_of("A = B = C", "both", a, b, c)) == 6
    assert rows_of("A > *", "both", a, b, c) == [(a, b), (a, c)]  # nothing is said within the rest
    assert rows_of("A > B > C", "drop", a, a, c) == [(a, c), (a, c)]  # two copies of one text teach nothing
    total = 0
    for row in rankings.rows():
        order = WeakOrder.parse(row["ranking"], items=4)
        for ties, count in (("drop", 1), ("both", 2)):
            found = order.pairs(ties)
            assert len(found) == len(order.strict_pairs()) + (count - 1) * 2 * len(order.tied_pairs())
            total += len(found)
    assert total > 500


@pytest.mark.slow
def test_a_tie_in_two_rows_pulls_two_answers_together_and_no_further(make):
    """With nothing but ties, DPO's loss is at its least where it begins, and the model stays where it is."""
    folder = make("dpo", ties="both", max_steps=4)
    rows = [row | {"ranking": "A = B = C = D"} for row in rankings.rows()]
    tied = runs.write_rows(folder.parent / "tied.jsonl", [row for row in rows if row["split"] == "train"])
    order = json.loads((folder / "run.json").read_text())
    order["inputs"]["dataset"] = str(tied)
    order["config"] |= {"batch_size": 600, "micro_batch": 100, "max_steps": 1}
    (folder / "run.json").write_text(json.dumps(order))
    assert go(folder) == 0
    (event,) = updates(folder)
    assert event["grad_norm"] < 0.05  # pairs of both ways cancel, but for the epoch's border
    assert event["loss"] == pytest.approx(np.log(2), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A > B | C", (True, True, False)),
        ("| A > B > C", (False, False, False)),
        ("A | *", (True, False, False)),
        ("A > B", (True, False, None)),
        ("A > B > C", (True, None, False)),
        ("A = B > C", (True, True, False)),
        ("A > *", (True, False, False)),
        ("A = B = C", (None, None, None)),
    ],
)
def test_answers_are_wanted_by_the_line_or_by_the_first_and_last_tier(text, expected):
    order = WeakOrder.parse(text, items=3)
    assert labels(order, tiers=True) == expected
    assert labels(order, tiers=False) == (expected if order.line is not None else (None, None, None))


def test_kto_pairs_each_prompt_with_a_neighbours_answer():
    rows = [{"completion_ids": [n]} for n in range(5)]
    assert [row["KL_completion_ids"] for row in mismatched(rows, 3)] == [[2], [0], [1], [4], [3]]
    assert mismatched(rows, None) == rows


@pytest.mark.slow
def test_kto_wants_a_line_or_to_be_told_what_else(make, data, pretrained):
    refused = make("kto", "refused")
    order = json.loads((refused / "run.json").read_text())
    order["inputs"]["dataset"] = str(data["dpo"])
    (refused / "run.json").write_text(json.dumps(order))
    assert go(refused) == 2
    assert [problem["id"] for problem in runs.status(refused)["problems"]] == ["no-line"]
    guessed = make("kto", "guessed", without_line="tiers")
    order["config"]["without_line"] = "tiers"
    (guessed / "run.json").write_text(json.dumps(order))
    assert go(guessed) == 0
    figures = metrics(guessed)
    assert figures["wanted"] * figures["desirable_weight"] == pytest.approx(
        figures["unwanted"] * figures["undesirable_weight"]
    )


def test_pairs_are_told_apart_by_what_was_learned():
    """Three prompts: the implicit reward of β · (end − start) against likelihood alone, by hand."""
    some = [
        Ranking("p", Group([n], [[1, 1], [2]]), WeakOrder.parse(text, items=2))
        for n, text in enumerate(["A > B", "B > A", "A = B"])
    ]
    start = [np.array([-4.0, -3.0]), np.array([-4.0, -3.0]), np.array([0.0, 0.0])]
    end = [np.array([-2.0, -3.0]), np.array([-2.0, -3.5]), np.array([9.0, 0.0])]
    found = told_apart(some, start, end, beta=0.5)
    assert found["heldout_pairs"] == 2
    assert found["heldout_accuracy"] == 0.5  # +1.0 the right way, −1.25 the wrong way
    assert found["heldout_margin"] == pytest.approx((1.0 - 1.25) / 2)
    assert found["heldout_likelihood_accuracy_start"] == 0.5  # a token: −2 beats −3
    assert found["heldout_likelihood_accuracy"] == 0.5
    assert told_apart(some[2:], start[2:], end[2:], beta=0.5) == {}


# Settings


@pytest.mark.parametrize(
    ("method", "config"),
    [
        ("dpo", {"label_smoothing": 0.1}),
        ("dpo", {"loss": "robust", "label_smoothing": 0.5}),
        ("dpo", {"ties": "rows"}),
        ("kto", {"batch_size": 8, "micro_batch": 1}),
        ("rloo", {"group_size": 1}),
        ("grpo", {"loss": "ppo"}),
    ],
)
def test_settings_that_do_not_fit_are_refused(method, config):
    found, problems = check_config(method, config)
    assert found is None
    assert len(problems) == 1
    with pytest.raises(ValidationError):
        methods.config_of(method)(**config)


@pytest.mark.parametrize(
    ("method", "config", "field"),
    [
        ("dpo", {"batch_size": 8, "micro_batch": 3}, "micro_batch"),
        ("rloo", {"episodes": 10, "group_size": 5, "minibatches": 4}, "minibatches"),
        ("rloo", {"episodes": 10, "group_size": 4}, "group_size"),
        ("grpo", {"episodes": 16, "minibatches": 2, "micro_batch": 3}, "micro_batch"),
    ],
)
def test_numbers_that_do_not_divide_are_refused_where_they_stand(method, config, field):
    found, wrong = check_config(method, config)
    assert wrong == []
    assert [problem.params["field"] for problem in found.problems(set())] == [field]


@pytest.mark.parametrize("method", list(QUICK))
def test_dropout_would_set_policy_and_reference_apart(method):
    config = methods.config_of(method)(tune={"kind": "lora", "dropout": 0.1})
    assert [problem.id for problem in config.problems(set())] == ["dropout-off"]
    assert methods.config_of(method)().problems(set()) == []


@pytest.mark.slow
@pytest.mark.parametrize("method", WRITING)
def test_a_reward_model_scores_what_is_written(method, data, pretrained, judge, tmp_path):
    inputs = {"base": [str(pretrained / "output")], "reward_model": [str(judge)], "dataset": str(data[method])}
    folder = runs.write_run(tmp_path / "run", method, QUICK[method] | {"updates": 1}, inputs)
    assert runs.go(folder) == 0
    pairs = [json.loads(line) for line in (folder / "samples.jsonl").open()]
    expected = rewards(load([judge]), [(pair["prompt"], pair["after"]) for pair in pairs])
    assert [pair["reward_after"] for pair in pairs] == pytest.approx(expected, abs=1e-5)
