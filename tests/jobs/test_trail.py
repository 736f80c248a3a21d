"""What the audit trail says of jobs."""

import pytest

from jobs.actions import enqueue
from people.models import AuditEntry
from people.queries import read
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_job_is_called_by_its_title_and_an_old_one_by_the_name_it_had():
    admin = factories.admin()
    enqueue(actor=admin, what="mail-notice", arguments={"notice": 1})
    known = AuditEntry.objects.get(verb="job.enqueue")
    old = AuditEntry.objects.create(actor=admin, verb="job.enqueue", object_type="jobs.Job", data={"what": "gone"})
    assert [told.sentence for told in read([known, old])] == [
        f"{admin} began a job: Send a notice by e-mail",
        f"{admin} began a job: gone",
    ]
