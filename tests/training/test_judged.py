"""What a reward model knows, as its run's page shows it: pictures with the same values in tables, and people beside it."""

import numpy as np
import pytest
from django.template.loader import render_to_string

from labeling.ranking import WeakOrder
from training.engine.methods.reward.ensemble import doubts
from training.engine.methods.reward.judging import judged as judge
from training.engine.methods.reward.report import Pairs, Scored
from training.judged import Calibration, judged


def outcomes(d: np.ndarray) -> np.ndarray:
    first, second = 1 / (1 + 1.5 * np.exp(-d)), 1 / (1 + 1.5 * np.exp(d))
    return np.stack([first, 1 - first - second, second], -1)


def metrics(people: int) -> dict:
    choose = np.random.default_rng(0)
    rankings = []
    for prompt in range(40):
        scores = choose.normal(0, 1, size=4)
        for person in range(people):
            order = WeakOrder.from_ranks(list(-np.round(scores + choose.normal(0, 0.7, size=4))))
            said = tuple(range(4))
            rankings.append(Scored(order, scores, np.ones(4), prompt, f"p{person}", ("t", prompt), order, said))
    return {"judged": judge(rankings, outcomes), "annotator_scales": {"p0": 1.25}}


@pytest.fixture(scope="module")
def found():
    return judged(metrics(people=3))


def test_every_picture_stands_over_a_table_of_the_same_values(found):
    assert [part.of for part in found.parts] == ["Bin", "Distance", "Annotator"]  # all rankings have four outputs
    for part in found.parts:
        assert "<svg" in part.picture
        assert part.lines
    by_annotator = found.parts[-1]
    assert by_annotator.beside == "Scale"
    assert {line.label: line.beside for line in by_annotator.lines} == {"p0": 1.25, "p1": None, "p2": None}


def test_annotators_are_called_by_their_names_where_these_are_known():
    parts = judged(metrics(people=2), {"p0": "ayu"}).parts
    assert {line.label for line in parts[-1].lines} == {"ayu", "p1"}
    assert "ayu" in parts[-1].picture


def test_who_ranked_training_tasks_alone_stands_in_the_table_with_a_scale():
    known = metrics(people=2)
    part = judged(known | {"annotator_scales": {"p0": 1.25, "p7": 0.4}}).parts[-1]
    assert [(line.label, line.beside, line.figure["pairs"] > 0) for line in part.lines] == [
        ("p0", 1.25, True),
        ("p1", None, True),
        ("p7", 0.4, False),
    ]
    assert "p7" not in part.picture
    assert "0.4" in render_to_string("training/parts/judged_table.html", {"lines": part.lines, "beside": part.beside})


def test_people_on_the_same_tasks_stand_beside_the_model(found):
    assert found.tasks == 40
    assert found.people[0].label == "This model predicts a person"
    assert len(found.people) == 4
    page = render_to_string("training/parts/judged.html", {"judged": found})
    assert "Beside people" in page
    assert "human ceiling" in page


def test_without_shared_tasks_the_page_says_why_people_are_not_beside_it():
    found = judged(metrics(people=1))
    assert (found.people, found.tasks) == ([], 0)
    page = render_to_string("training/parts/judged.html", {"judged": found})
    assert "is not known:" in page
    assert found.why in page.replace("&#x27;", "'")


def test_a_calibration_is_drawn_on_one_scale_both_ways():
    spec = Calibration(((0.4, 0.3, 0.2, 0.4), (0.9, 0.85, 0.8, 0.9))).spec()
    scales = [layer["encoding"][axis]["scale"]["domain"] for layer in spec["layer"] for axis in ("x", "y")]
    assert all(scale == scales[0] for scale in scales)
    assert scales[0][0] <= 0.2


def test_a_run_that_made_no_reward_model_has_none_of_it():
    assert judged({"loss": 1.0}) is None


def of_heads(knows: bool) -> dict:
    choose = np.random.default_rng(1)
    rankings = []
    for prompt in range(60):
        ranks = choose.permutation(3)
        errs = prompt % 2
        scores = (ranks if errs else -ranks) + choose.normal(0, 0.3, size=3)
        noise = choose.normal(0, 0.2 * (8 if errs and knows else 1), size=(3, 4))
        heads = scores[:, None] + noise - noise.mean(1, keepdims=True)
        order = WeakOrder.from_ranks([int(rank) for rank in ranks])
        rankings.append(Scored(order, scores, np.ones(3), prompt, by_head=heads))
    return {"judged": judge(rankings, outcomes), "ensemble": 4, **doubts(Pairs.of(rankings), outcomes)}


@pytest.mark.parametrize(
    ("knows", "sentence"), [(True, "know something of where it errs"), (False, "cannot be told from chance")]
)
def test_the_page_of_an_ensemble_says_whether_its_heads_know_where_it_errs(knows, sentence):
    part = next(part for part in judged(of_heads(knows)).parts if part.of == "Its heads")
    assert sentence in part.hint
    assert [line.label for line in part.lines] == ["agree most", "in between", "agree least"]
    assert part.lines[0].beside < part.lines[-1].beside
    assert "<svg" in part.picture
