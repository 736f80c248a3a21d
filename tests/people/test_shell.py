"""What every page has around it: error pages, theme, search key, questions before what cannot be taken back."""

import pytest
from django.template.loader import render_to_string
from playwright.sync_api import expect

from people.models import Role, User
from tests import factories


@pytest.mark.django_db
def test_an_unknown_address_leads_back_to_the_start(client):
    answer = client.get("/nothing-here/")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()
    assert 'href="/"' in answer.content.decode()


def test_the_page_of_a_server_error_needs_nothing_that_may_be_broken():
    assert "Something broke on the server" in render_to_string("500.html")


@pytest.mark.django_db
def test_an_old_form_is_told_to_load_again():
    from django.test import Client

    answer = Client(enforce_csrf_checks=True).post("/sign-in/", {"username": "x", "password": "y"})
    assert answer.status_code == 403
    assert "This form is out of date" in answer.content.decode()


@pytest.fixture
def people_page(open_page):
    return open_page("/people/", factories.user(Role.ADMIN, username="boss"))


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_the_theme_holds_over_pages_and_is_there_before_any_script(people_page):
    people_page.click(".menu summary")
    people_page.click("[data-set-theme=dark]")
    expect(people_page.locator("html")).to_have_attribute("data-theme", "dark")
    ground = people_page.evaluate("getComputedStyle(document.body).backgroundColor")
    people_page.route("**/*.js", lambda route: route.abort())
    people_page.goto("/account/")
    assert people_page.get_attribute("html", "data-theme") == "dark"
    assert people_page.evaluate("getComputedStyle(document.body).backgroundColor") == ground != "rgb(251, 250, 246)"


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_slash_goes_to_the_search_but_not_while_one_types(people_page):
    search = people_page.locator("[name=q]")
    people_page.keyboard.press("/")
    expect(search).to_be_focused()
    expect(search).to_have_value("")
    people_page.keyboard.press("/")
    expect(search).to_have_value("/")


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_taken_back_asks_first(open_page):
    victim = factories.user(username="victim")
    page = open_page("/people/", factories.admin())
    button = page.locator("tr", has_text="victim").locator("[value=deactivate]")
    button.click()
    expect(page.locator("#confirm")).to_contain_text("victim can no longer sign in")
    page.click("#confirm [value=no]")
    expect(page.locator("#confirm")).to_be_hidden()
    assert User.objects.get(pk=victim.pk).is_active
    button.click()
    page.click("#confirm [value=yes]")
    page.get_by_text("Their rankings stay").wait_for()
    assert not User.objects.get(pk=victim.pk).is_active


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/sign-in/", "/account/", "/people/", "/"])
def test_pages_fit_the_smallest_phone(open_page, path):
    person = None if path == "/sign-in/" else factories.admin()
    page = open_page(path, person, viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
