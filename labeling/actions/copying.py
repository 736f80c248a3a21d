"""A project as the start of the next one: copied, or written to a file of settings and read from one.

The file is one JSON object: {"peringkat": "project", "version": 1, "settings": {…}, "known_answers": [rows as an import takes them]}.
"""

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from labeling.actions.projects import change_project, create_project, unknown_names
from labeling.files import BadRow, Problem, refuse
from labeling.importing.formats import Item, rows_of_ours
from labeling.importing.load import add_known_answers
from labeling.models import Project, Task
from labeling.project_settings import SETTINGS
from labeling.task_queries import with_outputs
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

VERSION = 1
COPIED = [name for name in SETTINGS if name != "state"]  # a copy of a paused project begins open


def settings_file(*, project: Project, known_answers: bool = True) -> dict:
    """What `create_from_file` and `settings_from_file` read. Who wrote the outputs is in it: keep it from annotators."""
    return {
        "peringkat": "project",
        "version": VERSION,
        "settings": {name: getattr(project, name) for name in COPIED},
        "known_answers": [_row(task) for task in _known(project)] if known_answers else [],
    }


@transaction.atomic
def copy_project(*, actor: User, project: Project, name: str, known_answers: bool = True) -> Project:
    """A new project with the settings, guidelines and questions of another one, and its tasks with a known answer."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    return _create(actor, settings_file(project=project, known_answers=known_answers), name, copy_of=project.slug)


@transaction.atomic
def create_from_file(*, actor: User, content: object, name: str = "") -> Project:
    """A new project as a settings file says; `name` instead of the file's own."""
    check(actor, Right.CREATE_PROJECTS)
    return _create(actor, _checked(content), name)


@transaction.atomic
def settings_from_file(*, actor: User, project: Project, content: object) -> Project:
    """Take the settings of a file, all but the name, and its tasks with a known answer."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    file = _checked(content)
    settings = {key: value for key, value in file["settings"].items() if key != "name"}
    project = change_project(actor=actor, project=project, **settings)
    _add(actor, project, file["known_answers"])
    return project


def _create(actor: User, file: dict, name: str, **about: object) -> Project:
    settings = file["settings"] | ({"name": name} if name.strip() else {})
    project = create_project(actor=actor, **{"name": "", **settings})
    _add(actor, project, file["known_answers"])
    if about:
        audit(actor, "project.copy", project, **about)
    project.refresh_from_db()
    return project


def _known(project: Project) -> QuerySet[Task]:
    """As people meet them."""
    tasks = project.tasks.exclude(kind=Task.Kind.NORMAL).select_related("gold_answer")
    return with_outputs(tasks.order_by("-priority", "pk"), "completion__version__model")


def _row(task: Task) -> dict:
    """A task with a known answer as a row of an import."""
    outputs = []
    for item in task.items.all():
        source = item.completion.source or str(item.completion.version or "")
        outputs.append({"text": item.completion.text} | ({"source": source} if source else {}))
    row = {
        "prompt": task.prompt.content,
        "completions": outputs,
        "id": task.prompt.external_id,
        "split": task.prompt.split,
        "kind": task.kind,
        "answer": task.gold_answer.constraints,
        "explanation": task.gold_answer.explanation,
        "sensitive": task.sensitive,
    }
    return {key: value for key, value in row.items() if value not in ("", False)}


def _checked(content: object) -> dict:
    """The file, if it is one of ours; a Refusal says what is wrong with its shape."""
    if not isinstance(content, dict) or content.get("peringkat") != "project":
        raise Refusal(_("This is no settings file of a project: expected an object with “peringkat”: “project”."))
    problems = []
    if content.get("version") != VERSION:
        problems.append(
            _("The file is of version %(found)s; this site reads version %(read)s.")
            % {"found": content.get("version"), "read": VERSION}
        )
    if not isinstance(content.get("settings"), dict):
        problems.append(_("“settings” must be an object."))
    else:
        problems += unknown_names(content["settings"])
    if not isinstance(content.get("known_answers", []), list):
        problems.append(_("“known_answers” must be a list of rows."))
    if problems:
        raise Refusal(problems)
    return {"known_answers": [], **content}


def _add(actor: User, project: Project, rows: list) -> None:
    """Add tasks with a known answer. All rows that cannot be read are told at once, by their number."""
    items: list[Item] = []
    problems: list[Problem] = []
    for number, row in enumerate(rows, 1):
        try:
            if not isinstance(row, dict):
                raise BadRow(_("expected a JSON object {…}"))
            (item,) = rows_of_ours(row)
            if item.known is None:
                raise BadRow(_("there is no “%(key)s”.") % {"key": "answer"})
            items.append(item)
        except BadRow as error:
            problems.append(Problem(number, str(error)))
    if problems:
        raise refuse(problems)
    if items:
        add_known_answers(actor=actor, project=project, items=items)
