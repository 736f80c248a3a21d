"""Who may sign in, and from where: simulated annotators never, demo people from this machine only."""

from ipaddress import ip_address

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from django.http.request import split_domain_port

from .models import User

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_HOST", "HTTP_VIA")


def is_loopback(address: str) -> bool:
    try:
        ip = ip_address(address.strip("[]"))
    except ValueError:
        return False
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def from_loopback(request: HttpRequest | None) -> bool:
    """Whether the browser sits on this machine.

    A reverse proxy on this machine makes every request come from 127.0.0.1; so a forwarding header, or a Host that
    is not a loopback name, counts as "from elsewhere".
    """
    if request is None or any(header in request.META for header in FORWARDED):
        return False
    host = split_domain_port(request.get_host())[0]
    return is_loopback(request.META.get("REMOTE_ADDR", "")) and (host == "localhost" or is_loopback(host))


class Backend(ModelBackend):
    def authenticate(self, request, username=None, password=None, **kwargs):
        user = super().authenticate(request, username=username, password=password, **kwargs)
        return user if user is not None and may_sign_in(user, request) else None


def may_sign_in(user: User, request: HttpRequest | None) -> bool:
    if not user.is_active or user.is_simulated:
        return False
    return from_loopback(request) or not user.loopback_only
