"""Settings of the tests: a data folder of their own, fast password hashes, static files straight from the finders."""

import atexit
import os
import shutil
import tempfile

_data = os.environ.get("PERINGKAT_TEST_DATA") or tempfile.mkdtemp(prefix="peringkat-test-")
if "PERINGKAT_TEST_DATA" not in os.environ:
    atexit.register(shutil.rmtree, _data, ignore_errors=True)
os.environ["PERINGKAT_DATA"] = _data
os.environ.setdefault(
    "DJANGO_ALLOW_ASYNC_UNSAFE", "true"
)  # Playwright's sync API runs an event loop in the test's thread

from config.settings import *  # noqa: E402, F403
from config.settings import STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
ALLOWED_HOSTS = ["*"]
