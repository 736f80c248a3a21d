"""The people of a project: roles, goals, where each stands, and what was done; on its page and over REST."""

import re

import pytest
from django.utils import timezone

from jobs.models import Job
from labeling import actions
from labeling.actions.aside import pause
from labeling.models import Assignment, Desk, Membership, Task
from people.models import AuditEntry, Notice, Role, User
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(boss):
    return factories.project(actor=boss, tasks=3, open_to_all=False)


@pytest.fixture
def ani(boss, project):
    person = factories.user(username="ani")
    actions.add_members(actor=boss, project=project, users=[person])
    return person


@pytest.fixture
def address(project):
    return f"/projects/{project.slug}/people/"


def do(client, address: str, person: User, what: str, **fields):
    return client.post(address, {"do": what, "person": person.pk, **fields})


def test_a_role_is_given_per_project(client, project, ani, address):
    do(client, address, ani, "role", role="admin")
    assert Membership.objects.get(user=ani).role == Role.ADMIN
    ani.refresh_from_db()
    assert ani.role == Role.ANNOTATOR
    assert do(client, address, ani, "role", role="king").status_code == 400
    assert do(client, address, ani, "dance").status_code == 400


def test_a_daily_goal_of_ones_own(client, project, ani, address):
    do(client, address, ani, "goal", goal="40")
    assert Desk.objects.get(annotator=ani).daily_goal == 40
    assert 'value="40"' in client.get(address).content.decode()
    for goal in ("0", "-3", "many", "99999999999"):
        assert do(client, address, ani, "goal", goal=goal).status_code == 400
    do(client, address, ani, "goal", goal="")
    assert Desk.objects.get(annotator=ani).daily_goal is None


def test_somebody_is_paused_and_resumed(client, project, ani, address):
    factories.claim(ani, project)
    do(client, address, ani, "pause")
    assert Desk.objects.get(annotator=ani).paused_because == Desk.Pause.ADMIN
    page = client.get(address).content.decode()
    assert "Resume" in page
    do(client, address, ani, "resume")
    assert Desk.objects.get(annotator=ani).paused_because == ""
    assert ">Pause<" in client.get(address).content.decode()


def test_who_is_paused_reads_why_and_goes_on_with_the_gold_tasks_they_had(client, project, ani, address, boss):
    factories.claim(ani, project)
    Desk.objects.filter(annotator=ani).update(gold_scores=[1.0, 0.5])
    do(client, address, ani, "pause", reason="Let us talk first.")
    assert "“Let us talk first.”" in str(ani.notices.first())
    assert do(client, address, ani, "resume").status_code == 302
    assert Desk.objects.get(annotator=ani).gold_scores == [1.0, 0.5]
    assert do(client, address, ani, "pause", reason="x" * 301).status_code == 400
    rest = f"/api/v1/projects/{project.slug}/desks/{ani.pk}/"
    asked = {"verb": "pause", "reason": "Over REST."}
    assert client.post(rest, asked, content_type="application/json").status_code == 200
    assert "“Over REST.”" in str(ani.notices.first())
    asked = {"verb": "resume", "reason": "None."}
    assert client.post(rest, asked, content_type="application/json").status_code == 400
    client.force_login(ani)
    Assignment.objects.filter(annotator=ani).delete()
    assert "Over REST." in client.get(f"/rank/{project.slug}/").content.decode()


def test_a_pause_and_an_answer_are_mailed_to_those_who_gave_an_address(settings, project, ani, boss):
    settings.EMAIL_HOST = "mail.test"
    actions.pause_desk(actor=boss, project=project, person=ani)
    assert not Job.objects.exists()
    actions.resume_desk(actor=boss, project=project, person=ani)
    ani.email = "ani@example.org"
    ani.save()
    turn = factories.claim(ani, project)
    question = actions.ask(actor=ani, assignment=turn, text="Which one?")
    actions.answer(actor=boss, question=question, text="The first.")
    actions.pause_desk(actor=boss, project=project, person=ani)
    told = [str(Notice.objects.get(pk=job.arguments["notice"])) for job in Job.objects.order_by("created_at")]
    assert len(told) == 2
    assert "answered" in told[0]
    assert "paused" in told[1]


def test_a_closed_account_has_no_desk_to_pause(client, project, ani, address):
    factories.claim(ani, project)
    ani.is_active = False
    ani.save()
    page = client.get(address).content.decode()
    assert 'value="pause"' not in page
    assert "working" not in page


def test_what_is_decided_waits_for_no_admin(client, project, ani, address, boss):
    desk = Desk.objects.create(project=project, annotator=ani, stage=Desk.Stage.QUALIFICATION)
    pause(desk, ani, project, Desk.Pause.QUALIFICATION, timezone.now())
    desk.save()
    other = Desk.objects.create(project=project, annotator=factories.user(), stage=Desk.Stage.QUALIFICATION)
    pause(other, other.annotator, project, Desk.Pause.QUALIFICATION, timezone.now())
    waiting = Notice.objects.filter(person=boss, read_at=None)
    assert waiting.count() == 2
    do(client, address, ani, "let_in")
    assert [notice.params["name"] for notice in waiting] == [str(other.annotator)]


def test_who_did_not_qualify_is_let_in_or_tries_again(client, project, ani, address):
    Desk.objects.create(
        project=project, annotator=ani, stage=Desk.Stage.QUALIFICATION, paused_because=Desk.Pause.QUALIFICATION
    )
    page = client.get(address).content.decode()
    assert "Let in" in page
    assert "Let try again" in page
    do(client, address, ani, "try_again")
    assert Desk.objects.get(annotator=ani).stage == Desk.Stage.PRACTICE
    do(client, address, ani, "let_in")
    assert Desk.objects.get(annotator=ani).stage == Desk.Stage.WORKING


def test_the_page_shows_what_each_did_and_gold_kept(client, project, ani, address):
    factories.submit(ani, factories.claim(ani, project))
    known = project.tasks.filter(assignments=None).first()
    project.tasks.filter(pk=known.pk).update(kind=Task.Kind.GOLD)
    for repeat, score in enumerate([1.0, 0.5]):
        Assignment.objects.create(
            project=project, task=known, annotator=ani, repeat=repeat, aside=True, display=[0, 1, 2, 3],
            state="submitted", claimed_at=timezone.now(), gold_score=score,
        )  # fmt: skip
    row = re.search(r"<tr>.*?Role of ani here.*?</tr>", client.get(address).content.decode(), re.DOTALL)[0]
    figures = re.findall(r'<td class="num" data-label="[^"]*">([^<]*)</td>', row)
    assert figures[:4] == ["3", "0", "0", "75 %"]


def test_people_are_found_by_name_and_by_role(client, project, ani, address, boss):
    budi = factories.user(username="budi", first_name="Budi")
    actions.add_members(actor=boss, project=project, users=[budi], role=Role.RESEARCHER)

    def shown(query: str) -> list[str]:
        return [place.user.username for place in client.get(f"{address}?{query}").context["page"]]

    assert shown("") == ["ani", "budi"]
    assert shown("q=bud") == ["budi"]
    assert shown("role=researcher") == ["budi"]
    assert shown("role=none") == []
    offered = [person.username for person in client.get(f"{address}?add={boss.username}").context["offered"]]
    assert offered == [boss.username]


def test_the_matrix_of_a_project_says_what_the_code_checks(client, boss, project, ani):
    from people.permissions import PLACE_RIGHTS, RIGHT_NAMES, can

    actions.add_members(actor=boss, project=project, users=[ani], role=Role.RESEARCHER)
    page = client.get(f"/projects/{project.slug}/people/rights/")
    shown = {person.username: ticks for person, _role, ticks in page.context["people"]}
    rights = [right for right in RIGHT_NAMES if right in PLACE_RIGHTS]
    assert shown["ani"] == [can(ani, right, project) for right in rights]
    assert shown[boss.username] == [True] * len(rights)
    assert sum(shown["ani"]) not in (0, len(rights))


def test_the_matrix_of_the_site_says_what_the_code_checks(client, boss):
    from people.permissions import PLACE_RIGHTS, RIGHT_NAMES, ROLE_RIGHTS

    page = client.get("/people/rights/").content.decode()
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)[:2]
    for table, rights in zip(tables, (set(RIGHT_NAMES), set(PLACE_RIGHTS)), strict=True):
        rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', table, re.DOTALL)
        names = {str(name).replace("'", "&#x27;"): right for right, name in RIGHT_NAMES.items()}
        assert {names[name] for name, _ticks in rows} == rights
        for name, ticks in rows:
            said = [word == "yes" for word in re.findall(r">(yes|no)<", ticks)]
            assert said == [names[name] in ROLE_RIGHTS[role] for role in Role], name
    rest = client.get("/api/v1/rights/").json()
    assert set(rest["project"]["admin"]) == set(PLACE_RIGHTS)


def test_the_list_of_people_is_filtered_by_role_and_state(client, boss):
    factories.user(username="eko", role=Role.RESEARCHER)
    factories.user(username="old", is_active=False)
    factories.user(username="robot", is_simulated=True)

    def shown(query: str) -> set[str]:
        return {person.username for person in client.get(f"/people/?{query}").context["page"]} - {boss.username}

    assert shown("") == {"eko", "old", "robot"}
    assert shown("role=researcher") == {"eko"}
    assert shown("state=deactivated") == {"old"}
    assert shown("state=simulated") == {"robot"}
    assert shown("state=never&role=researcher") == {"eko"}
    assert shown("state=active&group=nonsense") == {"eko"}


def test_over_rest(client, boss, project, ani):
    address = f"/api/v1/projects/{project.slug}/members/"
    budi = factories.user(username="budi")
    rows = client.post(address, {"people": ["budi"], "role": "researcher"}, content_type="application/json").json()
    assert {row["username"]: row["role"] for row in rows} == {"ani": "annotator", "budi": "researcher"}
    changed = {"role": "admin", "daily_goal": 12}
    assert client.patch(f"{address}{budi.pk}/", changed, content_type="application/json").status_code == 204
    row = next(row for row in client.get(address).json() if row["username"] == "budi")
    assert (row["role"], row["daily_goal"]) == ("admin", 12)
    assert client.delete(f"{address}{budi.pk}/").status_code == 204
    assert not Membership.objects.filter(user=budi).exists()
    missing = client.post(address, {"people": ["ani", "x", "y"]}, content_type="application/json")
    assert len(missing.json()["problems"]) == 2


def test_accounts_over_rest(client, boss):
    made = client.post("/api/v1/people/", {"username": "dewi", "role": "researcher"}).json()
    dewi = User.objects.get(username="dewi")
    assert dewi.check_password(made["password"])
    address = f"/api/v1/people/{dewi.pk}/"
    said = client.patch(address, {"role": "annotator", "is_active": False}, content_type="application/json").json()
    assert (said["role"], said["is_active"]) == ("annotator", False)
    client.patch(address, {"is_active": True}, content_type="application/json")
    new = client.post(f"{address}password/").json()["password"]
    dewi.refresh_from_db()
    assert dewi.check_password(new)
    assert [row["username"] for row in client.get("/api/v1/people/?q=dewi").json()["results"]] == ["dewi"]
    verbs = AuditEntry.objects.filter(object_id=str(dewi.pk), object_type="people.User").order_by("pk")
    assert list(verbs.values_list("verb", flat=True)) == [
        "add_person", "change_role", "deactivate_person", "reactivate_person", "reset_password",
    ]  # fmt: skip


def test_who_is_paused_is_told_by_the_bell(client, project, ani, boss):
    factories.claim(ani, project)
    actions.pause_desk(actor=boss, project=project, person=ani)
    client.force_login(ani)
    assert 'id="bell"' in client.get("/account/").content.decode()


def test_a_person_who_is_none_is_not_found(client, address):
    for posted in ({"remove": "ana"}, {"person": "ana", "do": "pause"}, {"do": "pause"}):
        assert client.post(address, posted).status_code == 404
