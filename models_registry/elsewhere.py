"""Pages of what is not on this machine: importing from the Hub, registering a remote endpoint, testing a connection."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from people.errors import Refusal
from people.permissions import Right, requires

from . import actions, endpoints, serving_client
from .forms import HubForm, RemoteForm
from .models import Kind
from .views import the_version


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_MODELS)
def import_hub(request: HttpRequest) -> HttpResponse:
    form = HubForm(request.POST or None)
    problems: list[str] = []
    if request.method == "POST" and form.is_valid():
        try:
            return redirect("job", actions.begin_hub_import(actor=request.user, **form.cleaned_data).pk)
        except Refusal as refusal:
            problems = list(refusal.problems)
    context = {"section": "models", "form": form, "problems": problems}
    return render(request, "models_registry/hub.html", context, status=400 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_MODELS)
def register_remote(request: HttpRequest) -> HttpResponse:
    form = RemoteForm(request.POST or None)
    problems: list[str] = []
    if request.method == "POST" and form.is_valid():
        try:
            version = actions.register_remote(actor=request.user, **form.cleaned_data)
            messages.success(request, _("%(version)s is registered.") % {"version": version})
            return redirect(version)
        except Refusal as refusal:
            problems = list(refusal.problems)
    context = {"section": "models", "form": form, "problems": problems}
    return render(request, "models_registry/remote.html", context, status=400 if form.is_bound else 200)


@require_POST
@requires(Right.MANAGE_MODELS)
def test_remote(request: HttpRequest) -> HttpResponse:
    """Call the server that is being typed in, before it is registered."""
    said = {name: request.POST.get(name, "").strip() for name in ("base_url", "model", "key_env")}
    return _tested(request, lambda: endpoints.reached(**said, chat_only=bool(request.POST.get("chat_only"))))


@require_POST
@requires(Right.TRY_MODELS)
def test_version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    version = the_version(name, number)
    if version.kind != Kind.REMOTE:
        raise Refusal(_("%(version)s lies on this machine; there is no connection to test.") % {"version": version})
    return _tested(request, lambda: endpoints.of(version))


def _tested(request: HttpRequest, endpoint) -> HttpResponse:
    """The fragment that says how it went. What was wrong is its content, so it is no error of this page."""
    try:
        context = {"wrote": serving_client.probe(endpoint()), "problems": []}
    except Refusal as refusal:
        context = {"problems": refusal.problems}
    return render(request, "models_registry/tested.html", context)
