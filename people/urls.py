"""Pages of people: sign in and out, account, and who may use the site."""

from django.urls import path

from . import views

urlpatterns = [
    path("sign-in/", views.sign_in, name="sign-in"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("language/", views.language, name="language"),
    path("account/", views.account, name="account"),
    path("account/password/", views.change_password, name="change-password"),
    path("account/token/", views.token, name="token"),
    path("account/email/", views.email, name="account-email"),
    path("notices/", views.notice_list, name="notices"),
    path("notices/bell/", views.bell, name="notices-bell"),
    path("notices/read/", views.read_notices, name="notices-read"),
    path("notices/<int:pk>/", views.open_notice, name="notice"),
    path("people/", views.people, name="people"),
    path("people/<int:pk>/", views.change_person, name="change-person"),
]
