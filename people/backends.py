"""Who may sign in, and from where: simulated annotators never, demo people from this machine only, nobody who keeps guessing."""

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from . import attempts, sql
from .addresses import from_loopback
from .models import User


class Backend(ModelBackend):
    def authenticate(self, request, username=None, password=None, **kwargs):
        if request is None or not username or password is None:
            return super().authenticate(request, username=username, password=password, **kwargs)
        if attempts.wait_minutes(request, username):
            return None
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if user is None or not may_sign_in(user, request):
            attempts.failed(request, username)
            return None
        attempts.succeeded(request, username)
        return user

    def get_user(self, user_id: int) -> User | None:
        """By plain SQL: it happens at every request."""
        user = sql.first(User, "id = %s", [user_id])
        return user if user is not None and self.user_can_authenticate(user) else None


def may_sign_in(user: User, request: HttpRequest | None) -> bool:
    if not user.is_active or user.is_simulated:
        return False
    return not user.loopback_only or from_loopback(request)
