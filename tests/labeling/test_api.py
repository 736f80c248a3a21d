"""REST: a program ranks, freezes, exports and uploads with a token, by the same rules as people do."""

import json

import pytest
from django.urls import reverse
from django.urls.converters import UUIDConverter
from rest_framework.test import APIClient

from jobs.models import Job
from labeling import actions
from labeling.models import Dataset, Ranking
from people.models import Role
from tests import factories
from tests.labeling.conftest import client_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]


@pytest.fixture
def api(ana):
    return client_of(ana)


@pytest.fixture
def project(admin):
    return factories.project(actor=admin, tasks=3)


def file(name, content):
    from django.core.files.uploadedfile import SimpleUploadedFile

    return SimpleUploadedFile(name, content.encode())


def test_a_project_in_which_one_does_not_rank_is_like_one_that_does_not_exist(api, admin):
    closed = factories.project(actor=admin, tasks=1, open_to_all=False)
    assert api.post(reverse("api-claim", args=[closed.slug])).status_code == 404
    assert api.post(reverse("api-claim", args=["no-such-project"])).status_code == 404


def test_a_program_claims_ranks_and_gets_the_next_task(api, project):
    board = api.post(reverse("api-claim", args=[project.slug])).json()
    assert [output["letter"] for output in board["outputs"]] == list("ABCD")
    answer = api.post(
        reverse("api-submit", args=[board["assignment"]]),
        {"notation": "B > A = C > D", "client_key": "k1", "seconds": 4.5},
        format="json",
    )
    assert answer.status_code == 200
    said = answer.json()
    assert (said["state"], said["ranking"], said["revision"], said["repeated"]) == (
        "submitted",
        "B > A = C > D",
        1,
        False,
    )
    assert said["next"]["assignment"] != board["assignment"]
    assert said["next"]["progress"] == {"today": 1, "done": 1, "available": 1, "rounded": False}
    again = api.post(
        reverse("api-submit", args=[board["assignment"]]), {"notation": "b>a=c>d", "client_key": "k1"}, format="json"
    ).json()
    assert again["repeated"]
    assert again["next"]["assignment"] == said["next"]["assignment"]
    assert Ranking.objects.get().seconds == 4.5


def test_nothing_that_names_a_model_or_a_completion_leaves_by_the_board(api, project):
    board = api.post(reverse("api-claim", args=[project.slug])).json()
    said = api.post(
        reverse("api-submit", args=[board["assignment"]]), {"notation": "A>B>C>D", "client_key": "k"}, format="json"
    ).json()
    for answer in (board, said):
        assert "system" not in json.dumps(answer)
        assert "completion" not in json.dumps(answer)


def test_problems_come_in_words_all_at_once(api, project):
    board = api.post(reverse("api-claim", args=[project.slug])).json()
    answer = api.post(
        reverse("api-submit", args=[board["assignment"]]), {"notation": "A | B", "client_key": "k"}, format="json"
    )
    assert answer.status_code == 400
    assert len(answer.json()["problems"]) == 2
    assert api.post(reverse("api-submit", args=[board["assignment"]]), {}, format="json").status_code == 400


def test_skip_flag_undo_revise_and_a_sign_of_life(api, project):
    first = api.post(reverse("api-claim", args=[project.slug])).json()["assignment"]
    assert api.post(reverse("api-extend", args=[first])).json() == {"held": True}
    skipped = api.post(reverse("api-skip", args=[first]), {"reason": "no idea"}, format="json").json()
    assert skipped["state"] == "skipped"
    second = skipped["next"]["assignment"]
    flagged = api.post(reverse("api-flag", args=[second]), {"flag": "unsafe", "note": "x"}, format="json").json()
    assert flagged["state"] == "flagged"
    assert api.post(reverse("api-flag", args=[second]), {"flag": "ugly"}, format="json").status_code == 400
    back = api.post(reverse("api-undo", args=[second])).json()
    assert back["assignment"] == second
    done = {"notation": "A>B>C>D", "client_key": "k1"}
    assert api.post(reverse("api-submit", args=[second]), done, format="json").json()["state"] == "submitted"
    changed = {"notation": "D>C>B>A", "client_key": "k2"}
    revised = api.post(reverse("api-revise", args=[second]), changed, format="json").json()
    assert (revised["revision"], revised["ranking"]) == (2, "D > C > B > A")


def test_no_task_is_no_content(api, project):
    for _ in range(3):
        board = api.post(reverse("api-claim", args=[project.slug])).json()
        api.post(reverse("api-skip", args=[board["assignment"]]), {"reason": "x"}, format="json")
    assert api.post(reverse("api-claim", args=[project.slug])).status_code == 204


def test_an_annotator_sees_the_projects_they_may_rank_and_a_researcher_all(api, admin, project):
    closed = factories.project(actor=admin, open_to_all=False)
    assert [one["slug"] for one in api.get(reverse("api-projects")).json()["results"]] == [project.slug]
    researcher = client_of(factories.user(Role.RESEARCHER))
    slugs = {one["slug"] for one in researcher.get(reverse("api-projects")).json()["results"]}
    assert slugs == {project.slug, closed.slug}


@pytest.mark.slow
def test_a_researcher_freezes_and_downloads(ana, project):
    factories.submit(ana, factories.claim(ana, project), "A = B > C > D")
    researcher = client_of(factories.user(Role.RESEARCHER))
    made = researcher.post(reverse("api-snapshots", args=[project.slug]), {"name": "First"}, format="json")
    assert made.status_code == 201
    assert made.json()["manifest"]["pairs"]["tied"] == {"train": 1}
    assert researcher.post(reverse("api-snapshots", args=[project.slug]), {}, format="json").status_code == 200
    pk = made.json()["id"]
    listed = researcher.get(reverse("api-datasets")).json()["results"]
    assert [(one["id"], one["project"]) for one in listed] == [(pk, project.slug)]
    assert researcher.get(reverse("api-dataset", args=[pk])).json()["digest"] == made.json()["digest"]

    def lines(name, **query):
        answer = researcher.get(reverse(name, args=[pk]), query)
        assert answer["Content-Type"] == "application/x-ndjson"
        assert made.json()["digest"][:8] in answer["Content-Disposition"]
        return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]

    assert len(lines("api-dataset-rows")) == 1
    assert len(lines("api-dataset-pairs")) == 5
    assert len(lines("api-dataset-pairs", ties="both", margin="true")) == 7
    assert lines("api-dataset-pairs", ties="both", split="heldout") == []
    assert lines("api-dataset-acceptable") == []
    assert researcher.get(reverse("api-dataset-pairs", args=[pk]), {"ties": "winner"}).status_code == 400
    assert researcher.get(reverse("api-dataset-rows", args=[pk]), {"split": "dev"}).status_code == 400


def test_a_data_set_is_uploaded_and_a_bad_one_refused_by_line():
    researcher = client_of(factories.user(Role.RESEARCHER))
    given = {"name": "Labels", "kind": "labelled", "columns": "text,label"}
    made = researcher.post(
        reverse("api-datasets"), given | {"file": file("x.tsv", "bagus\tpositive\nburuk\tnegative\n")}
    )
    assert made.status_code == 201, made.json()
    assert made.json()["rows"] == 2
    again = researcher.post(
        reverse("api-datasets"), given | {"file": file("x.tsv", "bagus\tpositive\nburuk\tnegative\n")}
    )
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    bad = researcher.post(reverse("api-datasets"), given | {"file": file("x.tsv", "bagus\tpositive\n\tpositive\nx\n")})
    assert bad.status_code == 400
    assert [problem.split(":")[0] for problem in bad.json()["problems"]] == ["Line 2", "Line 3"]
    assert Dataset.objects.count() == 1


def test_an_admin_imports_and_samples(admin, project, tiny):
    boss = client_of(admin)
    rows = '{"prompt": "One", "completions": ["a", "b"]}\n{"prompt": 2}\n'
    seen = boss.post(reverse("api-import", args=[project.slug]), {"file": file("x.jsonl", rows), "dry_run": "true"})
    assert seen.json()["tasks_new"] == 1
    assert seen.json()["problems"] == ["Line 2: “prompt” must be a text or a list of messages."]
    assert project.tasks.count() == 3
    begun = boss.post(reverse("api-import", args=[project.slug]), {"file": file("x.jsonl", rows), "skip_bad": "true"})
    assert (begun.status_code, begun.json()["what"]) == (202, "import")
    sampled = boss.post(
        reverse("api-sample", args=[project.slug]), {"versions": [tiny.pk], "max_tokens": 4}, format="json"
    )
    assert (sampled.status_code, sampled.json()["what"]) == (202, "sample")
    assert Job.objects.count() == 2
    wrong = boss.post(reverse("api-sample", args=[project.slug]), {"versions": [], "top_p": 2}, format="json")
    assert (wrong.status_code, len(wrong.json()["problems"])) == (400, 2)


def test_models_to_sample_from_are_named_as_everywhere(admin, project, tiny):
    boss, address = client_of(admin), reverse("api-sample", args=[project.slug])
    sampled = boss.post(address, {"versions": [str(tiny)], "max_tokens": 4}, format="json")
    assert sampled.status_code == 202, sampled.json()
    assert str(tiny.pk) in json.dumps(Job.objects.get().arguments)
    wrong = boss.post(address, {"versions": ["nobody:v7"], "judge": True}, format="json")
    assert wrong.status_code == 400
    assert "nobody:v7" in str(wrong.json())
    assert "name:v3" in str(wrong.json())


# (address, method, roles that may): everything else is 403, and 401 without a token.
EVERYONE = {Role.ANNOTATOR, Role.RESEARCHER, Role.ADMIN}
LEARNED = {Role.RESEARCHER, Role.ADMIN}
ADDRESSES = [
    ("api-projects", "get", EVERYONE),
    ("api-projects", "post", {Role.ADMIN}),
    ("api-project", "get", LEARNED),
    ("api-project", "patch", {Role.ADMIN}),
    ("api-project-copy", "post", {Role.ADMIN}),
    ("api-settings-file", "get", {Role.ADMIN}),
    ("api-claim", "post", EVERYONE),
    ("api-submit", "post", EVERYONE),
    ("api-revise", "post", EVERYONE),
    ("api-skip", "post", EVERYONE),
    ("api-flag", "post", EVERYONE),
    ("api-undo", "post", EVERYONE),
    ("api-extend", "post", EVERYONE),
    ("api-import", "post", {Role.ADMIN}),
    ("api-sample", "post", {Role.ADMIN}),
    ("api-snapshots", "post", LEARNED),
    ("api-turns", "get", LEARNED),
    ("api-standing", "get", EVERYONE),
    ("api-warning", "post", EVERYONE),
    ("api-claim-task", "post", LEARNED),
    ("api-tasks", "get", LEARNED),
    ("api-tasks", "patch", {Role.ADMIN}),
    ("api-known-answer", "get", {Role.ADMIN}),
    ("api-known-answer", "put", {Role.ADMIN}),
    ("api-known-answer", "delete", {Role.ADMIN}),
    ("api-stranded", "get", LEARNED),
    ("api-scores", "post", {Role.ADMIN}),
    ("api-scores-by-model", "post", {Role.ADMIN}),
    ("api-order", "post", {Role.ADMIN}),
    ("api-batches", "get", LEARNED),
    ("api-batches", "post", {Role.ADMIN}),
    ("api-batch", "patch", {Role.ADMIN}),
    ("api-desks", "get", {Role.ADMIN}),
    ("api-desk", "post", {Role.ADMIN}),
    ("api-history", "get", EVERYONE),
    ("api-history-turn", "get", EVERYONE),
    ("api-ask", "post", EVERYONE),
    ("api-members", "get", {Role.ADMIN}),
    ("api-members", "post", {Role.ADMIN}),
    ("api-member", "patch", {Role.ADMIN}),
    ("api-member", "delete", {Role.ADMIN}),
    ("api-project-invitations", "get", {Role.ADMIN}),
    ("api-project-invitations", "post", {Role.ADMIN}),
    ("api-project-invitation", "delete", {Role.ADMIN}),
    ("api-project-hours", "get", {Role.ADMIN}),
    ("api-project-audit", "get", {Role.ADMIN}),
    ("api-hours", "get", {Role.ADMIN}),
    ("api-quality", "get", LEARNED),
    ("api-review", "get", LEARNED),
    ("api-review-against", "post", LEARNED),
    ("api-review-task", "get", LEARNED),
    ("api-adjudicate", "post", LEARNED),
    ("api-close-task", "post", LEARNED),
    ("api-reopen-task", "post", LEARNED),
    ("api-one-more", "post", LEARNED),
    ("api-remark", "post", LEARNED),
    ("api-answer", "post", LEARNED),
    ("api-resolve", "post", LEARNED),
    ("api-dataset-consensus", "get", LEARNED),
    ("api-datasets", "get", LEARNED),
    ("api-datasets", "post", LEARNED),
    ("api-dataset", "get", LEARNED),
    ("api-dataset-rows", "get", LEARNED),
    ("api-dataset-pairs", "get", LEARNED),
    ("api-dataset-acceptable", "get", LEARNED),
    ("api-version-score-file", "post", LEARNED),
    ("api-scored", "get", LEARNED),
]


def test_each_endpoint_is_listed_here():
    from labeling.api_urls import urlpatterns

    assert {pattern.name for pattern in urlpatterns} == {name for name, _method, _roles in ADDRESSES}


def arguments(name, *, project, assignment, dataset) -> dict:
    """What the address of an endpoint names, of these."""
    from labeling.api_urls import urlpatterns

    pattern = next(each.pattern for each in urlpatterns if each.name == name)
    about = {"datasets": dataset.pk, "assignments": assignment.pk, "tasks": assignment.task_id}
    made_up = {"name": "none", "number": 1, "upload": "none"}
    found = made_up | {
        "slug": project.slug,
        "task": assignment.task_id,
        "pk": about.get(str(pattern).split("/")[0], 1),
    }
    return {
        key: assignment.pk if isinstance(converter, UUIDConverter) else found[key]
        for key, converter in pattern.converters.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method", "roles"), ADDRESSES)
def test_each_endpoint_opens_for_its_roles_alone(name, method, roles, admin, project):
    worker = factories.user()
    assignment = factories.claim(worker, project)
    factories.submit(worker, assignment)
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
    address = reverse(name, kwargs=arguments(name, project=project, assignment=assignment, dataset=dataset))
    assert getattr(APIClient(), method)(address).status_code == 401
    for role in Role:
        answer = getattr(client_of(factories.user(role)), method)(address)
        assert (answer.status_code == 403) == (role not in roles), role
