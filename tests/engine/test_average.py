"""Averaging: the version's judgement is the mean of its models', whoever reads the folder alone has the first of them, and what does not fit is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from models_registry.lm import averaged, inspect
from models_registry.lm.chain import load
from models_registry.lm.heads import into_classes
from models_registry.lm.inspect import AVERAGED_FILE
from models_registry.lm.score import class_logprobs
from models_registry.lm.tuning.apply import counts
from tests.lm import tiny

from . import runs

TEXTS = ["The cat met the dog.", "", "naïve fox! The owl met the hen."]
ROWS = [{"text": f"The {name} met the owl.", "label": "ab"[i % 2], "split": "heldout"} for i, name in enumerate(runs.ANIMALS)]  # fmt: skip


def classifier(
    folder: Path, seed: int, *, shape: str = "llama", labels: tuple[str, ...] = ("a", "b"), **changes
) -> Path:
    """Random weights, all of them its seed's."""
    loaded = load([tiny.folder(folder.with_name(f"{folder.name}-base"), shape, **changes)])
    into_classes(loaded, labels, seed=seed)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=random)
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


def average(folder: Path, *models: Path) -> Path:
    roles = ["base", *(f"base_{number}" for number in range(2, 6))]
    return runs.write_run(folder, "average", {}, {role: [str(one)] for role, one in zip(roles, models, strict=False)})


def probabilities(folder: Path) -> np.ndarray:
    return np.exp(class_logprobs(load([folder]), TEXTS))


@pytest.mark.parametrize("shape", tiny.SHAPES)
def test_it_says_the_mean_of_what_its_models_say(shape, tmp_path):
    each = [classifier(tmp_path / str(seed), seed, shape=shape) for seed in (1, 2, 3)]
    folder = average(tmp_path / "run", *each)
    assert runs.go(folder) == 0
    mean = sum(map(probabilities, each)) / 3
    assert np.abs(mean - probabilities(each[0])).max() > 0.005
    assert probabilities(folder / "output") == pytest.approx(mean, abs=1e-6)
    told = json.loads((folder / "output" / "metrics.json").read_text())
    one = counts(load([each[0]]))[1]
    assert (told["models"], told["trained_parameters"], told["total_parameters"]) == (3, 0, 3 * one)
    about = inspect.describe(folder / "output")
    assert (about.kind, about.head, about.members, about.labels, about.problems) == (
        "full",
        "classes",
        3,
        ("a", "b"),
        [],
    )
    assert about.parameters == 3 * one
    alone = AutoModelForSequenceClassification.from_pretrained(folder / "output")
    assert all(
        torch.equal(tensor, alone.state_dict()[name]) for name, tensor in load([each[0]]).model.state_dict().items()
    )


def test_an_average_among_them_counts_as_the_models_it_is_made_of(tmp_path):
    each = [classifier(tmp_path / str(seed), seed) for seed in (1, 2, 3)]
    (tmp_path / "two").mkdir()
    (tmp_path / "three").mkdir()
    assert averaged.save([load([folder]) for folder in each[:2]], tmp_path / "two") == 2
    assert averaged.save([load([each[2]]), load([tmp_path / "two"])], tmp_path / "three") == 3
    assert probabilities(tmp_path / "three") == pytest.approx(sum(map(probabilities, each)) / 3, abs=1e-6)


def test_what_cannot_be_averaged_is_refused_with_all_reasons(tmp_path):
    first = classifier(tmp_path / "first", 1)
    other = classifier(tmp_path / "other", 2, shape="qwen2", labels=("a", "c"))
    folder = average(tmp_path / "run", first, other)
    assert runs.go(folder) == 2
    problems = runs.status(folder)["problems"]
    assert len(problems) == 3
    assert all(problem["id"] == "cannot-average" for problem in problems)
    said = json.dumps(problems)
    assert "other classes" in said
    assert "model_type" in said
    twice = average(tmp_path / "twice", first, first)
    assert runs.go(twice) == 2
    assert runs.status(twice)["problems"][0]["id"] == "averaged-twice"


def test_it_is_judged_as_any_version_and_not_trained_further(tmp_path):
    each = [classifier(tmp_path / str(seed), seed) for seed in (1, 2)]
    folder = average(tmp_path / "run", *each)
    assert runs.go(folder) == 0
    rows = runs.write_rows(tmp_path / "rows.jsonl", ROWS + [{**row, "split": "train"} for row in ROWS])
    inputs = {"base": [str(folder / "output")], "dataset": str(rows)}
    judged = runs.write_run(tmp_path / "judged", "evaluate", {}, inputs)
    assert runs.go(judged) == 0
    said = [json.loads(line) for line in (judged / "output" / "predictions.jsonl").read_text().splitlines()]
    expected = class_logprobs(load([folder / "output"]), [row["text"] for row in ROWS])
    assert [list(row["logprobs"].values()) for row in said] == [
        pytest.approx(row, abs=1e-5) for row in expected.tolist()
    ]
    further = runs.write_run(tmp_path / "further", "classify", {"max_steps": 1}, inputs)
    assert runs.go(further) == 2
    assert runs.status(further)["problems"][0]["id"] == "cannot-tune"


def test_weights_that_do_not_fit_are_a_clear_error(tmp_path):
    each = [classifier(tmp_path / str(seed), seed) for seed in (1, 2)]
    (tmp_path / "two").mkdir()
    averaged.save([load([folder]) for folder in each], tmp_path / "two")
    tensors = load_file(tmp_path / "two" / AVERAGED_FILE)
    tensors.popitem()
    save_file(tensors, tmp_path / "two" / AVERAGED_FILE)
    with pytest.raises(ValueError, match="does not fit"):
        load([tmp_path / "two"])
