"""Where the Chromium of the browser tests is. `python -m tests.browser` prints it, or fails."""

import os
import shutil
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Keeps the browser to itself: no sandbox (containers have none to give), no calls home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find() -> str | None:
    """The browser that PERINGKAT_BROWSER names, else one in the path, else the one that playwright installed."""
    if named := os.environ.get("PERINGKAT_BROWSER"):
        return shutil.which(named)
    for name in NAMES:
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


if __name__ == "__main__":
    if (browser := find()) is None:
        sys.exit("No Chromium was found.")
    print(browser)
