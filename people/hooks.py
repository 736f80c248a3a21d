"""How the floors above add to people's pages what this floor cannot know: projects.

    register_opener(Opener(describe, stands, accept))   # what an invitation opens besides the site
    @group_need                                   # why a group must not be deleted
    @person_section                               # a part of a person's page
    @person_steps_back                            # what becomes of their work, if they may do it no more

Register from the AppConfig's ready().
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django.contrib.auth.models import Group

from .models import Invitation, User


@dataclass(frozen=True)
class Opened:
    """What an invitation leads to: its name, the role there, a sentence about it, and the address where one begins."""

    name: str
    role: str
    text: str
    address: str


@dataclass(frozen=True)
class Opener:
    describe: Callable[[Invitation], Opened | None]  # None: this invitation is none of its business
    stands: Callable[[Invitation], bool | None]  # might who made it still make it? None as above
    accept: Callable[[Invitation, User], None]  # inside the transaction of accepting


@dataclass(frozen=True)
class Section:
    """A part of a person's page; the template gets `data`."""

    title: str
    template: str
    data: dict = field(default_factory=dict)


_openers: list[Opener] = []
_needs: list[Callable[[Group], Iterable[str]]] = []
_sections: list[Callable[[User, User], Iterable[Section]]] = []
_steps_back: list[Callable[[User], dict[str, int]]] = []


def register_opener(opener: Opener) -> None:
    _openers.append(opener)


def group_need(function: Callable[[Group], Iterable[str]]) -> Callable:
    _needs.append(function)
    return function


def person_section(function: Callable[[User, User], Iterable[Section]]) -> Callable:
    """`function(person, viewer)`"""
    _sections.append(function)
    return function


def person_steps_back(function: Callable[[User], dict[str, int]]) -> Callable:
    """`function(person)`, inside the transaction: what it did, for the audit row; {} if they may go on with everything."""
    _steps_back.append(function)
    return function


def step_back(person: User) -> dict[str, int]:
    """Somebody's account was closed, or their role changed."""
    return {name: count for function in _steps_back for name, count in function(person).items()}


def opened_by(invitation: Invitation) -> list[Opened]:
    return [opened for opener in _openers if (opened := opener.describe(invitation))]


def stands(invitation: Invitation) -> bool | None:
    """Might who made it still make it? None: it leads into the site alone."""
    said = [stands for opener in _openers if (stands := opener.stands(invitation)) is not None]
    return all(said) if said else None


def open_for(invitation: Invitation, person: User) -> None:
    for opener in _openers:
        opener.accept(invitation, person)


def needs(group: Group) -> list[str]:
    """Why a group must not be deleted: a sentence for each thing of the floors above that names it."""
    return [sentence for function in _needs for sentence in function(group)]


def sections(person: User, viewer: User) -> list[Section]:
    return [section for function in _sections for section in function(person, viewer)]
