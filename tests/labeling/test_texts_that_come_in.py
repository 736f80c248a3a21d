"""A NUL or half a surrogate pair is refused at the door, wherever text comes in, and nothing is stored."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from labeling.models import Assignment, Comment, Ranking
from people import texts
from people.errors import Refusal
from tests import factories
from tests.labeling.test_api import client_of

pytestmark = pytest.mark.django_db
NUL, HALF = "one\0two", "one\ud83dtwo"


def test_texts_inside_of_anything_json_holds_are_looked_at():
    for good in ("", "naïve 👍 \\u0000", {"a": ["b", 1, None, {"c": "d"}]}, 1.5, [[]]):
        assert texts.is_storable(good)
    for bad in (NUL, HALF, [NUL], {"a": {"b": [HALF]}}, {NUL: 1}):
        assert not texts.is_storable(bad)
        with pytest.raises(Refusal, match="no text"):
            texts.check(bad)


def test_nothing_written_on_the_board_holds_a_nul(client, ana):
    question = {"key": "why", "kind": "text", "scope": "task", "title": "Why"}
    project = factories.project(tasks=1, questions=[question])
    turn = factories.claim(ana, project)
    client.force_login(ana)
    said = {"ranking": "A > B > C > D", "client_key": "k"}
    for more in ({"comment": NUL}, {"answer.task.why": NUL}):
        where = reverse("turn", args=[turn.pk, "submit"])
        answer = client.post(where, said | more, headers={"Accept": "application/json"})
        assert answer.status_code == 400
        assert "no text" in answer.json()["problems"][0]
    for verb, sent in [("skip", {"reason": NUL}), ("flag", {"flag": "unsafe", "note": NUL}), ("ask", {"text": NUL})]:
        assert client.post(reverse("turn", args=[turn.pk, verb]), sent).status_code == 400
    assert not Comment.objects.exists()
    assert client.get(reverse("projects") + "?q=%00").status_code == 400
    assert client.get("/rank/%00/").status_code in (400, 404)


def test_nothing_that_a_program_sends_holds_one(ana):
    question = {"key": "why", "kind": "text", "scope": "task", "title": "Why"}
    project = factories.project(tasks=1, questions=[question])
    turn = factories.claim(ana, project)
    api, where = client_of(ana), reverse("api-submit", args=[turn.pk])
    said = {"notation": "A > B > C > D", "client_key": "k"}
    for more in ({"comment": NUL}, {"answers": {"task": {"why": NUL}}}, {"answers": {"task": {"why": HALF}}}):
        answer = api.post(where, json.dumps(said | more), content_type="application/json")
        assert answer.status_code == 400, more
    assert not Ranking.objects.exists()
    whole = said | {"answers": {"task": {"why": "a thumb 👍, an escape \\u0000"}}}
    assert api.post(where, json.dumps(whole), content_type="application/json").status_code == 200
    assert Ranking.objects.get().answers["task"]["why"] == whole["answers"]["task"]["why"]
    assert Assignment.objects.get().state == "submitted"


def test_another_encoding_brings_none_past_the_door_and_what_is_nested_too_deep_is_refused(ana):
    project = factories.project(tasks=1, questions=[{"key": "why", "kind": "text", "scope": "task", "title": "Why"}])
    turn = factories.claim(ana, project)
    api, where = client_of(ana), reverse("api-submit", args=[turn.pk])
    said = json.dumps({"notation": "A > B > C > D", "client_key": "k", "answers": {"task": {"why": HALF}}})
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        kind = f"application/json; charset={encoding}"
        assert api.generic("POST", where, said.encode(encoding), content_type=kind).status_code == 400, encoding
    unescaped = said.replace("\\ud83d", "+2D0-").encode()  # as UTF-7 writes it
    assert api.generic("POST", where, unescaped, content_type="application/json; charset=utf-7").status_code == 400
    for depth in range(400, 2001, 100):
        deep = '{"comment": "\\u0041", "answers": ' + '{"a": ' * depth + "1" + "}" * depth + "}"
        assert api.generic("POST", where, deep, content_type="application/json").status_code == 400, depth
    assert not Ranking.objects.exists()


def test_no_setting_of_a_project_holds_one(client, admin):
    client.force_login(admin)
    project = factories.project(actor=admin, tasks=1)
    question = {"key": "why", "kind": "text", "scope": "task", "title": NUL}
    api = client_of(admin).patch(
        reverse("api-project", args=[project.slug]),
        json.dumps({"questions": [question]}),
        content_type="application/json",
    )
    assert api.status_code == 400
    file = {"peringkat": "project", "version": 1, "settings": {"guidelines": NUL, "name": "Another"}}
    sent = {"file": SimpleUploadedFile("settings.json", json.dumps(file).encode())}
    assert client.post(reverse("project-new-from-file"), sent).status_code == 400
