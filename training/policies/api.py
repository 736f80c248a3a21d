"""REST endpoints of a run's policies: what stands about them, and the same verbs as on the run's page."""

from dataclasses import asdict

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.models import Project
from models_registry.queries import find
from people.api import valid
from people.permissions import HasRight, Right

from ..models import Run
from . import actions
from .queries import Policies, Share, Standing


class PairsSerializer(serializers.Serializer):
    project = serializers.SlugField(help_text="whose people rank the pairs")
    step = serializers.IntegerField(required=False, help_text="the policy after so many updates; the last by default")
    number = serializers.IntegerField(default=actions.PAIRS, help_text="of pairs")
    batch = serializers.CharField(default="", allow_blank=True, help_text="the batch of the new tasks")
    seed = serializers.IntegerField(required=False, min_value=0, max_value=2**32 - 1)


class JudgeSerializer(serializers.Serializer):
    judge = serializers.CharField(help_text="a reward model that the run did not learn from, as name:v3")


class PolicyList(APIView):
    """The policies of a run: those kept along the KL and its result, with what people and the judge asked last say of them against the start."""

    permission_classes = [HasRight]
    required_right = Right.SEE_RUNS

    @extend_schema(operation_id="runs_policies_list", responses=OpenApiTypes.OBJECT)
    def get(self, request, pk):
        found = Policies(get_object_or_404(Run, pk=pk))
        judge = str(found.judge) if found.judge else None
        return Response({"judge": judge, "policies": [_told(each) for each in found.standings]})


def _told(each: Standing) -> dict:
    return asdict(each.policy) | {
        "is_result": each.is_result,
        "version": str(each.version) if each.version else None,
        "pairs": {"tasks": each.asked.tasks, "ranked": each.asked.ranked} if each.asked else None,
        "people": _share(each.people),
        "judge": _share(each.judge),
    }


def _share(share: Share | None) -> dict | None:
    return asdict(share) if share else None


class PolicyRegister(APIView):
    """Make a policy that the run has kept a version, once."""

    permission_classes = [HasRight]
    required_right = Right.LAUNCH_RUNS

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request, pk, step):
        version = actions.register_policy(actor=request.user, run=get_object_or_404(Run, pk=pk), step=step)
        return Response({"version": str(version)})


class FreshPairsSend(APIView):
    """Let a policy and the run's start answer held-out prompts, and people rank the pairs: a job, whose number comes back."""

    permission_classes = [HasRight]
    required_right = Right.LAUNCH_RUNS

    @extend_schema(request=PairsSerializer, responses={202: OpenApiTypes.OBJECT})
    def post(self, request, pk):
        run, sent = get_object_or_404(Run, pk=pk), valid(PairsSerializer, request)
        project = get_object_or_404(Project, slug=sent.pop("project"))
        job = actions.send_pairs(actor=request.user, run=run, project=project, **sent)
        return Response({"job": job.pk}, status=202)


class JudgeAsk(APIView):
    """Let another reward model compare each policy with the start: a job, whose number comes back."""

    permission_classes = [HasRight]
    required_right = Right.TRY_MODELS

    @extend_schema(request=JudgeSerializer, responses={202: OpenApiTypes.OBJECT})
    def post(self, request, pk):
        run, sent = get_object_or_404(Run, pk=pk), valid(JudgeSerializer, request)
        job = actions.ask_judge(actor=request.user, run=run, judge=find(sent["judge"]))
        return Response({"job": job.pk}, status=202)
