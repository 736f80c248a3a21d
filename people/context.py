"""What every template may ask: `{% if can.launch_runs %}`, and which section of the site the page belongs to."""

from django.http import HttpRequest

from . import notices
from .permissions import rights_of


def rights(request: HttpRequest) -> dict[str, object]:
    user = getattr(request, "user", None)
    return {
        # Called where a template asks, so that pages without the bell pay nothing.
        "unread_notices": lambda: notices.unread(user).count() if user is not None and user.is_authenticated else 0,
        "can": dict.fromkeys(rights_of(user), True) if user is not None else {},
        "section": request.path.split("/")[1],  # "rank", "projects", "models", "runs", "data", …
    }
