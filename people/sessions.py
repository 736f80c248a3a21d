"""Sessions in the database, looked up by plain SQL (people/sql.py says why): it happens at every request."""

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from . import sql


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        found = sql.first(Session, "session_key = %s AND expire_date > %s", [self.session_key, now])
        if found is None:
            self._session_key = None  # as in Django: a session that is gone is never made anew under its old key
        return found
