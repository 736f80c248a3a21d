"""Commands as people are shown them: to be pasted into a terminal of the machine that runs the site, in any folder."""

import shlex
import sys

from django.conf import settings


def python(*words: str) -> str:
    """`python …` with the interpreter and the data folder of this site."""
    return " ".join([*_surroundings(words), shlex.join([sys.executable, *words])])


def manage(*words: str) -> str:
    """`manage.py …` likewise."""
    return python(str(settings.BASE_DIR / "manage.py"), *words)


def _surroundings(words: tuple[str, ...]) -> list[str]:
    """What the environment of the terminal lacks: settings of this site that are not the usual ones."""
    found = []
    if settings.DATA != settings.BASE_DIR / "var":
        found.append(f"PERINGKAT_DATA={shlex.quote(str(settings.DATA))}")
    if "serve_models" in words and settings.MODELS_PORT != 8001:
        found.append(f"PERINGKAT_MODELS_PORT={settings.MODELS_PORT}")
    return found
