"""Links by which people make their own account, or join a project with the one they have."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from labeling import actions as labeling_actions
from labeling import queries
from labeling.models import Membership
from people import actions
from people.errors import Refusal
from people.models import AuditEntry, Invitation, Role, User
from tests import factories

pytestmark = pytest.mark.django_db
MINE = {"username": "sari", "full_name": "Sari Dewi", "password": "seven blue boats", "language": "id"}


@pytest.fixture
def boss():
    return factories.admin()


@pytest.fixture
def project(boss):
    return factories.project(actor=boss, tasks=1, open_to_all=False)


def link(secret: str) -> str:
    return f"/join/{secret}/"


def test_a_link_is_made_in_the_browser_shown_once_and_kept_as_a_digest(client, boss):
    client.force_login(boss)
    page = client.post("/people/invitations/", {"role": "researcher", "uses": 2, "days": 3, "note": "Guests"})
    address = re.search(r'id="new-link">([^<]+)<', page.content.decode())[1]
    secret = address.rstrip("/").rsplit("/", 1)[1]
    assert len(secret) >= 32
    invitation = Invitation.objects.get()
    assert secret not in str(Invitation.objects.values()) + str(AuditEntry.objects.values())
    again = client.get("/people/invitations/").content.decode()
    assert "Guests" in again
    assert secret not in again
    assert Client().get(address).status_code == 200
    assert (invitation.role, invitation.uses_left) == (Role.RESEARCHER, 2)


def test_who_opens_it_chooses_name_password_and_language_and_is_in(client, boss, project):
    _invitation, secret = labeling_actions.invite_to_project(actor=boss, project=project)
    assert project.name in client.get(link(secret)).content.decode()
    answer = client.post(link(secret), MINE)
    assert answer.headers["location"] == f"/rank/{project.slug}/"
    sari = User.objects.get(username="sari")
    assert (sari.role, sari.get_full_name(), sari.language) == (Role.ANNOTATOR, "Sari Dewi", "id")
    assert sari.check_password(MINE["password"])
    assert client.session["_auth_user_id"] == str(sari.pk)
    assert '<html lang="id"' in client.get("/account/").content.decode()
    assert queries.may_rank(sari, project)
    assert Client().get(link(secret)).status_code == 410  # used up


def test_who_has_an_account_joins_with_it_and_spends_one_use_only(client, boss, project):
    invitation, secret = labeling_actions.invite_to_project(actor=boss, project=project, role="researcher", uses=2)
    ani = factories.user()
    page = client.get(link(secret)).content.decode()
    assert f"/sign-in/?next=/join/{secret}/" in page
    client.force_login(ani)
    assert "Join" in client.get(link(secret)).content.decode()
    for _time in range(2):
        assert client.post(link(secret)).headers["location"] == project.get_absolute_url()
    invitation.refresh_from_db()
    assert invitation.uses_left == 1
    assert Membership.objects.get(user=ani, project=project).role == Role.RESEARCHER
    ani.refresh_from_db()
    assert ani.role == Role.ANNOTATOR
    assert client.get(project.get_absolute_url()).status_code == 200


def test_a_link_never_lowers_a_role(boss, project):
    ani = factories.user(Role.RESEARCHER)
    labeling_actions.add_members(actor=boss, project=project, users=[ani], role=Role.ADMIN)
    for _invitation, secret in (
        labeling_actions.invite_to_project(actor=boss, project=project),
        actions.invite(actor=boss, role=Role.ANNOTATOR),
    ):
        actions.accept(actor=ani, secret=secret)
    ani.refresh_from_db()
    assert ani.role == Role.RESEARCHER
    assert Membership.objects.get(user=ani).role == Role.ADMIN
    _invitation, secret = actions.invite(actor=boss, role=Role.ADMIN)
    actions.accept(actor=ani, secret=secret)
    ani.refresh_from_db()
    assert ani.role == Role.ADMIN


def spoiled(boss, how: str) -> str:
    invitation, secret = actions.invite(actor=boss)
    match how:
        case "expired":
            Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        case "used":
            Invitation.objects.update(uses_left=0)
        case "revoked":
            actions.revoke_invitation(actor=boss, invitation=invitation)
        case "unknown":
            secret = "x" * 32
    return secret


@pytest.mark.parametrize("how", ["expired", "used", "revoked", "unknown"])
def test_a_link_that_opens_nothing_says_so_and_nothing_about_people(client, boss, how):
    secret = spoiled(boss, how)
    pages = []
    for name in (boss.username, "nobody-of-this-name"):
        answer = client.post(link(secret), {**MINE, "username": name})
        assert answer.status_code in (404, 410)
        pages.append(re.sub(r"csrf\w*|value=\"\w{64}\"|[\w]{64}", "", answer.content.decode()))
    assert pages[0] == pages[1]
    assert "This link" in pages[0] or "no such link" in pages[0]
    assert boss.username not in pages[0]
    assert client.get(link(secret)).status_code in (404, 410)
    assert not User.objects.filter(username="sari").exists()
    with pytest.raises(Refusal):
        actions.accept(actor=factories.user(), secret=secret)


def test_all_that_is_wrong_with_an_account_at_once_and_no_use_is_spent(client, boss):
    invitation, secret = actions.invite(actor=boss)
    factories.user(username="taken")
    answer = client.post(link(secret), {**MINE, "username": "TAKEN", "password": "12345"})
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "already a person with the name" in page
    assert "too short" in page
    invitation.refresh_from_db()
    assert invitation.uses_left == 1
    assert User.objects.count() == 2


def test_the_last_use_lets_one_in(boss):
    invitation, secret = actions.invite(actor=boss)
    actions.accept_as_new(secret=secret, username="first", password=MINE["password"])
    # Both had looked at the link while it was good.
    Invitation.objects.filter(pk=invitation.pk).update(uses_left=1)
    stale = actions.find_invitation(secret)
    Invitation.objects.filter(pk=invitation.pk).update(uses_left=0)
    from people.actions.invitations import _take

    with pytest.raises(Refusal, match="used up"):
        _take(stale, factories.user())
    assert Invitation.objects.get().uses_left == 0


@pytest.mark.parametrize(
    "asked",
    [{"uses": 0}, {"uses": 501}, {"days": 0}, {"days": 91}, {"role": "king"}, {"note": "x" * 201}],
)
def test_what_a_link_cannot_be(boss, project, asked):
    with pytest.raises(Refusal):
        actions.invite(actor=boss, **asked)
    with pytest.raises(Refusal):
        labeling_actions.invite_to_project(actor=boss, project=project, **asked)
    assert not Invitation.objects.exists()


def test_a_link_for_an_admin_serves_one_and_not_for_long(boss, project):
    for asked in ({"uses": 2}, {"days": 8}):
        with pytest.raises(Refusal, match="admin"):
            actions.invite(actor=boss, role=Role.ADMIN, **asked)
        with pytest.raises(Refusal, match="admin"):
            labeling_actions.invite_to_project(actor=boss, project=project, role=Role.ADMIN, **asked)


def test_who_may_invite(client, boss, project):
    ani, eko = factories.user(), factories.user(Role.RESEARCHER)
    labeling_actions.add_members(actor=boss, project=project, users=[ani], role=Role.ADMIN)
    labeling_actions.invite_to_project(actor=ani, project=project)  # an admin of the project, into the project
    with pytest.raises(Refusal):
        actions.invite(actor=ani)  # not into the site
    with pytest.raises(Refusal):
        labeling_actions.invite_to_project(actor=ani, project=factories.project())
    with pytest.raises(Refusal):
        labeling_actions.invite_to_project(actor=eko, project=project)
    # And whom they let in may rank, and nothing more elsewhere.
    assert Invitation.objects.get().role == Role.ANNOTATOR


def test_a_link_is_taken_back_on_the_projects_page(client, boss, project):
    client.force_login(boss)
    address = f"/projects/{project.slug}/people/"
    page = client.post(address, {"invite": "1", "role": "annotator", "uses": 5, "days": 7, "note": "Class"})
    secret = re.search(r'id="new-link">[^<]*/join/([^/<]+)/<', page.content.decode())[1]
    invitation = Invitation.objects.get()
    other = factories.project(actor=boss)
    away = f"/projects/{other.slug}/people/invitations/{invitation.pk}/revoke/"
    assert client.post(away).status_code == 404
    client.post(f"{address}invitations/{invitation.pk}/revoke/")
    assert Client().get(link(secret)).status_code == 410
    assert client.post(f"{address}invitations/{invitation.pk}/revoke/").status_code == 409
    done = AuditEntry.objects.filter(verb__startswith="project.", object_id=str(project.pk))
    assert set(done.values_list("verb", flat=True)) >= {"project.invite", "project.revoke_invitation"}


def test_over_rest(client, boss, project):
    client.force_login(boss)
    made = client.post("/api/v1/invitations/", {"role": "annotator", "note": "by a program"})
    assert made.status_code == 201
    secret = made.json()["link"].rstrip("/").rsplit("/", 1)[1]
    assert actions.find_invitation(secret).note == "by a program"
    listed = client.get("/api/v1/invitations/").json()["results"]
    assert secret not in str(listed)
    assert client.delete(f"/api/v1/invitations/{made.json()['id']}/").status_code == 204
    into = client.post(f"/api/v1/projects/{project.slug}/invitations/", {"role": "researcher"}).json()
    assert into["role"] == "researcher"
    assert client.get(f"/api/v1/projects/{project.slug}/invitations/").json()[0]["role"] == "researcher"
    assert client.delete(f"/api/v1/projects/{project.slug}/invitations/{into['id']}/").status_code == 204


def test_who_may_invite_no_more_does_not_come_back_by_a_link_of_their_own(client, boss, project):
    lead = factories.user()
    labeling_actions.add_members(actor=boss, project=project, users=[lead], role=Role.ADMIN)
    _invitation, secret = labeling_actions.invite_to_project(actor=lead, project=project, role=Role.ADMIN)
    assert client.get(link(secret)).status_code == 200
    labeling_actions.remove_members(actor=boss, project=project, users=[lead])
    assert client.get(link(secret)).status_code == 410
    with pytest.raises(Refusal, match="taken back"):
        actions.accept(actor=lead, secret=secret)
    assert not Membership.objects.filter(user=lead).exists()

    other = factories.admin()
    _invitation, secret = actions.invite(actor=other, role=Role.ADMIN)
    actions.deactivate(actor=boss, person=other)
    with pytest.raises(Refusal, match="taken back"):
        actions.accept(actor=lead, secret=secret)
