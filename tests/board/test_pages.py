"""The board as the server gives it: blind, closed to strangers, small, and plain about what it refuses."""

import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

from labeling import actions, queries
from labeling.models import Completion, Desk
from models_registry.models import Kind, Model, Version
from tests import factories
from tests.pages import without_tokens

pytestmark = pytest.mark.django_db

NEXT = {"ranking": "A > B > C > D", "client_key": "key"}


@pytest.fixture
def project():
    """Outputs of a registered model and of a named source."""
    made = factories.project(tasks=3)
    writer = Version.objects.create(
        model=Model.objects.create(name="secret-writer"), number=77, kind=Kind.FULL, digest="d1e5" * 16
    )
    for completion in Completion.objects.all():
        completion.version, completion.source = writer, "hidden-source"
        completion.sampling = {"seed": 424242, "temperature": 0.7}
        completion.save()
    return made


def assert_blind(text: str, project) -> None:
    text = without_tokens(text)
    for secret in ("secret-writer", "hidden-source", "d1e5d1e5", "424242", "completion", "v77"):
        assert secret not in text
    digests = Completion.objects.values_list("digest", flat=True)
    assert not [digest for digest in digests if digest in text]


def test_page_and_answers_name_letters_only(client, project):
    person = factories.user()
    client.force_login(person)
    page = client.get(f"/rank/{project.slug}/").content.decode()
    assert_blind(page, project)

    assignment = re.search(r'data-assignment="([^"]+)"', page)[1]
    answer = client.post(f"/rank/turn/{assignment}/submit/", NEXT, headers={"accept": "application/json"})
    assert answer.status_code == 200
    assert_blind(answer.content.decode(), project)
    assert "Answer" in json.loads(answer.content)["html"]

    # Every attribute of the task is known, and none holds a database id of an output.
    values = re.findall(r'data-item="([^"]*)"', page)
    assert values == ["0", "1", "2", "3"]


@pytest.mark.slow
def test_the_order_shown_is_shuffled_for_each_person(client, project):
    shown = set()
    for _ in range(12):
        client.force_login(factories.user())
        page = client.get(f"/rank/{factories.project(tasks=1).slug}/").content.decode()
        shown.add(tuple(re.findall(r"Answer (\w) to", page)))
    assert len(shown) > 3


def test_only_those_of_the_project_get_its_board(client, project):
    closed = factories.project(tasks=1, open_to_all=False)
    client.force_login(factories.user())
    assert client.get(f"/rank/{closed.slug}/").status_code == 404
    assert client.get("/rank/nothing-there/").status_code == 404


def test_a_turn_of_someone_else_cannot_be_submitted(client, project):
    theirs = factories.claim(factories.user(), project)
    client.force_login(factories.user())
    for verb in ("submit", "revise", "skip", "flag", "undo", "extend"):
        answer = client.post(
            f"/rank/turn/{theirs.pk}/{verb}/",
            {**NEXT, "reason": "no", "flag": "garbled"},
            headers={"accept": "application/json"},
        )
        assert answer.status_code == 404, verb
        assert answer.json()["problems"]


def test_a_malformed_ranking_is_refused_in_plain_words(client, project):
    person = factories.user()
    mine = factories.claim(person, project)
    client.force_login(person)
    for ranking, says in [("A > B", "missing: C, D"), ("A > Q", "Character 5"), ("", "nothing is ranked")]:
        data = {"ranking": ranking, "client_key": "k"}
        answer = client.post(f"/rank/turn/{mine.pk}/submit/", data, headers={"accept": "application/json"})
        assert answer.status_code == 400
        assert says in answer.json()["problems"][0]


def test_one_project_opens_at_once_and_several_are_listed(client, project):
    person = factories.user()
    client.force_login(person)
    assert client.get("/rank/").headers["location"] == f"/rank/{project.slug}/"
    other = factories.project(tasks=1)
    page = client.get("/rank/").content.decode()
    assert project.name in page
    assert other.name in page
    assert "3 waiting" in page
    assert "1 waiting" in page


def test_tasks_that_one_has_had_do_not_wait(client):
    """One who ranks a task keeps it from nobody else; but it waits for them no more, also when it joins the queue anew."""
    project = factories.project(tasks=2, overlap=2)
    other = factories.project(tasks=1)
    person, second = factories.user(), factories.user()
    factories.submit(person, factories.claim(person, project))
    following = factories.claim(second, project)
    factories.submit(person, factories.claim(person, project))
    actions.skip_task(actor=second, assignment=following, reason="too long")  # its place is free again: at the tail
    assert queries.progress(person.pk, project)["available"] == 0
    client.force_login(person)
    page = client.get("/rank/").content.decode()
    assert page.count("nothing waiting") == 1
    client.get(f"/rank/{other.slug}/")
    Desk.objects.filter(annotator=second, project=project).update(paused_because="admin")
    assert queries.progress(second.pk, project)["available"] == 0


def test_the_goal_counts_real_work_and_says_once_when_it_is_reached(client):
    project = factories.project(tasks=3, daily_goal=2)
    person = factories.user()
    client.force_login(person)
    turn, told = factories.claim(person, project), []
    for n in range(3):
        data = {"ranking": "A > B > C > D", "client_key": f"k{n}"}
        answer = client.post(f"/rank/turn/{turn.pk}/submit/", data, headers={"accept": "application/json"}).json()
        told.append((answer["good_news"], answer["progress"]))
        turn = person.assignments.filter(state="claimed").first()
    assert told[0] == ("", "1 of 2 today · 1 waiting")
    assert told[1][0] == "You have reached your goal for today."
    assert told[1][1].startswith("2 of 2 today · goal reached")
    assert told[2][0] == ""


def test_the_first_page_is_small(client, project):
    """Everything the board loads to begin with, uncompressed, is under 150 kB."""
    client.force_login(factories.user())
    page = client.get(f"/rank/{project.slug}/").content
    loaded = re.sub(rb'<script type="importmap">.*?</script>', b"", page, flags=re.DOTALL)
    linked = re.findall(rb'/static/([\w./-]+\.(?:js|css|svg))"', loaded)
    files = {finders.find(name.decode()) for name in linked}
    assert len(files) > 15
    assert len(page) + sum(Path(file).stat().st_size for file in files) < 150_000


def test_every_module_of_the_script_is_found_under_its_cached_name(client, project):
    client.force_login(factories.user())
    page = client.get(f"/rank/{project.slug}/").content.decode()
    written = {file.name for file in (settings.BASE_DIR / "static/js/board").glob("*.js")} - {"view.js"}
    led_to = json.loads(re.search(r'<script type="importmap">(.*?)</script>', page, re.DOTALL)[1])["imports"]
    assert {name.rsplit("/", 1)[1] for name in led_to} == written | {"app.js"}


def test_a_sign_of_life_keeps_the_task(client, project):
    person = factories.user()
    mine = factories.claim(person, project)
    type(mine).objects.filter(pk=mine.pk).update(lease_until=mine.claimed_at)
    client.force_login(person)
    answer = client.post(f"/rank/turn/{mine.pk}/extend/", headers={"accept": "application/json"})
    assert answer.json() == {"held": True}
    mine.refresh_from_db()
    assert mine.lease_until > mine.claimed_at


def test_a_paused_project_says_so_and_gives_no_task(client, project):
    from labeling import actions

    actions.change_project(actor=factories.admin(), project=project, state="paused")
    client.force_login(factories.user())
    page = client.get(f"/rank/{project.slug}/").content.decode()
    assert "This project is paused" in page
    assert "data-assignment" not in page
