"""Settings. Everything a deployment may want to change is an environment variable; the defaults need no server.

PERINGKAT_DATA            the one folder that holds all data (default: var/ beside manage.py)
PERINGKAT_HOST, _PORT     where the web server listens (default: 127.0.0.1, 8000)
PERINGKAT_ALLOWED_HOSTS   names the site answers to, comma separated (default: loopback and PERINGKAT_HOST)
PERINGKAT_ORIGINS         trusted origins behind a proxy, comma separated: https://rank.example.org
PERINGKAT_SECRET_KEY      default: generated once into the data folder
PERINGKAT_RUNS_AT_A_TIME  how many trainings the supervisor runs side by side until people set another number (default: 1)
PERINGKAT_MODELS_PORT     loopback port of `manage.py serve_models` (default: PERINGKAT_PORT + 1)
PERINGKAT_MODELS_MEMORY   GB of memory that serve_models may fill with loaded models (default: half of the machine's)
PERINGKAT_REWARD_FUNCTIONS  Python functions that runs of PPO may call as rewards, by dotted path, comma separated (default: none)
PERINGKAT_IMPORT_ROOTS    folders from which admins may import models in the browser, separated by ":"
                          (default: the home folder of the server's user and the folder in which the repository lies)
PERINGKAT_EMAIL_HOST      mail server for notices to people; without it none are sent. Also _PORT (25), _USER, _PASSWORD, _FROM, and
                          PERINGKAT_EMAIL_TLS=1
PERINGKAT_DEBUG           1 shows tracebacks; never on a shared machine
DATABASE_URL              postgres://… (default: SQLite in the data folder)
"""

import os
from pathlib import Path

import dj_database_url
from django.core.management.utils import get_random_secret_key
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent

DATA = Path(os.environ.get("PERINGKAT_DATA") or BASE_DIR / "var").expanduser().resolve()
DATA.mkdir(parents=True, exist_ok=True)
ARTIFACTS = DATA / "artifacts"
RUNS = DATA / "runs"
DATASETS = DATA / "datasets"
UPLOADS = DATA / "uploads"

HOST = os.environ.get("PERINGKAT_HOST", "127.0.0.1")
PORT = int(os.environ.get("PERINGKAT_PORT", "8000"))
MODELS_PORT = int(os.environ.get("PERINGKAT_MODELS_PORT") or PORT + 1)
MODELS_MEMORY_GB = float(os.environ.get("PERINGKAT_MODELS_MEMORY") or 0)
IMPORT_ROOTS = [
    Path(root).resolve() for root in os.environ.get("PERINGKAT_IMPORT_ROOTS", "").split(os.pathsep) if root
] or [
    root
    for root in (Path.home(), BASE_DIR.parent)
    if root != root.parent  # never the whole disk by default
]
RUNS_AT_A_TIME = int(os.environ.get("PERINGKAT_RUNS_AT_A_TIME", "1"))


def _words(name: str) -> list[str]:
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


def _secret_key() -> str:
    """The key from the environment, else one that is made once and kept in the data folder."""
    if key := os.environ.get("PERINGKAT_SECRET_KEY"):
        return key
    path = DATA / "secret_key"
    try:
        with open(path, "x", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
            file.write(get_random_secret_key())
    except FileExistsError:
        pass
    return path.read_text()


DEBUG = os.environ.get("PERINGKAT_DEBUG") == "1"
SECRET_KEY = _secret_key()
ALLOWED_HOSTS = _words("PERINGKAT_ALLOWED_HOSTS") or ["127.0.0.1", "localhost", "[::1]", HOST]
CSRF_TRUSTED_ORIGINS = _words("PERINGKAT_ORIGINS")
if CSRF_TRUSTED_ORIGINS:  # behind a proxy that speaks TLS
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = all(o.startswith("https://") for o in CSRF_TRUSTED_ORIGINS)
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

EMAIL_HOST = os.environ.get("PERINGKAT_EMAIL_HOST", "")
EMAIL_PORT = int(os.environ.get("PERINGKAT_EMAIL_PORT") or 25)
EMAIL_HOST_USER = os.environ.get("PERINGKAT_EMAIL_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("PERINGKAT_EMAIL_PASSWORD", "")
EMAIL_USE_TLS = os.environ.get("PERINGKAT_EMAIL_TLS") == "1"
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = os.environ.get("PERINGKAT_EMAIL_FROM") or f"Peringkat <peringkat@{HOST}>"
SITE_ADDRESS = CSRF_TRUSTED_ORIGINS[0] if CSRF_TRUSTED_ORIGINS else f"http://{HOST}:{PORT}"  # in e-mails

INSTALLED_APPS = [
    "training",
    "labeling",
    "models_registry",
    "jobs",
    "people",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "django_tasks",
    "django_tasks_db",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "people.middleware.RefusalMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "people.context.rights",
            ]
        },
    }
]

if os.environ.get("DATABASE_URL"):
    DATABASES = {"default": dj_database_url.config(conn_max_age=60, conn_health_checks=True)}
else:
    DATABASES = {
        "default": {
            "ENGINE": "config.sqlite",
            "NAME": DATA / "peringkat.sqlite3",
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                # FULL: what was acknowledged is on the disk, also after a power cut.
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
                    "PRAGMA mmap_size=268435456; PRAGMA cache_size=-65536;"
                    # A ranking writes some 24 pages, mostly the same ones. Whoever fills the log copies it into the database, and the others wait.
                    "PRAGMA wal_autocheckpoint=4000"
                ),
            },
            "TEST": {"NAME": DATA / "test.sqlite3"},
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default"]}}

AUTH_USER_MODEL = "people.User"
AUTHENTICATION_BACKENDS = ["people.backends.Backend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"
SESSION_ENGINE = "people.sessions"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 14  # for who says so at the sign-in; others are signed out after a working day

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("id", _("Indonesian"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = os.environ.get("TZ", "UTC").lstrip(":") or "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": UPLOADS}},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    # A view that forgets to say who may use it is closed.
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_PARSER_CLASSES": [
        "people.api.JSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "people.api.exception_handler",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Peringkat",
    "DESCRIPTION": "People rank model outputs; the rankings become better models.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "OAS_VERSION": "3.1.0",  # whose schemas are JSON Schema, which the methods' settings are written in
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "training.api_schema.add_methods",
    ],
    "ENUM_NAME_OVERRIDES": {
        "AssignmentState": "labeling.models.Assignment.State",
        "DatasetKind": "labeling.models.Dataset.Kind",
        "JobState": "jobs.models.Job.State",
        "ProjectState": "labeling.models.Project.State",
        "RunState": "training.models.Run.State",
        "VersionKind": "models_registry.models.Kind",
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    # A line for every question to the model server or the Hub would hide the rest.
    "loggers": {"httpx": {"level": "WARNING"}, "httpx2": {"level": "WARNING"}},
}
