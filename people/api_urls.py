"""REST endpoints of people, under /api/v1/."""

from django.urls import path

from . import endpoints

urlpatterns = [
    path("people/", endpoints.People.as_view(), name="api-people"),
    path("people/<int:pk>/", endpoints.Person.as_view(), name="api-person"),
    path("people/<int:pk>/password/", endpoints.PersonPassword.as_view(), name="api-person-password"),
    path("invitations/", endpoints.Invitations.as_view(), name="api-invitations"),
    path("invitations/<int:pk>/", endpoints.RevokeInvitation.as_view(), name="api-invitation"),
    path("groups/", endpoints.Groups.as_view(), name="api-groups"),
    path("groups/<int:pk>/", endpoints.GroupDetail.as_view(), name="api-group"),
    path("rights/", endpoints.Rights.as_view(), name="api-rights"),
    path("audit/", endpoints.Trail.as_view(), name="api-audit"),
]
