"""The board in a real browser: the weight of its first page, when it can be used, key strokes of a ranking, and the wait for the next task."""

import statistics
from typing import Any

from bench.labeling_site import HOST, Site
from tests import browser

TIMES, COLD = 12, 6
WORDS = 2000
STROKES = ["Digit1", "Digit2", "Digit2", "Digit3", "Enter"]  # A > B = C > D and submit: four outputs with a tie

# Notes when a card first has the focus that only the board's script gives (from then on keys work), and when the frame that shows it is drawn.
WATCH = """
  window.watched = { seen: {}, key: 0 };
  addEventListener("keydown", () => (window.watched.key = performance.now()), true);
  new MutationObserver(() => {
    const task = document.querySelector("#task[data-assignment]");
    if (!task || task.dataset.assignment in window.watched.seen || !task.querySelector(".card[data-focused]")) return;
    const seen = (window.watched.seen[task.dataset.assignment] = { usable: performance.now(), after: window.watched.key });
    requestAnimationFrame(() => setTimeout(() => (seen.drawn = performance.now())));
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-focused"] });
"""
DRAWN = """before => {
  const task = document.querySelector("#task[data-assignment]");
  return task && task.dataset.assignment !== before && window.watched.seen[task.dataset.assignment]?.drawn
    ? { assignment: task.dataset.assignment, ...window.watched.seen[task.dataset.assignment] } : null;
}"""
NAVIGATION = "() => performance.getEntriesByType('navigation')[0].responseEnd"
# Milliseconds for the differences of two texts of so many words, in no common order.
DIFFERENCES = """async (words) => {
  const { difference } = await import("/static/js/board/diff.js");
  const [one, other] = [3, 7].map((step) => Array.from({ length: words }, (_, n) => `word${(n * n * step) % 907}`).join(" "));
  const began = performance.now();
  difference(one, other);
  return performance.now() - began;
}"""


def measure(site: Site, slug: str, name: str, password: str) -> dict[str, Any] | None:
    """None where no browser is found. Milliseconds; bytes are those on the wire, headers included."""
    from playwright.sync_api import sync_playwright

    if (executable := browser.find()) is None:
        return None
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=browser.ARGUMENTS)
        context = chromium.new_context(base_url=f"http://{HOST}:{site.port}", viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto("/sign-in/")
        page.fill("[name=username]", name)
        page.fill("[name=password]", password)
        page.press("[name=password]", "Enter")
        page.wait_for_url(lambda url: "/sign-in/" not in url)
        page.close()
        context.add_init_script(WATCH)
        first, *others = [_first_page(context, f"/rank/{slug}/") for _ in range(COLD)]
        usable = [_opened(context, f"/rank/{slug}/") for _ in range(TIMES)]
        next_task = _ranked(context, f"/rank/{slug}/")
        differences = _differences(context, f"/rank/{slug}/")
        chromium.close()
    return {
        **first,
        "usable_cold_ms": statistics.median(page["usable_ms"] for page in [first, *others]),
        "usable_again_ms": statistics.median(usable),
        "strokes": len(STROKES),
        "rankings": len(next_task),
        "next_task_ms": statistics.median(next_task),
        "next_task_longest_ms": max(next_task),
        "differences_words": WORDS,
        "differences_ms": statistics.median(differences),
    }


def _opened(context: Any, path: str) -> float:
    """Milliseconds from the end of the page's response until keys work, with scripts and styles in the cache."""
    page = context.new_page()
    page.goto(path)
    usable = page.wait_for_function(DRAWN, arg="").json_value()["usable"] - page.evaluate(NAVIGATION)
    page.close()
    return usable


def _first_page(context: Any, path: str) -> dict[str, Any]:
    """With nothing in the browser's cache, as somebody comes who never was here."""
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.clearBrowserCache")
    requests: dict[str, dict[str, Any]] = {}

    def answered(event: dict[str, Any]) -> None:
        headers = {key.lower(): value for key, value in event["response"]["headers"].items()}
        requests[event["requestId"]] = {
            "path": event["response"]["url"].partition(f"{HOST}:")[2].partition("/")[2],
            "encoding": headers.get("content-encoding", ""),
            "cache": headers.get("cache-control", ""),
            "bytes": 0,
        }

    network.on("Network.responseReceived", answered)
    network.on(
        "Network.loadingFinished",
        lambda event: requests.get(event["requestId"], {}).update(bytes=int(event["encodedDataLength"])),
    )
    page.goto(path, wait_until="networkidle")
    seen = page.wait_for_function(DRAWN, arg="").json_value()
    response_end = page.evaluate(NAVIGATION)
    page.close()
    return {
        "bytes": sum(request["bytes"] for request in requests.values()),
        "requests": len(requests),
        "usable_ms": seen["usable"] - response_end,
        "files": sorted(requests.values(), key=lambda request: -request["bytes"]),
    }


def _differences(context: Any, path: str) -> list[float]:
    page = context.new_page()
    page.goto(path)
    took = [page.evaluate(DIFFERENCES, WORDS) for _ in range(TIMES)]
    page.close()
    return took


def _ranked(context: Any, path: str) -> list[float]:
    """Milliseconds from the last key of a ranking until the next task stands there, keys pressed as fast as they are taken."""
    page = context.new_page()
    page.goto(path)
    before = page.wait_for_function(DRAWN, arg="").json_value()["assignment"]
    waits = []
    for _ in range(TIMES):
        for stroke in STROKES:
            page.keyboard.press(stroke)
        seen = page.wait_for_function(DRAWN, arg=before).json_value()
        before = seen["assignment"]
        waits.append(seen["drawn"] - seen["after"])
    page.close()
    return waits
