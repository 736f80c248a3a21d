"""What is no text comes no further; a Refusal that no view caught becomes a page, a fragment or JSON, in plain words."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from . import texts
from .errors import Refusal


class RefusalMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Callable, _args: tuple, named: dict) -> HttpResponse | None:
        """Addresses and forms. What programs send is read by REST itself (people.api), when it knows who they are."""
        is_rest = getattr(view, "csrf_exempt", False)
        try:
            for sent in (named, dict(request.GET.lists()), {} if is_rest else dict(request.POST.lists())):
                texts.check(sent)
        except Refusal as refusal:
            return self.process_exception(request, refusal)
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, Refusal):
            return None
        problems = [str(problem) for problem in exception.problems]
        if getattr(request, "htmx", False):
            response = render(request, "partials/problems.html", {"problems": problems}, status=exception.status)
            # What the person sees stays as it is; the reason appears in base.html's place for problems.
            response["HX-Retarget"] = "#problems"
            response["HX-Reswap"] = "innerHTML show:top"
            return response
        if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
            return JsonResponse({"problems": problems}, status=exception.status)
        context = {"problems": problems, "back": _came_from(request)}
        return render(request, "refused.html", context, status=exception.status)


def _came_from(request: HttpRequest) -> str:
    """The page of this site with the form that was refused; "" where the browser does not say."""
    page = request.META.get("HTTP_REFERER", "")
    is_ours = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    return page if is_ours and request.method == "POST" else ""
