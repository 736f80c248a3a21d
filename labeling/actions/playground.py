"""Verb: make a task of outputs that a person has just compared in the playground."""

import random
from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.actions.tasks import NewTask, add_tasks, make_tasks
from labeling.identity import digest_of
from labeling.models import Completion, Project, Prompt, Task
from labeling.ranking import MAX_ITEMS
from models_registry.models import Version
from models_registry.tickets import Seen
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check


def rank_outputs(*, actor: User, project: Project, outputs: Sequence[Seen]) -> Task:
    """The prompt and these outputs as a task of `project`, in an order that says nothing about who wrote them; once, however often it is sent."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    _check(project, outputs)
    with transaction.atomic():
        prompt = add_tasks(project, [NewTask(outputs[0].prompt)])[0].prompt
        completions = [_completion(prompt, seen) for seen in outputs]
        random.Random(f"playground {prompt.digest}{''.join(sorted(c.digest for c in completions))}").shuffle(
            completions
        )
        [(task, new)] = make_tasks(project, [(prompt, completions)])
        if new:
            audit(actor, "task.playground", task, project=project.pk, outputs=len(completions))
    return task


def _check(project: Project, outputs: Sequence[Seen]) -> None:
    problems = []
    if project.state == Project.State.ARCHIVED:
        problems.append(_("This project is archived; open it again, or choose another."))
    if not 2 <= len(outputs) <= MAX_ITEMS:
        problems.append(_("A task has 2 to %(most)d outputs.") % {"most": MAX_ITEMS})
    if len({digest_of(seen.prompt) for seen in outputs}) > 1:
        problems.append(_("These outputs answer different prompts; a task has one."))
    if any(
        not (seen.prompt if isinstance(seen.prompt, str) else seen.prompt[0]["content"]).strip() for seen in outputs
    ):
        problems.append(_("The prompt is empty; people could not tell what the outputs answer."))
    known = set(Version.objects.filter(pk__in=[seen.version for seen in outputs]).values_list("pk", flat=True))
    if any(seen.version not in known for seen in outputs):
        problems.append(_("A version that wrote one of these outputs was deleted."))
    if problems:
        raise Refusal(problems)


def _completion(prompt: Prompt, seen: Seen) -> Completion:
    """The output as it was stored before, or stored now. No database can hold a NUL."""
    text = seen.text.replace("\0", "\ufffd")
    known = (
        Completion.objects.filter(prompt=prompt, version=seen.version, digest=digest_of(text)).order_by("pk").first()
    )
    return known or Completion.objects.create(
        prompt=prompt, text=text, digest=digest_of(text), version_id=seen.version, sampling=seen.sampling
    )
