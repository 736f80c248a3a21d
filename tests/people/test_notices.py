"""Notices: what happened while a person did something else, in the page's head and by e-mail."""

import pytest
from django.core import mail
from django.utils.translation import gettext_noop
from playwright.sync_api import expect

from people import notices
from people.errors import Refusal
from people.models import Notice, Role
from tests import factories

pytestmark = pytest.mark.django_db
TEXT = gettext_noop("“%(name)s” is complete.")


@pytest.fixture
def admin(client):
    person = factories.admin()
    client.force_login(person)
    return person


def tell(person, name: str = "Stories") -> Notice:
    return notices.tell(person=person, text=TEXT, address="/runs/", name=name)


def test_the_bell_counts_what_is_unread_and_the_notice_leads_where_it_points(client, admin):
    assert "unread notice" not in client.get("/runs/").content.decode()
    first, _second = tell(admin), tell(admin, "<b>Tales</b>")
    page = client.get("/runs/").content.decode()
    assert 'aria-label="2 unread notices"' in page
    listed = client.get("/notices/").content.decode()
    assert "“&lt;b&gt;Tales&lt;/b&gt;” is complete." in listed

    assert client.post(f"/notices/{first.pk}/")["Location"] == "/runs/"
    bell = client.get("/notices/bell/").content.decode()
    assert 'aria-label="1 unread notice"' in bell
    assert "<html" not in bell
    client.post("/notices/read/")
    assert not notices.unread(admin).exists()
    assert "Mark all as read" not in client.get("/notices/").content.decode()


def test_everyone_has_their_own(client, admin):
    theirs = tell(factories.admin())
    assert client.post(f"/notices/{theirs.pk}/").status_code == 404
    notices.mark_read(actor=admin, notice=theirs)
    client.post("/notices/read/")
    assert notices.unread(theirs.person).count() == 1


def test_an_annotator_who_sees_no_runs_has_no_bell(client):
    client.force_login(factories.user(Role.ANNOTATOR))
    assert 'id="bell"' not in client.get("/account/").content.decode()


def test_old_notices_are_forgotten(admin, monkeypatch):
    monkeypatch.setattr(notices, "KEPT", 3)
    made = [tell(admin, str(number)) for number in range(5)]
    assert set(Notice.objects.values_list("pk", flat=True)) == {each.pk for each in made[-3:]}


def test_it_is_mailed_in_the_persons_language_where_the_site_can_send(admin, settings, client):
    notice = tell(admin)
    assert not notices.can_mail(admin)
    assert "E-mail address" not in client.get("/account/").content.decode()
    settings.EMAIL_HOST = "mail.example.org"
    assert not notices.can_mail(admin)  # nobody asked for it
    assert "E-mail address" in client.get("/account/").content.decode()
    client.post("/account/email/", {"email": " boss@example.org "})
    admin.refresh_from_db()
    assert notices.can_mail(admin)
    notice.person = admin
    notices.mail(notice)
    (sent,) = mail.outbox
    assert sent.to == ["boss@example.org"]
    assert sent.subject == "Peringkat: “Stories” is complete."
    assert f"{settings.SITE_ADDRESS}/runs/" in sent.body


def test_what_is_no_address_is_refused(admin, client, settings):
    settings.EMAIL_HOST = "mail.example.org"
    with pytest.raises(Refusal, match="is no e-mail address"):
        notices.set_email(actor=admin, email="nobody")
    assert client.post("/account/email/", {"email": "nobody"}).status_code == 400


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_browser_tells_what_has_just_happened_once(open_page):
    admin = factories.admin()
    page = open_page("/notices/", admin, permissions=["notifications"])
    page.evaluate(
        "() => { window.told = []; "
        "window.Notification = class { constructor(text) { window.told.push(text) } static permission = 'granted' } }"
    )
    tell(admin)
    for _time in range(2):
        page.evaluate("() => htmx.ajax('GET', '/notices/bell/', {target: '#bell', swap: 'outerHTML'})")
        page.wait_for_selector("#bell[data-newest]")
    assert page.evaluate("window.told") == ["“Stories” is complete."]
    expect(page.locator("#bell")).to_have_attribute("aria-label", "1 unread notice")
