"""manage.py compile_texts: turns locale/*/LC_MESSAGES/*.po into the .mo files that Django reads, where they changed.

Django's own compilemessages needs the program msgfmt, which a bare machine lacks.
"""

import os
from pathlib import Path

import polib
from django.conf import settings
from django.core.management.base import BaseCommand


def compile_texts() -> list[Path]:
    """Compile every .po file that is newer than its .mo; gives the .mo files written."""
    written = []
    for folder in settings.LOCALE_PATHS:
        for po in sorted(Path(folder).glob("*/LC_MESSAGES/*.po")):
            mo = po.with_suffix(".mo")
            if mo.exists() and mo.stat().st_mtime >= po.stat().st_mtime:
                continue
            aside = mo.with_suffix(f".{os.getpid()}.tmp")  # a server that starts meanwhile must not read half a file
            polib.pofile(str(po)).save_as_mofile(str(aside))
            aside.replace(mo)
            written.append(mo)
    return written


class Command(BaseCommand):
    help = "Compile the translations that changed (needs no msgfmt)."
    requires_system_checks = []

    def handle(self, **options) -> None:
        for path in compile_texts():
            self.stdout.write(f"Compiled {path.relative_to(settings.BASE_DIR)}")
