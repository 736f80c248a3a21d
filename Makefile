# `make run` and `make test` are the two commands of the README; the rest are their parts.

VENV := .venv
PY := $(VENV)/bin/python
# Real rankings, texts and a model, where they lie beside the checkout; the tests that need them are skipped without.
ifneq ($(wildcard ../shared/data),)
export PERINGKAT_REAL_DATA ?= $(abspath ../shared)
endif
FAST := not slow and not browser and not prove

.NOTPARALLEL:
.PHONY: run test check prove demo fmt environment environment-dev browser texts texts-collect

run: environment
	@exec $(PY) manage.py start

demo: environment
	@exec $(PY) manage.py demo

test: environment-dev browser check-static
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --dist worksteal

# Tables are made from the models at once; `make test` makes them by the migrations, which check-static compares with the models.
check: environment-dev check-static
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n auto --no-migrations -m "$(FAST)"

prove: environment-dev
	$(PY) -m pytest -m prove

.PHONY: check-static
check-static: texts
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy
	DJANGO_SETTINGS_MODULE=tests.settings $(PY) manage.py makemigrations --check --dry-run

fmt: environment-dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

texts: environment
	@DJANGO_SETTINGS_MODULE=tests.settings $(PY) manage.py compile_texts

# After a text was written or changed: new ones are listed, to be translated in locale/*/LC_MESSAGES/django.po.
texts-collect: environment
	@DJANGO_SETTINGS_MODULE=tests.settings $(PY) manage.py collect_texts

# Nothing happens when the installed requirements are already these.
environment:
	@cmp -s requirements.txt $(VENV)/requirements.txt || bash config/environment.sh $(VENV) requirements.txt

environment-dev: environment
	@cmp -s requirements-dev.txt $(VENV)/requirements-dev.txt || bash config/environment.sh $(VENV) requirements-dev.txt

browser: environment-dev
	@bash config/browser.sh $(VENV)
