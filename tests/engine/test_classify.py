"""Classification: it learns, its figures are those of the saved model, and transformers gives the same numbers without us."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from models_registry.lm import inspect
from models_registry.lm.chain import Loaded, load
from models_registry.lm.heads import into_classes
from models_registry.lm.score import class_logprobs
from models_registry.lm.text import encode_judged, encode_prompt
from tests.lm import tiny
from training.engine.contract import check_config
from training.engine.dropout import leave_out
from training.engine.methods.classify import report
from training.engine.methods.classify.examples import Examples, Thinning, class_weights, micro
from training.engine.methods.classify.train import _disagreement
from training.engine.packing import Corpus, Text

from . import runs

pytestmark = pytest.mark.slow  # most train a model, if a tiny one

LABELS = ("bird", "cattle", "hunter")
KIND = {"cat": "hunter", "dog": "hunter", "hen": "bird", "fox": "hunter", "owl": "bird", "cow": "cattle"}
QUICK = {"batch_size": 8, "lr": 1e-2, "epochs": 100}


def labelled(count: int = 240, seed: int = 0) -> list[dict[str, str]]:
    """The class is that of the animal that is met; every fifth text is held out."""
    choose = random.Random(seed)
    rows = []
    for i in range(count):
        met = runs.ANIMALS[i % 6]
        text = "They ate nüts. " * choose.randrange(3) + f"The {choose.choice(runs.ANIMALS)} met the {met}."
        rows.append({"text": text, "label": KIND[met], "split": "heldout" if i % 5 == 1 else "train"})
    return rows


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return runs.write_rows(tmp_path_factory.mktemp("data") / "labelled.jsonl", labelled())


@pytest.fixture(scope="module")
def classified(tmp_path_factory, pretrained, dataset) -> Path:
    """A finished run in which everything moved."""
    folder = runs.write_run(
        tmp_path_factory.mktemp("runs") / "classified",
        "classify",
        {**QUICK, "max_steps": 90},
        {"base": [str(pretrained / "output")], "dataset": str(dataset)},
    )
    assert runs.go(folder) == 0
    return folder


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "output" / "metrics.json").read_text())


def notes(folder: Path) -> dict[str, dict[str, Any]]:
    found = [event["message"] for event in runs.events(folder) if event.get("kind") == "note"]
    return {message["id"]: message["params"] for message in found}


def heldout(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [row for row in rows if row["split"] == "heldout"]


@pytest.mark.slow
def test_it_learns_and_tells_how_well(classified):
    told = metrics(classified)
    assert told["heldout_accuracy"] > 0.9
    matrix = np.array(told["confusion"]["matrix"])
    assert told["confusion"]["labels"] == list(LABELS)
    assert matrix.sum(1).tolist() == [sum(row["label"] == label for row in heldout(labelled())) for label in LABELS]
    assert np.trace(matrix) / matrix.sum() == pytest.approx(told["heldout_accuracy"])
    assert told["heldout_macro_f1"] == pytest.approx(np.mean([told["classes"][label]["f1"] for label in LABELS]))
    points = [event for event in runs.events(classified) if "heldout_macro_f1" in event]
    assert points[0]["step"] == 0
    assert points[0]["heldout_loss"] == pytest.approx(np.log(3), abs=0.2)
    assert points[-1]["heldout_loss"] < 0.5


@pytest.mark.slow
def test_the_folder_says_its_labels_and_gives_the_figures_again(classified):
    about = inspect.describe(classified / "output")
    assert (about.head, about.labels) == ("classes", LABELS)
    loaded = load([classified / "output"])
    assert loaded.labels == LABELS
    rows = heldout(labelled())
    logprobs = class_logprobs(loaded, [row["text"] for row in rows])
    assert np.exp(logprobs).sum(1) == pytest.approx(np.ones(len(rows)))
    right = [LABELS[best] == row["label"] for best, row in zip(logprobs.argmax(1), rows, strict=True)]
    assert np.mean(right) == metrics(classified)["heldout_accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize("side", ["right", "left"])
def test_transformers_alone_gives_the_same_with_padding_on_either_side(classified, side):
    """It looks for the last token that is not the pad token; ours goes by the mask."""
    model = AutoModelForSequenceClassification.from_pretrained(classified / "output").eval()
    tokenizer = AutoTokenizer.from_pretrained(classified / "output")
    assert model.config.id2label == dict(enumerate(LABELS))
    assert tokenizer.pad_token_id == model.config.pad_token_id
    texts = ["The cat met the hen.", "They ate nüts. They ate nüts. The dog met the cow.", ""]
    with torch.no_grad():
        logits = model(**tokenizer(texts, padding=True, padding_side=side, return_tensors="pt")).logits
    ours = class_logprobs(load([classified / "output"]), texts)
    assert torch.log_softmax(logits, -1).numpy() == pytest.approx(ours, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("shape", tiny.SHAPES)
@pytest.mark.parametrize("pad", ["own", "eos", "none"])
def test_a_saved_classifier_is_whole_whatever_the_pad_token_was(shape, pad, tmp_path):
    loaded = load([tiny.folder(tmp_path / "base", shape)])
    loaded.tokenizer.pad_token = {"own": "<|pad|>", "eos": loaded.tokenizer.eos_token, "none": None}[pad]
    into_classes(loaded, ["a", "b"], seed=3)
    loaded.model.save_pretrained(tmp_path / "saved")
    loaded.tokenizer.save_pretrained(tmp_path / "saved")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    texts = ["The cat met the dog.", "naïve fox!", "1 2 3"]
    with torch.no_grad():
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    again = class_logprobs(load([tmp_path / "saved"]), texts)
    assert torch.log_softmax(logits, -1).numpy() == pytest.approx(again, abs=1e-5)
    assert again == pytest.approx(class_logprobs(loaded, texts), abs=1e-6)


def test_a_tokenizer_without_bos_is_taught_it_where_the_model_was_trained_with_it(tmp_path):
    loaded = load([tiny.folder(tmp_path / "base", "llama")])
    loaded.tokenizer.backend_tokenizer.post_processor = None
    assert loaded.tokenizer("cat")["input_ids"][0] != loaded.tokenizer.bos_token_id
    expected = encode_prompt(loaded, "cat")
    into_classes(loaded, ["a", "b"], seed=3)
    loaded.tokenizer.save_pretrained(tmp_path / "saved")
    assert AutoTokenizer.from_pretrained(tmp_path / "saved")("cat")["input_ids"] == expected


@pytest.mark.parametrize("shape", tiny.SHAPES)
def test_judged_texts_have_the_tokens_of_prompts(shape, tmp_path):
    loaded = load([tiny.folder(tmp_path / "base", shape)])
    texts = ["The cat", "", " a\n", "naïve"]
    assert encode_judged(loaded, texts) == [encode_prompt(loaded, text) for text in texts]


# What goes through the model -----------------------------------------------------------------------------------------------------


def examples_of(tmp_path: Path, lengths: list[int], labels: list[int]) -> Examples:
    texts = [Text(list(range(100 * i, 100 * i + length + 1)), splits=False) for i, length in enumerate(lengths)]
    return Examples(Corpus.build(tmp_path, "train", texts, 64), np.array(labels), ("a", "b"))


def test_a_batch_knows_where_each_text_ends(tmp_path):
    lengths = [5, 30, 1, 9, 30, 7]
    examples = examples_of(tmp_path, lengths, [0, 1, 0, 1, 0, 1])
    some = micro(examples, np.array([3, 1, 2, 0, 5, 4]), np.array([1.0, 3.0]))
    last = some.rows.ids[some.ends].tolist()
    assert last == [100 * piece + lengths[piece] - 1 for piece in some.pieces.tolist()]
    assert some.labels.tolist() == [piece % 2 for piece in some.pieces.tolist()]
    assert some.weights.tolist() == [3.0 if piece % 2 else 1.0 for piece in some.pieces.tolist()]
    learned = some.rows.targets != -100
    assert float(some.shares[learned].sum()) == pytest.approx(len(lengths))  # every text counts as one


def test_tokens_left_out_depend_on_the_text_and_the_update_alone(tmp_path):
    examples = examples_of(tmp_path, [20, 30, 1, 2], [0, 1, 0, 1])
    weights = np.ones(2)

    def kept(pieces: list[int], step: int) -> dict[int, list[int]]:
        some = micro(examples, np.array(pieces), weights, Thinning(0.5, 7, step))
        starts = [0, *np.cumsum([count * length for count, length in some.rows.groups])]
        found, row = {}, 0
        for (count, length), start in zip(some.rows.groups, starts, strict=False):
            for i in range(count):
                begin = start + i * length
                found[int(some.pieces[row])] = some.rows.ids[begin : int(some.ends[row]) + 1].tolist()
                row += 1
        return found

    together = kept([0, 1, 2, 3], 5)
    assert together == {**kept([3, 1], 5), **kept([2, 0], 5)}
    assert together != kept([0, 1, 2, 3], 6)
    for piece, ids in together.items():
        assert ids[0] == 100 * piece
        assert ids == sorted(set(ids))
        assert set(ids) <= set(range(100 * piece, 100 * piece + 30))
    assert len(together[2]) == 1
    assert len(together[3]) == 2
    assert 5 < len(together[1]) < 25


def test_balanced_weights_let_every_class_count_as_much_as_any_other(tmp_path):
    examples = examples_of(tmp_path, [3] * 10, [0] * 8 + [1] * 2)
    weights = class_weights(check_config("classify", {"class_weights": "balanced"})[0], examples)
    counts = Counter(examples.labels.tolist())
    assert weights[0] * counts[0] == pytest.approx(weights[1] * counts[1])
    assert sum(weights[label] for label in examples.labels) == pytest.approx(len(examples))
    given = {"class_weights": "given", "weights": ["b: 2.5"]}
    assert class_weights(check_config("classify", given)[0], examples).tolist() == [1.0, 2.5]


def test_figures_are_those_of_the_definitions():
    labels, predictions = np.array([0, 0, 1, 1, 2, 0]), np.array([0, 1, 1, 0, 0, 0])
    matrix = report.confusion(labels, predictions, 3)
    assert matrix.tolist() == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    each = report.per_class(matrix, ["a", "b", "c"])
    assert each["a"] == {"precision": 2 / 4, "recall": 2 / 3, "f1": pytest.approx(4 / 7), "texts": 3}
    assert each["c"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "texts": 1}
    found = report.figures(labels, predictions, 3)
    assert found == {"accuracy": 0.5, "macro_f1": pytest.approx((4 / 7 + 1 / 2 + 0) / 3)}


def test_disagreement_is_the_mean_divergence_of_both_ways():
    random = np.random.default_rng(3)
    logits = random.normal(size=(2, 5, 3))
    p, q = (np.exp(each) / np.exp(each).sum(1, keepdims=True) for each in logits)
    slow = [(sum(a * np.log(a / b)) + sum(b * np.log(b / a))) / 2 for a, b in zip(p, q, strict=True)]
    one, other = map(torch.from_numpy, logits)
    assert _disagreement(one, other).tolist() == pytest.approx(slow)
    assert _disagreement(one, one).abs().max() == 0


# Runs ---------------------------------------------------------------------------------------------------------------------------


def short(folder: Path, base: Path, data: Path, **config: Any) -> Path:
    inputs = {"base": [str(base)], "dataset": str(data)}
    return runs.write_run(folder, "classify", {**QUICK, "max_steps": 3, **config}, inputs)


@pytest.mark.slow
def test_smaller_parts_of_a_batch_give_the_same_update(pretrained, dataset, tmp_path):
    losses = []
    for rows in (None, 3):
        folder = short(
            tmp_path / str(rows), pretrained / "output", dataset,
            micro_batch=rows, drop_tokens=0.2, lm_weight=0.5, class_weights="balanced", log_every=1,
        )  # fmt: skip
        assert runs.go(folder) == 0
        losses.append([event["loss"] for event in runs.events(folder) if "loss" in event])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.slow
def test_two_judgements_of_a_text_are_drawn_together(pretrained, dataset, tmp_path):
    """The same updates by dice, once with a strong pull: what dropout leaves of the judgements then differs less, and so does the loss."""
    apart = []
    for weight in (0.0, 30.0):
        folder = short(
            tmp_path / str(weight), pretrained / "output", dataset, dropout=0.3, consistency=weight, max_steps=30
        )
        assert runs.go(folder) == 0
        loaded = load([folder / "output"])
        leave_out(loaded.model, 0.3)
        torch.manual_seed(0)
        rows = encode_judged(loaded, [row["text"] for row in heldout(labelled())])
        loaded.model.train()
        with torch.no_grad():
            views = [torch.stack([loaded.model(torch.tensor([ids])).logits[0] for ids in rows]) for _ in range(2)]
        apart.append(float(_disagreement(*views).mean()))
    assert apart[1] < apart[0] / 2


@pytest.mark.slow
def test_a_classifier_of_the_same_classes_is_trained_further_and_another_gets_a_new_layer(
    classified, dataset, tmp_path
):
    further = short(tmp_path / "further", classified / "output", dataset)
    assert runs.go(further) == 0
    first = next(event for event in runs.events(further) if "heldout_loss" in event)
    assert first["heldout_loss"] == pytest.approx(metrics(classified)["heldout_loss"], rel=1e-4)
    rows = [row | {"label": row["label"][0]} for row in labelled(24)]
    other = short(tmp_path / "other", classified / "output", runs.write_rows(tmp_path / "rows.jsonl", rows))
    assert runs.go(other) == 0
    assert notes(other)["new-classes"] == {"before": "bird, cattle, hunter"}
    assert load([other / "output"]).labels == ("b", "c", "h")


@pytest.mark.slow
def test_learning_words_beside_classes_needs_a_model_that_writes(classified, pretrained, dataset, tmp_path):
    refused = short(tmp_path / "refused", classified / "output", dataset, lm_weight=0.5)
    assert runs.go(refused) == 2
    assert runs.status(refused)["problems"][0]["id"] == "no-lm-head"
    folder = short(tmp_path / "run", pretrained / "output", dataset, lm_weight=1.0, log_every=1)
    assert runs.go(folder) == 0
    # The text's own loss, about 1 nat a token, stands beside that of the classes.
    assert next(event["loss"] for event in runs.events(folder) if "loss" in event) > np.log(3) + 0.3
    assert inspect.describe(folder / "output").head == "classes"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "config", "problem"),
    [
        ([row | {"label": "x"} for row in labelled(12)], {}, "one-class"),
        (labelled(24), {"class_weights": "given", "weights": ["cow: 2"]}, "weights-unknown"),
        (labelled(24), {"class_weights": "given"}, "no-weights"),
        (labelled(24), {"weights": ["bird: 2"]}, "weights-unused"),
        (labelled(24), {"consistency": 1.0}, "consistency-without-dropout"),
    ],
)
def test_what_cannot_be_learned_is_refused(rows, config, problem, pretrained, tmp_path):
    folder = short(tmp_path / "run", pretrained / "output", runs.write_rows(tmp_path / "rows.jsonl", rows), **config)
    assert runs.go(folder) == 2
    assert [found["id"] for found in runs.status(folder)["problems"]] == [problem]


def test_labels_that_training_never_saw_count_as_wrong_and_are_told(pretrained, tmp_path):
    rows = [row for row in labelled(48) if row["split"] == "heldout" or row["label"] != "cattle"]
    folder = short(tmp_path / "run", pretrained / "output", runs.write_rows(tmp_path / "rows.jsonl", rows))
    assert runs.go(folder) == 0
    unseen = sum(row["label"] == "cattle" for row in heldout(rows))
    assert notes(folder)["unseen-labels"] == {"texts": unseen, "labels": "cattle"}
    told = metrics(folder)
    assert told["confusion"]["labels"] == ["bird", "hunter", "cattle"]
    assert told["classes"]["cattle"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "texts": unseen}
    assert load([folder / "output"]).labels == ("bird", "hunter")


def test_uneven_classes_are_remarked_upon(pretrained, tmp_path):
    rows = [row for i, row in enumerate(labelled(100)) if row["label"] != "cattle" or i < 12]
    folder = short(tmp_path / "run", pretrained / "output", runs.write_rows(tmp_path / "rows.jsonl", rows))
    assert runs.go(folder) == 0
    assert notes(folder)["uneven-classes"]["rare"] == "cattle"


@pytest.mark.slow
def test_patience_keeps_the_best_weights(pretrained, tmp_path):
    """Labels by dice can only be learned by heart: the held-out loss soon rises."""
    choose = random.Random(5)
    rows = [row | {"label": choose.choice("ab")} for row in labelled(48)]
    data = runs.write_rows(tmp_path / "rows.jsonl", rows)
    folder = short(tmp_path / "run", pretrained / "output", data, max_steps=60, eval_every=3, patience=3)
    assert runs.go(folder) == 0
    losses = [event["heldout_loss"] for event in runs.events(folder) if "heldout_loss" in event]
    assert len(losses) < 21
    assert metrics(folder)["heldout_loss"] == min(losses)
    logprobs = class_logprobs(load([folder / "output"]), [row["text"] for row in heldout(rows)])
    nats = [-logprobs[i, "ab".index(row["label"])] for i, row in enumerate(heldout(rows))]
    assert np.mean(nats) == pytest.approx(min(losses), rel=1e-3)


def test_class_logprobs_needs_classes(pretrained):
    loaded: Loaded = load([pretrained / "output"])
    with pytest.raises(ValueError, match="no classes"):
        class_logprobs(loaded, ["a"])
