"""What happens at every request, written for speed: sessions by plain SQL, parts of a page that are rendered once."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.template import Context, Template
from django.test import Client
from django.utils import timezone, translation

from people.models import User
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in() -> tuple[Client, User]:
    person, client = factories.user(), Client()
    client.force_login(person)
    assert client.get("/account/").status_code == 200
    return client, person


def is_signed_out(client: Client) -> bool:
    answer = client.get("/account/")
    return answer.status_code == 302 and answer["Location"].startswith("/sign-in/")


def test_a_session_that_has_run_out_opens_nothing(signed_in):
    client, _person = signed_in
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert is_signed_out(client)


def test_a_session_that_was_ended_elsewhere_opens_nothing_and_does_not_come_back(signed_in):
    client, _person = signed_in
    Session.objects.all().delete()
    assert is_signed_out(client)
    assert not Session.objects.exists()


def test_who_is_deactivated_or_has_a_new_password_is_signed_out_at_once(signed_in):
    client, person = signed_in
    person.set_password("another horse battery")
    person.save()
    assert is_signed_out(client)
    client.force_login(person)
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert is_signed_out(client)


def test_a_constant_part_is_kept_for_each_set_of_arguments_and_each_language():
    template = Template(
        '{% load constant %}{% constant "labeling/parts/board_ranks.html" letter=letter ranks=ranks %}'
    )

    def rendered(letter: str, ranks: int, language: str) -> str:
        with translation.override(language):
            return template.render(Context({"letter": letter, "ranks": range(1, ranks + 1)}))

    both = [rendered(*case) for case in [("A", 2, "en"), ("B", 2, "en"), ("A", 3, "en"), ("A", 2, "id")]]
    assert len(set(both)) == 4
    assert rendered("A", 2, "en") == both[0]
    assert both[0].count("<input") == 2
    assert "Rank of A" in both[0]


def test_what_stands_around_something_is_kept_and_what_is_inside_is_not():
    template = Template(
        '{% load constant %}{% around "labeling/parts/board_card.html" letter=letter item=0 ranks=ranks %}{{ text }}{% endaround %}'
    )

    def rendered(letter: str, text: str) -> str:
        return template.render(Context({"letter": letter, "ranks": range(1, 3), "text": text}))

    first, second = rendered("A", "first text"), rendered("A", "second <b>")
    assert second == first.replace("first text", "second &lt;b&gt;") != first
    assert "\0" not in first
    assert rendered("B", "first text") != first
