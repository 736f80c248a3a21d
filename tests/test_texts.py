"""Every text that people can meet is collected and stands in Indonesian, and the pages show it."""

import html
import re
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils.translation import gettext, override, trans_real

from labeling import actions
from models_registry.models import Head, Kind, Model, Version
from people.errors import Refusal
from tests import factories
from tests.training import make
from training.engine import methods
from training.engine.messages import Message
from training.failures import said
from training.management.commands.collect_texts import Text, Unreadable, collect, in_python, in_template, update
from training.management.commands.compile_texts import compile_texts

INDONESIAN = {"HTTP_ACCEPT_LANGUAGE": "id"}
MEND = "run `make texts-collect`, then translate what it lists"


@pytest.fixture(scope="module")
def catalogue() -> polib.POFile:
    return polib.pofile(str(Path(settings.LOCALE_PATHS[0]) / "id/LC_MESSAGES/django.po"))


@pytest.fixture(scope="module")
def texts() -> list[Text]:
    return collect(settings.BASE_DIR)


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """Pages are shown with the texts as they are now, not as they were compiled last."""
    compile_texts()
    trans_real._translations.clear()


# ── the catalogue ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_catalogue_holds_every_text_once_and_nothing_else(catalogue, texts):
    wanted = {(text.context, text.text, text.plural) for text in texts}
    held = [(entry.msgctxt or "", entry.msgid, entry.msgid_plural) for entry in catalogue]
    assert sorted(wanted - set(held)) == [], f"not in the catalogue; {MEND}"
    assert sorted(set(held) - wanted) == [], f"in the catalogue, but nowhere else; {MEND}"
    assert len(held) == len(set(held))


def test_every_text_is_translated(catalogue):
    assert [entry.msgid for entry in catalogue if not entry.translated() or entry.fuzzy] == []


def marks(text: str) -> set[str]:
    """What a translation must keep: places for values, tags, spaces at the ends."""
    edges = [text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]]
    return {*re.findall(r"%(?:\(\w+\))?[.\d]*[a-z%]", text), *re.findall(r"</?\w[^>]*>", text), *edges}


def test_translations_keep_places_and_markup(catalogue):
    broken = []
    for entry in catalogue:
        source = entry.msgid_plural or entry.msgid
        for translation in entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]:
            if marks(source) != marks(translation):
                broken.append((source, translation))
    assert broken == []


def test_sentences_end_alike(catalogue):
    ends = re.compile(r"[.?!:…]$")
    differ = [
        (entry.msgid, translation)
        for entry in catalogue
        for translation in (entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr])
        if ends.findall(entry.msgid.strip()) != ends.findall(translation.strip())
    ]
    assert differ == []


# ── collecting ─────────────────────────────────────────────────────────────────────────────────────────────


def test_python_texts_are_found_wherever_they_are_marked():
    source = """
title = _("One " "text")
ngettext("%(n)d row", "%(n)d rows", count)
pgettext("button", "Score")
name = f"{gettext('inside')}.txt"
_(facts.title)
"""
    assert list(in_python(source)) == [
        Text("One text"),
        Text("%(n)d row", plural="%(n)d rows"),
        Text("Score", context="button"),
        Text("inside"),
    ]


@pytest.mark.parametrize("source", ['_(f"Hello {name}")', '_("Hello " + name)'])
def test_a_text_that_is_put_together_before_it_is_translated_is_refused(source):
    with pytest.raises(Unreadable, match=r"greeting\.py, line 1"):
        list(in_python(source, "greeting.py"))


def test_template_texts_are_found_in_tags_and_arguments():
    source = """{% load i18n %}{% translate "Say “it's”" %} {% translate 'Score' context "button" %}
{% blocktranslate count n=rows with shown=rows|intcomma %}{{ shown }} row at 100 %{% plural %}{{ shown }} rows at 100 %{% endblocktranslate %}
{{ name|default:_("nobody") }}"""
    assert list(in_template(source)) == [
        Text("Say “it's”"),
        Text("Score", context="button"),
        Text("%(shown)s row at 100 %%", plural="%(shown)s rows at 100 %%"),
        Text("nobody"),
    ]


def test_choices_and_units_of_the_methods_are_texts(texts):
    assert {"rao kupper", "tokens", "nats per answer"} <= {text.text for text in texts}


def test_collecting_anew_keeps_what_is_translated():
    old = polib.POFile()
    old.append(polib.POEntry(msgid="Stop", msgstr="Hentikan"))
    old.append(polib.POEntry(msgid="Gone", msgstr="Hilang"))
    old.append(polib.POEntry(msgid="%(n)d row", msgid_plural="%(n)d rows", msgstr_plural={0: "%(n)d baris"}))
    new = update(old, [Text("Stop", files=["a.py"]), Text("%(n)d row", plural="%(n)d rows"), Text("New")])
    assert [(entry.msgid, entry.msgstr or entry.msgstr_plural.get(0)) for entry in new] == [
        ("Stop", "Hentikan"),
        ("%(n)d row", "%(n)d baris"),
        ("New", None),
    ]


# ── the pages ──────────────────────────────────────────────────────────────────────────────────────────────


def english_in(page: str, catalogue: polib.POFile) -> list[str]:
    """The English sentences of the catalogue that a page shows although they are translated."""
    shown = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    return [
        entry.msgid
        for entry in catalogue
        if len(entry.msgid.split()) > 2 and "%" not in entry.msgid and "<" not in entry.msgid
        if entry.msgid != entry.msgstr and entry.msgid in shown
    ]


@pytest.fixture
def site(db) -> tuple[Client, dict[str, str]]:
    """An admin who reads Indonesian, and the addresses of pages with something on them."""
    admin = factories.admin()
    project = factories.project(actor=admin, tasks=4, guidelines="Be fair.", heldout_percent=50)
    factories.project(actor=admin, tasks=1)
    turn = factories.claim(admin, project)
    factories.submit(admin, turn, "A > B = C > D")
    snapshot, _new = actions.freeze_snapshot(actor=admin, project=project)
    version = Version.objects.create(
        model=Model.objects.create(name="writer"), number=1, kind=Kind.FULL, head=Head.LM, manifest={"files": []}
    )
    run = make.run(actor=admin)
    slug = {"slug": project.slug}
    addresses = {
        "home": reverse("home"),
        "board": reverse("rank-project", kwargs=slug),
        "project": project.get_absolute_url(),
        "task": reverse("project-task", kwargs={**slug, "pk": turn.task_id}),
        "dataset": snapshot.get_absolute_url(),
        "export": reverse("dataset-export", args=[snapshot.pk]),
        "version": version.get_absolute_url(),
        "try": reverse("version-try", args=["writer", 1]),
        "run": run.get_absolute_url(),
    }
    for name in ("project-settings", "project-members", "project-import", "project-sample", "project-freeze"):
        addresses[name] = reverse(name, kwargs=slug)
    for name in ("rank", "projects", "project-new", "datasets", "dataset-new", "models", "model-import", "runs"):
        addresses[name] = reverse(name)
    for name in ("run-new", "account", "people"):
        addresses[name] = reverse(name)
    for name in methods.names():
        addresses[f"new {name}"] = reverse("run-new") + f"?method={name}"
    client = Client(**INDONESIAN)
    client.force_login(admin)
    return client, addresses


@pytest.mark.slow
def test_an_indonesian_page_shows_no_english(site, catalogue):
    client, addresses = site
    for name, address in addresses.items():
        answer = client.get(address)
        page = answer.content.decode()
        assert answer.status_code == 200, name
        assert '<html lang="id"' in page
        assert english_in(page, catalogue) == [], name
    english = client.get(addresses["home"], headers={"Accept-Language": "en"}).content.decode()
    assert english_in(english, catalogue), "nothing would be found"


def test_known_sentences_are_indonesian(site):
    client, addresses = site

    def page(name: str) -> str:
        return html.unescape(client.get(addresses[name]).content.decode())

    assert "Urungkan" in page("board")
    assert "Keluaran A" in page("board")
    assert "Bekukan snapshot" in page("project-freeze")
    assert "Belum ada" in page("try") or "Server model tidak berjalan" in page("try")
    assert "Jawaban terpanjang" in page("new ppo")
    assert "Rao–Kupper" in page("new reward")
    assert "antre" in page("runs")


@pytest.mark.django_db
def test_the_sign_in_page_and_refusals_are_indonesian(catalogue):
    client = Client(**INDONESIAN)
    page = client.get(reverse("sign-in")).content.decode()
    assert "Orang memeringkat tulisan model" in page
    assert english_in(page, catalogue) == []
    assert "Tidak ada apa pun di sini" in client.get("/nowhere/").content.decode()
    project = factories.project(tasks=1)
    person = factories.user()
    turn = factories.claim(person, project)
    with override("id"), pytest.raises(Refusal) as refused:
        factories.submit(person, turn, "A > E")
    assert refused.value.problems == ["Karakter 5: tidak ada keluaran E; seharusnya huruf dari A sampai D."]


def test_messages_of_the_engine_are_translated_where_they_are_read():
    message = Message("x", "%(file)s has no rows.", {"file": "rows.jsonl"}).as_json()
    assert said([message]) == ["rows.jsonl has no rows."]
    with override("id"):
        assert said([message]) == ["rows.jsonl tidak berisi baris."]
        assert gettext("Start run") == "Mulai run"


def test_a_message_inside_a_message_is_translated_too():
    reason = Message("y", "%(file)s has no rows.", {"file": "rows.jsonl"})
    stored = Message("x", "This cannot move here: %(reason)s.", {"reason": reason})
    assert str(stored) == "This cannot move here: rows.jsonl has no rows.."
    assert said([stored.as_json()]) == [str(stored)]
    with override("id"):
        assert "rows.jsonl tidak berisi baris." in said([stored.as_json()])[0]


def test_numbers_in_messages_follow_the_language():
    text = "At the start the ratio is %(ratio).2f and KL is %(kl).2f: policy, reference and sampling agree."
    message = Message("x", text, {"ratio": 1.0, "kl": 0.004}).as_json()
    assert said([message]) == [str(Message("x", text, message["params"]))]
    with override("id"):
        assert said([message]) == ["Pada awalnya rasio 1,00 dan KL 0,00: policy, referensi, dan sampling cocok."]
