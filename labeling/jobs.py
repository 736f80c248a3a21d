"""The short jobs of labeling: importing a file, sampling outputs, storing a large data set."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.registry import job
from labeling import uploads
from labeling.actions.datasets import upload_dataset
from labeling.datasets.files import Reading
from labeling.importing.load import import_prompts
from labeling.models import Project
from labeling.sampling import Plan
from labeling.sampling import sample as carry_out
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
