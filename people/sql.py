"""Rows in and out by plain SQL, for the few statements that run at every turn of the board (labeling/statements.py, people/sessions.py).

Building a query through the ORM costs about ten times what the database needs to run it, and on SQLite all of that time counts
twice: it is spent inside the one write transaction. What is hot is therefore written out as SQL, for SQLite and PostgreSQL alike; fields,
columns and conversions still come from the models.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.base import ModelState

Row = TypeVar("Row", bound=models.Model)
PLAIN = (models.IntegerField, models.FloatField, models.BooleanField, models.CharField, models.TextField)


def _database() -> BaseDatabaseWrapper:
    """The connection itself: each look through the proxy django.db.connection costs as much as a conversion, and a row takes dozens."""
    return connections[DEFAULT_DB_ALIAS]


def table(model: type[models.Model]) -> str:
    return _database().ops.quote_name(model._meta.db_table)


@cache
def columns(model: type[models.Model], alias: str) -> str:
    """All columns of a model, for a SELECT; `instance` reads them."""
    quote = _database().ops.quote_name
    return ", ".join(f"{alias}.{quote(field.column)}" for field in model._meta.concrete_fields)


def width(model: type[models.Model]) -> int:
    return len(model._meta.concrete_fields)


def instance(model: type[Row], values: Sequence) -> Row:
    """A model instance from the values of `columns`: as Model.from_db makes it, without the signals, which nobody here listens to."""
    database = _database()
    names, converters = _reading(model, database.vendor)
    fields = dict(zip(names, values, strict=True))
    for name, convert, expression in converters:
        if (value := fields[name]) is not None:
            fields[name] = convert(value, expression, database)
    row = model.__new__(model)
    row.__dict__ = fields
    row._state = ModelState()
    row._state.adding, row._state.db = False, database.alias
    return row


@cache
def _reading(model: type[models.Model], vendor: str) -> tuple[list[str], list[tuple]]:
    database = _database()
    fields = model._meta.concrete_fields
    converters = []
    for field in fields:
        expression = field.get_col(model._meta.db_table)
        for convert in [*database.ops.get_db_converters(expression), *field.get_db_converters(database)]:
            converters.append((field.attname, convert, expression))
    return [field.attname for field in fields], converters


def first(model: type[Row], condition: str, parameters: Sequence) -> Row | None:
    """The first instance for which a condition on its own columns holds."""
    found = fetch(f"SELECT {columns(model, 'a')} FROM {table(model)} a WHERE {condition} LIMIT 1", parameters)
    return instance(model, found[0]) if found else None


def fetch(sql: str, parameters: Sequence) -> list[tuple]:
    with _database().cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def execute(sql: str, parameters: Sequence) -> int:
    """How many rows it changed."""
    with _database().cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.rowcount


def insert(row: Row) -> Row:
    """INSERT a new instance; a key that the database makes is filled in."""
    database = _database()
    key = row._meta.pk
    made = row.pk is None
    sql, fields = _insertion(type(row), made, database.vendor)
    values = [_prepared(field, plain, field.pre_save(row, True), database) for field, plain in fields]
    with database.cursor() as cursor:
        cursor.execute(sql, values)
        if made:
            setattr(row, key.attname, cursor.fetchone()[0])
    row._state.adding, row._state.db = False, database.alias
    return row


@cache
def _insertion(model: type[models.Model], made: bool, vendor: str) -> tuple[str, list[tuple[models.Field, bool]]]:
    fields = [field for field in model._meta.concrete_fields if not (made and field.primary_key)]
    quote = _database().ops.quote_name
    names = ", ".join(quote(field.column) for field in fields)
    returning = f" RETURNING {quote(model._meta.pk.column)}" if made else ""
    sql = f"INSERT INTO {table(model)} ({names}) VALUES ({', '.join(['%s'] * len(fields))}){returning}"
    return sql, [(field, _is_plain(field)) for field in fields]


def update(row: models.Model, names: Iterable[str]) -> None:
    """UPDATE some fields of an instance that is there already."""
    database = _database()
    sql, fields = _updating(type(row), tuple(names), database.vendor)
    execute(sql, [_prepared(field, plain, getattr(row, field.attname), database) for field, plain in fields])


@cache
def _updating(
    model: type[models.Model], names: tuple[str, ...], vendor: str
) -> tuple[str, list[tuple[models.Field, bool]]]:
    fields = [model._meta.get_field(name) for name in names]
    quote, key = _database().ops.quote_name, model._meta.pk
    assignments = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    sql = f"UPDATE {table(model)} SET {assignments} WHERE {quote(key.column)} = %s"
    return sql, [(field, _is_plain(field)) for field in [*fields, key]]


def _is_plain(field: models.Field) -> bool:
    """Is a number, a text or a truth value, of its own or of what it points to, that the database takes as it is?"""
    return isinstance(field.target_field if field.is_relation else field, PLAIN)


def _prepared(field: models.Field, plain: bool, value: object, database: BaseDatabaseWrapper) -> object:
    return value if plain or value is None else field.get_db_prep_save(value, database)
