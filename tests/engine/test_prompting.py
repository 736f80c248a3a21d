"""Prompting as a run: examples are drawn fairly, the prompt is judged like any other version, and nothing changes."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from models_registry.lm import hard_prompt, inspect
from models_registry.lm.chain import load
from models_registry.lm.hard_prompt import HardPrompt
from tests.lm import tiny
from training.engine.data import KINDS
from training.engine.methods.prompting.config import Config
from training.engine.methods.prompting.examples import Drawn, draw

from . import runs

pytestmark = pytest.mark.slow  # most train a model, if a tiny one

FEELINGS = ["happy", "sad", "angry"]


def felt(count: int = 90) -> list[dict[str, str]]:
    """Half are happy. Every tenth is held out."""
    return [
        {
            "text": f"{i} {runs.ANIMALS[i % 6]}s",
            "label": FEELINGS[0] if i % 2 else FEELINGS[i // 2 % 3],
            "split": "heldout" if i % 10 == 0 else "train",
        }
        for i in range(count)
    ]


def drawn(rows: list[dict[str, str]], kind: str = "labelled", **options: Any) -> Drawn:
    parsed = [KINDS[kind].model_validate(row) for row in rows]
    train, heldout = ([row for row in parsed if row.split == split] for split in ("train", "heldout"))
    return draw(train, heldout, **{"shots": 6, "balanced": True, "words": {}, "seed": 1} | options)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tiny.folder(tmp_path_factory.mktemp("models") / "llama", "llama", max_position_embeddings=256)


def run(folder: Path, base: Path, rows: list[dict[str, Any]], config: dict[str, Any], seed: int = 1) -> Path:
    dataset = runs.write_rows(folder.with_suffix(".jsonl"), rows)
    return runs.write_run(folder, "prompting", config, {"base": [str(base)], "dataset": dataset}, seed=seed)


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "output" / "metrics.json").read_text())


@pytest.mark.parametrize(("shots", "counts"), [(6, [2, 2, 2]), (7, [3, 2, 2]), (2, [1, 1]), (0, [])])
def test_balanced_examples_have_as_many_of_each_label(shots, counts):
    found = drawn(felt(), shots=shots)
    assert sorted(Counter(example.output for example in found.examples).values(), reverse=True) == counts
    assert found.notes == []
    assert found.labels.total() == 81


def test_unbalanced_examples_come_as_the_rows_do():
    outputs = Counter(
        example.output for seed in range(40) for example in drawn(felt(), balanced=False, seed=seed).examples
    )
    assert outputs["happy"] / outputs.total() == pytest.approx(2 / 3, abs=0.1)


def test_the_seed_decides_which_and_every_training_row_may_be_drawn():
    assert drawn(felt(), seed=5) == drawn(felt(), seed=5)
    every = {example.input for seed in range(200) for example in drawn(felt(), seed=seed).examples}
    assert every == {row["text"] for row in felt() if row["split"] == "train"}
    firsts = Counter(drawn(felt(), seed=seed).examples[0].output for seed in range(60))
    assert min(firsts.values()) > 8  # labels come in no order


def test_a_text_that_is_held_out_is_never_drawn_even_where_it_also_is_a_training_row():
    rows = felt() + [row | {"split": "train"} for row in felt() if row["split"] == "heldout"]
    found = drawn(rows, shots=200)
    heldout = {row["text"] for row in rows if row["split"] == "heldout"}
    assert not heldout & {example.input for example in found.examples}
    assert len(found.examples) == 81
    assert [note.id for note in found.notes] == ["few-examples", "heldout-not-drawn"]
    assert found.notes[1].params["number"] == len(heldout)


def test_the_same_text_is_drawn_once():
    rows = [{"text": "the cat", "label": "happy"}] * 9 + [{"text": "the dog", "label": "sad"}] * 9
    assert len(drawn(rows).examples) == 2


def test_words_of_labels_stand_in_the_examples():
    found = drawn(felt(), words={"happy": "joyful", "sad": "blue", "angry": "cross"})
    assert {example.output for example in found.examples} == {"joyful", "blue", "cross"}


def test_examples_from_prompts_and_completions_are_shown_as_they_are():
    found = drawn(runs.questions(20), kind="sft", shots=2)
    rows = {row["prompt"]: row["completion"] for row in runs.questions(20)}
    assert all(rows[example.input] == example.output for example in found.examples)
    assert found.labels == Counter()


def test_a_run_makes_a_version_that_changes_no_parameter(base, tmp_path):
    config = {"template": "Animals: {input}\nThey are", "shots": 3, "instruction": "How are they?"}
    folder = run(tmp_path / "run", base, felt(), config)
    before = {path: path.read_bytes() for path in base.iterdir()}
    assert runs.go(folder) == 0
    assert {path: path.read_bytes() for path in base.iterdir()} == before
    told = metrics(folder)
    assert told["base_sha256_before"] == told["base_sha256_after"]
    assert (told["trained_parameters"], runs.status(folder)["trained_parameters"]) == (0, 0)
    assert inspect.describe(folder / "output").kind == "hard_prompt"
    prompt = hard_prompt.read(folder / "output")
    assert prompt.labels == {"angry": "angry", "happy": "happy", "sad": "sad"}
    shown = [event for event in runs.events(folder) if event.get("kind") == "sample"]
    assert len(shown) == 3
    assert shown[0]["prompt"] == prompt.ask(felt()[0]["text"])
    assert shown[0]["prompt"].startswith("How are they?\n\nAnimals: ")


def test_its_figures_are_those_of_evaluation(base, tmp_path):
    folder = run(tmp_path / "run", base, felt(), {"template": "{input} are", "shots": 3})
    assert runs.go(folder) == 0
    inputs = {"base": [str(base), str(folder / "output")], "dataset": tmp_path / "run.jsonl"}
    judge = runs.write_run(tmp_path / "judge", "evaluate", {}, inputs)
    assert runs.go(judge) == 0
    told, found = metrics(folder), metrics(judge)
    for name, figure in found["figures"].items():
        said = f"heldout_{'loss' if name == 'log_loss' else name}"
        assert told[said] == pytest.approx(figure["value"])
        assert told[f"{said}_low"] == pytest.approx(figure["low"])
    assert told["confusion"] == found["confusion"]
    assert (folder / "predictions.jsonl").read_text() == (judge / "output" / "predictions.jsonl").read_text()


def test_the_same_seed_makes_the_same_version(base, tmp_path):
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        assert runs.go(run(tmp_path / name, base, felt(), {"shots": 3}, seed=seed)) == 0
    one, two, other = (hard_prompt.read(tmp_path / name / "output") for name in ("one", "two", "other"))
    assert one == two != other


def test_a_prompt_by_hand_needs_no_data(base, tmp_path):
    config = {
        "template": "Q: {input}\nA:",
        "examples": [{"input": "cat?", "output": "miaow"}],
        "separator": "line",
        "output_start": "line",
    }
    folder = runs.write_run(tmp_path / "run", "prompting", config, {"base": [str(base)]})
    assert runs.go(folder) == 0
    assert hard_prompt.read(folder / "output").ask("dog?") == "Q: cat?\nA:\nmiaow\nQ: dog?\nA:"
    assert load([base, folder / "output"]).labels == ()
    assert "heldout_loss" not in metrics(folder)


def test_examples_by_hand_are_written_in_the_words_of_the_labels(base, tmp_path):
    config = {
        "shots": 0,
        "labels": {"happy": "glad", "sad": "low", "angry": "cross"},
        "examples": [{"input": "1 cats", "output": "happy"}, {"input": "2 cats", "output": " cross"}],
    }
    folder = run(tmp_path / "run", base, felt(), config)
    assert runs.go(folder) == 0
    assert [example.output for example in hard_prompt.read(folder / "output").examples] == ["glad", " cross"]


def test_room_is_kept_for_the_longest_label(base, tmp_path):
    words = {"happy": "glad", "sad": "as sad as anyone ever was", "angry": "cross"}
    folder = run(tmp_path / "run", base, felt(), {"labels": words})
    assert runs.go(folder) == 0
    prompt, loaded = hard_prompt.read(folder / "output"), load([base])
    assert prompt.room == len(loaded.continuation.encode([" as sad as anyone ever was"])[0])


def test_examples_that_do_not_fit_are_told(base, tmp_path):
    folder = run(tmp_path / "run", base, felt(), {"shots": 60})
    assert runs.go(folder) == 0
    notes = [event["message"] for event in runs.events(folder) if event.get("kind") == "note"]
    assert ("examples-left-out", 9) in [(note["id"], note["params"].get("number")) for note in notes]


@pytest.mark.parametrize(
    ("config", "rows", "said"),
    [
        ({"template": "Text: {text}"}, felt(), "{input} is missing in it"),
        ({"labels": {"happy": "good", "sad": "bad"}}, felt(), "no words are given: angry"),
        ({}, [row | {"label": "sad"} for row in felt()], "nothing to choose between"),
        ({"labels": {"happy": "good"}}, felt(), "one label alone"),
        ({"examples": [{"input": "1 cats", "output": "joyful"}]}, felt(), "neither a label nor its words: “joyful”"),
    ],
)
def test_a_prompt_that_cannot_work_is_refused_with_the_reason(config, rows, said, base, tmp_path):
    folder = run(tmp_path / "run", base, rows, config)
    assert runs.go(folder) == 2
    problems = [problem["text"] % problem["params"] for problem in runs.status(folder)["problems"]]
    assert said in " ".join(problems)


def test_an_answer_that_is_no_labels_is_refused_before_anything_is_loaded():
    config = Config(labels={"happy": "glad", "sad": "low"}, examples=({"input": "1 cats", "output": "glum"},))
    [problem] = config.problems({"base", "dataset"})
    assert problem.params["field"] == "examples"
    assert "“glum”. The labels are: happy, sad" in str(problem)


def test_a_prompt_that_says_nothing_is_refused(base, tmp_path):
    folder = runs.write_run(tmp_path / "run", "prompting", {}, {"base": [str(base)]})
    assert runs.go(folder) == 2
    assert runs.status(folder)["problems"][0]["id"] == "empty-prompt"
    assert HardPrompt().ask("x") == "x"
