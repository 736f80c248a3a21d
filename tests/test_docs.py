"""What the pages of docs/ name is there: other pages, source files, names in them, modules, commands with their options, make targets, endpoints."""

import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.urls import Resolver404, resolve

ROOT = Path(settings.BASE_DIR)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = "bench charts config jobs labeling models_registry people static templates tests training".split()
PLACEHOLDER = re.compile(r"<\w+>|\b[A-Z]{2,}\b|\bvN\b")
NOT_OURS = {
    "projection_prng_key",  # PEFT's
    "delta_2",  # one of many that are numbered
    "OMP_NUM_THREADS",
    "multi_gpu",  # accelerate's
    "TORCH_ELASTIC_SHUTDOWN_TIMEOUT",
}
SOME_UUID = "00000000-0000-0000-0000-000000000000"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@cache
def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@cache
def sources() -> list[str]:
    found = [
        ROOT / "manage.py",
        ROOT / "pyproject.toml",
        *(path for name in SOURCES for path in (ROOT / name).rglob("*.*")),
    ]
    return [f"/{path.relative_to(ROOT)}" for path in found]


@each_page
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith(("https://", "http://")):
            path, _sign, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@each_page
def test_source_files_are_there(page):
    named = re.findall(r"`([\w./-]+\.(?:py|css|js|html))`", page.read_text())
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in sources())] == []


@cache
def words() -> set[str]:
    """All that stands in the code, and in the names of its files and those of tests."""
    code = [ROOT / path[1:] for path in sources() if path.endswith((".py", ".js", ".html", ".toml", ".json"))]
    found = {path.stem for path in code}
    for path in code:
        if path.relative_to(ROOT).parts[0] != "tests":
            found.update(re.findall(r"\w+", path.read_text()))
    return found


@each_page
def test_names_stand_in_the_code(page):
    """Those with a _ in them, which no sentence has by chance."""
    spans = re.findall(r"`([^`\n]+)`", page.read_text())
    names = {name for span in spans for name in re.findall(r"(?<![\w…*])[A-Za-z]\w*_\w+(?![\w…*])", span)}
    assert names - words() - NOT_OURS == set()


@each_page
def test_modules_and_make_targets_are_there(page):
    text = page.read_text()
    modules = re.findall(r"python -m ((?:bench|training|models_registry|labeling)[\w.]*)", text)
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= set(targets)


@each_page
def test_commands_know_their_options(page):
    """Methods have options of their own beside those of `train`: `--set` and what `train METHOD --help` tells."""
    text = page.read_text().replace("\\\n", " ")
    for name, rest in re.findall(r"manage\.py (\w+)([^`\n#]*)", text):
        assert name in get_commands(), name
        command = load_command_class(get_commands()[name], name)
        known = {
            option for action in command.create_parser("manage.py", name)._actions for option in action.option_strings
        }
        assert set(re.findall(r"(?<!\S)\[?(--[a-z-]+)", rest)) <= known, f"{name}{rest}"


@each_page
def test_endpoints_are_there(page):
    """In a table, `POST …/close/` goes on from the first address of its row."""
    addresses = []
    for line in page.read_text().splitlines():
        found = re.findall(r"/api/v1/[^\s`)|?,;:…]*", line)
        tails = re.findall(r"`(?:[A-Z, ]+ )?…/?([^\s`]+/)`", line) if found and line.startswith("|") else []
        addresses += [*found, *(found[0] + tail for tail in tails)]
    assert [address for address in addresses if not is_there(address)] == []


def is_there(address: str) -> bool:
    for value in ("1", SOME_UUID):
        try:
            resolve(PLACEHOLDER.sub(lambda found, value=value: "v1" if found[0] == "vN" else value, address))
        except Resolver404:
            continue
        return True
    return False
