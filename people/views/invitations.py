"""Pages of invitations: those there are, and the page that a link opens."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from .. import actions, hooks
from ..errors import Refusal
from ..forms import InviteForm, JoinForm
from ..models import Invitation
from ..permissions import Right, public, requires
from .accounts import enter


def link_to(request: HttpRequest, secret: str) -> str:
    return request.build_absolute_uri(reverse("join", args=[secret]))


@requires(Right.MANAGE_PEOPLE)
@require_http_methods(["GET", "POST"])
@never_cache
def invitations(request: HttpRequest) -> HttpResponse:
    """Links into the site, and those into projects. POST makes one, which is shown once."""
    form = InviteForm(request.POST or None)
    link, problems = "", []
    if form.is_bound and form.is_valid():
        try:
            _invitation, secret = actions.invite(actor=request.user, **form.cleaned_data)
            link, form = link_to(request, secret), InviteForm()
        except Refusal as refusal:
            problems = list(refusal.problems)
    page = Paginator(Invitation.objects.select_related("created_by"), 25).get_page(request.GET.get("page"))
    context = {
        "tab": "invitations",
        "form": form,
        "link": link,
        "problems": problems,
        "page": page,
        "rows": [(each, hooks.opened_by(each), each.accepted_by.all()[:20]) for each in page],
        "now": timezone.now(),
    }
    return render(request, "people/invitations.html", context, status=400 if form.is_bound else 200)


@requires(Right.MANAGE_PEOPLE)
@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    actions.revoke_invitation(actor=request.user, invitation=get_object_or_404(Invitation, pk=pk))
    messages.success(request, _("The link opens nothing any more. Who came by it stays."))
    return redirect("invitations")


@public
@require_http_methods(["GET", "POST"])
@never_cache
@sensitive_post_parameters("password")
def join(request: HttpRequest, secret: str) -> HttpResponse:
    """What a link opens: make an account, or join with the one that one has."""
    try:
        invitation = actions.find_invitation(secret)
    except Refusal as refusal:
        if (
            request.user.is_authenticated
            and Invitation.objects.filter(digest=actions.digest_of(secret), accepted_by=request.user).exists()
        ):
            return redirect("home")  # it has done its work
        return render(request, "people/join_refused.html", {"reasons": refusal.problems}, status=refusal.status)
    opened = hooks.opened_by(invitation)
    address = opened[0].address if opened else reverse("home")
    if request.method == "POST" and request.user.is_authenticated:
        actions.accept(actor=request.user, secret=secret)
        return redirect(address)
    form = JoinForm(request.POST or None, initial={"language": get_language()})
    problems: list[str] = []
    if form.is_bound and form.is_valid():
        try:
            person = actions.accept_as_new(secret=secret, **form.cleaned_data)
        except Refusal as refusal:
            problems = list(refusal.problems)
        else:
            return enter(request, person, address)
    context = {"invitation": invitation, "opened": opened, "form": form, "problems": problems, "address": request.path}
    return render(request, "people/join.html", context, status=400 if form.is_bound else 200)
