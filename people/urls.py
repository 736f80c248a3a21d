"""Pages of people: sign in and out, account, who may use the site, invitations, groups, rights, the audit trail."""

from django.urls import path

from .views import accounts, audit, groups, invitations, people

urlpatterns = [
    path("sign-in/", accounts.sign_in, name="sign-in"),
    path("sign-out/", accounts.sign_out, name="sign-out"),
    path("language/", accounts.language, name="language"),
    path("account/", accounts.account, name="account"),
    path("account/password/", accounts.change_password, name="change-password"),
    path("account/token/", accounts.token, name="token"),
    path("account/email/", accounts.email, name="account-email"),
    path("notices/", accounts.notice_list, name="notices"),
    path("notices/bell/", accounts.bell, name="notices-bell"),
    path("notices/read/", accounts.read_notices, name="notices-read"),
    path("notices/<int:pk>/", accounts.open_notice, name="notice"),
    path("people/", people.people, name="people"),
    path("people/rights/", people.rights, name="rights"),
    path("people/invitations/", invitations.invitations, name="invitations"),
    path("people/invitations/<int:pk>/revoke/", invitations.revoke, name="invitation-revoke"),
    path("people/groups/", groups.groups, name="groups"),
    path("people/groups/<int:pk>/", groups.group, name="group"),
    path("people/audit/", audit.audit, name="audit"),
    path("people/audit/file/", audit.trail_file, name="audit-file"),
    path("people/<int:pk>/", people.person, name="person"),
    path("join/<str:secret>/", invitations.join, name="join"),
]
