"""Evaluation as a run: the same figures as the trained methods report, whatever the version is made of; and refusals with reasons."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models_registry.lm import hard_prompt
from models_registry.lm.chain import load
from models_registry.lm.hard_prompt import Example, HardPrompt
from models_registry.lm.packed import Probe
from models_registry.lm.score import documents_loss, logprobs, rewards
from models_registry.lm.text import encode_documents
from tests.lm import tiny
from training.engine.data import KINDS
from training.engine.evaluation import Options, figures_of, paired
from training.engine.evaluation.judge import Watcher, evaluate, task_of
from training.engine.evaluation.language import nats_of, pieces_of
from training.engine.messages import Refused
from training.engine.packing import Text

from . import rankings, runs

MOOD = HardPrompt(template="{input} So:", labels={"pet": "tame", "wild": "not tame"}, room=4)


def labelled(count: int = 60) -> list[dict[str, str]]:
    """Every fifth is held out. Cats and dogs are pets."""
    return [
        {
            "text": f"The {animal} met the {runs.ANIMALS[(i // 6) % 6]}.",
            "label": "pet" if animal in ("cat", "dog") else "wild",
            "split": "heldout" if i % 5 == 0 else "train",
        }
        for i, animal in enumerate((runs.ANIMALS * count)[:count])
    ]


def numbered(kind: str, rows: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    return list(enumerate(KINDS[kind].model_validate(row) for row in rows))


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("models")
    made = {shape: tiny.folder(base / shape, shape) for shape in ("llama", "gpt2")}
    hard_prompt.write(base / "mood", MOOD)
    hard_prompt.write(base / "few", HardPrompt(examples=(Example(input="The cat met", output=" the dog."),), room=4))
    return {**made, "mood": base / "mood", "few": base / "few"}


def evaluation(folder: Path, chain: list[Path], dataset: Path, **more: Any) -> Path:
    config = more.pop("config", {})
    inputs = {"base": list(map(str, chain)), "dataset": dataset, **more}
    return runs.write_run(folder, "evaluate", config, inputs)


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "output" / "metrics.json").read_text())


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "output" / "predictions.jsonl").read_text().splitlines()]


# The same numbers by every path ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("method", "kind"), [("finetune", "lora"), ("finetune", "all"), ("prompt_tuning", None)])
def test_the_figures_are_those_that_finetuning_reported(method, kind, pretrained, examples, tmp_path):
    config = {"max_steps": 20, "epochs": 100, "lr": 1e-2} | ({"tune": {"kind": kind}} if kind else {})
    inputs = {"base": [str(pretrained / "output")], "dataset": examples}
    run = runs.write_run(tmp_path / "run", method, config, inputs)
    assert runs.go(run) == 0
    chain = [run / "output"] if kind == "all" else [pretrained / "output", run / "output"]
    judge = evaluation(tmp_path / "judge", chain, examples)
    assert runs.go(judge) == 0
    said, found = metrics(run), metrics(judge)["figures"]
    for name in ("loss", "perplexity", "bits_per_byte"):
        assert found[name]["value"] == pytest.approx(said[f"heldout_{name}"], rel=1e-4)


@pytest.mark.slow
def test_the_figures_are_those_that_pretraining_reported(pretrained, corpus, tmp_path):
    judge = evaluation(tmp_path / "judge", [pretrained / "output"], corpus)
    assert runs.go(judge) == 0
    found = metrics(judge)["figures"]
    for name in ("loss", "bits_per_byte"):
        assert found[name]["value"] == pytest.approx(metrics(pretrained)[f"heldout_{name}"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["all", "lora"])
def test_the_figures_are_those_that_classification_reported(kind, pretrained, tmp_path):
    dataset = runs.write_rows(tmp_path / "rows.jsonl", labelled())
    config = {"max_steps": 20, "epochs": 100, "lr": 3e-3, "tune": {"kind": kind}}
    run = runs.write_run(
        tmp_path / "run", "classify", config, {"base": [str(pretrained / "output")], "dataset": dataset}
    )
    assert runs.go(run) == 0
    chain = [run / "output"] if kind == "all" else [pretrained / "output", run / "output"]
    judge = evaluation(tmp_path / "judge", chain, dataset)
    assert runs.go(judge) == 0
    said, found = metrics(run), metrics(judge)
    assert found["figures"]["accuracy"]["value"] == pytest.approx(said["heldout_accuracy"], abs=1e-4)
    assert found["figures"]["macro_f1"]["value"] == pytest.approx(said["heldout_macro_f1"], abs=1e-4)
    assert found["figures"]["log_loss"]["value"] == pytest.approx(said["heldout_loss"], abs=1e-4)
    assert found["confusion"] == said["confusion"]


@pytest.mark.slow
def test_the_figures_are_those_that_the_reward_model_reported(pretrained, tmp_path):
    dataset = runs.write_rows(tmp_path / "rows.jsonl", rankings.rows())
    config = {"max_steps": 20, "epochs": 100, "lr": 3e-3, "patience": None}
    run = runs.write_run(
        tmp_path / "run", "reward", config, {"base": [str(pretrained / "output")], "dataset": dataset}
    )
    assert runs.go(run) == 0
    judge = evaluation(tmp_path / "judge", [run / "output"], dataset)
    assert runs.go(judge) == 0
    said, found = metrics(run), metrics(judge)["figures"]
    for mine, theirs in (("pair_accuracy", "accuracy"), ("tie_aware_accuracy", "tie_aware_accuracy")):
        assert found[mine]["value"] == pytest.approx(said[theirs], abs=1e-4)
        assert found[mine]["low"] == pytest.approx(said[f"{theirs}_low"], abs=0.03)
    assert found["pair_accuracy"]["n"] == said["heldout_strict_pairs"]
    assert metrics(judge)["tie_threshold"] == pytest.approx(said["tie_threshold"])


# Language -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_language_agrees_with_scoring_each_text_by_itself(shape, folders):
    loaded = load([folders[shape]])
    texts = [row["text"] for row in runs.stories(20)]
    found = evaluate(loaded, numbered("text", [{"text": text} for text in texts]))
    expected = documents_loss(loaded, texts, batch_size=1)
    assert found.figures["loss"]["value"] == pytest.approx(expected.loss, rel=1e-5)
    assert found.figures["bits_per_byte"]["value"] == pytest.approx(expected.bits_per_byte, rel=1e-5)
    assert [row["row"] for row in found.examples] == list(range(20))


def test_completions_are_judged_under_a_hard_prompt_as_under_its_words(folders):
    rows = runs.questions(8)
    found = evaluate(load([folders["llama"], folders["few"]]), numbered("sft", rows))
    asked = [("The cat met the dog.\n\n" + row["prompt"], row["completion"]) for row in rows]
    expected = logprobs(load([folders["llama"]]), asked)
    for row, example in zip(expected, found.examples, strict=True):
        assert example["nats"] == pytest.approx(-sum(row), rel=1e-5)
        assert example["tokens"] == len(row)


def test_whole_texts_under_a_hard_prompt_follow_it(folders):
    loaded = load([folders["llama"], folders["few"]])
    found = evaluate(loaded, numbered("text", [{"text": "The hen met the owl."}]))
    plain = load([folders["llama"]])
    expected = logprobs(plain, [("The cat met the dog.\n\n", "The hen met the owl.")])[0]
    assert found.examples[0]["nats"] == pytest.approx(-sum(expected), rel=1e-5)


@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_a_text_longer_than_the_context_goes_on_in_pieces_and_every_token_is_foretold(shape, folders):
    loaded = load([folders[shape]])
    text = "The cat met the dog and the fox. " * 40
    ids = encode_documents(loaded, [text])[0]
    assert len(ids) > 2 * loaded.context_length
    found = evaluate(loaded, numbered("text", [{"text": text}])).examples[0]
    assert found["tokens"] == len(ids) - 1
    by_hand = nats_of(loaded, [(ids[i : i + 129], 1) for i in range(0, len(ids) - 1, 128)], Options(batch_size=1))
    assert found["nats"] == pytest.approx(sum(by_hand), rel=1e-5)


def test_pieces_cover_what_is_foretold_once():
    for prompt, splits in ((1, True), (4, True), (4, False)):
        for length in (3, 5, 10, 11, 24):
            pieces = pieces_of(Text(range(length), prompt=prompt, splits=splits), 10)
            assert all(len(ids) <= 11 for ids, _given in pieces)
            told = [token for ids, given in pieces for token in ids[given:]]
            assert told == list(range(prompt, length if splits else min(length, 11)))


def test_what_does_not_fit_is_left_out_and_said(folders):
    notes: list[str] = []
    rows = [*runs.questions(3), {"prompt": "The cat met", "completion": " the dog." * 99}]
    rows.append({"prompt": "The cat met " * 99, "completion": " the dog."})
    watcher = Watcher(note=lambda note: notes.append((note.id, note.params["number"])))
    found = evaluate(load([folders["llama"]]), numbered("sft", rows), watcher=watcher)
    assert notes == [("rows-cut-judged", 1), ("rows-left-out", 1)]
    assert found.figures["loss"]["n"] == 4
    assert found.examples[4]["tokens"] == 0


# Classification and preference ----------------------------------------------------------------------------------------------------


def test_a_hard_prompt_with_labels_classifies(folders):
    rows = labelled(30)
    found = evaluate(load([folders["llama"], folders["mood"]]), numbered("labelled", rows))
    right = [row["prediction"] == row["label"] for row in found.examples]
    assert found.figures["accuracy"]["value"] == sum(right) / 30
    assert np.array(found.extra["confusion"]["matrix"]).sum() == 30
    for row in found.examples:
        assert row["prediction"] == max(row["logprobs"], key=row["logprobs"].get)
        assert row["log_loss"] == -row["logprobs"][row["label"]]


def test_labels_that_the_version_does_not_know_count_as_wrong_and_are_named(folders):
    loaded = load([folders["llama"], folders["mood"]])
    notes: list[Any] = []
    rows = [*labelled(10), {"text": "The yeti", "label": "legend"}]
    found = evaluate(loaded, numbered("labelled", rows), watcher=Watcher(note=notes.append))
    assert found.figures["accuracy"]["n"] == 11
    assert found.figures["log_loss"]["n"] == 10
    assert (notes[0].id, notes[0].params["labels"]) == ("unknown-labels", "legend")
    assert found.extra["confusion"]["labels"] == ["pet", "wild", "legend"]
    with pytest.raises(Refused, match="No row has a label that this version knows"):
        evaluate(loaded, numbered("labelled", rows[-1:]))


def test_a_language_model_prefers_what_it_finds_likelier_a_token(folders):
    loaded = load([folders["gpt2"]])
    rows = rankings.rows(6)
    found = evaluate(loaded, numbered("rankings", rows))
    row = rows[0]
    means = [
        sum(values) / len(values)
        for values in logprobs(loaded, [(row["prompt"], completion) for completion in row["completions"]])
    ]
    assert found.examples[0]["scores"] == pytest.approx(means, rel=1e-4)
    assert set(found.figures) == {"pair_accuracy"}  # nothing is said about ties without a threshold


@pytest.fixture(scope="module")
def reward_model(tmp_path_factory, folders) -> Path:
    """With random weights, and a head."""
    from models_registry.lm.heads import Scale, into_reward, write_scale
    from models_registry.lm.tuning.apply import save

    path = tmp_path_factory.mktemp("reward") / "model"
    loaded = load([folders["llama"]])
    into_reward(loaded, seed=1)
    save(loaded, path)
    write_scale(path, Scale(0.1, 2.0))
    return path


def test_a_reward_model_without_tie_threshold_is_calibrated_on_training_rankings(reward_model, tmp_path):
    dataset = runs.write_rows(tmp_path / "rows.jsonl", rankings.rows(30))
    judge = evaluation(tmp_path / "judge", [reward_model], dataset)
    assert runs.go(judge) == 0
    notes = [event["message"] for event in runs.events(judge) if event.get("kind") == "note"]
    assert [(note["id"], note["params"]["number"]) for note in notes] == [("tie-threshold-fitted", 24)]
    scores = lines(judge)[0]["scores"]
    row = rankings.rows(30)[0]
    expected = rewards(load([reward_model]), [(row["prompt"], text) for text in row["completions"]])
    assert scores == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_answers_are_scored_and_compared_with_those_of_a_reference(folders, reward_model, tmp_path):
    prompts = [{"prompt": f"The {animal} met", "split": "heldout"} for animal in runs.ANIMALS]
    dataset = runs.write_rows(tmp_path / "rows.jsonl", prompts)
    found = {}
    for name, chain in (("itself", [folders["llama"]]), ("other", [folders["gpt2"]])):
        judge = evaluation(
            tmp_path / name,
            chain,
            dataset,
            reward_model=[str(reward_model)],
            reference=[str(folders["llama"])],
            config={"max_tokens": 8, "samples": 2},
        )
        assert runs.go(judge) == 0
        found[name] = lines(judge)
        answers = [
            (row["prompt"], text) for row, line in zip(prompts, found[name], strict=True) for text in line["answers"]
        ]
        expected = np.reshape(rewards(load([reward_model]), answers), (6, 2)).mean(1)
        np.testing.assert_allclose([line["reward"] for line in found[name]], expected, atol=1e-4)
    assert [line["win"] for line in found["itself"]] == [0.5] * 6  # against itself, with the same luck
    assert found["itself"][0]["answers"] == found["other"][0]["reference_answers"]
    compared = paired(found["other"], found["itself"])
    assert compared["reward"]["difference"] == pytest.approx(
        np.mean([a["reward"] - b["reward"] for a, b in zip(found["other"], found["itself"], strict=True)])
    )


# The run --------------------------------------------------------------------------------------------------------------------------


def test_a_run_writes_figures_rows_and_cost_and_touches_nothing(folders, tmp_path):
    rows = labelled()
    dataset = runs.write_rows(tmp_path / "rows.jsonl", rows)
    chain = [folders["llama"], folders["mood"]]
    judge = evaluation(tmp_path / "judge", chain, dataset)
    assert runs.go(judge) == 0
    told = metrics(judge)
    assert told["base_sha256_before"] == told["base_sha256_after"]
    assert told["task"] == "classification"
    assert all(told[name] > 0 for name in ("seconds", "tokens_per_s", "rows_per_s", "peak_memory"))
    assert [row["row"] for row in lines(judge)] == [i for i, row in enumerate(rows) if row["split"] == "heldout"]
    assert (
        figures_of("classification", lines(judge)) == told["figures"]
    )  # nothing but the file is needed for a comparison
    status = runs.status(judge)
    assert status["trained_parameters"] == 0
    assert status["tokens_seen"] > 12 * 5
    again = evaluation(tmp_path / "again", chain, dataset)
    assert runs.go(again) == 0
    assert (again / "output/predictions.jsonl").read_bytes() == (judge / "output/predictions.jsonl").read_bytes()


def test_split_and_limit_choose_the_rows(folders, tmp_path):
    dataset = runs.write_rows(tmp_path / "rows.jsonl", runs.stories(30))
    for name, config, expected in (
        ("train", {"split": "train", "limit": 4}, [1, 2, 3, 4]),
        ("all", {"split": "all", "limit": 3}, [0, 1, 2]),
    ):
        judge = evaluation(tmp_path / name, [folders["llama"]], dataset, config=config)
        assert runs.go(judge) == 0
        assert [row["row"] for row in lines(judge)] == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chain", "kind", "row", "config", "said"),
    [
        (["llama"], "labelled", {"text": "a", "label": "b"}, {}, "knows no labels"),
        (["llama", "mood"], "text", {"text": "a"}, {"task": "classification"}, "this data set has none"),
        (["reward"], "text", {"text": "a"}, {}, "scores or classifies"),
        (["reward"], "labelled", {"text": "a", "label": "b"}, {}, "gives scores and knows no labels"),
        (["llama"], "text", {"text": "a"}, {"task": "preference"}, "has neither"),
        (["llama"], "prompts", {"prompt": "a"}, {}, "choose one"),
        (["reward"], "prompts", {"prompt": "a"}, {}, "judged on rankings"),
        (["llama"], "text", {"text": "a", "split": "train"}, {}, "no rows of this split"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_with_the_reason(
    chain, kind, row, config, said, folders, reward_model, tmp_path
):
    dataset = runs.write_rows(tmp_path / "rows.jsonl", [{"split": "heldout"} | row])
    places = folders | {"reward": reward_model}
    judge = evaluation(tmp_path / "judge", [places[name] for name in chain], dataset, config=config)
    assert runs.go(judge) == 2
    assert said in " ".join(problem["text"] for problem in runs.status(judge)["problems"])
    assert not (judge / "output").exists()


def test_all_reasons_are_told_at_once(reward_model):
    with pytest.raises(Refused) as refused:
        task_of(KINDS["text"], load([reward_model]), "language", True, False)
    assert [problem.id for problem in refused.value.problems] == ["language-head", "reward-unused"]


def test_methods_that_train_refuse_a_hard_prompt_as_their_base(folders, tmp_path):
    dataset = runs.write_rows(tmp_path / "rows.jsonl", runs.questions(10))
    inputs = {"base": [str(folders["llama"]), str(folders["few"])], "dataset": dataset}
    run = runs.write_run(tmp_path / "run", "finetune", {}, inputs)
    assert runs.go(run) == 2
    assert runs.status(run)["problems"][0]["id"] == "wrong-link"


def test_packed_and_separate_scoring_of_rankings_agree(reward_model, monkeypatch):
    rows = numbered("rankings", rankings.rows(6))
    loaded = load([reward_model])
    packed = evaluate(loaded, rows)
    monkeypatch.setattr("training.engine.evaluation.preference.probe", lambda *_args: Probe("separate", None, 0.0))
    separate = evaluate(loaded, rows)
    for a, b in zip(packed.examples, separate.examples, strict=True):
        assert a["scores"] == pytest.approx(b["scores"], abs=1e-4)
