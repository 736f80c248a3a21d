"""The audit trail as people read it: sentences, filters, a project's own, fast whatever its length."""

import csv
import html
import io
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labeling import actions as labeling_actions
from labeling.trail import place_name
from people import actions, queries, trail
from people.models import AuditEntry, Role, User
from people.queries import Asked, asked_for, slice_of
from tests import factories
from tests.cost import steps

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]


@pytest.fixture
def boss(client):
    person = factories.user(Role.ADMIN, username="boss", first_name="Ratna")
    client.force_login(person)
    return person


def verbs_in_the_code() -> set[str]:
    """Every verb that some code writes into the trail."""
    found = set()
    for app in ("people", "jobs", "models_registry", "labeling", "training"):
        for file in (Path(settings.BASE_DIR) / app).rglob("*.py"):
            found |= set(re.findall(r'\baudit\(\s*[\w.]+,\s*"([\w.]+)"', file.read_text()))
    return found


def test_every_verb_has_a_sentence():
    assert verbs_in_the_code() - trail.SENTENCES.keys() == set()


def test_every_sentence_can_be_filled():
    for verb, sentence in trail.SENTENCES.items():
        entry = AuditEntry(actor=None, verb=verb, object_type="labeling.Gone", object_id="1", data={})
        assert "%(" not in queries.read([entry])[0].sentence, sentence


def test_a_decision_is_told_in_a_sentence_with_a_link_to_what_it_is_about(client, boss):
    project = factories.project(actor=boss)
    ani = factories.user(username="ani")
    labeling_actions.add_members(actor=boss, project=project, users=[ani], role="researcher")
    page = client.get("/people/audit/").content.decode()
    assert f"Ratna let ani take part in {project.name} as researcher." in page
    assert f'href="{project.get_absolute_url()}"' in page
    assert "project.add_members" in page
    client.post("/language/", {"language": "id"})
    assert client.get("/people/audit/").status_code == 200


def test_it_is_told_to_whom_which_and_how_many(client, boss):
    project, ani = factories.project(actor=boss, tasks=2), factories.user(username="ani")
    tasks = list(project.tasks.values_list("pk", flat=True))
    labeling_actions.assign_tasks(actor=boss, project=project, tasks=tasks[:1], to=ani)
    labeling_actions.assign_tasks(actor=boss, project=project, tasks=tasks, to=None)
    labeling_actions.change_project(actor=boss, project=project, daily_goal=7)
    _invitation, secret = labeling_actions.invite_to_project(actor=boss, project=project)
    actions.accept(actor=ani, secret=secret)
    page = html.unescape(client.get(f"/projects/{project.slug}/audit/").content.decode())
    assert f"assigned 1 task of {project.name} to ani." in page
    assert f"assigned 2 tasks of {project.name} to everybody." in page
    assert f"changed settings of {project.name}: Rankings a day for each person." in page
    assert "ani joined by a link." in page


def test_the_verbs_to_choose_from_are_words_and_in_a_project_those_that_occurred(client, boss):
    project = factories.project(actor=boss)
    labeling_actions.change_project(actor=boss, project=project, daily_goal=7)
    offered = dict(client.get(f"/projects/{project.slug}/audit/").context["form"].fields["verb"].widget.choices[1:])
    assert {verb for names in offered.values() for verb, _name in names} == {"project.create", "project.change"} | {
        entry.verb for entry in AuditEntry.objects.filter(place=place_name(project.pk), routine=False)
    }
    everything = client.get("/people/audit/").context["form"].fields["verb"].widget.choices[1:]
    names = [name for _heading, verbs in everything for _verb, name in verbs]
    assert len(names) == len(set(names)) == len(trail.SENTENCES)
    assert "froze the snapshot …" in names


def test_a_date_that_is_none_finds_nothing_and_makes_no_file(client, boss):
    project = factories.project(actor=boss)
    for address in ("/people/audit/", f"/projects/{project.slug}/audit/"):
        page = client.get(address, {"first": "2026-13-01"})
        assert "From: Enter a valid date." in page.content.decode()
        assert (page.status_code, page.context["entries"]) == (200, [])
        file = client.get(page.context["file"], {"first": "2026-13-01"})
        assert file.status_code == 400
        assert "From: Enter a valid date." in file.content.decode()
    assert not AuditEntry.objects.filter(verb__contains="export").exists()


def test_turns_at_the_board_are_left_out_until_one_asks(client, boss):
    project, ani = factories.project(actor=boss, tasks=2), factories.user(username="ani")
    factories.submit(ani, factories.claim(ani, project))
    assert "ani ranked" not in client.get("/people/audit/").content.decode()
    assert "ani ranked: " in client.get("/people/audit/?routine=on").content.decode()
    assert "ani ranked" in client.get("/people/audit/?verb=ranking.submit").content.decode()
    assert "ani ranked" not in client.get("/people/audit/?routine=on&actor=boss").content.decode()


def some(count: int, **fields) -> None:
    AuditEntry.objects.bulk_create(
        AuditEntry(**{"verb": "project.change", "object_type": "labeling.Project", "object_id": str(n), **fields})
        for n in range(count)
    )


def found(**asked) -> list[str]:
    return [entry.object_id for entry in asked_for(Asked(**asked))]


def test_filters_by_person_verb_object_period_and_text(boss):
    some(3, actor=boss)
    some(2, verb="dataset.freeze", object_type="labeling.Dataset", data={"name": "Spring ✿"})
    AuditEntry.objects.filter(object_type="labeling.Dataset").update(at=timezone.now() - timedelta(days=40))
    assert found(actor="BOSS") == ["2", "1", "0"]
    assert found(actor="nobody") == []
    assert found(verb="dataset.freeze") == ["1", "0"]
    assert found(kind="labeling.Dataset", object="1") == ["1"]
    assert found(search="spring") == found(search="Spring ✿") == ["1", "0"]


def test_a_period_is_found_without_an_index_of_times(boss):
    some(60)
    now = timezone.now()
    for entry in AuditEntry.objects.all():
        AuditEntry.objects.filter(pk=entry.pk).update(at=now - timedelta(days=59 - int(entry.object_id)))
    today = timezone.localdate()
    assert found(first=today - timedelta(days=2)) == ["59", "58", "57"]
    assert found(last=today - timedelta(days=58)) == ["1", "0"]
    assert found(first=today - timedelta(days=30), last=today - timedelta(days=30)) == ["29"]
    assert found(first=today + timedelta(days=1)) == []


def test_pages_lead_back_and_forth_without_gap_or_repetition():
    some(23)
    everything = asked_for(Asked())
    seen, before = [], None
    while True:
        part = slice_of(everything, before=before, size=5)
        seen += [entry.object_id for entry in part.entries]
        if part.older is None:
            break
        before = part.older
    assert seen == [str(n) for n in range(22, -1, -1)]
    back = slice_of(everything, after=part.newer, size=5)
    assert [entry.object_id for entry in back.entries] == ["7", "6", "5", "4", "3"]
    assert slice_of(everything, after=back.newer, size=50).newer is None


def test_a_project_admin_sees_the_trail_of_their_project_alone(client, boss):
    mine, other = factories.project(actor=boss), factories.project(actor=boss)
    ani = factories.user(username="ani")
    labeling_actions.add_members(actor=boss, project=mine, users=[ani], role=Role.ADMIN)
    labeling_actions.pause_desk(actor=boss, project=mine, person=factories.user(username="budi"))
    labeling_actions.change_project(actor=boss, project=other, name="Not for ani")
    client.force_login(ani)
    page = client.get(f"/projects/{mine.slug}/audit/").content.decode()
    assert "paused budi" in page
    assert "Not for ani" not in page
    assert client.get(f"/projects/{other.slug}/audit/").status_code == 403
    assert client.get("/people/audit/").status_code == 403
    # What the address says cannot widen it.
    other_place = place_name(other.pk)
    assert "Not for ani" not in client.get(f"/projects/{mine.slug}/audit/?place={other_place}").content.decode()
    rest = client.get(f"/api/v1/projects/{mine.slug}/audit/").json()
    assert {row["place"] for row in rest["results"]} == {place_name(mine.pk)}
    assert any("paused budi" in row["sentence"] for row in rest["results"])


def test_the_file_holds_every_entry_and_no_formula(client, boss):
    some(1200, data={"name": "x"})
    some(1, object_type="=HYPERLINK()", verb="project.create")
    lines = list(csv.DictReader(io.StringIO(b"".join(client.get("/people/audit/file/")).decode())))
    assert len(lines) == 1202  # with the one about this very file
    assert json.loads(lines[5]["data"]) == {"name": "x"}
    assert any(line["object_type"] == "'=HYPERLINK()" for line in lines)
    assert AuditEntry.objects.filter(verb="audit.export", actor=boss).count() == 1
    one = b"".join(client.get("/people/audit/file/?verb=project.create&as=json")).decode()
    assert [json.loads(line)["verb"] for line in one.splitlines()] == ["project.create"]


def test_the_trail_is_never_changed_by_a_page(client, boss):
    some(3)
    before = list(AuditEntry.objects.values())
    for method in (client.post, client.put, client.delete):
        assert method("/people/audit/").status_code == 405
        assert method("/api/v1/audit/").status_code == 405
    assert list(AuditEntry.objects.values()) == before


@pytest.mark.slow
def test_a_long_trail_is_as_quick_as_a_short_one(boss):
    """Decisions among very many turns are found by an index that holds them alone; no page counts or skips."""
    some(2_000, verb="ranking.submit", object_type="labeling.Assignment", routine=True, actor=boss)
    some(30, actor=boss, place="labeling.project:7")
    some(2_000, verb="ranking.submit", object_type="labeling.Assignment", routine=True)
    for asked in (
        Asked(),
        Asked(place="labeling.project:7"),
        Asked(actor="boss", verb="project.change"),
        Asked(search="change"),
        Asked(routine=True),
        Asked(routine=True, actor="boss"),
        Asked(routine=True, first=timezone.localdate()),
    ):
        with CaptureQueriesContext(connection) as caught:
            part = slice_of(asked_for(asked))
        assert part.entries
        if connection.vendor == "sqlite":
            cost = steps(lambda asked=asked: slice_of(asked_for(asked)))
            assert cost < 4_000, asked  # to walk over all of them alone takes more than that
            sql = caught.captured_queries[-1]["sql"]
            plan = " ".join(row[3] for row in connection.cursor().execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())
            assert "TEMP B-TREE" not in plan, plan


def test_people_see_on_a_persons_page_what_they_decided(client, boss):
    ani = factories.admin()
    actions.create_group(actor=ani, name="Spring")
    page = client.get(f"/people/{ani.pk}/").content.decode()
    assert "made the group Spring" in page
    assert User.objects.get(pk=ani.pk).username in page
