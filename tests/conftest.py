"""What every area uses: draws and examples that are the same in any order of tests, a real browser, and pages opened in it as a person."""

import gc
import random
import secrets
import sys
import threading
from collections.abc import Callable, Iterator

import hypothesis
import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from django.utils.translation import deactivate

from people.models import User
from tests import browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1440, "height": 900}}
# The same examples everywhere, however long a busy machine takes for one.
hypothesis.settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")

PATIENCE = 60_000  # milliseconds; a busy machine is slow, and only what fails takes so long
LOADED = "addEventListener('load', () => document.documentElement.setAttribute('data-loaded', ''))"


def pytest_collection_finish() -> None:
    """What thousands of tests were collected into stays until the end: not looking it through for garbage again and again saves a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


@pytest.fixture(autouse=True)
def drawn_alike(monkeypatch) -> None:
    """What is drawn without a seed of its own is the same, whatever ran before; so are numbers that nobody shall foresee elsewhere."""
    random.seed(0)
    monkeypatch.setattr(secrets, "randbelow", random.randrange)
    monkeypatch.setattr(secrets, "randbits", random.getrandbits)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    """A request's language stays with its thread; the next test expects English."""
    yield
    deactivate()


@pytest.fixture
def noon(monkeypatch) -> None:
    """The clock of the site goes on from noon: no day ends within a test that counts by days."""
    real = timezone.now
    away = real().replace(hour=12, minute=0) - real()
    monkeypatch.setattr(timezone, "now", lambda: real() + away)


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=browser.find(), args=browser.ARGUMENTS, timeout=2 * PATIENCE
        )
        yield launched
        launched.close()


@pytest.fixture
def open_page(chromium, live_server) -> Iterator[Callable]:
    """`open_page(path, user)`: a new page, signed in. A page in which a script broke fails the test.

    Whatever is done on a page waits until it has loaded, also after a link or a form: before that, its scripts hear nothing.
    """
    contexts, broken = [], []

    def open_page(path: str, user: User | None = None, **options: object):
        context = chromium.new_context(base_url=live_server.url, **{**DESKTOP, "locale": "en", **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(LOADED)
        context.on("weberror", lambda error: broken.append(str(error.error)))
        if user is not None:
            sign_in(context, user)
        page = context.new_page()
        page.add_locator_handler(
            page.locator("html:not([data-loaded])"), lambda: None
        )  # Playwright waits until it is gone
        page.goto(path)
        return page

    def sign_in(context, user: User) -> None:
        client = Client()
        client.force_login(user)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME]
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])

    yield open_page
    for context in contexts:
        context.close()
    for thread in threading.enumerate():
        if "(process_request_thread)" in thread.name:  # an answer that is still written, to the database too
            thread.join(60)
    assert broken == []
