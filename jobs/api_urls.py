"""REST: look at a short job, and cancel it."""

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from people.permissions import HasRight, Right

from . import actions
from .models import Job
from .queries import may_see


class JobSerializer(serializers.ModelSerializer):
    class Meta:
        model = Job
        fields = [
            "id", "what", "subject", "state", "note", "done", "total", "cancel_requested", "result", "error", "created_at", "finished_at",
        ]  # fmt: skip


class JobView(APIView):
    permission_classes = [HasRight]
    required_right = Right.RANK  # every role; whose job it is decides then

    def _job(self, request, pk) -> Job:
        job = get_object_or_404(Job, pk=pk)
        if not may_see(request.user, job):
            self.permission_denied(request)
        return job

    @extend_schema(responses=JobSerializer)
    def get(self, request, pk):
        return Response(JobSerializer(self._job(request, pk)).data)

    @extend_schema(responses=JobSerializer, description="Cancel the job.")
    def delete(self, request, pk):
        return Response(JobSerializer(actions.request_cancel(actor=request.user, job=self._job(request, pk))).data)


urlpatterns = [path("jobs/<uuid:pk>/", JobView.as_view(), name="api-job")]
