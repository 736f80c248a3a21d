"""Adaptive overlap: a contested task goes on to more people, one at a time, until they agree."""

import pytest

from labeling import actions, queries
from labeling.importing.load import import_prompts
from labeling.models import Ranking, Task
from people.models import AuditEntry
from tests import factories

from .turns import check_slots

State = Task.State
pytestmark = pytest.mark.django_db


def contested_project(**settings):
    return factories.project(tasks=1, overlap=2, overlap_max=4, contested_below=0.5, **settings)


def say(person, project, canonical):
    assignment = factories.claim(person, project)
    letters = queries.as_shown(assignment, type("Said", (), {"notation": canonical}))
    return factories.submit(person, assignment, letters)


def test_a_contested_task_goes_on_one_person_at_a_time_until_they_agree():
    project = contested_project()
    people = [factories.user() for _ in range(6)]
    say(people[0], project, "A > B > C > D")
    assert project.tasks.get().state == State.OPEN
    outcome = say(people[1], project, "D > C > B > A")
    assert outcome.next is None
    task = project.tasks.get()
    assert (task.state, task.overlap, task.extra, task.free_slots) == (State.OPEN, 3, 1, 1)
    entry = AuditEntry.objects.get(verb="ranking.submit", object_id=str(outcome.assignment.pk))
    assert entry.data["slots_added"] == 1
    check_slots(project)
    say(people[2], project, "A > B > C > D")  # two of three: mean tau-x -1/3
    assert project.tasks.get().overlap == 4
    say(people[3], project, "A > B > C > D")
    task = project.tasks.get()
    assert (task.state, task.overlap, task.submitted) == (State.COMPLETE, 4, 4)  # overlap_max
    assert actions.claim_task(actor=people[4], project=project) is None
    check_slots(project)


def test_a_task_on_which_people_agree_stops_at_its_overlap():
    project = contested_project()
    for _ in range(2):
        say(factories.user(), project, "A > B = C > D")
    task = project.tasks.get()
    assert (task.state, task.overlap, task.extra) == (State.COMPLETE, 2, 0)


def test_a_project_without_a_greater_overlap_never_goes_on():
    project = factories.project(tasks=1, overlap=2)
    for canonical in ("A > B > C > D", "D > C > B > A"):
        say(factories.user(), project, canonical)
    assert project.tasks.get().state == State.COMPLETE


def test_an_undone_or_revised_ranking_takes_the_added_slot_away_again(ana, ben):
    project = contested_project()
    say(ana, project, "A > B > C > D")
    mine = say(ben, project, "D > C > B > A").assignment
    assert project.tasks.get().extra == 1
    actions.undo(actor=ben, assignment=mine)
    check_slots(project)
    letters = queries.as_shown(mine, type("Said", (), {"notation": "A > B > D > C"}))
    factories.submit(ben, mine, letters)
    task = project.tasks.get()
    assert (task.state, task.overlap, task.extra, task.free_slots) == (State.COMPLETE, 2, 0, 0)
    check_slots(project)
    for canonical, overlap, state in [("D > C > B > A", 3, State.OPEN), ("A > B > C > D", 2, State.COMPLETE)]:
        letters = queries.as_shown(mine, type("Said", (), {"notation": canonical}))
        actions.revise_ranking(actor=ben, assignment=mine, notation=letters, client_key=canonical)
        task = project.tasks.get()
        assert (task.overlap, task.state) == (overlap, state)
        check_slots(project)


def test_where_no_two_rankings_speak_of_the_same_outputs_a_third_is_asked(ana, ben):
    project = contested_project(allow_partial=True)
    say(ana, project, "A > B")
    say(ben, project, "C > D")
    assert project.tasks.get().overlap == 3


def test_an_added_slot_that_somebody_gives_back_goes_away_if_the_others_agree_by_now(ana, ben):
    project = contested_project()
    say(ana, project, "A > B > C > D")
    mine = say(ben, project, "D > C > B > A").assignment
    carla = factories.user()
    added = factories.claim(carla, project)
    agreeing = queries.as_shown(mine, Ranking(notation="A > B > C > D"))
    actions.revise_ranking(actor=ben, assignment=mine, notation=agreeing, client_key="agreeing")
    assert project.tasks.get().overlap == 3  # she holds it
    actions.skip_task(actor=carla, assignment=added, reason="cannot judge")
    task = project.tasks.get()
    assert (task.state, task.overlap, task.extra, task.free_slots) == (State.COMPLETE, 2, 0, 0)
    check_slots(project)


def test_imported_rankings_that_disagree_ask_for_one_more_and_imported_scores_for_their_place(admin, jsonl):
    project = factories.project(actor=admin, overlap=2, overlap_max=3, random_percent=0)
    both = [{"annotator": name, "ranking": said} for name, said in (("x", "A > B"), ("y", "B > A"))]
    rows = [
        {"prompt": "Low", "completions": ["a", "b"], "score": 0.1},
        {"prompt": "High", "completions": ["a", "b"], "score": 0.9},
        {"prompt": "Contested", "completions": ["a", "b"], "rankings": both, "score": 0.5},
    ]
    actions.order_by_score(actor=admin, project=project)
    import_prompts(actor=admin, project=project, path=jsonl(rows))
    waiting = project.tasks.order_by("position").values_list("prompt__content", "overlap", "free_slots")
    assert list(waiting) == [("High", 2, 2), ("Contested", 3, 1), ("Low", 2, 2)]
    check_slots(project)
