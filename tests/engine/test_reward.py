"""Reward models from rankings: they learn, they say how well, they refuse what they cannot learn from, and they resume exactly."""

import itertools
import json
import shutil
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from labeling.ranking import WeakOrder
from models_registry.lm import inspect
from models_registry.lm.chain import load
from models_registry.lm.heads import into_reward, read_scale
from models_registry.lm.members import read_members, spread
from models_registry.lm.packed import Group
from models_registry.lm.score import rewards, scores_of_members
from training.engine.methods import config_of
from training.engine.methods.reward import rankings as rankings_of_run
from training.engine.methods.reward.judging import calibration
from training.engine.methods.reward.report import Pairs, Scored
from training.engine.methods.reward.train import outcomes
from training.engine.preferences import RaoKupper

from . import rankings, runs

pytestmark = pytest.mark.slow  # each trains a model, if a tiny one

QUICK = {"lr": 3e-3, "epochs": 8, "batch_size": 8, "patience": None, "precision": "fp32"}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Path:
    return runs.write_rows(tmp_path_factory.mktemp("data") / "rankings.jsonl", rankings.rows())


def reward_run(folder: Path, base: list[Path], data: Path, **config: Any) -> Path:
    return runs.write_run(
        folder, "reward", QUICK | config, {"base": [str(link) for link in base], "dataset": str(data)}
    )


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "output" / "metrics.json").read_text())


def notes(folder: Path) -> list[str]:
    return [event["message"]["id"] for event in runs.events(folder) if event.get("kind") == "note"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pretrained, snapshot) -> Path:
    """A finished reward run on all weights."""
    folder = reward_run(tmp_path_factory.mktemp("runs") / "reward", [pretrained / "output"], snapshot)
    assert runs.go(folder) == 0
    return folder


def test_it_learns_the_hidden_taste(trained):
    found = metrics(trained)
    assert found["accuracy"] > 0.9
    assert found["accuracy_low"] <= found["accuracy"] <= found["accuracy_high"]
    assert found["tie_aware_accuracy"] > 0.7
    assert found["log_loss_three_way"] < found["log_loss_chance"]
    assert found["theta"] > 1
    assert found["train_rankings"] == 48
    assert found["heldout_rankings"] == 12
    assert notes(trained) == ["prompt-shared"]
    assert {row["of"] for row in found["judged"]["by_annotator"]} == {"p0", "p1", "p2"}
    assert sum(row["pairs"] for row in found["judged"]["by_distance"]) == found["heldout_strict_pairs"]


def test_its_scores_have_mean_zero_and_deviation_one_on_the_training_set(trained, snapshot):
    judge = load([trained / "output"])
    assert judge.head == "reward"
    train = [row for row in map(json.loads, snapshot.open()) if row["split"] == "train"]
    pairs = [(row["prompt"], text) for row in train for text in row["completions"]]
    scores = np.array(rewards(judge, pairs))
    assert scores.mean() == pytest.approx(0, abs=1e-4)
    assert scores.std() == pytest.approx(1, abs=1e-4)
    scale = read_scale(trained / "output")
    assert (scale.mean, scale.std) == (metrics(trained)["score_mean"], metrics(trained)["score_std"])
    liked = [score for (_prompt, text), score in zip(pairs, scores, strict=True) if rankings.taste(text) == 2]
    others = [score for (_prompt, text), score in zip(pairs, scores, strict=True) if rankings.taste(text) == 0]
    assert min(liked) > np.mean(others)


def test_the_result_is_a_folder_that_the_registry_knows_as_a_reward_model(trained):
    about = inspect.describe(trained / "output")
    assert (about.kind, about.head, about.problems) == ("full", "reward", [])
    assert about.architecture.endswith("ForSequenceClassification")


@pytest.mark.parametrize(
    ("loss", "tie", "least"),
    [("davidson", "nu", 0), ("plackett_luce", "delta_2", 0), ("bradley_terry", "theta", 1), ("soft", "theta", 1)],
)
def test_every_loss_learns_and_gets_a_tie_model(loss, tie, least, tmp_path, pretrained, snapshot):
    folder = reward_run(tmp_path / "run", [pretrained / "output"], snapshot, loss=loss)
    assert runs.go(folder) == 0
    found = metrics(folder)
    assert found["accuracy"] > 0.85
    assert found[tie] > least
    assert found["log_loss_three_way"] < found["log_loss_chance"]


def test_an_adapter_keeps_its_head_and_scores_the_same_from_disk(tmp_path, pretrained, snapshot):
    """On a chain whose own adapter (a language model's) stays on below it."""
    language = runs.write_run(
        tmp_path / "language",
        "finetune",
        {"max_steps": 5, "batch_size": 4, "lr": 1e-2, "tune": {"kind": "lora", "rank": 2}},
        {"base": [str(pretrained / "output")], "dataset": str(write_sft(tmp_path))},
    )
    assert runs.go(language) == 0
    chain = [pretrained / "output", language / "output"]
    folder = reward_run(tmp_path / "run", chain, snapshot, tune={"kind": "lora", "rank": 8, "alpha": 16}, epochs=12)
    assert runs.go(folder) == 0
    found = metrics(folder)
    assert found["accuracy"] > 0.8
    assert found["trained_parameters"] < 0.5 * found["total_parameters"]
    about = inspect.describe(folder / "output")
    assert (about.kind, about.head) == ("adapter", "reward")

    judge = load([*chain, folder / "output"])
    heldout = [row for row in map(json.loads, snapshot.open()) if row["split"] == "heldout"]
    right = strict = 0
    for row in heldout:
        scores = rewards(judge, [(row["prompt"], text) for text in row["completions"]])
        tastes = [rankings.taste(text) for text in row["completions"]]
        pairs = [(a, b) for a in range(4) for b in range(4) if tastes[a] > tastes[b]]
        right, strict = right + sum(scores[a] > scores[b] for a, b in pairs), strict + len(pairs)
    assert right / strict == pytest.approx(found["accuracy"], abs=1e-9)


def write_sft(folder: Path) -> Path:
    return runs.write_rows(folder / "questions.jsonl", runs.questions())


def test_a_reward_model_can_be_trained_further(tmp_path, trained, snapshot):
    folder = reward_run(tmp_path / "run", [trained / "output"], snapshot, lr=1e-5, epochs=1)
    assert runs.go(folder) == 0
    first = next(event for event in runs.events(folder) if "heldout_accuracy" in event)
    assert first["heldout_accuracy"] == pytest.approx(metrics(trained)["accuracy"])


def test_outputs_scored_one_by_one_give_the_same_model(tmp_path, trained, pretrained, snapshot):
    folder = reward_run(tmp_path / "run", [pretrained / "output"], snapshot, share_prompt=False)
    assert runs.go(folder) == 0
    assert not metrics(folder)["prompt_shared"]
    shared, separate = (
        [e["heldout_log_loss"] for e in runs.events(f) if "heldout_log_loss" in e] for f in (trained, folder)
    )
    assert shared[0] == pytest.approx(separate[0], abs=1e-5)
    assert metrics(trained)["log_loss"] == pytest.approx(metrics(folder)["log_loss"], abs=0.05)


def test_the_best_weights_are_kept_and_the_run_ends_early(tmp_path, pretrained):
    """Rankings by dice: what is learned of them makes the held-out loss worse."""
    data = runs.write_rows(tmp_path / "rankings.jsonl", rankings.meaningless())
    folder = reward_run(tmp_path / "run", [pretrained / "output"], data, lr=0.01, epochs=30, patience=2, eval_every=3)
    assert runs.go(folder) == 0
    looks = [(e["step"], e["heldout_log_loss"]) for e in runs.events(folder) if "heldout_log_loss" in e]
    best = min(looks, key=lambda look: look[1])
    found = metrics(folder)
    assert (found["best_step"], found["log_loss"]) == best
    assert looks[-1][0] == best[0] + 6 < found["steps"]
    assert "ended-early" in notes(folder)
    # What is saved are the weights of then.
    assert slow_log_loss(folder, data) == pytest.approx(found["log_loss_three_way"], abs=1e-3)
    assert slow_log_loss(folder, data) == pytest.approx(best[1], abs=1e-3)


def slow_log_loss(folder: Path, data: Path) -> float:
    """Held-out three-way log-loss from the saved model, its scale and θ, pair by pair."""
    judge, found = load([folder / "output"]), metrics(folder)
    losses = []
    for row in map(json.loads, data.open()):
        if row["split"] == "heldout":
            scores = rewards(judge, [(row["prompt"], text) for text in row["completions"]])
            order = WeakOrder.parse(row["ranking"])
            for better, worse in order.strict_pairs():
                d = (scores[better] - scores[worse]) * found["score_std"]
                losses.append(np.log(1 + found["theta"] * np.exp(-d)))
            assert not order.tied_pairs()
    return float(np.mean(losses))


@pytest.mark.parametrize(
    ("change", "config", "problem"),
    [
        (lambda row: row | {"split": "train"}, {}, "no-heldout"),
        (lambda row: row | {"split": "heldout"}, {}, "no-rankings"),
        (lambda row: row | {"split": "train"}, {"line_weight": 1.0}, "no-line"),
        (lambda row: row | {"ranking": "A = B = C = D"}, {"loss": "bradley_terry"}, "all-tied"),
        (lambda row: row | {"weight": 0}, {}, "no-weight"),
        (lambda row: row | {"prompt": row["prompt"] + " and then" * 60}, {}, "too-long"),
        (lambda row: row | {"ranking": "A > B > E"}, {}, "bad-row"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_with_its_reason(
    change, config, problem, tmp_path, pretrained, snapshot
):
    data = runs.write_rows(tmp_path / "rankings.jsonl", [change(row) for row in map(json.loads, snapshot.open())])
    folder = reward_run(tmp_path / "run", [pretrained / "output"], data, **config)
    assert runs.go(folder) == 2
    problems = runs.status(folder)["problems"]
    assert problem in [found["id"] for found in problems]
    assert not (folder / "output").exists()
    if problem == "too-long":
        params = next(found["params"] for found in problems if found["id"] == problem)
        assert params["number"] == params["all"] == 60
        assert params["longest"] > params["limit"] == 64
    if problem == "bad-row":
        assert "line 1" in problems[0]["text"] % problems[0]["params"]
        assert "E" in problems[0]["text"] % problems[0]["params"]


@pytest.mark.parametrize(
    ("train", "heldout", "problems"),
    [
        ("A > B > C > D", None, ["None of the 48 rankings is held out"]),
        (None, "A > B > C > D", ["all 12 are held out. Hold out fewer prompts."]),
        ("A", "A > B > C > D", ["none of the 48 training rankings says anything about two outputs"]),
        ("A > B > C > D", "B", ["None of the 12 held-out rankings says anything about two outputs"]),
        (
            "A = B = C = D",
            "A = B = C = D",
            ["All 48 training rankings tie everything", "All 12 held-out rankings tie"],
        ),
    ],
)
def test_a_refusal_says_how_many_and_which(train, heldout, problems, tmp_path, pretrained, snapshot):
    said = {"train": train, "heldout": heldout}
    rows = [row | {"ranking": said[row["split"]]} for row in map(json.loads, snapshot.open()) if said[row["split"]]]
    assert_refused(tmp_path, pretrained, rows, problems)


def test_prompts_that_are_all_in_both_splits_leave_none_to_train_on(tmp_path, pretrained, snapshot):
    rows = [row | {"split": split} for row in map(json.loads, snapshot.open()) for split in ("train", "heldout")]
    assert_refused(tmp_path, pretrained, rows, ["the prompts of all 60 training rankings are held out too"])


def assert_refused(folder: Path, pretrained: Path, rows: list[dict[str, Any]], problems: list[str]) -> None:
    run = reward_run(folder / "run", [pretrained / "output"], runs.write_rows(folder / "rankings.jsonl", rows))
    assert runs.go(run) == 2
    told = [found["text"] % found["params"] for found in runs.status(run)["problems"]]
    assert len(told) == len(problems)
    assert all(part in text for part, text in zip(problems, told, strict=True))


def test_all_problems_are_told_at_once(tmp_path, pretrained, snapshot):
    """Nothing held out, and too long as well."""
    changed = [
        row | {"split": "train", "prompt": row["prompt"] + " and then" * 60}
        for row in map(json.loads, snapshot.open())
    ]
    data = runs.write_rows(tmp_path / "rankings.jsonl", changed)
    folder = reward_run(tmp_path / "run", [pretrained / "output"], data)
    assert runs.go(folder) == 2
    assert {found["id"] for found in runs.status(folder)["problems"]} == {"no-heldout", "too-long"}


def test_too_long_texts_are_cut_when_allowed_and_it_says_so(tmp_path, pretrained, snapshot):
    changed = [row | {"prompt": "and then " * 60 + row["prompt"]} for row in map(json.loads, snapshot.open())]
    data = runs.write_rows(tmp_path / "rankings.jsonl", changed)
    folder = reward_run(tmp_path / "run", [pretrained / "output"], data, truncate=True, epochs=4)
    assert runs.go(folder) == 0
    assert "cut" in notes(folder)


def test_a_prompt_in_both_splits_is_not_trained_on_and_rankings_that_say_nothing_are_left_out(
    tmp_path, pretrained, snapshot
):
    changed = list(map(json.loads, snapshot.open()))
    changed[0]["prompt"] = changed[1]["prompt"]
    changed[2]["ranking"] = "B"
    data = runs.write_rows(tmp_path / "rankings.jsonl", changed)
    folder = reward_run(tmp_path / "run", [pretrained / "output"], data, epochs=1)
    assert runs.go(folder) == 0
    assert {"prompt-in-both", "silent-rankings"} <= set(notes(folder))
    assert metrics(folder)["train_rankings"] == 46


def test_a_share_of_the_prompts_is_part_of_every_larger_one():
    ranked = [ranking_of(f"prompt {number // 2}") for number in range(80)]  # two people rank each
    shares = [rankings_of_run.some_prompts(ranked, share) for share in (0.001, 0.25, 0.5, 1.0)]
    assert [len(share) for share in shares] == [2, 20, 40, 80]
    for fewer, more in itertools.pairwise(shares):
        assert {id(ranking) for ranking in fewer} <= {id(ranking) for ranking in more}
    assert shares[-1] == ranked
    backwards = rankings_of_run.some_prompts(ranked[::-1], 0.25)
    assert {ranking.prompt for ranking in backwards} == {ranking.prompt for ranking in shares[1]}
    # Not simply the first ones: a file may be in an order that means something.
    assert {ranking.prompt for ranking in shares[1]} != {f"prompt {number}" for number in range(10)}


def ranking_of(prompt: str) -> rankings_of_run.Ranking:
    order = WeakOrder.parse("A > B")
    return rankings_of_run.Ranking(Group([1], [[2], [3]]), order, 1.0, (1, 1), None, prompt, prompt, order, (0, 1))


def test_a_run_on_a_share_of_the_prompts_says_how_many_and_is_judged_on_all_that_is_held_out(
    tmp_path, pretrained, snapshot
):
    folder = reward_run(tmp_path / "run", [pretrained / "output"], snapshot, train_share=0.25, epochs=1)
    assert runs.go(folder) == 0
    assert (metrics(folder)["train_rankings"], metrics(folder)["heldout_rankings"]) == (12, 12)
    assert "share-of-prompts" in notes(folder)


@pytest.mark.skipif(
    not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()),
    reason="a processor without bf16",
)
def test_in_bf16_it_learns_as_well_and_its_figures_are_those_it_has_in_fp32(tmp_path, pretrained, snapshot):
    folder = reward_run(tmp_path / "run", [pretrained / "output"], snapshot, precision="bf16", device="cpu")
    assert runs.go(folder) == 0
    assert runs.status(folder)["dtype"] == "bfloat16"
    found = metrics(folder)
    assert found["accuracy"] > 0.9
    judge = load([folder / "output"])
    right = strict = 0.0
    for row in map(json.loads, snapshot.open()):
        if row["split"] == "heldout":
            scores = rewards(judge, [(row["prompt"], text) for text in row["completions"]])
            pairs = WeakOrder.parse(row["ranking"]).strict_pairs()
            right, strict = right + sum(scores[a] > scores[b] for a, b in pairs), strict + len(pairs)
    assert right / strict == pytest.approx(found["accuracy"], abs=1e-9)


@pytest.mark.skipif(torch.cuda.is_available(), reason="about processors")
def test_by_itself_a_reward_model_is_computed_in_what_the_processor_is_fastest_in(tmp_path, pretrained, snapshot):
    folder = reward_run(tmp_path / "run", [pretrained / "output"], snapshot, precision="auto")
    assert runs.go(folder) == 0
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    assert runs.status(folder)["dtype"] == ("bfloat16" if "amx_tile" in flags else "float32")
    assert metrics(folder)["accuracy"] > 0.9


def test_the_config_bounds_hold():
    config = config_of("reward")
    with pytest.raises(ValueError, match="theta"):
        config(theta=1.0)
    with pytest.raises(ValueError, match="loss"):
        config(loss="pairwise")


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"tune": {"kind": "all"}},
        {"tune": {"kind": "lora", "rank": 4, "dropout": 0.2}, "ensemble": 3},
        {
            "loss": "plackett_luce",
            "annotator_scale": True,
            "line_weight": 0.1,
            "train_share": 0.75,
            "precision": "auto",
        },
    ],
)
def test_stopped_and_resumed_is_the_same_as_never_stopped(changes, tmp_path, pretrained, snapshot):
    """With what is learned beside the model (θ, δ, the line's score, a scale for each annotator) and early stopping, whose memory is part of the
    checkpoint."""
    config = {"lr": 0.01, "epochs": 10, "patience": 8, "eval_every": 5, "log_every": 1, **changes}
    rows = list(map(json.loads, snapshot.open()))
    if "line_weight" in changes:
        rows = [row | {"ranking": str(replace(WeakOrder.parse(row["ranking"]), line=1))} for row in rows]
    snapshot = runs.write_rows(tmp_path / "rankings.jsonl", rows)
    whole = reward_run(tmp_path / "whole", [pretrained / "output"], snapshot, **config)
    assert runs.go(whole) == 0
    stopped = reward_run(tmp_path / "stopped", [pretrained / "output"], snapshot, **config)
    code, said = runs.ended(runs.start_and_signal(signal.SIGTERM, stopped, 12))
    assert code == 75, said
    assert runs.go(stopped) == 0
    assert runs.weights(stopped) == runs.weights(whole)
    assert runs.curves(stopped) == runs.curves(whole)
    assert metrics(stopped) == metrics(whole)
    assert notes(stopped) == notes(whole)


def test_people_who_rank_by_dice_count_for_little_and_the_line_gets_a_score(tmp_path, pretrained, snapshot):
    """One of three annotators turns every ranking round; all draw the line between what is liked and what is not."""
    found = []
    for row in map(json.loads, snapshot.open()):
        order = WeakOrder.parse(row["ranking"])
        if row["annotator"] == "p2":
            order = WeakOrder(order.items, order.tiers[::-1])
        found.append(row | {"ranking": str(WeakOrder(order.items, order.tiers, line=1))})
    data = runs.write_rows(tmp_path / "rankings.jsonl", found)
    config = {"loss": "davidson", "annotator_scale": True, "aux_lr": 0.05, "line_weight": 0.1, "centering": 0.01}
    folder = reward_run(tmp_path / "run", [pretrained / "output"], data, **config)
    assert runs.go(folder) == 0
    scales = metrics(folder)["annotator_scales"]
    assert sorted(scales) == ["p0", "p1", "p2"]
    assert scales["p2"] < 0.8 < min(scales["p0"], scales["p1"])
    assert metrics(folder)["nu"] > 0
    assert np.isfinite(metrics(folder)["line_score"])


def test_one_person_alone_gets_no_scale_and_ties_of_more_outputs_than_were_ranked_no_figure(
    tmp_path, pretrained, snapshot
):
    data = runs.write_rows(
        tmp_path / "rankings.jsonl", [row | {"annotator": "p0"} for row in map(json.loads, snapshot.open())]
    )
    config = {"loss": "plackett_luce", "annotator_scale": True, "epochs": 1}
    folder = reward_run(tmp_path / "run", [pretrained / "output"], data, **config)
    assert runs.go(folder) == 0
    assert "no-annotators" in notes(folder)
    found = metrics(folder)
    assert "annotator_scales" not in found
    assert [name for name in found if name.startswith("delta_")] == ["delta_2", "delta_3", "delta_4"]


@pytest.mark.parametrize(
    "tune", [{"kind": "all"}, {"kind": "lora", "rank": 4}, {"kind": "head"}], ids=lambda tune: tune["kind"]
)
def test_several_heads_score_by_their_mean_and_say_where_they_doubt(tune, tmp_path, pretrained, snapshot):
    """With all weights, with an adapter, and over a trunk that stands still; from disk as in the run, and for transformers one head."""
    base = pretrained / "output"
    folder = reward_run(tmp_path / "run", [base], snapshot, ensemble=5, tune=tune, lr=3e-3, epochs=6)
    assert runs.go(folder) == 0
    found = metrics(folder)
    assert found["ensemble"] == 5
    if tune["kind"] == "head":
        assert found["trained_parameters"] == 5 * 32
        assert found["untouched"]["changed"] == 0
    by_doubt = found["judged"]["by_doubt"]
    assert sum(row["pairs"] for row in by_doubt) == found["heldout_strict_pairs"]
    assert {"error_auc", "spread_auc", "closeness_auc", "log_loss_averaged"} <= set(found)
    doubt = [row["doubt"] for row in by_doubt]
    assert doubt == sorted(doubt)
    assert 0 < doubt[-1] <= 0.5
    assert inspect.describe(folder / "output").head == "reward"

    judge = load([folder / "output"] if tune["kind"] != "lora" else [base, folder / "output"])
    train = [row for row in map(json.loads, snapshot.open()) if row["split"] == "train"]
    pairs = [(row["prompt"], text) for row in train for text in row["completions"]]
    by_head = scores_of_members(judge, pairs)
    assert by_head.mean(1).tolist() == pytest.approx(rewards(judge, pairs), abs=1e-4)
    assert by_head.mean(0).tolist() == pytest.approx([0.0] * 5, abs=1e-3)  # nobody scores higher throughout
    assert float(by_head.mean(1).std(correction=0)) == pytest.approx(1, abs=1e-3)

    # As sure as it may be: said of the score that is served, not of what the heads say each by itself.
    held_out = [row for row in map(json.loads, snapshot.open()) if row["split"] == "heldout"]
    texts = [(row["prompt"], text) for row in held_out for text in row["completions"]]
    on_scale = partial(outcomes, RaoKupper(found["theta"], learned=False), std=found["score_std"])

    def calibrated(scores: np.ndarray) -> list[float]:
        rankings = [
            Scored(WeakOrder.parse(row["ranking"]), part, np.ones(len(part)), row["prompt"])
            for row, part in zip(held_out, scores.reshape(len(held_out), -1), strict=True)
        ]
        return [row["predicted"] for row in calibration(Pairs.of(rankings), on_scale)]

    shown = [row["predicted"] for row in found["judged"]["calibration"]]
    assert calibrated(np.array(rewards(judge, texts))) == pytest.approx(shown, abs=1e-3)
    heads = scores_of_members(judge, texts).numpy().T
    assert all(calibrated(head) != pytest.approx(shown, abs=1e-3) for head in heads)


def test_heads_that_see_the_same_rankings_agree_more_than_those_that_weigh_them(tmp_path, pretrained, snapshot):
    """Over a trunk that stands still a head's best place is one; what the rankings do not decide is left to each one's start."""
    train = [row for row in map(json.loads, snapshot.open()) if row["split"] == "train"]
    pairs = [(row["prompt"], text) for row in train for text in row["completions"]]
    apart = []
    for bootstrap in (True, False):
        folder = tmp_path / f"run{bootstrap}"
        config = {"ensemble": 4, "bootstrap": bootstrap, "tune": {"kind": "head"}, "lr": 0.05, "epochs": 40}
        assert runs.go(reward_run(folder, [pretrained / "output"], snapshot, **config)) == 0
        apart.append(float(spread(scores_of_members(load([folder / "output"]), pairs)).mean()))
    assert apart[0] > apart[1] > 0


def test_an_ensemble_can_be_trained_further(tmp_path, pretrained, snapshot):
    first = reward_run(tmp_path / "first", [pretrained / "output"], snapshot, ensemble=3)
    assert runs.go(first) == 0
    second = reward_run(tmp_path / "second", [first / "output"], snapshot, ensemble=3, lr=1e-9, epochs=1)
    assert runs.go(second) == 0
    pairs = [("Story 1: one day", " the fox met the hen."), ("Story 1: one day", " the owl met the cat.")]
    before, after = (scores_of_members(load([run / "output"]), pairs) for run in (first, second))
    assert (before - after).abs().max() < 1e-3
    doubts = [[row["doubt"] for row in metrics(run)["judged"]["by_doubt"]] for run in (first, second)]
    assert doubts[1] == pytest.approx(doubts[0], rel=1e-3)
    one = reward_run(tmp_path / "one", [first / "output"], snapshot, max_steps=1)
    assert runs.go(one) == 0
    assert read_members(one / "output") is None


def test_what_plackett_luce_cannot_use_is_refused():
    config = config_of("reward")(loss="plackett_luce", margin=0.5, label_smoothing=0.1)
    (problem,) = config.problems({"base", "dataset"})
    assert "margin, label_smoothing" in str(problem)


def without_pad_token(pretrained: Path, folder: Path, *also: str) -> Path:
    """The pretrained model with a tokenizer that names no pad token, nor these others."""
    shutil.copytree(pretrained / "output", folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    for name in ("pad_token", *also):
        settings.pop(name, None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    config = json.loads((folder / "config.json").read_text()) | {"pad_token_id": None}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_base_without_a_pad_token_gets_one_that_is_not_eos_and_transformers_scores_alike(
    tmp_path, pretrained, snapshot
):
    base = without_pad_token(pretrained, tmp_path / "base")
    folder = reward_run(tmp_path / "run", [base], snapshot, max_steps=2)
    assert runs.go(folder) == 0
    model = AutoModelForSequenceClassification.from_pretrained(folder / "output").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "output")
    assert tokenizer.pad_token == tokenizer.bos_token != tokenizer.eos_token
    assert "pad-token-set" in notes(folder)
    pairs = [("One day", " the fox met the hen."), ("One day", " the hen.")]
    texts = [prompt + completion + tokenizer.eos_token for prompt, completion in pairs]
    batch = tokenizer(texts, padding=True, return_tensors="pt", padding_side="right", add_special_tokens=True)
    batch.pop("token_type_ids", None)
    with torch.no_grad():
        found = read_scale(folder / "output").apply(model(**batch).logits[:, 0])
    assert found.tolist() == pytest.approx(rewards(load([folder / "output"]), pairs), abs=1e-4)


def test_a_base_with_no_token_that_could_pad_is_refused(tmp_path, pretrained, snapshot):
    base = without_pad_token(pretrained, tmp_path / "base", "bos_token", "eos_token", "unk_token")
    folder = reward_run(tmp_path / "run", [base], snapshot)
    assert runs.go(folder) == 2
    assert [found["id"] for found in runs.status(folder)["problems"]] == ["no-pad-token"]


def test_of_nothing_but_eos_no_pad_token_is_made(tmp_path, pretrained, snapshot):
    """As in GPT-2."""
    base = without_pad_token(pretrained, tmp_path / "base", "bos_token", "unk_token")
    folder = reward_run(tmp_path / "run", [base], snapshot, max_steps=2)
    assert runs.go(folder) == 0
    assert "pad-token-none" in notes(folder)
    assert AutoTokenizer.from_pretrained(folder / "output").pad_token is None


def test_special_tokens_that_a_tokenizer_makes_up_count_for_nothing(tmp_path, pretrained, snapshot):
    """GPT-2's class adds <|endoftext|> to a vocabulary without it, and the model has no embedding of that."""
    base = tmp_path / "base"
    config = GPT2Config(
        vocab_size=257, n_embd=32, n_layer=1, n_head=2, n_positions=64, bos_token_id=None, eos_token_id=None
    )
    GPT2LMHeadModel(config).save_pretrained(base)
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["the cat met the dog"], 257)
    assert tokenizer.get_vocab_size() == 257
    tokenizer.save(str(base / "tokenizer.json"))
    (base / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    assert AutoTokenizer.from_pretrained(base).eos_token_id == 257
    folder = reward_run(tmp_path / "run", [base], snapshot)
    assert runs.go(folder) == 2
    assert [found["id"] for found in runs.status(folder)["problems"]] == ["no-pad-token"]
    loaded = load([base])
    assert loaded.tokenizer.eos_token is None
    into_reward(loaded, seed=1)
    assert np.isfinite(rewards(loaded, [("The cat", " met")])).all()
