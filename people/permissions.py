"""Who may do what, declared once: pages, REST and commands all ask here."""

from collections.abc import Callable
from functools import wraps

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_htmx.http import HttpResponseClientRedirect
from rest_framework.permissions import BasePermission

from .backends import may_sign_in
from .errors import Refusal
from .models import Role, User


class Right:
    """The rights. A page, an endpoint and a button each name one of them."""

    RANK = "rank"
    SEE_PROJECTS = "see_projects"
    MANAGE_PROJECTS = "manage_projects"  # create, import, sample, invite
    FREEZE = "freeze"
    EXPORT = "export"
    SEE_DATA = "see_data"
    UPLOAD_DATA = "upload_data"
    SEE_MODELS = "see_models"
    TRY_MODELS = "try_models"
    MANAGE_MODELS = "manage_models"  # import, stage, card
    SEE_RUNS = "see_runs"
    LAUNCH_RUNS = "launch_runs"  # start, stop, resume, register
    MANAGE_PEOPLE = "manage_people"


RIGHT_NAMES = {
    Right.RANK: gettext_lazy("rank outputs"),
    Right.SEE_PROJECTS: gettext_lazy("see projects"),
    Right.MANAGE_PROJECTS: gettext_lazy("create and change projects"),
    Right.FREEZE: gettext_lazy("freeze snapshots"),
    Right.EXPORT: gettext_lazy("export rankings"),
    Right.SEE_DATA: gettext_lazy("see data sets"),
    Right.UPLOAD_DATA: gettext_lazy("upload data sets"),
    Right.SEE_MODELS: gettext_lazy("see models"),
    Right.TRY_MODELS: gettext_lazy("try models"),
    Right.MANAGE_MODELS: gettext_lazy("import and change models"),
    Right.SEE_RUNS: gettext_lazy("see runs"),
    Right.LAUNCH_RUNS: gettext_lazy("start and stop runs"),
    Right.MANAGE_PEOPLE: gettext_lazy("manage people"),
}

ALL_RIGHTS = frozenset(RIGHT_NAMES)
ROLE_RIGHTS: dict[str, frozenset[str]] = {
    Role.ANNOTATOR: frozenset({Right.RANK}),
    Role.RESEARCHER: frozenset(
        {
            Right.RANK,
            Right.SEE_PROJECTS,
            Right.FREEZE,
            Right.EXPORT,
            Right.SEE_DATA,
            Right.UPLOAD_DATA,
            Right.SEE_MODELS,
            Right.TRY_MODELS,
            Right.SEE_RUNS,
        }
    ),
    Role.ADMIN: ALL_RIGHTS,
}


def rights_of(user: User | AnonymousUser) -> frozenset[str]:
    """The rights that hold for the whole site."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    if user.is_superuser:
        return ALL_RIGHTS
    return ROLE_RIGHTS.get(user.role, frozenset())


def can(user: User | AnonymousUser, right: str) -> bool:
    return right in rights_of(user)


def check(user: User | AnonymousUser, right: str) -> None:
    """For verbs: raise a Refusal unless `user` has `right`."""
    if not can(user, right):
        raise Refusal(_("Your role does not allow you to %(what)s.") % {"what": RIGHT_NAMES[right]}, status=403)


def requires(right: str) -> Callable:
    """Decorator of a page: sign in first, then have the right. `view.required_right` is what tests look at."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                return _sign_in_first(request)
            _check_place(request)
            check(request.user, right)
            return view(request, *args, **kwargs)

        guarded.required_right = right  # type: ignore[attr-defined]
        return guarded

    return decorate


def signed_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorator of a page that is everyone's own (their account): sign in, no right needed."""

    @wraps(view)
    def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return _sign_in_first(request)
        _check_place(request)
        return view(request, *args, **kwargs)

    guarded.required_right = "signed_in"  # type: ignore[attr-defined]
    return guarded


def _check_place(request: HttpRequest) -> None:
    """A demo person's session or token that has left this machine is worth nothing."""
    if not may_sign_in(request.user, request):
        raise Refusal(_("This demo sign-in works in a browser on the server's own computer only."), status=403)


def _sign_in_first(request: HttpRequest) -> HttpResponse:
    """A page redirects; a fragment makes the whole page redirect; a script is told in JSON and keeps what it holds."""
    if getattr(request, "htmx", False):
        page = request.htmx.current_url_abs_path or reverse("home")
        return HttpResponseClientRedirect(redirect_to_login(page).url)
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        return JsonResponse({"problems": [_("You are signed out. Sign in again.")]}, status=401)
    return redirect_to_login(request.get_full_path())


def public(view: Callable) -> Callable:
    """Mark a page that anyone may open, so that the test of all addresses knows it was meant."""
    view.required_right = None  # type: ignore[attr-defined]
    return view


class HasRight(BasePermission):
    """REST: the view says `required_right = Right.X`, or a dict of right by HTTP method."""

    def has_permission(self, request, view) -> bool:
        right = getattr(view, "required_right", None)
        if isinstance(right, dict):
            right = right.get(request.method)
        return right is not None and can(request.user, right) and may_sign_in(request.user, request)
