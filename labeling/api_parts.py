"""What the endpoints of labeling share: how problems come back, the shape of a prompt, a request that is checked."""

from drf_spectacular.utils import OpenApiResponse, extend_schema_field
from rest_framework import serializers

PROBLEMS = OpenApiResponse(
    {"type": "object", "properties": {"problems": {"type": "array", "items": {"type": "string"}}}},
    description="What is wrong, all of it, in words; nothing was changed.",
)


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]})
class PromptField(serializers.JSONField):
    """A text, or chat messages."""


def valid(serializer: type[serializers.Serializer], request) -> dict:
    """What was sent, checked; a 400 says what is wrong with it."""
    given = serializer(data=request.data)
    given.is_valid(raise_exception=True)
    return given.validated_data
