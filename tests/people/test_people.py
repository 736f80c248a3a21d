"""Admins add, change and deactivate people; nobody else does."""

import re

import pytest
from django.test import Client

from people import actions
from people.errors import Refusal
from people.models import AuditEntry, Role, User
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_person_is_added_with_a_password_that_is_shown_once_and_works(client):
    client.force_login(factories.admin())
    page = client.post("/people/", {"username": "dewi", "full_name": "Dewi Ayu Lestari", "role": "researcher"})
    password = re.search(r'id="new-password">([^<]+)<', page.content.decode())[1]
    assert password not in client.get("/people/").content.decode()
    dewi = User.objects.get(username="dewi")
    assert (dewi.get_full_name(), dewi.role) == ("Dewi Ayu Lestari", Role.RESEARCHER)
    other = Client()
    other.post("/sign-in/", {"username": "dewi", "password": password})
    assert other.session["_auth_user_id"] == str(dewi.pk)
    assert password not in str(list(AuditEntry.objects.values()))


def test_all_problems_of_a_new_person_at_once(client):
    admin = factories.admin()
    factories.user(username="taken")
    with pytest.raises(Refusal) as refused:
        actions.add_person(actor=admin, username="no spaces please", role="king")
    assert len(refused.value.problems) == 2
    with pytest.raises(Refusal):
        actions.add_person(actor=admin, username="TAKEN", role=Role.ANNOTATOR)
    assert User.objects.count() == 2


def test_generated_passwords_differ_and_satisfy_the_rules():
    from django.contrib.auth.password_validation import validate_password

    passwords = {actions.generated_password() for _ in range(50)}
    assert len(passwords) == 50
    for password in passwords:
        validate_password(password)


def test_change_role_deactivate_reactivate_reset(client):
    admin, person = factories.admin(), factories.user()
    theirs = Client()
    theirs.force_login(person)
    client.force_login(admin)
    address = f"/people/{person.pk}/"

    client.post(address, {"do": "role", "role": "researcher"})
    person.refresh_from_db()
    assert person.role == Role.RESEARCHER

    client.post(address, {"do": "deactivate"})
    assert theirs.get("/account/").status_code == 302  # signed out at once
    client.post(address, {"do": "reactivate"})
    assert theirs.get("/account/").status_code == 200

    page = client.post(address, {"do": "reset"}).content.decode()
    password = re.search(r'id="new-password">([^<]+)<', page)[1]
    assert theirs.get("/account/").status_code == 302
    person.refresh_from_db()
    assert person.check_password(password)

    verbs = list(AuditEntry.objects.filter(object_id=str(person.pk)).order_by("pk").values_list("verb", "actor"))
    done = ["change_role", "deactivate_person", "reactivate_person", "reset_password"]
    assert verbs == [(verb, admin.pk) for verb in done]


def test_an_unknown_verb_is_refused(client):
    admin = factories.admin()
    client.force_login(admin)
    assert client.post(f"/people/{admin.pk}/", {"do": "promote"}).status_code == 400


def test_there_is_always_an_admin(client):
    admin = factories.admin()
    with pytest.raises(Refusal):
        actions.change_role(actor=admin, person=admin, role=Role.ANNOTATOR)
    with pytest.raises(Refusal):
        actions.deactivate(actor=admin, person=admin)
    second = factories.admin()
    actions.change_role(actor=admin, person=admin, role=Role.RESEARCHER)
    assert User.objects.filter(role=Role.ADMIN).get() == second


@pytest.mark.parametrize("role", [Role.ANNOTATOR, Role.RESEARCHER])
def test_only_admins_may(client, role):
    person, victim = factories.user(role), factories.user()
    before = (victim.password, victim.role, victim.is_active)
    attempts = [
        lambda: actions.add_person(actor=person, username="new", role=Role.ADMIN),
        lambda: actions.change_role(actor=person, person=victim, role=Role.ADMIN),
        lambda: actions.deactivate(actor=person, person=victim),
        lambda: actions.reactivate(actor=person, person=victim),
        lambda: actions.reset_password(actor=person, person=victim),
    ]
    for attempt in attempts:
        with pytest.raises(Refusal) as refused:
            attempt()
        assert refused.value.status == 403
    victim.refresh_from_db()
    assert (victim.password, victim.role, victim.is_active) == before
    assert not AuditEntry.objects.exists()
    client.force_login(person)
    assert client.get("/people/").status_code == 403
    assert client.post(f"/people/{victim.pk}/", {"do": "reset"}).status_code == 403


def test_a_refusal_reaches_htmx_where_problems_are_shown(client):
    admin = factories.admin()
    client.force_login(admin)
    answer = client.post(f"/people/{admin.pk}/", {"do": "deactivate"}, headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-retarget"]) == (400, "#problems")
    assert "<html" not in answer.content.decode()


def test_search_finds_by_any_part_of_a_name(client):
    client.force_login(factories.admin())
    factories.user(username="zaskia", first_name="Zaskia", last_name="Wulandari")
    factories.user(username="bayu")
    page = client.get("/people/?q=wulan").content.decode()
    assert "zaskia" in page
    assert "bayu" not in page
    assert "Nobody fits" in client.get("/people/?q=xyzzy").content.decode()
