"""The short job of notices: sent by e-mail."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from people import notices
from people.models import Notice
from people.permissions import Right

from .registry import job


@job("mail-notice", title=gettext_lazy("Send a notice by e-mail"), right=Right.MANAGE_PEOPLE)
def mail_notice(progress, *, notice: int) -> dict:
    found = Notice.objects.select_related("person").filter(pk=notice).first()
    if found and notices.can_mail(found.person):
        notices.mail(found)
    return {"message": _("The notice is sent.")}
