"""The “try it” page: a prompt in, and out come texts as they are written, or a classifier's labels."""

import json
import random
from collections import defaultdict
from collections.abc import Iterator

from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from people.errors import Refusal, wrong_with
from people.permissions import Right, requires

from . import serving_client
from .models import Head, Kind, Version
from .scoring import parts
from .tickets import Seen, seal
from .views import the_version


class TryForm(forms.Form):
    prompt = forms.CharField(
        label=_("Prompt"), required=False, strip=False, max_length=100_000, widget=forms.Textarea(attrs={"rows": 5})
    )
    chat = forms.BooleanField(
        label=_("As a chat message"), required=False, help_text=_("Puts the prompt into the model's chat template.")
    )
    temperature = forms.FloatField(
        label=_("Temperature"),
        min_value=0,
        max_value=5,
        initial=0.8,
        help_text=_("0 always takes the likeliest token; higher is more varied."),
        widget=forms.NumberInput(attrs={"step": "0.1"}),
    )
    top_p = forms.FloatField(
        label=_("Top-p"),
        min_value=0.01,
        max_value=1,
        initial=0.95,
        help_text=_("Only the likeliest tokens that together have this probability."),
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    max_tokens = forms.IntegerField(label=_("Most tokens"), min_value=1, max_value=4096, initial=200)
    samples = forms.IntegerField(label=_("Samples"), min_value=1, max_value=8, initial=1)
    seed = forms.IntegerField(
        label=_("Seed"),
        min_value=0,
        max_value=2**53 - 1,
        required=False,
        help_text=_("The same seed gives the same text. Left empty, one is drawn."),
    )


class ClassifyForm(forms.Form):
    texts = forms.CharField(
        label=_("Texts"),
        error_messages={"required": _("Write the text to classify first.")},
        strip=False,
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text=_("Several are separated by a line with --- alone."),
    )


def chats(version: Version) -> bool:
    """Whether a prompt goes to it as a message unless someone says otherwise. Of a remote model nobody knows, unless it can do nothing else."""
    return bool(version.facts.get("chat_only" if version.kind == Kind.REMOTE else "chat"))


def _form(version: Version, data=None) -> forms.Form:
    return TryForm(data, initial={"chat": chats(version)}) if version.head == Head.LM else ClassifyForm(data)


@require_GET
@requires(Right.TRY_MODELS)
def try_version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    version = the_version(name, number)
    if version.head == Head.REWARD:
        return redirect("version-score", name, number)
    form = _form(version)
    if not version.facts.get("chat"):
        form.fields.pop("chat", None)
    context = {
        "section": "models",
        "version": version,
        "form": form,
        "running": version.kind == Kind.REMOTE or serving_client.health() is not None,
        "what": version.head,
    }
    return render(request, "models_registry/try.html", context)


@require_POST
@requires(Right.TRY_MODELS)
def answer(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """One JSON object a line: {"seed"}, then {"sample", "text"}, {"sample", "finish"}; for a classifier {"text", "labels"}; or {"problems"}.
    What was written to its end comes with a "ticket" (tickets.py)."""
    version = the_version(name, number)
    if version.head == Head.REWARD:
        raise Refusal(gettext("%(version)s writes no text; it scores it.") % {"version": version})
    form = _form(version, request.POST)
    if not form.is_valid():
        return JsonResponse({"problems": wrong_with(form, labels=True)}, status=400)
    answers = _written if version.head == Head.LM else _classified
    response = StreamingHttpResponse(_lines(answers(version, form.cleaned_data)), content_type="application/x-ndjson")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # a proxy in front must not collect the pieces
    return response


def _lines(events: Iterator[dict]) -> Iterator[str]:
    """What goes wrong after the answer has begun can only be said inside it."""
    try:
        for event in events:
            yield json.dumps(event) + "\n"
    except Refusal as refusal:
        yield json.dumps({"problems": [str(problem) for problem in refusal.problems]}) + "\n"


def _written(version: Version, wanted: dict) -> Iterator[dict]:
    said = wanted["prompt"].replace("\r\n", "\n")
    prompt = [{"role": "user", "content": said}] if wanted["chat"] else said
    seed = wanted["seed"] if wanted["seed"] is not None else random.randrange(2**31)
    sampling = {name: wanted[name] for name in ("max_tokens", "temperature", "top_p")}
    yield {"seed": seed}
    texts: dict[int, str] = defaultdict(str)
    pieces = serving_client.stream(version, prompt, seed=seed, samples=wanted["samples"], **sampling)
    for piece in pieces:
        texts[piece.sample] += piece.text
        if piece.text:
            yield {"sample": piece.sample, "text": piece.text}
        if piece.finish:
            how = sampling | {"seed": seed, "index": piece.sample, "finish": piece.finish}
            ticket = seal(Seen(version.pk, prompt, texts[piece.sample], how))
            yield {"sample": piece.sample, "finish": piece.finish, "ticket": ticket}


def _classified(version: Version, wanted: dict) -> Iterator[dict]:
    texts = parts(wanted["texts"])
    for text, labels in zip(texts, serving_client.classify(version, texts), strict=True):
        yield {"text": text, "labels": sorted(labels.items(), key=lambda each: -each[1])}
