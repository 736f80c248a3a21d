"""REST: who belongs to a project, links into it, hours and counts, who did what. Each endpoint calls the verb that the pages call."""

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import actions, people_queries, places
from labeling.models import Project
from labeling.places import place_name
from labeling.views.hours import as_file, asked_for
from people.api import PROBLEMS, people_named, valid
from people.endpoints import (
    TRAIL_PARAMETERS,
    InvitationSerializer,
    InviteSerializer,
    NewInvitationSerializer,
    TrailSerializer,
    trail_of,
    with_link,
)
from people.models import Invitation, Role, User
from people.permissions import ANYWHERE, HasRight, Right


class MemberSerializer(serializers.Serializer):
    username = serializers.CharField(source="user.username")
    name = serializers.CharField()
    role = serializers.CharField(allow_null=True, help_text="Here; null: no member.")
    ranked = serializers.IntegerField()
    skipped = serializers.IntegerField()
    flagged = serializers.IntegerField()
    gold_score = serializers.FloatField(allow_null=True, help_text="Mean share kept of all gold tasks.")
    stage = serializers.CharField(source="desk.stage", default=None)
    paused_because = serializers.CharField(source="desk.paused_because", default="")
    daily_goal = serializers.IntegerField(source="desk.daily_goal", default=None)
    last_activity = serializers.DateTimeField(allow_null=True)


class AddMembersSerializer(serializers.Serializer):
    people = serializers.ListField(child=serializers.CharField(), allow_empty=False, help_text="Sign-in names.")
    role = serializers.ChoiceField(Role.choices, default=Role.ANNOTATOR)


class ChangeMemberSerializer(serializers.Serializer):
    role = serializers.ChoiceField(Role.choices, required=False)
    daily_goal = serializers.IntegerField(required=False, allow_null=True)


class OfProject(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_PROJECTS
    required_place = places.project


class Members(OfProject):
    @extend_schema(responses=MemberSerializer(many=True))
    def get(self, request, slug):
        """Members, and whoever did something here."""
        project = get_object_or_404(Project, slug=slug)
        return Response(MemberSerializer(people_queries.people_in(project), many=True).data)

    @extend_schema(request=AddMembersSerializer, responses={200: MemberSerializer(many=True), 400: PROBLEMS})
    def post(self, request, slug):
        """Let people take part; who already does gets the role."""
        project, given = get_object_or_404(Project, slug=slug), valid(AddMembersSerializer, request)
        actions.add_members(
            actor=request.user, project=project, users=people_named(given["people"]), role=given["role"]
        )
        return self.get(request, slug)


class Member(OfProject):
    @extend_schema(request=ChangeMemberSerializer, responses={204: None, 400: PROBLEMS})
    def patch(self, request, slug, pk):
        """Another role here, a daily goal of their own (null: that of the project). `pk` is the person's. Pausing: `desks/`."""
        project, person = get_object_or_404(Project, slug=slug), get_object_or_404(User, pk=pk)
        given = valid(ChangeMemberSerializer, request)
        if "role" in given:
            actions.add_members(actor=request.user, project=project, users=[person], role=given["role"])
        if "daily_goal" in given:
            actions.set_daily_goal(actor=request.user, project=project, user=person, goal=given["daily_goal"])
        return Response(status=204)

    @extend_schema(responses={204: None})
    def delete(self, request, slug, pk):
        """They get no further tasks here; what they ranked stays."""
        project = get_object_or_404(Project, slug=slug)
        person = get_object_or_404(User, pk=pk, memberships__project=project)
        actions.remove_members(actor=request.user, project=project, users=[person])
        return Response(status=204)


class ProjectInvitations(OfProject):
    @extend_schema(responses=InvitationSerializer(many=True))
    def get(self, request, slug):
        """Links into the project; `role` is that in the project."""
        project = get_object_or_404(Project, slug=slug)
        links = project.invitations.select_related("invitation__created_by").order_by("-invitation__pk")
        rows = [InvitationSerializer(each.invitation).data | {"role": each.role} for each in links]
        return Response(rows)

    @extend_schema(request=InviteSerializer, responses={201: NewInvitationSerializer, 400: PROBLEMS})
    def post(self, request, slug):
        project, given = get_object_or_404(Project, slug=slug), valid(InviteSerializer, request)
        invitation, secret = actions.invite_to_project(actor=request.user, project=project, **given)
        return Response(with_link(request, invitation, secret) | {"role": given["role"]}, status=201)


class RevokeProjectInvitation(OfProject):
    @extend_schema(responses={204: None, 409: PROBLEMS})
    def delete(self, request, slug, pk):
        """Take a link back. Who came by it stays."""
        project = get_object_or_404(Project, slug=slug)
        invitation = get_object_or_404(Invitation, pk=pk, to_project__project=project)
        actions.revoke_project_invitation(actor=request.user, project=project, invitation=invitation)
        return Response(status=204)


class ProjectTrail(OfProject):
    required_right = Right.SEE_AUDIT

    @extend_schema(parameters=TRAIL_PARAMETERS, responses={200: TrailSerializer, 400: PROBLEMS})
    def get(self, request, slug):
        """What was decided about a project, its tasks, data sets and people; newest first."""
        return trail_of(request, place_name(get_object_or_404(Project, slug=slug).pk))


HOURS = {
    "parameters": [
        OpenApiParameter(
            "first", OpenApiTypes.DATE, description="Without it, the first of the month of the last day."
        ),
        OpenApiParameter("last", OpenApiTypes.DATE, description="Without it, today."),
        OpenApiParameter("person", description="Sign-in name."),
        OpenApiParameter("as", enum=["json", "csv"], default="json"),
    ],
    "responses": {(200, "application/x-ndjson"): OpenApiTypes.STR, (200, "text/csv"): OpenApiTypes.STR, 400: PROBLEMS},
}


class Hours(APIView):
    permission_classes = [HasRight]
    required_right = Right.SEE_HOURS
    required_place = ANYWHERE

    @extend_schema(**HOURS)
    def get(self, request):
        """Who worked how much, a row for each day, person and project whose hours you may see. Gold tasks, practice and repeats are work like any other turn."""
        form, days = asked_for(request)
        return as_file(request, form, days, kind=request.GET.get("as", "json"))


class ProjectHours(OfProject):
    required_right = Right.SEE_HOURS

    @extend_schema(**HOURS)
    def get(self, request, slug):
        """The same for one project."""
        project = get_object_or_404(Project, slug=slug)
        form, days = asked_for(request, project)
        return as_file(request, form, days, project, kind=request.GET.get("as", "json"))
