"""Tasks with a known answer: set, changed, and made ordinary tasks again."""

from collections.abc import Sequence

from django.utils.translation import gettext as _

from labeling.actions.assigning import chosen_tasks
from labeling.actions.many import named
from labeling.actions.queue import give_up_free_slots, know_again, locked, one_transaction, rejoin, settle
from labeling.constraints import ConstraintError, Constraints
from labeling.models import GREATEST_PRIORITY, LONGEST_EXPLANATION, GoldAnswer, Project, Task
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

MOST_CHARACTERS = GoldAnswer._meta.get_field("constraints").max_length


@one_transaction
def set_gold(*, actor: User, task: Task, kind: str, constraints: str, explanation: str = "") -> GoldAnswer:
    """What is known about the order of a task's outputs (canonical letters), which makes it a gold, practice or qualification task.

    It leaves the queue: free slots are given up, what was ranked stays and counts, and who holds it goes on. Setting it again changes the answer for
    turns to come; scores that were given stay.
    """
    check(actor, Right.MANAGE_PROJECTS, place=task.project)
    task = locked(task)
    problems = []
    if kind not in Task.Kind.values or kind == Task.Kind.NORMAL:
        problems.append(_("Choose what the task is for: gold, practice or qualification."))
    try:
        read = Constraints.parse(constraints, items=task.size)
    except ConstraintError as error:
        problems.append(_(error.template) % error.params)
    else:
        if len(str(read)) > MOST_CHARACTERS:
            problems.append(_("This asks for too much; at most %(n)s characters.") % {"n": MOST_CHARACTERS})
    if len(explanation) > LONGEST_EXPLANATION:
        problems.append(_("The explanation is too long; at most %(n)s characters.") % {"n": LONGEST_EXPLANATION})
    if problems:
        raise Refusal(problems)
    before, task.kind = task.kind, kind
    give_up_free_slots(task)
    settle(task)
    task.save(update_fields=["kind"])
    answer, _new = GoldAnswer.objects.update_or_create(
        task=task,
        defaults={"constraints": str(read), "explanation": explanation.strip(), "set_by": actor},
    )
    know_again(task.project)
    audit(actor, "task.gold", task, kind=kind, before=before, constraints=answer.constraints)
    return answer


@one_transaction
def unset_gold(*, actor: User, task: Task) -> Task:
    """An ordinary task again, which joins the queue. Turns that were given aside stay aside: who had one does not get the task again."""
    check(actor, Right.MANAGE_PROJECTS, place=task.project)
    task = locked(task)
    if task.kind != Task.Kind.NORMAL:
        project, before, held = task.project, task.kind, task.overlap
        GoldAnswer.objects.filter(task=task).delete()
        overlap = max(project.overlap, held)
        rejoin(project, [task.pk], kind=Task.Kind.NORMAL, overlap=overlap, free_slots=overlap - held)
        task.refresh_from_db()
        audit(actor, "task.not_gold", task, before=before)
    return task


@one_transaction
def order_known(*, actor: User, project: Project, tasks: Sequence[int]) -> int:
    """In which order people meet practice or qualification tasks: by their priorities, which nothing else uses. Returns how many there are."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    chosen = chosen_tasks(project, tasks)
    if project.tasks.filter(pk__in=chosen, kind__in=[Task.Kind.NORMAL, Task.Kind.GOLD]).exists():
        raise Refusal(_("Only practice and qualification tasks come in an order."))
    if len(chosen) > GREATEST_PRIORITY:
        raise Refusal(_("At most %(n)s tasks can be put in an order.") % {"n": GREATEST_PRIORITY})
    for priority, pk in enumerate(reversed(list(dict.fromkeys(tasks))), 1):
        project.tasks.filter(pk=pk).update(priority=priority)
    audit(actor, "tasks.order", project, **named(list(tasks)))
    return len(chosen)
