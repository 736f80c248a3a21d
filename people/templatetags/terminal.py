"""`{% manage "supervise" %}`: a command that works as it is pasted."""

from django import template

from people import terminal

register = template.Library()


@register.simple_tag
def manage(*words: str) -> str:
    return terminal.manage(*words)
