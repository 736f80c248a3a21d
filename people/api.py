"""REST pieces that every app shares."""

from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from .errors import Refusal


def exception_handler(exc: Exception, context: dict) -> Response | None:
    """A verb's Refusal becomes `{"problems": [...]}`; the rest is DRF's own."""
    if isinstance(exc, Refusal):
        return Response({"problems": [str(p) for p in exc.problems]}, status=exc.status)
    return drf_exception_handler(exc, context)
