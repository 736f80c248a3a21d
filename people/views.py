"""Pages of people: sign in and out, one's own account, and who may use the site."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.forms import AuthenticationForm
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from rest_framework.authtoken.models import Token

from . import actions, notices
from .backends import from_loopback
from .errors import Refusal
from .forms import AddPersonForm, PasswordForm
from .models import Role, User
from .permissions import Right, public, requires, signed_in

BACKEND = settings.AUTHENTICATION_BACKENDS[0]


def _next_or(request: HttpRequest, default: str) -> str:
    """The address in `next`, if it is on this site."""
    address = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if safe else default


def _in_language(response: HttpResponse, language: str) -> HttpResponse:
    response.set_cookie(settings.LANGUAGE_COOKIE_NAME, language, max_age=365 * 24 * 3600, samesite="Lax")
    return response


@public
@never_cache
@sensitive_post_parameters("password")
def sign_in(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect(_next_or(request, "home"))
    demo_people = User.objects.filter(loopback_only=True, is_active=True, is_simulated=False)
    demo_people = demo_people.order_by("date_joined", "pk") if from_loopback(request) else demo_people.none()
    if request.method == "POST" and "demo" in request.POST:
        person = get_object_or_404(demo_people, username=request.POST["demo"])
    else:
        form = AuthenticationForm(request, data=request.POST or None)
        if not form.is_valid():
            status = 400 if form.is_bound else 200
            context = {
                "form": form,
                "problems": form.non_field_errors(),
                "demo_people": demo_people,
                "next": _next_or(request, ""),
            }
            return render(request, "people/sign_in.html", context, status=status)
        person = form.get_user()
    login(request, person, backend=BACKEND)
    response = redirect(_next_or(request, "home"))
    return _in_language(response, person.language) if person.language else response


@public
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("sign-in")


@public
@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Switch the language: a cookie, and for those signed in also their account, so that it follows them."""
    code = request.POST.get("language", "")
    if request.user.is_authenticated:
        actions.set_language(actor=request.user, language=code)
    elif code not in dict(settings.LANGUAGES):
        raise Refusal(_("This site does not speak “%(language)s”.") % {"language": code})
    return _in_language(redirect(_next_or(request, "home")), code)


@signed_in
@never_cache
def account(request: HttpRequest) -> HttpResponse:
    """Everyone's own account, whatever their role."""
    return _account_page(request, PasswordForm())


def _account_page(request: HttpRequest, form: PasswordForm, problems: list[str] = (), status: int = 200):
    token = Token.objects.filter(user=request.user).first()
    context = {"form": form, "problems": problems, "token": token, "api": request.build_absolute_uri("/api/v1/")}
    context["sends_mail"] = bool(settings.EMAIL_HOST)
    return render(request, "people/account.html", context, status=status)


@signed_in
@require_POST
@sensitive_post_parameters()
def change_password(request: HttpRequest) -> HttpResponse:
    form = PasswordForm(request.POST)
    if not form.is_valid():
        return _account_page(request, form, status=400)
    try:
        actions.change_own_password(actor=request.user, **form.cleaned_data)
    except Refusal as refusal:
        return _account_page(request, form, list(refusal.problems), refusal.status)
    update_session_auth_hash(request, request.user)
    messages.success(request, _("Your password is changed. Other devices have to sign in again."))
    return redirect("account")


@signed_in
@require_POST
def token(request: HttpRequest) -> HttpResponse:
    """Make a new API token, or take it away."""
    if "revoke" in request.POST:
        actions.revoke_token(actor=request.user)
        messages.success(request, _("The API token no longer works."))
    else:
        actions.rotate_token(actor=request.user)
        messages.success(request, _("Here is your new API token. An older one no longer works."))
    return redirect("account")


@signed_in
@require_POST
def email(request: HttpRequest) -> HttpResponse:
    try:
        notices.set_email(actor=request.user, email=request.POST.get("email", ""))
    except Refusal as refusal:
        return _account_page(request, PasswordForm(), list(refusal.problems), refusal.status)
    messages.success(request, _("Saved."))
    return redirect("account")


@signed_in
@never_cache
def notice_list(request: HttpRequest) -> HttpResponse:
    """What happened, newest first."""
    page = Paginator(request.user.notices.all(), 50).get_page(request.GET.get("page"))
    return render(request, "people/notices.html", {"page": page})


@signed_in
@never_cache
def bell(request: HttpRequest) -> HttpResponse:
    """The bell in the page's head, which asks for itself now and then."""
    return render(request, "partials/bell.html", {"newest": notices.unread(request.user).first()})


@signed_in
@require_POST
def read_notices(request: HttpRequest) -> HttpResponse:
    notices.mark_read(actor=request.user)
    return redirect("notices")


@signed_in
@require_POST
def open_notice(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark a notice read and go where it points."""
    notice = get_object_or_404(request.user.notices, pk=pk)
    notices.mark_read(actor=request.user, notice=notice)
    return redirect(notice.address)


@requires(Right.MANAGE_PEOPLE)
@never_cache
def people(request: HttpRequest) -> HttpResponse:
    """Who may use the site; GET lists, POST adds someone and shows the generated password once."""
    form = AddPersonForm(request.POST or None)
    added, problems = None, []
    if form.is_bound and form.is_valid():
        try:
            added = actions.add_person(actor=request.user, **form.cleaned_data)
            form = AddPersonForm()
        except Refusal as refusal:
            problems = refusal.problems
    status = 400 if form.is_bound else 200
    return _people_page(request, form, *(added or (None, "")), problems=problems, status=status)


def _people_page(request, form, person=None, password="", problems=(), status=200) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    found = User.objects.order_by("-is_active", "is_simulated", "username")
    if query:
        found = found.filter(
            Q(username__icontains=query) | Q(first_name__icontains=query) | Q(last_name__icontains=query)
        )
    context = {
        "form": form,
        "problems": problems,
        "page": Paginator(found, 50).get_page(request.GET.get("page")),
        "query": query,
        "roles": Role.choices,
        "new_password_of": person,
        "password": password,
        "sign_in_address": request.build_absolute_uri("/"),
    }
    return render(request, "people/people.html", context, status=status)


@requires(Right.MANAGE_PEOPLE)
@require_POST
def change_person(request: HttpRequest, pk: int) -> HttpResponse:
    """One person: `do` names the verb."""
    person = get_object_or_404(User, pk=pk)
    match request.POST.get("do"):
        case "role":
            actions.change_role(actor=request.user, person=person, role=request.POST.get("role", ""))
            done = _("%(name)s is now %(role)s.") % {"name": person, "role": person.get_role_display()}
        case "deactivate":
            actions.deactivate(actor=request.user, person=person)
            done = _("%(name)s can no longer sign in. Their rankings stay.") % {"name": person}
        case "reactivate":
            actions.reactivate(actor=request.user, person=person)
            done = _("%(name)s can sign in again.") % {"name": person}
        case "reset":
            password = actions.reset_password(actor=request.user, person=person)
            return _people_page(request, AddPersonForm(), person, password)
        case other:
            raise Refusal(_("“%(verb)s” is nothing that can be done to a person.") % {"verb": other})
    messages.success(request, done)
    return redirect("people")
