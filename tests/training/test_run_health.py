"""The health panel of a PPO run: what was noted, when, and what to do about it; and the same in the docs. And every step of its samples."""

import ast
import html
import re
from pathlib import Path

import pytest
from django.conf import settings as site
from django.db import connection
from django.test.utils import CaptureQueriesContext

from people.models import Role
from tests import factories
from training.advice import ADVICE
from training.engine.methods import config_of
from training.models import Run

from .make import write_events

pytestmark = pytest.mark.django_db
HEALTH = Path("training/engine/methods/ppo/health.py")


@pytest.fixture
def run(settings, tmp_path, client):
    settings.RUNS = tmp_path / "runs"
    admin = factories.admin()
    client.force_login(admin)
    config = config_of("ppo")(lr=3e-4, kl_coef=0.05).model_dump(mode="json")
    return Run.objects.create(name="Polite", method="ppo", config=config, state=Run.State.COMPLETE, created_by=admin)


def note(name: str, level: str = "warning", text: str = "Something") -> dict:
    return {"kind": "note", "level": level, "message": {"id": name, "text": f"{text}: {name}", "params": {}}}


def health_of(client, run: Run) -> str:
    page = client.get(run.get_absolute_url()).content.decode()
    return html.unescape(page[page.index('id="run-health"') :].partition("</section>")[0])


def test_a_note_says_when_it_was_made_and_what_to_do(client, run):
    write_events(
        run.folder,
        note("too-long", "info"),
        {"step": 1, "kl": 0.0},
        note("start-agrees", "good"),
        {"step": 7, "kl": 50.0},
        note("kl-large"),
        note("length-pays"),
    )
    health = health_of(client, run)
    assert health.index("kl-large") < health.index("start-agrees")  # warnings first
    assert "update 7</span> Something: kl-large" in health
    assert "update 1</span> Something: start-agrees" in health
    assert "</span>Something: too-long" in health  # before the first update there is none to name
    assert "Nothing was found wrong" not in health
    link = re.search(r'href="(/runs/new/[^"]*)">Start again with KL weight β 0.1, Learning rate 0.0001<', health)[1]
    assert {"config.kl_coef=0.1", "config.lr=0.0001", "config.updates=60"} <= set(link.partition("?")[2].split("&"))
    assert "length bias" in health

    client.force_login(factories.user(Role.RESEARCHER))
    health = health_of(client, run)
    assert "What to do" in health
    assert "Start again" not in health


def test_a_form_that_follows_the_advice_is_filled_with_it(client, run):
    write_events(run.folder, {"step": 7, "kl": 50.0}, note("steps-large"))
    link = re.search(r'href="(/runs/new/[^"]*)"', health_of(client, run))[1]
    form = client.get(link).content.decode()
    assert re.search(r'name="config.epochs" value="2"', form)
    assert re.search(r'name="config.kl_coef" value="0.05"', form)


def test_the_table_of_runs_marks_one_that_collapsed(client, run):
    def row() -> str:
        return html.unescape(client.get("/runs/").content.decode())

    write_events(run.folder, {"step": 7, "kl": 50.0}, note("kl-large"))
    assert "#run-health" not in row()
    with CaptureQueriesContext(connection) as before:
        row()
    write_events(run.folder, note("answers-vanish", text="A few words are left"))
    with CaptureQueriesContext(connection) as after:
        assert (
            f'href="{run.get_absolute_url()}#run-health" title="A few words are left: answers-vanish">collapsed</a>'
            in row()
        )
    assert len(after) == len(before)
    Run.objects.update(method="dpo")  # its health is not looked at
    assert "#run-health" not in row()


@pytest.mark.parametrize(
    ("state", "says"), [(Run.State.RUNNING, "Nothing wrong so far"), (Run.State.COMPLETE, "Nothing was found wrong")]
)
def test_where_nothing_is_wrong_it_says_so_once_it_has_looked(client, run, state, says):
    Run.objects.update(state=state)
    write_events(run.folder, note("too-long", "info"))
    assert says not in health_of(client, run)
    write_events(run.folder, {"step": 1, "kl": 0.0}, note("start-agrees", "good"))
    assert says in health_of(client, run)


def test_every_warning_of_ppo_has_advice_that_the_docs_repeat():
    calls = [each for each in ast.walk(ast.parse((site.BASE_DIR / HEALTH).read_text())) if isinstance(each, ast.Call)]
    names = {each.args[0].value for each in calls if getattr(each.func, "id", "") == "Message"}
    assert names - {"start-agrees", "start-leads"} == set(ADVICE)
    docs = (site.BASE_DIR / "docs" / "methods" / "ppo.md").read_text()
    assert [name for name in ADVICE if f"| `{name}` |" not in docs] == []
    settings = {path for advice in ADVICE.values() for path in advice.changes}
    assert settings <= set(config_of("ppo").model_fields)


def test_every_step_of_a_sample_can_be_read(client, run):
    sample = {"kind": "sample", "slot": 0, "prompt": "Once"}
    write_events(run.folder, *({**sample, "step": step, "text": f"text {step}."} for step in range(0, 20, 2)))
    page = client.get(run.get_absolute_url()).content.decode()
    beside, _head, below = page[page.index('id="run-samples"') :].partition("All 10 steps")
    assert [n for n in range(0, 20, 2) if f"text {n}." in beside] == [0, 4, 8, 14, 18]
    assert [n for n in range(0, 20, 2) if f"text {n}." in below] == list(range(0, 20, 2))
