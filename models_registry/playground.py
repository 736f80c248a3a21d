"""The playground: one prompt to up to four versions, side by side. The texts come by each version's own “try it” address."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from people.permissions import Right, requires

from . import hooks, queries, serving_client
from .models import Head, Kind, Version
from .trying import TryForm, chats

MOST = 4


@dataclass(frozen=True)
class Column:
    version: Version
    base: Version | None  # what it shares in memory with another column


@require_GET
@requires(Right.TRY_MODELS)
def playground(request: HttpRequest) -> HttpResponse:
    """`?v=name:v3&v=…` chooses the versions, so that a comparison has an address."""
    found, problems = queries.find_some(request.GET.getlist("v"), most=MOST)
    chosen = [version for version in found if version.head == Head.LM]
    problems += [_("%(version)s does not write text.") % {"version": each} for each in found if each not in chosen]
    form = TryForm(initial={"chat": all(chats(version) for version in chosen)})
    if not any(version.facts.get("chat") for version in chosen):
        form.fields.pop("chat")
    context = {
        "section": "models",
        "columns": _columns(chosen),
        "slots": [str(version) for version in chosen] + [""] * (MOST - len(chosen)),
        "writers": queries.writers(),
        "form": form,
        "problems": problems,
        "running": all(version.kind == Kind.REMOTE for version in chosen) or serving_client.health() is not None,
        "ways": hooks.playground_ways(request.user),
    }
    return render(request, "models_registry/playground.html", context)


def _columns(versions: list[Version]) -> list[Column]:
    roots = [version.chain()[0] for version in versions]
    return [
        Column(version, root if roots.count(root) > 1 else None) for version, root in zip(versions, roots, strict=True)
    ]
