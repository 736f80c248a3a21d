"""Who gets in, from where, and what they see first."""

import pytest
from rest_framework.authtoken.models import Token

from people.models import Role
from tests import factories

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse"
HERE = {"SERVER_NAME": "localhost", "REMOTE_ADDR": "127.0.0.1"}
ELSEWHERE = [
    {"SERVER_NAME": "localhost", "REMOTE_ADDR": "192.0.2.7"},
    {"SERVER_NAME": "localhost", "REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.7"},  # behind a proxy
    {"SERVER_NAME": "localhost", "REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=192.0.2.7"},
    {"SERVER_NAME": "rank.example.org", "REMOTE_ADDR": "127.0.0.1"},  # a proxy that adds no header
    {"SERVER_NAME": "localhost", "REMOTE_ADDR": ""},
]


def signed_in(client) -> bool:
    return "_auth_user_id" in client.session


def test_with_the_right_password(client):
    person = factories.user(Role.RESEARCHER)
    answer = client.post("/sign-in/", {"username": person.username, "password": PASSWORD, "next": "/account/"})
    assert answer.headers["location"] == "/account/"
    assert signed_in(client)


def test_with_a_wrong_password_the_page_says_so_and_keeps_the_name(client):
    person = factories.user()
    answer = client.post("/sign-in/", {"username": person.username, "password": "wrong"})
    assert answer.status_code == 400
    assert f'value="{person.username}"' in answer.content.decode()
    assert 'role="alert"' in answer.content.decode()
    assert "This name and password do not belong together." in answer.content.decode()
    assert not signed_in(client)


def test_next_never_leads_to_another_site(client):
    person = factories.user()
    data = {"username": person.username, "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post("/sign-in/", data).headers["location"] == "/"


@pytest.mark.parametrize("fields", [{"is_active": False}, {"is_simulated": True}])
def test_deactivated_and_simulated_people_stay_out(client, fields):
    person = factories.user(**fields)
    client.post("/sign-in/", {"username": person.username, "password": PASSWORD})
    assert not signed_in(client)


def test_a_demo_person_enters_with_one_click_on_the_machine_itself(client):
    person = factories.user(loopback_only=True)
    assert f'value="{person.username}"' in client.get("/sign-in/", **HERE).content.decode()
    client.post("/sign-in/", {"demo": person.username}, **HERE)
    assert signed_in(client)


@pytest.mark.parametrize("address", [{"REMOTE_ADDR": "::1"}, {"REMOTE_ADDR": "::ffff:127.0.0.1"}])
def test_loopback_has_more_than_one_spelling(client, address):
    person = factories.user(loopback_only=True)
    client.post("/sign-in/", {"demo": person.username}, **{**HERE, **address})
    assert signed_in(client)


@pytest.mark.slow
@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_demo_person_is_refused_from_elsewhere_with_a_click_and_with_the_password(client, place):
    person = factories.user(loopback_only=True)
    assert person.username not in client.get("/sign-in/", **place).content.decode()
    assert client.post("/sign-in/", {"demo": person.username}, **place).status_code == 404
    answer = client.post("/sign-in/", {"username": person.username, "password": PASSWORD}, **place)
    assert answer.status_code == 400
    token = client.post("/api/v1/token/", {"username": person.username, "password": PASSWORD}, **place)
    assert token.status_code == 400
    assert not signed_in(client)


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_session_or_token_of_a_demo_person_is_worth_nothing_elsewhere(client, place):
    person = factories.user(Role.ADMIN, loopback_only=True)
    client.force_login(person)
    assert client.get("/people/", **HERE).status_code == 200
    for page in ("/people/", "/account/"):
        assert client.get(page, **place).status_code == 403


def test_others_never_get_the_one_click_sign_in(client):
    person = factories.user(Role.ADMIN)
    assert client.post("/sign-in/", {"demo": person.username}, **HERE).status_code == 404


def test_a_page_asks_to_sign_in_first_and_then_leads_back(client):
    assert client.get("/people/?q=x").headers["location"] == "/sign-in/?next=/people/%3Fq%3Dx"


def test_a_script_that_is_signed_out_is_told_in_json(client):
    answer = client.post("/people/1/", headers={"accept": "application/json"})
    assert answer.status_code == 401
    assert answer.json()["problems"]


def test_a_fragment_that_is_signed_out_takes_the_whole_page_to_the_sign_in(client):
    headers = {"hx-request": "true", "hx-current-url": "http://testserver/people/?q=x"}
    answer = client.get("/people/", headers=headers)
    assert answer.headers["hx-redirect"] == "/sign-in/?next=/people/%3Fq%3Dx"


@pytest.mark.parametrize(("role", "first"), [(Role.ANNOTATOR, "/rank/"), (Role.RESEARCHER, None), (Role.ADMIN, None)])
def test_the_start_page_goes_by_role(client, role, first):
    client.force_login(factories.user(role))
    answer = client.get("/")
    assert answer.headers.get("location") == first
    if first is None:
        assert "Overview" in answer.content.decode()


def test_a_newcomer_is_told_what_to_do_first(client):
    client.force_login(factories.admin())
    assert "Create project" in client.get("/").content.decode()
    project = factories.project(tasks=1)
    assert "Rank outputs" in client.get("/").content.decode()
    person = factories.user()
    factories.submit(person, factories.claim(person, project))
    assert "Freeze a project" in client.get("/").content.decode()


def test_the_navigation_shows_what_a_role_opens(client):
    shown = {}
    factories.project(tasks=1)
    factories.project(tasks=1)
    for role in Role:
        client.force_login(factories.user(role))
        page = client.get("/rank/").content.decode()
        navigation = page[page.index("<nav") : page.index("</nav>")]
        shown[role] = [name for name in ("Rank", "Projects", "Models", "Runs", "Data") if f">{name}<" in navigation]
        assert (">People<" in page) == (role == Role.ADMIN)
    assert shown[Role.ANNOTATOR] == ["Rank"]
    assert shown[Role.RESEARCHER] == shown[Role.ADMIN] == ["Rank", "Projects", "Models", "Runs", "Data"]


def test_the_language_follows_the_person_to_another_browser(client):
    from django.test import Client

    person = factories.user(Role.RESEARCHER)
    client.force_login(person)
    answer = client.post("/language/", {"language": "id", "next": "/account/"})
    assert answer.headers["location"] == "/account/"
    assert '<html lang="id"' in client.get("/account/").content.decode()

    other = Client()
    other.post("/sign-in/", {"username": person.username, "password": PASSWORD})
    assert '<html lang="id"' in other.get("/account/").content.decode()
    assert client.post("/language/", {"language": "xx"}).status_code == 400


def test_the_theme_is_in_the_first_byte_of_the_page(client):
    client.cookies["theme"] = "dark"
    assert 'data-theme="dark"' in client.get("/sign-in/").content.decode()


@pytest.mark.slow
def test_an_api_token_is_made_rotated_and_removed(client):
    person = factories.user(Role.RESEARCHER)
    client.force_login(person)
    client.post("/account/token/")
    first = Token.objects.get(user=person).key
    assert first in client.get("/account/").content.decode()
    assert client.get("/api/v1/schema/", headers={"authorization": f"Token {first}"}).status_code == 200
    client.post("/account/token/")
    second = Token.objects.get(user=person).key
    assert second != first
    client.logout()
    assert client.get("/api/v1/schema/", headers={"authorization": f"Token {first}"}).status_code == 401
    client.force_login(person)
    client.post("/account/token/", {"revoke": "1"})
    assert not Token.objects.filter(user=person).exists()


def test_a_password_is_changed_with_the_present_one_only(client):
    person = factories.user(Role.RESEARCHER)
    client.force_login(person)
    bad = client.post("/account/password/", {"old": "wrong", "new": "short"})
    assert bad.status_code == 400
    assert bad.content.decode().count("<li>") == 2  # both problems at once
    person.refresh_from_db()
    assert person.check_password(PASSWORD)

    good = client.post("/account/password/", {"old": PASSWORD, "new": "a new long secret"})
    assert good.headers["location"] == "/account/"
    person.refresh_from_db()
    assert person.check_password("a new long secret")
    assert client.get("/account/").status_code == 200  # this session goes on
