"""The statements of the board, written out (people/sql.py says why): what a claim, a submit and the next task's page run.

Each is one look-up by an index; none grows with the number of tasks or of rankings.
"""

from functools import cache
from uuid import UUID

from django.db import connection

from labeling.models import Assignment, Batch, Completion, Desk, Membership, Project, Prompt, Task, TaskItem
from people import sql
from people.models import User

ASSIGNMENT, BATCH, COMPLETION, DESK, MEMBERSHIP, PROJECT, PROMPT, TASK, ITEM = (
    f'"{model._meta.db_table}"'
    for model in (Assignment, Batch, Completion, Desk, Membership, Project, Prompt, Task, TaskItem)
)
GROUPS = f'"{User.groups.through._meta.db_table}"'


def own(assignment: UUID, annotator: int, *, lock: bool = True) -> Assignment | None:
    """An assignment with its task and project, if it is the annotator's."""
    found = sql.fetch(
        _select(Assignment, Task, Project)
        + f" FROM {ASSIGNMENT} a JOIN {TASK} b ON b.id = a.task_id JOIN {PROJECT} c ON c.id = a.project_id"
        f" WHERE a.id = %s AND a.annotator_id = %s{_lock('a') if lock else ''}",
        [Assignment._meta.pk.get_db_prep_value(assignment, connection), annotator],
    )
    if not found:
        return None
    assignment, task, project = _parts(found[0], Assignment, Task, Project)
    assignment.task, assignment.project = task, project
    return assignment


def desk(annotator: int, project: int, *, lock: bool = True) -> Desk | None:
    """The person's desk; `member` says whether they belong to the project."""
    found = sql.fetch(
        _select(Desk)
        + f", EXISTS(SELECT 1 FROM {MEMBERSHIP} m WHERE m.project_id = a.project_id AND m.user_id = a.annotator_id)"
        f" FROM {DESK} a WHERE a.project_id = %s AND a.annotator_id = %s{_lock('a') if lock else ''}",
        [project, annotator],
    )
    if not found:
        return None
    (mine,) = _parts(found[0], Desk)
    mine.member = bool(found[0][-1])
    return mine


def next_task(project: int, annotator: int, lane: str, priority: int, behind: int) -> Task | None:
    """The first waiting task of a lane behind a place of the queue that the person has not had, with its prompt.

    `lapsed` is the key of their own assignment of it whose lease has ended, or None.
    """
    # Look-ups within look-ups, no joins: a planner that expects few such tasks would else sort them all.
    mine = f"FROM {ASSIGNMENT} m WHERE m.annotator_id = %s AND m.repeat = 0 AND m.task_id ="
    found = sql.fetch(
        _select(Task, Prompt) + f", (SELECT m.id {mine} a.id) FROM (SELECT t.* FROM {TASK} t"
        " WHERE t.project_id = %s AND t.lane = %s AND t.priority = %s AND t.position > %s"
        f" AND COALESCE((SELECT m.state {mine} t.id), 'expired') = 'expired'"
        f" ORDER BY t.position LIMIT 1) AS a JOIN {PROMPT} b ON b.id = a.prompt_id",
        [annotator, project, lane, priority, behind, annotator],
    )
    if not found:
        return None
    task, prompt = _parts(found[0], Task, Prompt)
    task.prompt, task.lapsed = prompt, found[0][-1]
    return task


def known_answer(project: int, annotator: int, kind: str, *, repeat: int, sensitive: bool) -> Task | None:
    """An open task of a kind with a known answer that the person has not had yet (their `repeat`th time), with its prompt; gold at random.

    `lapsed` as in `next_task`.
    """
    mine = f"FROM {ASSIGNMENT} m WHERE m.annotator_id = %s AND m.repeat = %s AND m.task_id ="
    found = sql.fetch(
        _select(Task, Prompt) + f", (SELECT m.id {mine} a.id) FROM (SELECT t.* FROM {TASK} t"
        # The second condition is that of the index, which is found by it.
        " WHERE t.project_id = %s AND t.kind = %s AND NOT (t.kind = 'normal') AND t.state = 'open'"
        f"{'' if sensitive else ' AND NOT t.sensitive'}"
        f" AND COALESCE((SELECT m.state {mine} t.id), 'expired') = 'expired'"
        f" ORDER BY {'RANDOM()' if kind == Task.Kind.GOLD else 't.priority DESC, t.id'} LIMIT 1) AS a JOIN {PROMPT} b ON b.id = a.prompt_id",
        [annotator, repeat, project, kind, annotator, repeat],
    )
    if not found:
        return None
    task, prompt = _parts(found[0], Task, Prompt)
    task.prompt, task.lapsed = prompt, found[0][-1]
    return task


def groups(user: int) -> list[int]:
    """The groups that a person belongs to."""
    rows = sql.fetch(f"SELECT group_id FROM {GROUPS} WHERE user_id = %s ORDER BY group_id", [user])
    return [group for (group,) in rows]


def take(task: int, *, position: int | None = None) -> bool:
    """Take a free slot, if there is one and the task still stands where it stood: the atomic step of a claim."""
    here = "" if position is None else " AND position = %s"
    return bool(
        sql.execute(
            f"UPDATE {TASK} SET free_slots = free_slots - 1,"
            " position = CASE WHEN free_slots = 1 THEN NULL ELSE position END"
            f" WHERE id = %s AND free_slots > 0{here}",
            [task] if position is None else [task, position],
        )
    )


def held_slots(task: int) -> set[int]:
    rows = sql.fetch(f"SELECT slot FROM {ASSIGNMENT} WHERE task_id = %s AND slot IS NOT NULL", [task])
    return {slot for (slot,) in rows}


def count_submitted(task: int) -> None:
    """One more slot of the task has its ranking; the last one completes it."""
    sql.execute(
        f"UPDATE {TASK} SET submitted = submitted + 1,"
        " state = CASE WHEN state IN ('open', 'held') AND kind = 'normal' AND overlap = submitted + 1 THEN 'complete' ELSE state END"
        " WHERE id = %s",
        [task],
    )


def completions(task: int) -> list[int]:
    """The ids of a task's completions, in canonical order."""
    rows = sql.fetch(f"SELECT completion_id FROM {ITEM} WHERE task_id = %s ORDER BY position", [task])
    return [completion for (completion,) in rows]


def texts(task: int) -> list[str]:
    """The texts of a task's outputs, in canonical order."""
    rows = sql.fetch(
        f"SELECT c.text FROM {ITEM} i JOIN {COMPLETION} c ON c.id = i.completion_id WHERE i.task_id = %s"
        " ORDER BY i.position",
        [task],
    )
    return [text for (text,) in rows]


def waiting(project: int, annotator: int, lane: str, priority: int, behind: int, most: int) -> int:
    """How many tasks of a lane, which the person has not had, wait behind a place of the queue; counted up to `most`."""
    ((count,),) = sql.fetch(
        f"SELECT COUNT(*) FROM (SELECT 1 FROM {TASK} t WHERE t.project_id = %s AND t.lane = %s AND t.priority = %s AND t.position > %s"
        f" AND COALESCE((SELECT m.state FROM {ASSIGNMENT} m WHERE m.annotator_id = %s AND m.repeat = 0 AND m.task_id = t.id), 'expired') = 'expired'"
        " LIMIT %s) AS found",
        [project, lane, priority, behind, annotator, most],
    )
    return count


@cache
def _select(*models: type) -> str:
    """SELECT all columns of each model, which stand under the aliases a, b, c."""
    return "SELECT " + ", ".join(sql.columns(model, alias) for model, alias in zip(models, "abc", strict=False))


def _parts(row: tuple, *models: type) -> list:
    parts, start = [], 0
    for model in models:
        parts.append(sql.instance(model, row[start : start + sql.width(model)]))
        start += sql.width(model)
    return parts


def _lock(alias: str) -> str:
    return f" FOR UPDATE OF {alias}" if connection.features.has_select_for_update else ""
