"""What the endpoints of labeling share: the shape of a prompt."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]})
class PromptField(serializers.JSONField):
    """A text, or chat messages."""
