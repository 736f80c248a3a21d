"""What labeling's verbs are called in the audit trail, where their objects are found, and which project they belong to."""

from collections.abc import Mapping

from django.db.models import Model
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from jobs.models import Job
from labeling.models import Project, ProjectInvitation, Task
from labeling.places import place_name
from labeling.project_settings import SETTINGS
from people import trail
from people.models import Invitation

trail.routine(
    "task.claim",
    "task.skip",
    "task.flag",
    "task.undo",
    "task.expire",
    "ranking.submit",
    "ranking.revise",
)

trail.say(
    _("Projects"),
    {
        "task.claim": _("%(actor)s began a task."),
        "task.skip": _("%(actor)s skipped a task."),
        "task.flag": _("%(actor)s flagged a task."),
        "task.undo": _("%(actor)s called back what they had just done."),
        "task.expire": _("A task that was left went back to the queue."),
        "ranking.submit": _("%(actor)s ranked: %(notation)s"),
        "ranking.revise": _("%(actor)s changed their ranking from %(before)s to %(after)s"),
        "task.playground": _("%(actor)s sent outputs of the playground to be ranked."),
        "project.create": _("%(actor)s created the project %(object)s."),
        "project.change": _("%(actor)s changed settings of %(object)s: %(settings)s."),
        "project.import": _("%(actor)s imported %(file)s into %(object)s."),
        "project.export_turns": _("%(actor)s exported the skips and flags of %(object)s."),
        "project.export_settings": _("%(actor)s exported the settings of %(object)s."),
        "project.export_quality": _("%(actor)s exported how good the rankings of %(object)s are: %(what)s"),
        "project.export_tasks": _("%(actor)s exported the waiting tasks of %(object)s, to be scored."),
        "project.export_hours": _("%(actor)s exported hours and counts."),
        "project.add_members": _("%(actor)s let %(users)s take part in %(object)s as %(role)s."),
        "project.remove_members": _("%(actor)s removed %(users)s from %(object)s."),
        "project.daily_goal": _("%(actor)s set the daily goal of %(user)s in %(object)s."),
        "project.invite": _("%(actor)s made a link into %(object)s for %(role)s."),
        "project.revoke_invitation": _("%(actor)s took back a link into %(object)s."),
        "tasks.priority": _("%(actor)s gave %(tasks)s of %(object)s the priority %(priority)s."),
        "tasks.overlap": _("%(actor)s set how many people rank %(tasks)s of %(object)s, to %(overlap)s."),
        "tasks.assign": _("%(actor)s assigned %(tasks)s of %(object)s to %(to)s."),
        "tasks.sensitive": _("%(actor)s marked %(tasks)s of %(object)s as %(sensitive)s."),
        "tasks.batch": _("%(actor)s put %(tasks)s of %(object)s into %(batch)s."),
        "tasks.scores": _("%(actor)s gave %(tasks)s of %(object)s a score; the queue stands in its order."),
        "project.ask_opinion": _("%(actor)s compared what %(model)s and people say in %(object)s."),
        "tasks.score_by_model": _("%(actor)s let %(model)s score the waiting tasks of %(object)s."),
        "queue.by_score": _("%(actor)s put the queue of %(object)s in the order of scores."),
        "queue.by_arrival": _("%(actor)s put the queue of %(object)s in the order of arrival."),
        "batch.create": _("%(actor)s made the batch %(name)s."),
        "batch.rename": _("%(actor)s renamed the batch %(before)s to %(after)s."),
        "batch.pause": _("%(actor)s paused the batch %(object)s."),
        "batch.resume": _("%(actor)s resumed the batch %(object)s."),
        "task.gold": _("%(actor)s said what is known about a task: %(constraints)s"),
        "task.not_gold": _("%(actor)s made a task with a known answer an ordinary one."),
        "project.copy": _("%(actor)s copied a project as %(object)s."),
        "tasks.order": _("%(actor)s put tasks into another order."),
        "task.ask": _("%(actor)s asked a question about a task."),
        "task.answer": _("%(actor)s answered a question about a task."),
        "task.comment": _("%(actor)s wrote a remark about a task."),
        "task.resolve": _("%(actor)s settled a question about a task."),
        "task.adjudicate": _("%(actor)s decided about a contested task: %(after)s"),
        "task.close": _("%(actor)s closed a task."),
        "task.reopen": _("%(actor)s opened a task again."),
        "task.one_more": _("%(actor)s asked for one more ranking of a task."),
        "desk.pause": _("%(actor)s paused %(name)s."),
        "desk.resume": _("%(actor)s let %(name)s go on."),
        "desk.let_in": _("%(actor)s let %(name)s begin with the real tasks."),
        "desk.try_again": _("%(actor)s let %(name)s try the qualification again."),
        "desk.warned": _("%(actor)s read the content warning."),
        "dataset.upload": _("%(actor)s uploaded the data set %(name)s."),
        "dataset.freeze": _("%(actor)s froze the snapshot %(name)s."),
        "dataset.delete": _("%(actor)s deleted the data set %(name)s."),
        "dataset.export": _("%(actor)s exported %(object)s."),
    },
)


@trail.words("tasks.priority", "tasks.overlap", "tasks.assign", "tasks.sensitive", "tasks.batch", "tasks.scores")
def about_tasks(data: Mapping) -> dict[str, str]:
    count, to, batch = data.get("count", 0), data.get("to"), data.get("batch")
    return {
        "tasks": ngettext("%(n)d task", "%(n)d tasks", count) % {"n": count},
        "to": to["name"] if to else gettext("everybody"),
        "batch": gettext("the batch %(name)s") % {"name": batch} if batch else gettext("no batch"),
        "sensitive": gettext("sensitive") if data.get("sensitive") else gettext("not sensitive"),
    }


@trail.words("project.change")
def which_settings(data: Mapping) -> dict[str, str]:
    return {"settings": ", ".join(str(SETTINGS[name].label) if name in SETTINGS else name for name in data)}


def page_of_task(task: Task) -> str:
    return reverse("project-task", args=[task.project.slug, task.pk])


trail.link("labeling.Task", page_of_task)
trail.link("labeling.Assignment", lambda assignment: page_of_task(assignment.task))


@trail.finds_place
def place_of(obj: Model) -> str:
    """Projects, and whatever belongs to one, be it through a task. Jobs say so themselves."""
    if isinstance(obj, Project):
        return place_name(obj.pk)
    if isinstance(obj, Job):
        return obj.subject if obj.subject.startswith("labeling.project:") else ""
    if project := getattr(obj, "project_id", None):
        return place_name(project)
    if isinstance(obj, Invitation):
        opened = ProjectInvitation.objects.filter(invitation=obj).first()
        return place_name(opened.project_id) if opened else ""
    task = getattr(obj, "task", None) or getattr(getattr(obj, "assignment", None), "task", None)
    return place_name(task.project_id) if isinstance(task, Task) else ""
