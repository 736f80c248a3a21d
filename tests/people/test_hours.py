"""Hours and counts: every turn at the board is work, by person, project and day; each sees their own."""

import csv
import io
import json
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from labeling import actions, people_queries
from labeling.datasets import snapshot
from labeling.models import Assignment, Ranking
from people.models import AuditEntry, Role
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]
AS_JSON = {"Accept": "application/json"}


@pytest.fixture
def project(boss):
    return factories.project(actor=boss, tasks=6)


@pytest.fixture
def ani():
    return factories.user(username="ani")


def rank(person, project, seconds=30.0, **fields) -> Assignment:
    assignment = factories.claim(person, project)
    done = actions.submit_ranking(
        actor=person, assignment=assignment, notation="A > B > C > D", client_key=str(assignment.pk), seconds=seconds
    )
    Assignment.objects.filter(pk=assignment.pk).update(**fields)
    return done.assignment


def move(assignment: Assignment, days: int) -> None:
    """As if it had been done so many days ago."""
    at = timezone.now() - timedelta(days=days)
    Assignment.objects.filter(pk=assignment.pk).update(finished_at=at)
    Ranking.objects.filter(assignment=assignment).update(created_at=at)


def test_the_time_of_skips_and_flags_is_work_also_if_they_are_called_back(project, ani):
    today = timezone.localdate()
    skipped = factories.claim(ani, project)
    actions.skip_task(actor=ani, assignment=skipped, reason="Too long", seconds=40)
    actions.skip_task(actor=ani, assignment=skipped, reason="Too long", seconds=40)  # it arrived twice
    actions.undo(actor=ani, assignment=skipped)
    factories.submit(ani, skipped)
    actions.flag_task(actor=ani, assignment=factories.claim(ani, project), flag="garbled", seconds=5.5)
    (day,) = people_queries.hours(projects=[project], first=today, last=today)
    assert (day.rankings, day.skips, day.flags, day.seconds) == (1, 0, 1, 45.5)
    (turn,) = snapshot.turns(project)
    assert (turn["what"], turn["seconds"]) == ("flagged", 5.5)


def test_a_skip_or_a_flag_says_how_long_it_took_on_the_board_and_over_rest(client, project, ani):
    client.force_login(ani)
    held = factories.claim(ani, project)
    for seconds in ("-1", "soon", "nan"):
        wrong = client.post(f"/rank/turn/{held.pk}/skip/", {"reason": "x", "seconds": seconds}, headers=AS_JSON)
        assert wrong.status_code == 400
        assert wrong.json()["problems"] == ["The time must be a number of seconds, 0 or more."]
    client.post(f"/rank/turn/{held.pk}/skip/", {"reason": "x", "seconds": "12.5"}, headers=AS_JSON)
    flagged = factories.claim(ani, project)
    client.post(f"/api/v1/assignments/{flagged.pk}/flag/", {"flag": "unsafe", "seconds": 3})
    assert set(Assignment.objects.filter(finished_at__isnull=False).values_list("state", "seconds")) == {
        ("skipped", 12.5),
        ("flagged", 3),
    }


def test_each_day_counts_rankings_skips_flags_and_seconds(project, ani):
    today = timezone.localdate()
    move(rank(ani, project, 60), 1)
    rank(ani, project, 30)
    rank(ani, project, 90)
    actions.skip_task(actor=ani, assignment=factories.claim(ani, project), reason="I do not know enough")
    actions.flag_task(actor=ani, assignment=factories.claim(ani, project), flag="garbled", note="")
    days = people_queries.hours(projects=[project], first=today - timedelta(days=1), last=today)
    assert [(d.day, d.rankings, d.skips, d.flags, d.seconds) for d in days] == [
        (today, 2, 1, 1, 120.0),
        (today - timedelta(days=1), 1, 0, 0, 60.0),
    ]
    (total,) = people_queries.totals(days)
    assert (total.days, total.rankings, total.skips, total.flags, total.hours) == (2, 3, 1, 1, 180 / 3600)
    assert people_queries.hours(projects=[project], first=today, last=today)[0].rankings == 2


def test_gold_tasks_repeats_and_spare_rankings_are_work_like_any_other(project, ani):
    rank(ani, project)
    Assignment.objects.filter(annotator=ani, state="submitted").update(aside=True, slot=None)
    rank(ani, project)
    spare = rank(ani, project)
    Assignment.objects.filter(pk=spare.pk).update(state=Assignment.State.SPARE, slot=None)
    (day,) = people_queries.hours(projects=[project], first=timezone.localdate(), last=timezone.localdate())
    assert (day.rankings, day.aside, day.seconds) == (3, 1, 90.0)


def test_a_changed_mind_is_work_and_no_second_ranking(project, ani):
    done = rank(ani, project, 60)
    actions.revise_ranking(actor=ani, assignment=done, notation="B > A > C > D", client_key="again", seconds=15)
    (day,) = people_queries.hours(projects=[project], first=timezone.localdate(), last=timezone.localdate())
    assert (day.rankings, day.changed, day.seconds) == (1, 1, 75.0)


def test_imported_rankings_are_nobodys_work_here(project, ani):
    rank(ani, project, imported=True)
    assert people_queries.hours(projects=[project], first=timezone.localdate(), last=timezone.localdate()) == []


def test_a_day_is_one_of_the_sites_time_zone(project, ani, settings):
    settings.TIME_ZONE = "Asia/Jakarta"
    done = rank(ani, project)
    late = datetime.fromisoformat("2026-03-01T18:30:00+00:00")  # 01:30 of the second in Jakarta
    Assignment.objects.filter(pk=done.pk).update(finished_at=late)
    Ranking.objects.update(created_at=late)
    with timezone.override("Asia/Jakarta"):
        days = people_queries.hours(
            projects=[project], first=datetime(2026, 3, 2).date(), last=datetime(2026, 3, 2).date()
        )
    assert [day.day.isoformat() for day in days] == ["2026-03-02"]
    assert days[0].seconds == 30.0


def test_the_page_and_its_files_say_the_same(client, boss, project, ani):
    rank(ani, project, 3600 + 300)
    page = client.get(f"/projects/{project.slug}/hours/").content.decode()
    assert "1:05" in page
    file = client.get(f"/projects/{project.slug}/hours/file/")
    assert file.streaming
    (row,) = csv.DictReader(io.StringIO(b"".join(file).decode()))
    assert (row["person"], row["project"], row["rankings"], row["seconds"], row["hours"]) == (
        "ani", project.slug, "1", "3900.0", "1.083",
    )  # fmt: skip
    (line,) = b"".join(client.get("/hours/file/?as=json")).decode().splitlines()
    assert json.loads(line)["rankings"] == 1
    rest = b"".join(client.get(f"/api/v1/projects/{project.slug}/hours/")).decode()
    assert json.loads(rest) == json.loads(line)
    assert b"".join(client.get("/api/v1/hours/?as=csv")).decode().startswith("day,person,")
    assert AuditEntry.objects.filter(verb="project.export_hours").count() == 4


def test_filters_stand_in_the_address(client, boss, project, ani):
    budi, other = factories.user(username="budi"), factories.project(actor=boss, tasks=1)
    rank(ani, project)
    rank(budi, other)

    def shown(query: str) -> set[tuple[str, str]]:
        return {(day.user.username, day.project.slug) for day in client.get(f"/hours/?{query}").context["page"]}

    assert shown("") == {("ani", project.slug), ("budi", other.slug)}
    assert shown("person=BUDI") == {("budi", other.slug)}
    assert shown(f"project={project.slug}") == {("ani", project.slug)}
    assert shown("last=2001-01-31") == set()
    assert shown("person=nobody") == set()
    for query in ("first=2026-02-01&last=2026-01-01", "first=2001-01-01&last=2026-01-01", "first=tomorrow"):
        assert client.get(f"/hours/?{query}").status_code == 400


def test_who_may_see_whose_hours(client, boss, project, ani):
    other = factories.project(actor=boss, tasks=1)
    rank(ani, project)
    rank(ani, other)
    admin_here, researcher = factories.user(), factories.user(Role.RESEARCHER)
    actions.add_members(actor=boss, project=project, users=[admin_here], role=Role.ADMIN)
    client.force_login(admin_here)
    assert {day.project for day in client.get("/hours/").context["page"]} == {project}
    assert {day.project for day in client.get(f"/hours/?project={other.slug}").context["page"]} == set()
    assert client.get(f"/projects/{other.slug}/hours/").status_code == 403
    client.force_login(researcher)
    assert client.get("/hours/").status_code == client.get(f"/projects/{project.slug}/hours/").status_code == 403
    client.force_login(ani)
    assert client.get("/hours/").status_code == 403
    own = client.get("/account/hours/?person=somebody-else")
    assert {(day.user, day.project) for day in own.context["page"]} == {(ani, project), (ani, other)}
