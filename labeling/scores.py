"""Scores of tasks in files: read from one with all its problems, and written for whoever makes scores elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _

from labeling.files import BadRow, Problem, refuse, rows
from labeling.importing.columns import number_in
from labeling.models import Project
from labeling.task_queries import with_outputs
from people.errors import Refusal


def read_scores(project: Project, path: Path, name: str | None = None) -> dict[int, float | None]:
    """Scores by task, from rows {"task": its number, or "id": that of its prompt in the import, "score": a number, or empty to take it away}.

    A Refusal names each row that makes no sense. An `id` means all tasks of its prompt.
    """
    tasks = set(project.tasks.values_list("pk", flat=True))
    by_prompt: dict[str, list[int]] = {}
    for pk, external in project.tasks.exclude(prompt__external_id="").values_list("pk", "prompt__external_id"):
        by_prompt.setdefault(external, []).append(pk)
    found: dict[int, float | None] = {}
    problems = []
    for line, row in rows(path, name):
        try:
            if isinstance(row, Problem):
                raise BadRow(row.reason)
            for pk in _tasks_of(row, tasks, by_prompt):
                if pk in found:
                    raise BadRow(_("task %(task)s stands there twice.") % {"task": pk})
                found[pk] = number_in(row, "score")
        except BadRow as error:
            problems.append(Problem(line, str(error)))
    if problems:
        raise refuse(problems)
    if not found:
        raise Refusal(_("The file holds no rows."))
    return found


def _tasks_of(row: dict, tasks: set[int], by_prompt: dict[str, list[int]]) -> list[int]:
    given = row.get("task")
    if given is not None:
        pk = int(given) if str(given).isdecimal() else None
        if pk not in tasks:
            raise BadRow(_("“task”: there is no task %(task)s in this project.") % {"task": given})
        return [pk]
    if row.get("id") is None:
        raise BadRow(_("it needs “task” or “id”, and “score”."))
    if str(row["id"]) not in by_prompt:
        raise BadRow(_("“id”: no task has a prompt with the id %(id)s.") % {"id": row["id"]})
    return by_prompt[str(row["id"])]


def tasks_to_score(project: Project) -> Iterator[str]:
    """A JSON line for each task that still waits for rankings: its number, prompt, outputs and present score."""
    waiting = project.tasks.filter(position__isnull=False).order_by("pk")
    for task in with_outputs(waiting).iterator(chunk_size=500):
        texts = [item.completion.text for item in task.items.all()]
        row = {"task": task.pk, "prompt": task.prompt.content, "completions": texts, "score": task.score}
        yield json.dumps(row, ensure_ascii=False) + "\n"
