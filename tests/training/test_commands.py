"""The commands: train from a terminal, compile the translations."""

import gettext
import json
import os
import shlex
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from people import terminal
from people.models import Role
from tests import factories
from training.models import Run
from training.page import Page

from . import make

pytestmark = pytest.mark.django_db


def train(*arguments: str) -> str:
    out = StringIO()
    call_command("train", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_a_run_is_queued_with_settings_from_file_and_options(tmp_path):
    admin, data = factories.admin(), make.dataset(name="Tales")
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"lr": 0.5, "epochs": 2.0, "tune": {"kind": "all"}}))
    train(
        "pretrain",
        "--dataset",
        "Tales",
        "--config",
        str(file),
        "--set",
        "lr=1e-3",
        "--set",
        "max_steps=",
        "--seed",
        "3",
    )
    run = Run.objects.get()
    assert (run.config["lr"], run.config["epochs"], run.config["max_steps"], run.seed) == (0.001, 2.0, None, 3)
    assert (run.created_by, run.inputs.get().dataset) == (admin, data)


def test_everything_wrong_is_said_at_once_in_the_terminal():
    factories.admin()
    with pytest.raises(CommandError) as refused:
        train("pretrain", "--set", "lr=7", "--set", "bogus=1")
    assert len(str(refused.value).splitlines()) == 3
    with pytest.raises(CommandError, match="write SETTING=VALUE"):
        train("pretrain", "--set", "lr")
    with pytest.raises(CommandError, match="no data set “nothing”"):
        train("pretrain", "--dataset", "nothing")


def test_who_starts_it_needs_the_right():
    researcher = factories.user(Role.RESEARCHER)
    make.dataset(name="Tales")
    with pytest.raises(CommandError, match="Your role does not allow"):
        train("pretrain", "--dataset", "Tales", "--as", researcher.username)


@pytest.mark.slow
def test_waiting_trains_without_a_supervisor_and_names_the_result():
    factories.admin()
    make.dataset(name="Tales")
    sets = [word for key, value in make.NANO.items() for word in ("--set", f"{key}={value}")]
    out = train("pretrain", "--dataset", "Tales", *sets, "--output", "tiny", "--wait")
    assert "Complete: tiny:v1" in out


@pytest.mark.slow
def test_the_command_on_a_runs_page_makes_the_same_run_again():
    factories.admin()
    first = make.run(config=make.NANO | {"tune": {"kind": "all"}, "lr": 2e-3}, seed=9, name="Twice, please")
    words = shlex.split(Page(first).command)
    train(*words[words.index("train") + 1 :])
    second = Run.objects.exclude(pk=first.pk).get()
    for same in ("name", "method", "config", "seed", "output_name"):
        assert getattr(second, same) == getattr(first, same)
    assert second.inputs.get().dataset == first.inputs.get().dataset


@pytest.mark.slow
def test_a_shown_command_works_in_any_folder(tmp_path, settings):
    """As it is pasted: by the site's own interpreter and in a folder of data that has a space in its name."""
    settings.DATA = tmp_path / "our data"
    assert shell(terminal.manage("migrate", "--verbosity", "0"), tmp_path).returncode == 0
    assert (settings.DATA / "peringkat.sqlite3").is_file()
    done = shell(terminal.manage("train", "pretrain"), tmp_path)
    assert done.returncode == 1
    assert "There is no admin yet" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("there", [False, True], ids=["no folder", "an empty folder"])
def test_without_a_database_a_command_says_so_in_a_sentence(tmp_path, settings, there):
    settings.DATA = tmp_path / "nothing"
    if there:
        settings.DATA.mkdir()
    done = shell(terminal.manage("train", "pretrain"), tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"There is no database of Peringkat at PERINGKAT_DATA={settings.DATA}" in done.stderr
    assert settings.DATA.exists() == there


def shell(command: str, folder: Path) -> subprocess.CompletedProcess:
    surroundings = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return subprocess.run(command, shell=True, cwd=folder, env=surroundings, capture_output=True, text=True)


def test_changed_translations_are_compiled_without_msgfmt(tmp_path, settings):
    folder = tmp_path / "id" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    (folder / "django.po").write_text(header + 'msgid "A run of the tests"\nmsgstr "Pelatihan uji"\n')
    settings.LOCALE_PATHS = [tmp_path]
    settings.BASE_DIR = tmp_path
    out = StringIO()
    call_command("compile_texts", stdout=out)
    assert "django.mo" in out.getvalue()
    with open(folder / "django.mo", "rb") as file:
        assert gettext.GNUTranslations(file).gettext("A run of the tests") == "Pelatihan uji"
    out = StringIO()
    call_command("compile_texts", stdout=out)
    assert out.getvalue() == ""
