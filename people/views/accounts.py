"""Pages of one's own: sign in and out, the account, notices."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from rest_framework.authtoken.models import Token

from .. import actions, attempts, notices
from ..addresses import from_loopback
from ..errors import Refusal
from ..forms import PasswordForm, SignInForm
from ..models import User
from ..permissions import public, signed_in

BACKEND = settings.AUTHENTICATION_BACKENDS[0]
WORKING_DAY = 12 * 3600  # seconds


def next_or(request: HttpRequest, default: str) -> str:
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
        return redirect(next_or(request, "home"))
    demo_people = User.objects.filter(loopback_only=True, is_active=True, is_simulated=False)
    demo_people = demo_people.order_by("date_joined", "pk") if from_loopback(request) else demo_people.none()
    if request.method == "POST" and "demo" in request.POST:
        person = get_object_or_404(demo_people, username=request.POST["demo"])
    else:
        form = SignInForm(request, data=request.POST or None)
        minutes = attempts.wait_minutes(request, request.POST.get("username", "")) if form.is_bound else 0
        if minutes or not form.is_valid():
            status = 429 if minutes else 400 if form.is_bound else 200
            context = {
                "form": form,
                "problems": [_too_many(minutes)] if minutes else form.non_field_errors(),
                "stays": "stay" in request.POST,
                "demo_people": demo_people,
                "next": next_or(request, ""),
            }
            return render(request, "people/sign_in.html", context, status=status)
        person = form.get_user()
    return enter(request, person, next_or(request, "home"), stays="stay" in request.POST)


def enter(request: HttpRequest, person: User, address: str, *, stays: bool = False) -> HttpResponse:
    """Sign `person` in and lead them on: for a working day, or if this is their own device, until the site forgets."""
    login(request, person, backend=BACKEND)
    request.session.clear_expired()  # of others: nothing else sweeps them
    if not stays:
        request.session.set_expiry(WORKING_DAY)
    response = redirect(address)
    attempts.remember(request, response, person)
    return _in_language(response, person.language) if person.language else response


def _too_many(minutes: int) -> str:
    said = ngettext(
        "That was wrong too often. Wait %(n)d minute, then try again; or ask an admin for a new password.",
        "That was wrong too often. Wait %(n)d minutes, then try again; or ask an admin for a new password.",
        minutes,
    )
    return said % {"n": minutes}


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
    return _in_language(redirect(next_or(request, "home")), code)


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
