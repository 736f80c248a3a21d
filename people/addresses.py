"""Where a request comes from: this machine, or which network."""

from ipaddress import ip_address, ip_network

from django.http import HttpRequest
from django.http.request import split_domain_port

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


def network_of(request: HttpRequest) -> str:
    """The address the request came from; of IPv6, the network that one subscriber has. Behind a proxy on this machine, what that proxy says."""
    address = request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if forwarded and is_loopback(address):
        address = forwarded.rsplit(",", 1)[-1].strip()  # the nearest proxy wrote this one; the others may be made up
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return str(ip_network((ip, 64), strict=False)) if ip.version == 6 else str(ip)
