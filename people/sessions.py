"""Sessions in the database, looked up by plain SQL (people/sql.py says why): it happens at every request."""

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from . import sql


class SessionStore(db.SessionStore):
    def load(self) -> dict:
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        found = sql.fetch(
            f"SELECT session_data FROM {sql.table(Session)} WHERE session_key = %s AND expire_date > %s",
            [self.session_key, now],
        )
        if not found:
            self._session_key = None  # as in Django: a session that is gone is never made anew under its old key
            return {}
        return self.decode(found[0][0])
