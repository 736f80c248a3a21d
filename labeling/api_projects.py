"""REST: projects, their settings, copies of them. Each endpoint calls the verb that the pages call."""

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.parsers import JSONParser
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import actions, queries
from labeling.api import PROBLEMS
from labeling.models import Project
from labeling.project_settings import SETTINGS
from people.errors import Refusal
from people.permissions import HasRight, Right, can


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
    """The projects in which you may rank; with the right to see projects, all of them."""

    permission_classes = [HasRight]
    required_right = {"GET": Right.RANK, "POST": Right.MANAGE_PROJECTS}
    serializer_class = ProjectSerializer
    parser_classes = [JSONParser]

    def get_queryset(self):
        user = self.request.user
        return Project.objects.all() if can(user, Right.SEE_PROJECTS) else queries.projects_to_rank(user)

    @extend_schema(request=SettingsSerializer, responses={201: SettingsSerializer, 400: PROBLEMS})
    def post(self, request):
        """A new project with these settings; those that are left out have sensible values."""
        given = settings_of(request)
        project = actions.create_project(actor=request.user, **{"name": "", **given})
        return Response(SettingsSerializer(project).data, status=201)


class ProjectDetail(APIView):
    permission_classes = [HasRight]
    required_right = {"GET": Right.SEE_PROJECTS, "PATCH": Right.MANAGE_PROJECTS}
    parser_classes = [JSONParser]

    @extend_schema(responses=SettingsSerializer)
    def get(self, request, slug):
        """A project's settings."""
        return Response(SettingsSerializer(get_object_or_404(Project, slug=slug)).data)

    @extend_schema(request=SettingsSerializer(partial=True), responses={200: SettingsSerializer, 400: PROBLEMS})
    def patch(self, request, slug):
        """Change settings. Tasks that exist keep their number of people, prompts their split, answers their questions."""
        project = get_object_or_404(Project, slug=slug)
        project = actions.change_project(actor=request.user, project=project, **settings_of(request))
        return Response(SettingsSerializer(project).data)


def settings_of(request) -> dict:
    """The settings that were sent, as they are: the verb says all that is wrong with them."""
    if not isinstance(request.data, dict):
        raise Refusal(_("Expected a JSON object with settings."))
    return request.data
