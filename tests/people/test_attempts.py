"""Passwords cannot be guessed at leisure, and nobody is locked out by what others try."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from people import attempts
from people.addresses import network_of
from people.models import FailedSignIn, Role
from tests import factories

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def quick(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def try_to(client, name: str, password: str = "wrong", address: str = "192.0.2.7"):
    return client.post("/sign-in/", {"username": name, "password": password}, REMOTE_ADDR=address)


def test_after_some_wrong_ones_even_the_right_one_has_to_wait(client):
    factories.user(username="ani")
    for _time in range(attempts.MOST_FOR_A_NAME):
        assert try_to(client, "ani").status_code == 400
    refused = try_to(client, "ANI ", PASSWORD)  # the same name
    assert refused.status_code == 429
    assert "Wait 15 minutes" in refused.content.decode()
    assert "_auth_user_id" not in client.session
    FailedSignIn.objects.update(at=timezone.now() - attempts.WINDOW)
    assert try_to(client, "ani", PASSWORD).status_code == 302


def test_from_elsewhere_the_name_stays_free(client):
    factories.user(username="ani")
    for _time in range(attempts.MOST_FOR_A_NAME + 1):
        try_to(client, "ani", address="198.51.100.9")
    assert try_to(Client(), "ani", PASSWORD, "192.0.2.7").status_code == 302


def test_many_names_from_one_network_are_too_many(client, monkeypatch):
    monkeypatch.setattr(attempts, "MOST_FROM_A_NETWORK", 5)
    factories.user(username="ani")
    for number in range(5):
        try_to(client, f"guess{number}")
    assert try_to(client, "ani", PASSWORD).status_code == 429
    assert try_to(client, "ani", PASSWORD, "192.0.2.8").status_code == 302


def test_a_browser_that_is_known_is_not_kept_out_by_colleagues(client, monkeypatch):
    """Behind one address, in an office."""
    monkeypatch.setattr(attempts, "MOST_FROM_A_NETWORK", 5)
    factories.user(username="ani")
    assert try_to(client, "ani", PASSWORD).status_code == 302
    client.post("/sign-out/")
    stranger = Client()
    for _time in range(attempts.MOST_FOR_A_NAME + 5):
        try_to(stranger, "ani")
    assert try_to(stranger, "ani", PASSWORD).status_code == 429
    assert try_to(client, "ani", PASSWORD).status_code == 302
    # It has a count of its own.
    client.post("/sign-out/")
    for _time in range(attempts.MOST_FOR_A_NAME):
        try_to(client, "ani")
    assert try_to(client, "ani", PASSWORD).status_code == 429


def test_a_browser_cannot_say_by_itself_that_it_is_known(client):
    factories.user(username="ani")
    client.cookies[attempts.COOKIE] = "made up:at will"
    for _time in range(attempts.MOST_FOR_A_NAME):
        try_to(client, "ani")
    assert try_to(client, "ani", PASSWORD).status_code == 429


def test_success_begins_anew_and_old_failures_are_forgotten(client):
    factories.user(username="ani")
    for _time in range(attempts.MOST_FOR_A_NAME - 1):
        try_to(client, "ani")
    assert try_to(client, "ani", PASSWORD).status_code == 302
    assert not FailedSignIn.objects.filter(who=attempts._of_name(_request(), "ani")).exists()
    FailedSignIn.objects.update(at=timezone.now() - timedelta(days=1))
    try_to(Client(), "somebody else")
    assert FailedSignIn.objects.filter(at__lt=timezone.now() - timedelta(hours=1)).count() == 0


def test_the_token_endpoint_counts_too(client):
    factories.user(username="ani")
    for _time in range(attempts.MOST_FOR_A_NAME):
        client.post("/api/v1/token/", {"username": "ani", "password": "wrong"}, REMOTE_ADDR="192.0.2.7")
    right = {"username": "ani", "password": PASSWORD}
    assert client.post("/api/v1/token/", right, REMOTE_ADDR="192.0.2.7").status_code == 400
    assert client.post("/api/v1/token/", right, REMOTE_ADDR="192.0.2.8").status_code == 200


def _request(address: str = "192.0.2.7", **headers: str):
    from django.test import RequestFactory

    return RequestFactory().get("/", REMOTE_ADDR=address, **headers)


def test_where_a_request_comes_from():
    assert network_of(_request("192.0.2.7")) == "192.0.2.7"
    assert network_of(_request("2001:db8:1:2:3::4")) == network_of(_request("2001:db8:1:2:ffff::1")) != "192.0.2.7"
    assert network_of(_request("::ffff:192.0.2.7")) == "192.0.2.7"
    # A proxy on this machine says it; what a client adds by itself stands before that.
    assert network_of(_request("127.0.0.1", HTTP_X_FORWARDED_FOR="10.9.9.9, 192.0.2.7")) == "192.0.2.7"
    # Without such a proxy anybody may say anything.
    assert network_of(_request("198.51.100.9", HTTP_X_FORWARDED_FOR="192.0.2.7")) == "198.51.100.9"


def test_a_session_lasts_a_working_day_or_two_weeks(client, settings):
    factories.user(username="ani")
    client.post("/sign-in/", {"username": "ani", "password": PASSWORD})
    assert client.session.get_expiry_age() == pytest.approx(12 * 3600, abs=60)
    client.post("/sign-out/")
    client.post("/sign-in/", {"username": "ani", "password": PASSWORD, "stay": "on"})
    assert client.session.get_expiry_age() == settings.SESSION_COOKIE_AGE == 14 * 24 * 3600


@pytest.mark.parametrize("password", ["short1", "password", "20261122", "ani.wulandari"])
def test_what_is_no_password(client, password):
    person = factories.user(Role.RESEARCHER, username="ani.wulandari")
    client.force_login(person)
    assert client.post("/account/password/", {"old": PASSWORD, "new": password}).status_code == 400
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
