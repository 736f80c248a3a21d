"""Where a version's text is asked for: our own model server, or the OpenAI-compatible server of a remote version.

This is the one place that decides which address may be called. Remote addresses come from admins alone, are http(s), carry no
password, and never lead to link-local addresses (where clouds keep their machines' credentials). Redirects are not followed.
A key lies in an environment variable of ours; only its name is stored, and only names that end in _API_KEY can be named,
so that no other secret of this machine can be sent anywhere.
"""

import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from people.errors import Refusal

from .models import Kind, Version

_KEY_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,80}_API_KEY")


@dataclass(frozen=True)
class Endpoint:
    """An address that may be called now. `base` ends before /completions; `headers` may hold a key: never show them."""

    base: str
    model: str
    remote: bool = False
    chat_only: bool = False
    key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def without_key(self, text: str) -> str:
        """Some servers repeat the key in what they say about it."""
        return text.replace(self.key, "…") if self.key else text


def own(model: str = "") -> Endpoint:
    """Our own model server, on loopback."""
    return Endpoint(f"http://127.0.0.1:{settings.MODELS_PORT}/v1", model)


def of(version: Version) -> Endpoint:
    """Whom to ask for the text of `version`. Refusal when its address may not be called or its key is not there."""
    if version.kind != Kind.REMOTE:
        return own(str(version))
    facts = version.facts
    return reached(
        facts["base_url"], facts["model"], facts.get("key_env", ""), chat_only=facts.get("chat_only", False)
    )


def reached(base_url: str, model: str, key_env: str, *, chat_only: bool) -> Endpoint:
    """A remote endpoint, looked at anew at every call: names can come to mean other addresses, and keys go."""
    problems = problems_of(base_url, model, key_env)
    if key_env and not problems and not key_is_set(key_env):
        problems = [
            _("The key is missing: the environment variable %(name)s is not set where the site runs.")
            % {"name": key_env}
        ]
    if problems := problems or _place_problems(base_url):
        raise Refusal(problems)
    return Endpoint(
        base_url.rstrip("/"), model, remote=True, chat_only=chat_only, key=os.environ.get(key_env, "").strip()
    )


def problems_of(base_url: str, model: str, key_env: str) -> list[str]:
    """Everything that is wrong with what was typed; nothing is called."""
    found = []
    try:
        parts = urlsplit(base_url)
        port = parts.port  # raises where it is no number
    except ValueError:
        parts, port = None, None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        found.append(_("The address must be a whole http or https address, such as https://models.example.org/v1."))
    elif parts.username or parts.password:
        found.append(_("The address must hold no name or password; put the key into an environment variable."))
    elif parts.query or parts.fragment or re.search(r"\s", base_url):
        found.append(_("The address must end with its path, such as …/v1, without ? or #."))
    if not model.strip():
        found.append(_("Say what the server calls the model."))
    if key_env and not _KEY_NAME.fullmatch(key_env):
        found.append(
            _(
                "Name the environment variable that holds the key, in capitals and ending in _API_KEY; never type the key itself here."
            )
        )
    return found


def key_is_set(key_env: str) -> bool:
    return bool(os.environ.get(key_env, "").strip())


def _place_problems(base_url: str) -> list[str]:
    """What speaks against the machines that the address leads to just now."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, parts.port or None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return [_("There is no machine called %(host)s, or its name cannot be looked up from here.") % {"host": host}]
    for *_rest, place in found:
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            return [_("%(host)s leads to an address that is never called from here.") % {"host": host}]
    return []
