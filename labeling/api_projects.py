"""REST: projects, their settings, copies of them. Each endpoint calls the verb that the pages call."""

from django.db.models import Q
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import actions, export, places, queries
from labeling.actions import copying
from labeling.actions.projects import check_names
from labeling.models import Project
from labeling.project_settings import SETTINGS
from people.api import PROBLEMS, JSONParser, valid
from people.errors import Refusal
from people.permissions import ANYWHERE, HasRight, Right


class ProjectSerializer(serializers.ModelSerializer):
    class Meta:
        model = Project
        fields = [
            "slug", "name", "description", "guidelines", "state", "outputs_per_task", "overlap",
            "allow_partial", "acceptability_line",
        ]  # fmt: skip


class SettingsSerializer(serializers.ModelSerializer):
    """A project with all its settings; what each means is told by its description."""

    class Meta:
        model = Project
        fields = ["slug", *SETTINGS]
        read_only_fields = ["slug"]
        extra_kwargs = {
            name: {"help_text": setting.hint, "label": setting.label} for name, setting in SETTINGS.items()
        }


class ProjectList(ListAPIView):
    """The projects in which you may rank; and those that you may see."""

    permission_classes = [HasRight]
    required_right = {"GET": Right.RANK, "POST": Right.CREATE_PROJECTS}
    required_place = ANYWHERE
    serializer_class = ProjectSerializer
    parser_classes = [JSONParser]

    def get_queryset(self):
        user = self.request.user
        seen, ranked = places.projects_with(user, Right.SEE_PROJECTS), queries.projects_to_rank(user)
        return Project.objects.filter(Q(pk__in=seen.values("pk")) | Q(pk__in=ranked.values("pk")))

    @extend_schema(request=SettingsSerializer, responses={201: SettingsSerializer, 400: PROBLEMS})
    def post(self, request):
        """A new project with these settings; those that are left out have sensible values. A settings file does, too."""
        given = settings_of(request)
        if "peringkat" in given:
            project = copying.create_from_file(actor=request.user, content=given)
            return Response(SettingsSerializer(project).data, status=201)
        project = actions.create_project(actor=request.user, **{"name": "", **given})
        return Response(SettingsSerializer(project).data, status=201)


class ProjectDetail(APIView):
    permission_classes = [HasRight]
    required_right = {"GET": Right.SEE_PROJECTS, "PATCH": Right.MANAGE_PROJECTS}
    required_place = places.project
    parser_classes = [JSONParser]

    @extend_schema(responses=SettingsSerializer)
    def get(self, request, slug):
        """A project's settings."""
        return Response(SettingsSerializer(get_object_or_404(Project, slug=slug)).data)

    @extend_schema(request=SettingsSerializer(partial=True), responses={200: SettingsSerializer, 400: PROBLEMS})
    def patch(self, request, slug):
        """Change settings. Tasks that exist keep their number of people, prompts their split, answers their questions."""
        project = get_object_or_404(Project, slug=slug)
        given = settings_of(request, slug)
        if "peringkat" in given:
            project = copying.settings_from_file(actor=request.user, project=project, content=given)
        else:
            project = actions.change_project(actor=request.user, project=project, **given)
        return Response(SettingsSerializer(project).data)


def settings_of(request, slug: str = "") -> dict:
    """The settings that were sent, as they are: the verb says all that is wrong with them. What GET gave may be sent back as it was."""
    if not isinstance(request.data, dict):
        raise Refusal(_("Expected a JSON object with settings."))
    given = dict(request.data)
    if given.get("slug") == slug:
        del given["slug"]
    if "peringkat" not in given:
        check_names(given)
    return given


class CopySerializer(serializers.Serializer):
    name = serializers.CharField(max_length=120)
    known_answers = serializers.BooleanField(default=True, help_text="With the tasks whose answer is known.")


class ProjectCopy(APIView):
    permission_classes = [HasRight]
    required_right = Right.CREATE_PROJECTS
    parser_classes = [JSONParser]

    @extend_schema(request=CopySerializer, responses={201: SettingsSerializer, 400: PROBLEMS})
    def post(self, request, slug):
        """A new project with the settings, guidelines and questions of this one."""
        given = valid(CopySerializer, request)
        project = get_object_or_404(Project, slug=slug)
        made = copying.copy_project(actor=request.user, project=project, **given)
        return Response(SettingsSerializer(made).data, status=201)


class SettingsFile(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_PROJECTS
    required_place = places.project

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request, slug):
        """All settings and known answers as one object, which POST /projects/ makes a project of, and PATCH takes over."""
        project = get_object_or_404(Project, slug=slug)
        return Response(export.export_settings(actor=request.user, project=project, known_answers=True))
