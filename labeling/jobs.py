"""The short jobs of labeling: importing a file, sampling outputs, storing a large data set, changing many tasks, ordering a long queue, asking a reward model for scores, and what it says against people."""

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.registry import job
from labeling import scoring, uploads
from labeling.actions import many
from labeling.actions.datasets import upload_dataset
from labeling.actions.ordering import put_in_order, put_in_steps
from labeling.datasets.files import Reading
from labeling.importing.load import import_prompts
from labeling.models import Project
from labeling.opinions import asking
from labeling.sampling import Plan
from labeling.sampling import sample as carry_out
from models_registry.models import Version
from people.errors import Refusal
from people.permissions import Right


def _project(arguments: dict) -> Project | None:
    return Project.objects.filter(pk=arguments["project"]).first()


@job("import", title=gettext_lazy("Import prompts"), right=Right.MANAGE_PROJECTS, place=_project)
def import_file(progress, *, project: int, upload: str, skip_bad: bool, batch: str = "") -> dict:
    project = Project.objects.get(pk=project)
    actor = progress.job.created_by
    file = uploads.find(actor, upload)
    report = import_prompts(
        actor=actor,
        project=project,
        path=file.path,
        skip_bad=skip_bad,
        batch=batch,
        progress=lambda *at: progress.set(*at),
        is_first=progress.begin,
    )
    uploads.discard(file)
    return {
        "message": _("%(file)s is imported.") % {"file": file.name},
        "url": project.get_absolute_url(),
        "notes": report.sentences(),
        "report": report.as_json(),
    }


@job("sample", title=gettext_lazy("Sample outputs"), right=Right.MANAGE_PROJECTS, place=_project)
def sample(progress, *, project: int, plan: dict, batch: str = "") -> dict:
    project = Project.objects.get(pk=project)
    plan = Plan(**plan | {"versions": tuple(plan["versions"])})
    result = carry_out(project, plan, progress.set, batch=batch, actor=progress.job.created_by)
    return {
        "message": _("The outputs are sampled and ready to be ranked."),
        "url": project.get_absolute_url(),
        "notes": result.sentences(),
    }


@job("dataset", title=gettext_lazy("Store a data set"), right=Right.UPLOAD_DATA)
def store_dataset(progress, *, name: str, upload: str, reading: dict, skip_bad: bool) -> dict:
    actor = progress.job.created_by
    file = uploads.find(actor, upload)
    reading = Reading(**reading | {"columns": tuple(reading["columns"])})
    dataset, new = upload_dataset(
        actor=actor, name=name, path=file.paths, reading=reading, skip_bad=skip_bad, progress=progress.set
    )
    uploads.discard(file)
    return {
        "message": _("The data set is stored.") if new else _("These very rows were stored before."),
        "url": dataset.get_absolute_url(),
    }


@job("change-tasks", title=gettext_lazy("Change many tasks"), right=Right.MANAGE_PROJECTS, place=_project)
def change_tasks(progress, *, project: int, change: str, values: dict, tasks: list[int]) -> dict:
    notes = {
        "priority": _("Priority"),
        "overlap": _("People per task"),
        "assign": _("Give to"),
        "sensitive": _("Sensitive"),
        "batch": _("Batch"),
    }
    project = Project.objects.get(pk=project)
    many.change_in_steps(progress, project, change, values, tasks, notes[change])
    return {"message": _("The tasks are changed."), "url": reverse("project-tasks", args=[project.slug])}


@job(
    "tidy-tasks",
    title=gettext_lazy("Bring many tasks in line"),
    right=Right.MANAGE_PROJECTS,
    place=_project,
    can_be_cancelled=False,
)
def tidy_tasks(progress, *, project: int, change: str, values: dict) -> dict:
    project = Project.objects.get(pk=project)
    many.tidy_in_steps(progress, project, change, values)
    if change == "batch":  # which may have come back
        put_in_order(project)
    return {"message": _("The tasks are in line again."), "url": reverse("project-tasks", args=[project.slug])}


@job("order-queue", title=gettext_lazy("Put the queue in order"), right=Right.MANAGE_PROJECTS, place=_project)
def order_queue(progress, *, project: int, seed: int | None, scores: list) -> dict:
    project = Project.objects.get(pk=project)
    put_in_steps(project, seed, dict(map(tuple, scores)), progress.set)
    return {"message": _("The queue is in order."), "url": reverse("project-order", args=[project.slug])}


@job("score-file", title=gettext_lazy("Score a file"), right=Right.TRY_MODELS)
def score_file(progress, *, version: int, upload: str) -> dict:
    actor = progress.job.created_by
    file = uploads.find(actor, upload)
    scored = scoring.score_file(_reward_model(version), file.path, file.name, progress.set)
    result = uploads.keep(actor, f"{file.path.stem}-scores.jsonl", scoring.as_lines(scored.rows))
    uploads.discard(file)
    return {
        "message": _("The scores are there; they are kept for a day."),
        "url": reverse("scored", args=[result.id]),
        "notes": scored.sentences(),
    }


@job("score-tasks", title=gettext_lazy("Score the waiting tasks"), right=Right.MANAGE_PROJECTS, place=_project)
def score_tasks(progress, *, project: int, version: int, seed: int) -> dict:
    project = Project.objects.get(pk=project)
    version = _reward_model(version)
    scores = scoring.uncertainties(version, project, lambda *at: progress.set(*at, _("asking the model")))
    put_in_steps(project, seed, scores, lambda *at: progress.set(*at, _("putting the queue in order")))
    return {
        "message": _("The tasks about which %(model)s is least certain come first now.") % {"model": version},
        "url": reverse("project-order", args=[project.slug]),
    }


@job("ask-opinion", title=gettext_lazy("Compare a model with people"), right=Right.REVIEW, place=_project)
def ask_opinion(progress, *, project: int, version: int) -> dict:
    project = Project.objects.get(pk=project)
    version = _reward_model(version)
    asking.ask(version, project, progress.job.created_by, progress.set)
    address = reverse("project-review-against", args=[project.slug])
    return {
        "message": _("The rankings that %(model)s finds least likely can be reviewed.") % {"model": version},
        "url": f"{address}?model={version.pk}",
    }


def _reward_model(pk: int) -> Version:
    """A Refusal if it was deleted meanwhile."""
    version = Version.objects.select_related("model").filter(pk=pk).first()
    if version is None:
        raise Refusal(_("The model was deleted meanwhile. Choose another one."))
    return version
