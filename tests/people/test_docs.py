"""docs/people.md says what the code checks."""

from pathlib import Path

from django.conf import settings

from people import attempts
from people.actions import invitations
from people.models import Role
from people.permissions import PLACE_RIGHTS, RIGHT_NAMES, ROLE_RIGHTS

TEXT = (Path(settings.BASE_DIR) / "docs/people.md").read_text()


def test_the_table_of_rights():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in TEXT.splitlines()
        if line.startswith("|") and line.count("|") == 6 and not line.startswith(("| right", "|---"))
    ]
    told = {name: [cell == "yes" for cell in cells] for name, *cells in rows}
    assert told == {
        str(name): [*(right in ROLE_RIGHTS[role] for role in Role), right in PLACE_RIGHTS]
        for right, name in RIGHT_NAMES.items()
    }


def test_the_figures():
    assert f"serves 1 to {invitations.MOST_USES} people for 1 to {invitations.MOST_DAYS} days" in " ".join(
        TEXT.split()
    )
    assert f"({attempts.MOST_FOR_A_NAME} in {attempts.WINDOW.seconds // 60} minutes)" in TEXT
    assert f"({attempts.MOST_FROM_A_NETWORK}, whatever the names" in TEXT
