"""Calling a turn back around a pause does not show whether it was gold."""

import pytest
from django.test import Client

from labeling import actions
from labeling.models import Desk, Task
from people.errors import Refusal
from tests import factories
from tests.labeling.test_known_answers import add_known, answer, desk_of

pytestmark = pytest.mark.django_db
AS_JSON = {"Accept": "application/json"}
GOLD, ORDINARY = Task.Kind.GOLD, Task.Kind.NORMAL


def held(person, project, kind: str):
    """A turn of this kind in the person's hands."""
    desk, _new = Desk.objects.get_or_create(project=project, annotator=person)
    desk.stage, desk.until_gold = Desk.Stage.WORKING, 1 if kind == GOLD else 5
    desk.save()
    turn = factories.claim(person, project)
    assert turn.task.kind == kind
    return turn


@pytest.fixture
def project():
    made = factories.project(tasks=4, gold_percent=10)
    add_known(made, 2)
    return made


def around_a_pause(project, kind: str, verb: str, fields: dict, *, paused_first: bool) -> list:
    """What the board is told: after the turn, and when it is called back."""
    person, boss = factories.user(), factories.admin()
    turn = held(person, project, kind)
    client = Client()
    client.force_login(person)
    pause = {"actor": boss, "project": project, "person": person}
    if paused_first:
        actions.pause_desk(**pause)
    answered = client.post(f"/rank/turn/{turn.pk}/{verb}/", fields | {"client_key": kind}, headers=AS_JSON)
    if not paused_first:
        actions.pause_desk(**pause)
    called_back = client.post(f"/rank/turn/{turn.pk}/undo/", headers=AS_JSON)
    turn.refresh_from_db()
    return [answered.status_code, bool(answered.json()["undo"]), called_back.status_code, turn.state]


@pytest.mark.parametrize("paused_first", [False, True])
@pytest.mark.parametrize(
    ("verb", "fields"),
    [("submit", {"ranking": "D > C > B > A"}), ("skip", {"reason": "Too long"}), ("flag", {"flag": "garbled"})],
)
def test_around_a_pause_by_an_admin_gold_is_called_back_like_any_other_turn(project, verb, fields, paused_first):
    seen = [around_a_pause(project, kind, verb, fields, paused_first=paused_first) for kind in (GOLD, ORDINARY)]
    assert seen == [[200, True, 200, "claimed"]] * 2


def test_a_pause_by_an_admin_is_not_replaced_by_one_over_gold_tasks(project):
    person = factories.user()
    turn = held(person, project, GOLD)
    Desk.objects.update(gold_scores=[0.0] * 9)
    actions.pause_desk(actor=factories.admin(), project=project, person=person)
    answer(person, turn, "D > C > B > A")
    desk = desk_of(person, project)
    assert (desk.paused_because, desk.gold_scores) == ("admin", [0.0] * 10)
    assert person.notices.count() == 1
    actions.undo(actor=person, assignment=turn)
    desk.refresh_from_db()
    assert desk.gold_scores == [0.0] * 9


def test_after_a_pause_over_gold_tasks_no_turn_is_called_back(project):
    person = factories.user()
    ordinary = held(person, project, ORDINARY)
    answer(person, ordinary)
    Desk.objects.update(gold_scores=[0.0] * 9)
    while (turn := actions.claim_task(actor=person, project=project)) is not None:
        Desk.objects.update(until_gold=1)
        answer(person, turn, "D > C > B > A")
    assert desk_of(person, project).paused_because == "gold"
    for turn in project.assignments.filter(annotator=person):
        with pytest.raises(Refusal, match="cannot be called back"):
            actions.undo(actor=person, assignment=turn)
