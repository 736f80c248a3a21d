"""A data folder with people and projects, for what is measured or proved about collecting rankings: python -m bench.labeling_fill ORDER

ORDER is JSON: {"annotators": n, "projects": {slug: {"tasks": n, "veteran": n}}}; PERINGKAT_DATA names the folder. Tasks are added by the verb that imports
use. The person "veteran" has ranked the first so many tasks of a project, and each of these waits for somebody else.
"""

import json
import os
import random
import sys
from uuid import uuid4

PASSWORD = "correct horse battery"
OUTPUTS, OVERLAP = 4, 2
AT_ONCE = 500


def people(annotators: int) -> dict[str, str]:
    """Names and passwords of those who rank, the veteran first."""
    return dict.fromkeys(["veteran", *(f"annotator{n}" for n in range(1, annotators))], PASSWORD)


def fill(annotators: int, projects: dict[str, dict[str, int]]) -> None:
    from django.contrib.auth.hashers import make_password
    from django.db import connection

    from people.models import Role, User
    from training.management.commands.start import Command

    Command().prepare(no_demo=True)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")  # of this connection alone; the server opens its own
    password = make_password(PASSWORD)
    User.objects.bulk_create(User(username=name, password=password) for name in people(annotators))
    admin = User.objects.filter(role=Role.ADMIN).earliest("pk")
    veteran = User.objects.get(username="veteran")
    for slug, wanted in projects.items():
        project = _project(admin, slug, wanted["tasks"])
        if wanted["veteran"]:
            _past(veteran, project, wanted["veteran"])
    connection.close()  # the last one out brings what the WAL holds into the database


def _project(admin, slug: str, tasks: int):
    from labeling import actions
    from labeling.actions.tasks import NewTask, add_tasks

    project = actions.create_project(
        actor=admin, name=slug, outputs_per_task=OUTPUTS, overlap=OVERLAP, open_to_all=True
    )
    assert project.slug == slug, project.slug
    words, draw = [f"word{n}" for n in range(500)], random.Random(slug)

    def text(least: int, most: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(least, most)))

    for start in range(0, tasks, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, tasks))
        add_tasks(
            project,
            [
                NewTask(f"{n} {text(20, 60)}", [(text(30, 90), f"model {output}") for output in range(OUTPUTS)])
                for n in numbers
            ],
        )
    return project


def _past(veteran, project, many: int) -> None:
    """`many` rankings of the tasks behind the one that the veteran holds, as if each had been submitted in its turn."""
    from django.db.models import F
    from django.utils import timezone

    from labeling import actions
    from labeling.models import Assignment, Desk, Ranking, TaskItem
    from people.models import AuditEntry

    held = actions.claim_task(actor=veteran, project=project)
    now, last = timezone.now(), 0
    tasks = project.tasks.exclude(pk=held.task_id).order_by("position")
    for start in range(0, many, AT_ONCE):
        rows = list(tasks.filter(position__gt=last).values_list("pk", "position")[: min(AT_ONCE, many - start)])
        last = rows[-1][1]
        keys = [key for key, _position in rows]
        outputs: dict[int, list[int]] = {key: [] for key in keys}
        for task, output in (
            TaskItem.objects.filter(task__in=keys).order_by("position").values_list("task", "completion")
        ):
            outputs[task].append(output)
        turns = [
            Assignment(
                pk=uuid4(), project=project, task_id=task, annotator=veteran, slot=1, state=Assignment.State.SUBMITTED,
                display=list(range(OUTPUTS)), claimed_at=now, finished_at=now, revisions=1,
            )
            for task in keys
        ]  # fmt: skip
        Assignment.objects.bulk_create(turns)
        Ranking.objects.bulk_create(
            Ranking(
                assignment=turn, tiers=[[a], [b, c], [d]], notation="A > B = C > D", client_key=turn.pk.hex, seconds=30
            )
            for turn in turns
            for a, b, c, d in [outputs[turn.task_id]]
        )
        AuditEntry.objects.bulk_create(
            AuditEntry(
                actor=veteran, verb="ranking.submit", object_type="labeling.Assignment", object_id=str(turn.pk),
                data={"task": turn.task_id, "ranking": 0, "late": False, "spare": False, "next": None},
                place=f"labeling.project:{project.pk}", routine=True,
            )
            for turn in turns
        )  # fmt: skip
        project.tasks.filter(pk__in=keys).update(free_slots=F("free_slots") - 1, submitted=F("submitted") + 1)
    desk = Desk.objects.get(project=project, annotator=veteran)
    desk.cursors = dict.fromkeys(desk.cursors, last)
    desk.done = many
    desk.save()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    fill(**json.loads(sys.argv[1]))
