"""Who may do what, declared once: pages, REST and commands all ask here.

A person's role holds for the whole site (`User.role`). In a *place*, a project, they may have another role besides, which adds rights
there. Other apps say what a place is and who has which role in it: `register_roles`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache, wraps
from typing import Final, TypeAlias

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.db.models import Model
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
    SEE_QUALITY = "see_quality"  # agreement, bias, how each annotator does
    REVIEW = "review"  # adjudicate contested tasks, answer questions
    FREEZE = "freeze"
    EXPORT = "export"
    MANAGE_PROJECTS = "manage_projects"  # settings, import, tasks, people and their roles there
    SEE_HOURS = "see_hours"  # who worked how long
    SEE_AUDIT = "see_audit"
    CREATE_PROJECTS = "create_projects"
    SAMPLE_MODELS = "sample_models"  # let models write outputs for a project's prompts
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
    Right.SEE_QUALITY: gettext_lazy("see how good the rankings are"),
    Right.REVIEW: gettext_lazy("review contested tasks"),
    Right.FREEZE: gettext_lazy("freeze snapshots"),
    Right.EXPORT: gettext_lazy("export rankings"),
    Right.MANAGE_PROJECTS: gettext_lazy("administer projects"),
    Right.SEE_HOURS: gettext_lazy("see people's hours"),
    Right.SEE_AUDIT: gettext_lazy("see who did what"),
    Right.CREATE_PROJECTS: gettext_lazy("create projects"),
    Right.SAMPLE_MODELS: gettext_lazy("sample outputs of models"),
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
            Right.SEE_QUALITY,
            Right.REVIEW,
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
# Those of a role's rights that it gives in a place; the others are about the whole site.
PLACE_RIGHTS = frozenset(
    {
        Right.RANK,
        Right.SEE_PROJECTS,
        Right.SEE_QUALITY,
        Right.REVIEW,
        Right.FREEZE,
        Right.EXPORT,
        Right.MANAGE_PROJECTS,
        Right.SEE_HOURS,
        Right.SEE_AUDIT,
        Right.SEE_DATA,
    }
)


# Places


class _Anywhere:
    """Stands for "in some place at least": lists, which then show those places alone."""


ANYWHERE: Final = _Anywhere()
Place: TypeAlias = Model | _Anywhere | None


@dataclass(frozen=True)
class _Roles:
    role_of: Callable[[User, Model], str | None]
    roles_of: Callable[[User], Collection[str]]


_roles: dict[type[Model], _Roles] = {}


def register_roles(
    kind: type[Model], *, role_of: Callable[[User, Model], str | None], roles_of: Callable[[User], Collection[str]]
) -> None:
    """Objects of `kind` are places: `role_of(user, place)` is somebody's role in one, `roles_of(user)` are all they have anywhere."""
    _roles[kind] = _Roles(role_of, roles_of)


def roles_with(right: str) -> list[str]:
    """The roles that give `right` in a place."""
    return [role for role, rights in ROLE_RIGHTS.items() if right in rights & PLACE_RIGHTS]


# Who may


def rights_of(user: User | AnonymousUser) -> frozenset[str]:
    """The rights that hold for the whole site."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    if user.is_superuser:
        return ALL_RIGHTS
    return ROLE_RIGHTS.get(user.role, frozenset())


def rights_at(user: User | AnonymousUser, place: Place) -> frozenset[str]:
    """The rights that somebody's role in `place` gives, without those of their role on the site."""
    if place is None or not user.is_authenticated or not user.is_active:
        return frozenset()
    if isinstance(place, _Anywhere):
        roles = {role for kind in _roles.values() for role in kind.roles_of(user)}
    else:
        roles = {_roles[type(place)].role_of(user, place)}
    return PLACE_RIGHTS & frozenset[str]().union(*(ROLE_RIGHTS.get(role or "", ()) for role in roles))


def can(user: User | AnonymousUser, right: str, place: Place = None) -> bool:
    """On the whole site, or in `place`. Where the role on the site suffices, nothing is looked up."""
    return right in rights_of(user) or (right in PLACE_RIGHTS and right in rights_at(user, place))


def check(user: User | AnonymousUser, right: str, place: Place = None) -> None:
    """For verbs: raise a Refusal unless `user` has `right`, on the whole site or in `place`."""
    if not can(user, right, place):
        raise Refusal(_("Your role does not allow you to %(what)s.") % {"what": RIGHT_NAMES[right]}, status=403)


FindPlace: TypeAlias = Callable[..., Model | None] | _Anywhere | None


def requires(right: str, *, place: FindPlace = None) -> Callable:
    """Decorator of a page: sign in first, then have the right. `view.required_right` and `required_place` are what tests look at.

    `place` finds the place that the page is about from the parts of its address (None: there is no such one), or is ANYWHERE. Who has not the
    right on the whole site learns nothing about places in which they have not: one that does not exist is refused like one that does.
    """

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                return _sign_in_first(request)
            _check_machine(request)
            find = _finder(place, kwargs)
            request.find_place = find  # type: ignore[attr-defined]  # for buttons: people.context
            if not can(request.user, right):
                check(request.user, right, find())
            return view(request, *args, **kwargs)

        guarded.required_right = right  # type: ignore[attr-defined]
        guarded.required_place = place  # type: ignore[attr-defined]
        return guarded

    return decorate


def _finder(place: FindPlace, kwargs: dict) -> Callable[[], Place]:
    return cache(lambda: place(**kwargs) if callable(place) else place)


def signed_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorator of a page that is everyone's own (their account): sign in, no right needed."""

    @wraps(view)
    def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return _sign_in_first(request)
        _check_machine(request)
        return view(request, *args, **kwargs)

    guarded.required_right = "signed_in"  # type: ignore[attr-defined]
    return guarded


def _check_machine(request: HttpRequest) -> None:
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
    """REST: the view says `required_right = Right.X`, or a dict of right by HTTP method; and `required_place`, as `requires` takes it."""

    def has_permission(self, request, view) -> bool:
        right = getattr(view, "required_right", None)
        if isinstance(right, dict):
            right = right.get(request.method)
        if right is None or not may_sign_in(request.user, request):
            return False
        place = getattr(type(view), "required_place", None)
        return can(request.user, right) or can(request.user, right, _finder(place, view.kwargs)())
