"""REST: a program says which tasks go to whom and when, by the same verbs as the pages."""

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from labeling import actions
from labeling.actions.tasks import Known, Place, add_tasks
from labeling.constraints import Constraints
from labeling.models import Assignment, Project, Task
from people.models import AuditEntry
from tests import factories
from tests.labeling.conftest import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(admin):
    return factories.project(actor=admin, tasks=4, random_percent=0)


@pytest.fixture
def api(admin):
    return client_of(admin)


def address(name: str, project: Project, **more: object) -> str:
    return reverse(name, kwargs={"slug": project.slug, **more})


def ids(project: Project) -> list[int]:
    return list(project.tasks.order_by("pk").values_list("pk", flat=True))


def test_many_tasks_are_changed_in_one_go_or_none(api, project):
    first, second, *_rest = ids(project)
    group = Group.objects.create(name="Linguists")
    batch = api.post(address("api-batches", project), {"name": "Round 1"}, format="json").json()
    change = {"priority": 2, "overlap": 3, "sensitive": True, "batch": batch["id"], "group": "Linguists"}
    answer = api.patch(address("api-tasks", project), {"tasks": [first, second], **change}, format="json")
    assert answer.json() == {"tasks": 2}
    rows = api.get(address("api-tasks", project)).json()["results"]
    assert [row["id"] for row in rows] == ids(project)
    assert {key: rows[0][key] for key in ("priority", "overlap", "sensitive", "batch", "lane")} == {
        "priority": 2, "overlap": 3, "sensitive": True, "batch": "Round 1", "lane": f"g{group.pk}!",
    }  # fmt: skip
    assert rows[2]["lane"] == ""
    verbs = ["tasks.priority", "tasks.overlap", "tasks.sensitive", "tasks.batch", "tasks.assign"]
    assert (
        list(AuditEntry.objects.filter(verb__startswith="tasks.").order_by("pk").values_list("verb", flat=True))
        == verbs
    )

    found = api.get(address("api-tasks", project), {"sensitive": "yes"}).json()
    assert [row["id"] for row in found["results"]] == [first, second]
    answer = api.patch(
        address("api-tasks", project),
        {"filter": {"sensitive": "yes"}, "everybody": True, "batch": None},
        format="json",
    )
    assert answer.json() == {"tasks": 2}
    # The second of two verbs refuses: the first one has changed nothing.
    answer = api.patch(address("api-tasks", project), {"tasks": [first], "priority": 7, "overlap": 0}, format="json")
    assert (answer.status_code, Task.objects.get(pk=first).priority) == (400, 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"priority": 1}, "Say which tasks"),
        ({"tasks": [], "filter": {}, "priority": 1}, "Say which tasks"),
        ({"tasks": [1]}, "Nothing is to be changed"),
        ({"tasks": [1], "person": "nobody", "batch": 99}, "There is no batch 99"),
        ({"tasks": [1], "group": "nobody"}, "There is no group"),
        ({"tasks": [1], "group": "a", "person": "b"}, "not to several"),
        ({"tasks": [10**9], "priority": 1}, "does not belong"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(api, project, given, said):
    answer = api.patch(address("api-tasks", project), given, format="json")
    assert answer.status_code == 400
    assert said in answer.json()["problems"][0]


def test_scores_come_in_and_the_queue_stands_in_their_order(api, project):
    first, second, third, fourth = ids(project)
    rows = [{"task": first, "score": 1}, {"task": third, "score": 2.5}, {"task": fourth, "score": None}]
    answer = api.post(address("api-scores", project) + "?seed=3", rows, format="json")
    assert answer.json() == {"tasks": 3}
    assert list(project.tasks.order_by("position").values_list("pk", flat=True)) == [third, first, second, fourth]
    assert AuditEntry.objects.get(verb="tasks.scores").data["seed"] == 3
    assert api.post(address("api-order", project), {"by": "arrival"}, format="json").json() == {"tasks": 4}
    assert list(project.tasks.order_by("position").values_list("pk", flat=True)) == ids(project)
    assert api.post(address("api-order", project), {"by": "score", "seed": 1}, format="json").json() == {"tasks": 4}


@pytest.mark.parametrize(
    ("rows", "problems"),
    [
        ({"1": 2}, 1),
        ([], 1),
        ([{"task": 1}, {"task": "1", "score": 1}, {"task": 1, "score": "high"}, {"task": 1, "score": True}, 7], 5),
        ([{"task": 10**9 + n, "score": 1} for n in range(50)], 21),
    ],
)
def test_scores_that_make_no_sense_are_all_told(api, project, rows, problems):
    answer = api.post(address("api-scores", project), rows, format="json")
    assert (answer.status_code, len(answer.json()["problems"])) == (400, problems)


def test_a_known_answer_is_set_read_and_taken_away(api, project):
    task = ids(project)[0]
    where = address("api-known-answer", project, task=task)
    assert api.get(where).status_code == 404
    given = {"kind": "practice", "constraints": "a>b, b>=c", "explanation": "Read them aloud."}
    assert api.put(where, given, format="json").json() == given | {"constraints": "A > B, B >= C"}
    assert api.get(where).json()["kind"] == "practice"
    wrong = api.put(where, {"kind": "silver", "constraints": "A > Z"}, format="json")
    assert (wrong.status_code, len(wrong.json()["problems"])) == (400, 2)
    assert api.delete(where).status_code == 204
    assert Task.objects.get(pk=task).kind == "normal"


def test_a_batch_is_made_renamed_paused_and_shows_how_far_it_is(api, project, admin):
    batch = api.post(address("api-batches", project), {"name": "Later", "paused": True}, format="json")
    assert (batch.status_code, batch.json()["paused"]) == (201, True)
    pk = batch.json()["id"]
    api.patch(address("api-tasks", project), {"tasks": ids(project)[:2], "batch": pk}, format="json")
    assert project.tasks.filter(state="held").count() == 2
    changed = api.patch(address("api-batch", project, pk=pk), {"name": "Now", "paused": False}, format="json").json()
    assert {key: changed[key] for key in ("name", "paused", "tasks", "wanted", "ranked")} == {
        "name": "Now", "paused": False, "tasks": 2, "wanted": 2, "ranked": 0,
    }  # fmt: skip
    assert [each["id"] for each in api.get(address("api-batches", project)).json()] == [pk]
    assert api.post(address("api-batches", project), {"name": " "}, format="json").status_code == 400


def test_practice_and_pauses_over_rest(api, project, admin):
    place = Place(known=Known("practice", Constraints.parse("A > B > C > D", items=4), "Because."))
    add_tasks(project, [factories.task(100, place=place)])
    ana = factories.user()
    hers = client_of(ana)
    board = hers.post(address("api-claim", project)).json()
    assert (board["stage"], board["warning"], board["paused"]) == ("practice", "", "")
    assert hers.get(address("api-standing", project)).json()["stage"] == "practice"
    done = hers.post(
        reverse("api-submit", args=[board["assignment"]]),
        {"notation": "A = B = C = D", "client_key": "k"},
        format="json",
    ).json()
    assert (done["feedback"]["score"], len(done["feedback"]["violated"]), done["feedback"]["explanation"]) == (
        0, 6, "Because.",
    )  # fmt: skip
    assert done["next"]["stage"] == "working"
    desk = api.post(address("api-desk", project, pk=ana.pk), {"verb": "pause"}, format="json").json()
    assert (desk["name"], desk["paused_because"]) == (ana.username, "admin")
    assert hers.get(address("api-standing", project)).json()["paused"] == "admin"
    assert [row["person"] for row in api.get(address("api-desks", project)).json()] == [ana.pk]
    for verb, status in [("resume", 200), ("try-again", 200), ("let-in", 200), ("dismiss", 400)]:
        assert api.post(address("api-desk", project, pk=ana.pk), {"verb": verb}, format="json").status_code == status


def test_the_warning_is_answered_and_this_very_task_taken(api, admin):
    project = factories.project(actor=admin, tasks=2, content_warning="Insults.", open_to_all=False)
    task = ids(project)[1]
    actions.set_sensitive(actor=admin, project=project, tasks=[task], sensitive=True)
    ana = factories.user("researcher")
    hers = client_of(ana)
    assert hers.get(address("api-standing", project)).status_code == 404
    assert hers.post(address("api-warning", project), {"takes_sensitive": True}, format="json").status_code == 403
    actions.add_members(actor=admin, project=project, users=[ana])
    assert hers.get(address("api-standing", project)).json()["warning"] == "Insults."
    assert hers.post(address("api-claim-task", project, task=task)).status_code == 409
    answered = hers.post(address("api-warning", project), {"takes_sensitive": True}, format="json").json()
    assert (answered["warning"], answered["takes_sensitive"]) == ("", True)
    board = hers.post(address("api-claim-task", project, task=task)).json()
    assert (board["sensitive"], Assignment.objects.get(pk=board["assignment"]).task_id) == (True, task)


def test_answers_to_questions_go_with_a_ranking(admin):
    question = {"key": "quality", "kind": "scale", "title": "Quality", "required": True}
    project = factories.project(actor=admin, tasks=1, outputs=2, questions=[question])
    hers = client_of(factories.user())
    board = hers.post(address("api-claim", project)).json()
    assert [each["key"] for each in board["questions"]] == ["quality"]
    where, said = reverse("api-submit", args=[board["assignment"]]), {"notation": "A > B", "client_key": "k"}
    assert "Not answered yet" in hers.post(where, said, format="json").json()["problems"][0]
    said |= {"answers": {"outputs": {"A": {"quality": 7}, "B": {"quality": 2}}}, "comment": "Close."}
    assert hers.post(where, said, format="json").json()["state"] == "submitted"
    ranking = Assignment.objects.get().rankings.get()
    assert sorted(each["quality"] for each in ranking.answers["outputs"].values()) == [2, 7]
    back = hers.post(reverse("api-undo", args=[board["assignment"]])).json()
    assert (back["answers"], back["comment"]) == (said["answers"], "Close.")


def test_numbers_that_are_none_are_told_and_not_met_with_an_error(api, project):
    """“²” is a digit and no number; JSON knows whole numbers that no database holds."""
    task = ids(project)[0]
    scores = address("api-scores", project)
    assert api.post(scores + "?seed=²", [{"task": task, "score": 1}], format="json").status_code == 400
    assert api.post(scores, [{"task": task, "score": 10**400}], format="json").status_code == 400
    tasks = address("api-tasks", project)
    assert api.patch(tasks, {"tasks": [10**30], "priority": 1}, format="json").status_code == 400
    for given in ("9" * 30, "²", "--5"):
        assert api.get(tasks, {"batch": given}).json()["results"] == []
    assert api.get(address("api-review", project), {"batch": "²"}).status_code == 400
    assert api.get("/api/v1/people/", {"group": "9" * 30}).status_code == 200
