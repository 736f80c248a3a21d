"""REST pieces that every app shares: how JSON is read, how a Refusal comes back, a request that is checked, people by their names."""

import codecs
from io import BytesIO

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse
from rest_framework import parsers, serializers
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from . import texts
from .errors import Refusal
from .models import User

PROBLEMS = OpenApiResponse(
    {"type": "object", "properties": {"problems": {"type": "array", "items": {"type": "string"}}}},
    description="What is wrong, all of it, in words; nothing was changed.",
)


class JSONParser(parsers.JSONParser):
    def parse(self, stream, media_type=None, parser_context=None):
        body = stream.read()
        encoding = codecs.lookup((parser_context or {}).get("encoding") or "utf-8").name
        try:
            data = super().parse(BytesIO(body), media_type, parser_context)
            # Nothing else in JSON of UTF-8 stands for what is no text, and a hundred thousand rows take a while to walk.
            if b"\\u" in body or encoding != "utf-8":
                texts.check(data)
        except RecursionError as error:
            raise ParseError(f"JSON parse error - {error}") from None
        return data


def exception_handler(exc: Exception, context: dict) -> Response | None:
    """A verb's Refusal becomes `{"problems": [...]}`; the rest is DRF's own."""
    if isinstance(exc, Refusal):
        return Response({"problems": [str(p) for p in exc.problems]}, status=exc.status)
    return drf_exception_handler(exc, context)


def valid(serializer: type[serializers.Serializer], request: Request) -> dict:
    """What was sent, checked; a 400 says what is wrong with it."""
    given = serializer(data=request.data)
    given.is_valid(raise_exception=True)
    return given.validated_data


def people_named(names: list[str]) -> list[User]:
    """A Refusal names all that there are not."""
    found = {person.username: person for person in User.objects.filter(username__in=names)}
    if missing := [name for name in names if name not in found]:
        raise Refusal(
            [_("There is nobody with the name “%(name)s”.") % {"name": name} for name in missing], status=404
        )
    return list(found.values())
