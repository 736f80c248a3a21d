"""REST: people, invitations, groups, rights, the audit trail. Each endpoint calls the verb that the pages call."""

from django.contrib.auth.models import Group
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.response import Response
from rest_framework.views import APIView

from . import actions, queries
from .api import PROBLEMS, people_named, valid
from .errors import Refusal
from .forms import AuditForm
from .models import Invitation, Role, User
from .permissions import PLACE_RIGHTS, RIGHT_NAMES, ROLE_RIGHTS, HasRight, Right
from .searching import row_key


class PersonSerializer(serializers.ModelSerializer):
    groups = serializers.SlugRelatedField("name", many=True, read_only=True)

    class Meta:
        model = User
        fields = [
            "id", "username", "first_name", "last_name", "role", "is_active", "is_simulated", "last_login", "date_joined", "groups",
        ]  # fmt: skip


class AddPersonSerializer(serializers.Serializer):
    username = serializers.CharField(max_length=150)
    full_name = serializers.CharField(required=False, default="", allow_blank=True, max_length=300)
    role = serializers.ChoiceField(Role.choices, default=Role.ANNOTATOR)


class ChangePersonSerializer(serializers.Serializer):
    role = serializers.ChoiceField(Role.choices, required=False)
    is_active = serializers.BooleanField(required=False)


class PasswordSerializer(serializers.Serializer):
    person = PersonSerializer()
    password = serializers.CharField(help_text="Generated; shown only this once.")


class People(ListAPIView):
    """Those who use the site."""

    permission_classes = [HasRight]
    required_right = Right.MANAGE_PEOPLE
    serializer_class = PersonSerializer
    queryset = User.objects.none()  # for the schema

    def get_queryset(self):
        asked = {name: self.request.query_params.get(name, "") for name in ("role", "state", "group")}
        return queries.people(search=self.request.query_params.get("q", ""), **asked)

    @extend_schema(request=AddPersonSerializer, responses={201: PasswordSerializer, 400: PROBLEMS})
    def post(self, request):
        """Make a person who can sign in with a generated password."""
        person, password = actions.add_person(actor=request.user, **valid(AddPersonSerializer, request))
        return Response({"person": PersonSerializer(person).data, "password": password}, status=201)


class Person(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_PEOPLE

    @extend_schema(responses=PersonSerializer)
    def get(self, request, pk):
        return Response(PersonSerializer(get_object_or_404(User, pk=pk)).data)

    @extend_schema(request=ChangePersonSerializer, responses={200: PersonSerializer, 400: PROBLEMS})
    def patch(self, request, pk):
        """Give another role, close the account or open it again."""
        person, given = get_object_or_404(User, pk=pk), valid(ChangePersonSerializer, request)
        if "role" in given and given["role"] != person.role:
            actions.change_role(actor=request.user, person=person, role=given["role"])
        if "is_active" in given and given["is_active"] != person.is_active:
            act = actions.reactivate if given["is_active"] else actions.deactivate
            act(actor=request.user, person=person)
        return Response(PersonSerializer(person).data)


class PersonPassword(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_PEOPLE

    @extend_schema(request=None, responses={200: PasswordSerializer, 400: PROBLEMS})
    def post(self, request, pk):
        """A new generated password; the old one, their sessions and their API token end."""
        person = get_object_or_404(User, pk=pk)
        password = actions.reset_password(actor=request.user, person=person)
        return Response({"person": PersonSerializer(person).data, "password": password})


# Invitations


class InviteSerializer(serializers.Serializer):
    role = serializers.ChoiceField(Role.choices, default=Role.ANNOTATOR)
    uses = serializers.IntegerField(default=1, help_text="For how many people.")
    days = serializers.IntegerField(default=7, help_text="How long it holds.")
    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=200)


class InvitationSerializer(serializers.ModelSerializer):
    created_by = serializers.SlugRelatedField("username", read_only=True)
    accepted_by = serializers.SlugRelatedField("username", many=True, read_only=True)

    class Meta:
        model = Invitation
        fields = [
            "id",
            "role",
            "note",
            "uses_left",
            "expires_at",
            "revoked_at",
            "created_by",
            "created_at",
            "accepted_by",
        ]


class NewInvitationSerializer(InvitationSerializer):
    link = serializers.CharField(help_text="Shown only this once.")

    class Meta(InvitationSerializer.Meta):
        fields = [*InvitationSerializer.Meta.fields, "link"]


def with_link(request, invitation: Invitation, secret: str) -> dict:
    """An invitation that was just made, with its link."""
    link = request.build_absolute_uri(reverse("join", args=[secret]))
    return {**InvitationSerializer(invitation).data, "link": link}


class Invitations(ListAPIView):
    """Links into the site and into projects, newest first; never their secrets."""

    permission_classes = [HasRight]
    required_right = Right.MANAGE_PEOPLE
    serializer_class = InvitationSerializer
    queryset = Invitation.objects.select_related("created_by").prefetch_related("accepted_by")

    @extend_schema(request=InviteSerializer, responses={201: NewInvitationSerializer, 400: PROBLEMS})
    def post(self, request):
        """Make a link into the site."""
        invitation, secret = actions.invite(actor=request.user, **valid(InviteSerializer, request))
        return Response(with_link(request, invitation, secret), status=201)


class RevokeInvitation(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_PEOPLE

    @extend_schema(responses={204: None, 409: PROBLEMS})
    def delete(self, request, pk):
        """Take a link back. Who came by it stays."""
        actions.revoke_invitation(actor=request.user, invitation=get_object_or_404(Invitation, pk=pk))
        return Response(status=204)


# Groups


class GroupSerializer(serializers.ModelSerializer):
    people = serializers.SerializerMethodField(help_text="Sign-in names.")

    class Meta:
        model = Group
        fields = ["id", "name", "people"]

    def get_people(self, group: Group) -> list[str]:
        return [person.username for person in group.user_set.all()]


class NameSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=150)


class ChangeGroupSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=150, required=False)
    add = serializers.ListField(child=serializers.CharField(), required=False, help_text="Sign-in names.")
    remove = serializers.ListField(child=serializers.CharField(), required=False, help_text="Sign-in names.")


class Groups(ListAPIView):
    """People who get tasks together."""

    permission_classes = [HasRight]
    required_right = Right.MANAGE_PEOPLE
    serializer_class = GroupSerializer
    queryset = Group.objects.prefetch_related("user_set").order_by("name")

    @extend_schema(request=NameSerializer, responses={201: GroupSerializer, 400: PROBLEMS})
    def post(self, request):
        group = actions.create_group(actor=request.user, **valid(NameSerializer, request))
        return Response(GroupSerializer(group).data, status=201)


class GroupDetail(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_PEOPLE

    @extend_schema(responses=GroupSerializer)
    def get(self, request, pk):
        return Response(GroupSerializer(get_object_or_404(Group, pk=pk)).data)

    @extend_schema(request=ChangeGroupSerializer, responses={200: GroupSerializer, 400: PROBLEMS})
    def patch(self, request, pk):
        """Rename it, add people, remove people."""
        group, given = get_object_or_404(Group, pk=pk), valid(ChangeGroupSerializer, request)
        added, removed = people_named(given.get("add", [])), people_named(given.get("remove", []))
        if "name" in given:
            actions.rename_group(actor=request.user, group=group, name=given["name"])
        if added:
            actions.add_to_group(actor=request.user, group=group, people=added)
        if removed:
            actions.remove_from_group(actor=request.user, group=group, people=removed)
        return Response(GroupSerializer(group).data)

    @extend_schema(responses={204: None, 409: PROBLEMS})
    def delete(self, request, pk):
        """Its people stay. 409: tasks wait for it."""
        actions.delete_group(actor=request.user, group=get_object_or_404(Group, pk=pk))
        return Response(status=204)


# Rights, and who did what


class Rights(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_PEOPLE

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request):
        """What each role may do on the site, and what it adds in a project."""
        return Response(
            {
                "rights": {right: str(name) for right, name in RIGHT_NAMES.items()},
                "site": {role: sorted(ROLE_RIGHTS[role]) for role in Role.values},
                "project": {role: sorted(ROLE_RIGHTS[role] & PLACE_RIGHTS) for role in Role.values},
            }
        )


class EntrySerializer(serializers.Serializer):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = serializers.CharField(allow_null=True)
    verb = serializers.CharField()
    object_type = serializers.CharField()
    object_id = serializers.CharField()
    place = serializers.CharField(help_text="What it belongs to: labeling.project:12.")
    data = serializers.JSONField()
    sentence = serializers.CharField()


class TrailSerializer(serializers.Serializer):
    results = EntrySerializer(many=True)
    older = serializers.IntegerField(allow_null=True, help_text="Ask for `before=` this for the next ones.")


TRAIL_PARAMETERS = [
    OpenApiParameter("actor", description="Sign-in name."),
    OpenApiParameter("verb"),
    OpenApiParameter("kind", description="Of the object: labeling.Project."),
    OpenApiParameter("object", description="Its id; with `kind`."),
    OpenApiParameter("first", OpenApiTypes.DATE),
    OpenApiParameter("last", OpenApiTypes.DATE),
    OpenApiParameter("search", description="In what was noted; finds no turns at the board."),
    OpenApiParameter("before", int, description="Entries older than this one."),
]


def trail_of(request, place: str = "") -> Response:
    form = AuditForm(request.query_params, place=place)
    if not form.is_valid():
        raise Refusal([f"{name}: {problem}" for name, problems in form.errors.items() for problem in problems])
    found = queries.asked_for(form.asked())
    part = queries.slice_of(found, before=row_key(request.query_params.get("before", "")), size=200)
    told = queries.read(part.entries)
    rows = [row | {"sentence": each.sentence} for row, each in zip(queries.as_rows(part.entries), told, strict=True)]
    return Response({"results": rows, "older": part.older})


class Trail(APIView):
    permission_classes = [HasRight]
    required_right = Right.SEE_AUDIT

    @extend_schema(
        parameters=[*TRAIL_PARAMETERS, OpenApiParameter("routine", bool, description="With the turns at the board.")],
        responses={200: TrailSerializer, 400: PROBLEMS},
    )
    def get(self, request):
        """Who did what, newest first."""
        return trail_of(request)
