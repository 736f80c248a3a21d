"""The consensus where people meet it: on the page of review and in what is exported."""

import pytest
from django.urls import reverse

from labeling.datasets.consensus import consensus_rows
from tests import factories
from tests.labeling_pages.judging import say

pytestmark = pytest.mark.django_db


@pytest.fixture
def shown(page, admin, said):
    """The page of review of one task of four outputs that two people ranked so."""

    def shown(*rankings: str) -> str:
        project = factories.project(actor=admin, tasks=1, outputs=4, overlap=2, acceptability_line=True)
        for ranking in rankings:
            (task,) = say(factories.user(), project, ranking)
        return said(page.get(reverse("project-review-task", args=[project.slug, task.pk])))

    return shown


def test_two_people_agree_on_one_pair_and_on_nothing_else(shown):
    text = shown("A > D > C > B", "B | D > C > A")
    assert "Contested pairs: A, B; A, C; A, D; B, C; B, D." in text
    assert "D > A = B = C" in text
    assert "Where the line lies is contested." in text


def test_a_line_that_the_order_has_room_for_is_not_contested(shown):
    text = shown("A > B > C > D", "A | B > C > D")
    assert "A | B > C > D" in text
    assert "line lies" not in text


def test_weights_that_hardly_differ_decide_nothing_silently():
    row = {"task": 1, "prompt": "p", "completions": ["a", "b", "c"], "split": "train"}
    (found,) = consensus_rows(
        [
            row | {"annotator": 1, "ranking": "B > A = C", "weight": 0.993},
            row | {"annotator": 2, "ranking": "C > A > B", "weight": 1.01},
        ]
    )
    assert found["contested"] == [["A", "B"], ["A", "C"], ["B", "C"]]
