"""From a link to the first ranking, and a pause in between, as people do it."""

import pytest
from playwright.sync_api import expect

from labeling.models import Desk, Ranking
from people.models import Role, User
from tests import factories


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_somebody_is_invited_joins_ranks_is_paused_and_goes_on(open_page, live_server):
    boss = factories.user(Role.ADMIN, username="boss")
    project = factories.project(actor=boss, tasks=3, open_to_all=False)
    people = f"/projects/{project.slug}/people/"

    admin = open_page(people, boss)
    admin.click("summary:has-text('Make a link')")
    admin.fill("#id_note", "Sari")
    admin.click("[name=invite]")
    link = admin.inner_text("#new-link")
    assert link.startswith(live_server.url)

    page = open_page(link.removeprefix(live_server.url), viewport={"width": 390, "height": 844})
    expect(page.locator("main")).to_contain_text(project.name)
    page.fill("#id_username", "sari")
    page.fill("#id_password", "12345678")
    page.click("button:has-text('Make my account')")
    page.get_by_text("entirely numeric").wait_for()
    expect(page.locator("#id_username")).to_have_value("sari")
    page.fill("#id_password", "seven blue boats")
    page.click("button:has-text('Make my account')")
    page.wait_for_url(f"**/rank/{project.slug}/")
    page.locator("input[name=ranking], #notation").first.wait_for()
    sari = User.objects.get(username="sari")
    factories.submit(sari, factories.claim(sari, project))
    assert Ranking.objects.count() == 1

    admin.goto(people)
    row = admin.locator("tr", has_text="sari").first
    row.locator("summary").click()
    row.locator("[name=reason]").fill("Let us talk about the guidelines first.")
    row.locator("[value=pause]").click()
    admin.get_by_text("sari is paused").wait_for()
    assert Desk.objects.get(annotator=sari).paused_because == Desk.Pause.ADMIN
    page.goto("/notices/")
    page.get_by_text("Let us talk about the guidelines first.").wait_for()
    page.locator("#bell").wait_for()

    # Their role is changed by choosing another one; the page comes back to where it was.
    admin.goto(f"{people}?q=sari")
    admin.locator("[value=resume]").click()
    admin.get_by_text("sari can go on").wait_for()
    assert "q=sari" in admin.url
    admin.select_option("tr:has-text('sari') select[name=role]", "researcher")
    admin.get_by_text("sari is researcher here now").wait_for()
    page.goto("/")
    page.wait_for_url("**/projects/")
    page.get_by_role("link", name=project.name).wait_for()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [360])
def test_pages_about_people_fit_the_smallest_phone(open_page, width):
    boss = factories.admin()
    project = factories.project(actor=boss, tasks=1)
    page = open_page("/people/rights/", boss, viewport={"width": width, "height": 740})
    for address in (
        "/people/rights/", "/people/invitations/", "/people/groups/", "/people/audit/", f"/people/{boss.pk}/", "/hours/", "/account/hours/",
        *(f"/projects/{project.slug}/{part}/" for part in ("people", "people/rights", "hours", "audit")),
    ):  # fmt: skip
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") == width, address


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_on_a_phone_what_is_open_and_what_can_be_done_is_in_view(open_page):
    boss = factories.admin()
    project = factories.project(actor=boss, tasks=2)
    sari = factories.user(username="sari", first_name="Sari", last_name="Lestari")
    factories.claim(sari, project)
    Desk.objects.filter(annotator=sari).update(stage=Desk.Stage.PRACTICE)
    page = open_page(f"/projects/{project.slug}/settings/", boss, viewport={"width": 390, "height": 844})

    def in_view(selector: str) -> bool:
        box = page.locator(selector).first.bounding_box()
        return box["x"] >= 0 and box["x"] + box["width"] <= 390

    page.locator(".tabs[data-before]:not([data-after])").wait_for()
    assert in_view(".tabs [aria-current]")
    page.goto(f"/projects/{project.slug}/")
    page.locator(".tabs[data-after]:not([data-before])").wait_for()
    page.goto(f"/projects/{project.slug}/people/")
    assert in_view("[value=let_in]")
    assert in_view("summary:has-text('Pause')")
