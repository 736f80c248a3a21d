#!/usr/bin/env python
"""Django's command line for Peringkat."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MAKE_IT = {
    "start",
    "demo",
    "compile_texts",
    "collect_texts",
}  # of our commands, those that need no database to be there


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    ours = {path.stem for path in HERE.glob("*/management/commands/*.py")} - MAKE_IT
    data = Path(os.environ.get("PERINGKAT_DATA") or HERE / "var").expanduser()
    asks_for_help = not {"-h", "--help"}.isdisjoint(sys.argv)
    if set(sys.argv[1:2]) & ours and not asks_for_help and not os.environ.get("DATABASE_URL") and not data.exists():
        sys.exit(_no_database(str(data)))  # before the settings would make the folder
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError

    try:
        execute_from_command_line(sys.argv)
    except DatabaseError:
        from django.conf import settings
        from django.db import connection

        if "django_migrations" in connection.introspection.table_names():
            raise
        sys.exit(_no_database(str(settings.DATA)))


def _no_database(data: str) -> str:
    where = "DATABASE_URL" if os.environ.get("DATABASE_URL") else f"PERINGKAT_DATA={data}"
    return f"There is no database of Peringkat at {where}: set {where.partition('=')[0]} to where the site has it, or make one (make run, or manage.py migrate)."


if __name__ == "__main__":
    main()
