"""REST: ranking. Claim, submit, revise, skip, flag, undo, by the verbs that the board calls."""

from dataclasses import asdict

from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import actions, places, queries
from labeling.api_parts import PromptField
from labeling.models import Assignment, Desk, Project, Task
from people.api import PROBLEMS, valid
from people.permissions import HasRight, Right

# Shapes


class OutputSerializer(serializers.Serializer):
    letter = serializers.CharField()
    text = serializers.CharField()


class ProgressSerializer(serializers.Serializer):
    today = serializers.IntegerField(help_text="Rankings submitted today.")
    done = serializers.IntegerField(help_text="Rankings submitted at all.")
    available = serializers.IntegerField(help_text=f"Tasks ahead, counted up to {queries.COUNT_AHEAD}.")
    rounded = serializers.BooleanField(help_text="The tasks ahead are rounded up.")


class OptionsSerializer(serializers.Serializer):
    partial = serializers.BooleanField(help_text="Outputs may be left out, and * may stand for the rest.")
    line = serializers.BooleanField(help_text="The acceptability line | may be drawn.")


class StandingSerializer(serializers.Serializer):
    """Where somebody stands in a project."""

    stage = serializers.ChoiceField(["practice", "qualification", "working"])
    paused = serializers.ChoiceField([("", "not paused"), *Desk.Pause.choices], help_text="Why you get no tasks.")
    goal = serializers.IntegerField(allow_null=True, help_text="Rankings a day.")
    agreement = serializers.FloatField(allow_null=True, help_text="With others, -1 to 1, where the project shows it.")
    warning = serializers.CharField(help_text="To be read and answered first: sensitive tasks come only then.")
    takes_sensitive = serializers.BooleanField()


class BoardSerializer(StandingSerializer):
    """A task as its annotator sees it: letters, never who wrote what."""

    assignment = serializers.UUIDField()
    project = serializers.SlugField()
    prompt = PromptField()
    outputs = OutputSerializer(many=True)
    progress = ProgressSerializer()
    options = OptionsSerializer()
    ranking = serializers.CharField(help_text="What was said before, if the task was called back.")
    comment = serializers.CharField(help_text="That of before.")
    answers = serializers.JSONField(help_text="Those of before, by letters.")
    lease_until = serializers.CharField()
    questions = serializers.ListField(child=serializers.DictField(), help_text="Asked beside the ranking.")
    round = serializers.CharField()
    sensitive = serializers.BooleanField()


class FeedbackSerializer(serializers.Serializer):
    score = serializers.FloatField(help_text="Share of what is known that the ranking keeps.")
    answer = serializers.CharField(help_text="What is known, in the letters shown.")
    violated = serializers.ListField(child=serializers.CharField(), help_text="What of it was not kept.")
    explanation = serializers.CharField()


class OutcomeSerializer(serializers.Serializer):
    assignment = serializers.UUIDField()
    state = serializers.ChoiceField(Assignment.State.choices)
    ranking = serializers.CharField(allow_null=True, help_text="As it is stored, in the letters of the board.")
    revision = serializers.IntegerField(allow_null=True)
    repeated = serializers.BooleanField(help_text="This very request had arrived before; nothing was stored again.")
    feedback = FeedbackSerializer(allow_null=True, help_text="Of a practice task, to be read before the next one.")
    qualified = serializers.BooleanField(
        help_text="With this turn the qualification is passed: the real tasks come now."
    )
    next = BoardSerializer(allow_null=True)


def _seconds() -> serializers.FloatField:
    return serializers.FloatField(required=False, allow_null=True, help_text="Of active work.")


class SubmitSerializer(serializers.Serializer):
    notation = serializers.CharField(allow_blank=True, help_text="In the letters shown, best first: C > B = D > A.")
    client_key = serializers.CharField(
        max_length=64, help_text="Made by the client, one for each ranking: a repeated request is stored once."
    )
    seconds = _seconds()
    comment = serializers.CharField(required=False, allow_blank=True, default="")
    answers = serializers.DictField(
        required=False,
        help_text='To the questions, by letters: {"task": {key: value}, "outputs": {"A": {key: value}}}.',
    )


class SkipSerializer(serializers.Serializer):
    reason = serializers.CharField(allow_blank=True)
    seconds = _seconds()


class FlagSerializer(serializers.Serializer):
    flag = serializers.ChoiceField(Assignment.Flag.choices)
    note = serializers.CharField(required=False, allow_blank=True, default="")
    seconds = _seconds()


class WarnedSerializer(serializers.Serializer):
    takes_sensitive = serializers.BooleanField()


# Turns


class Ranks(APIView):
    permission_classes = [HasRight]
    required_right = Right.RANK


def outcome(done: actions.Outcome) -> dict:
    ranking = done.ranking
    return {
        "assignment": str(done.assignment.pk),
        "state": done.assignment.state,
        "ranking": queries.as_shown(done.assignment, ranking) if ranking else None,
        "revision": ranking.revision if ranking else None,
        "repeated": done.repeated,
        "feedback": asdict(done.feedback) if done.feedback else None,
        "qualified": done.qualified,
        "next": queries.board_state(done.next) if done.next else None,
    }


class Claim(Ranks):
    @extend_schema(request=None, responses={200: BoardSerializer, 204: None, 403: PROBLEMS, 404: None})
    def post(self, request, slug):
        """The task that you should rank now: the one you hold, else the next. 204: none waits for you."""
        project = get_object_or_404(Project, slug=slug)
        assignment = actions.claim_task(actor=request.user, project=project)
        if assignment is None and not queries.belongs(request.user, project):
            raise Http404
        return Response(queries.board_state(assignment)) if assignment else Response(status=204)


class ClaimThis(APIView):
    permission_classes = [HasRight]
    required_right = Right.SEE_PROJECTS
    required_place = places.project

    @extend_schema(request=None, responses={200: BoardSerializer, 403: PROBLEMS, 409: PROBLEMS})
    def post(self, request, slug, task):
        """This very task, out of turn, for those who see the project. What you hold meanwhile goes back to the queue."""
        found = get_object_or_404(Task, pk=task, project__slug=slug)
        return Response(queries.board_state(actions.claim_this_task(actor=request.user, task=found)))


class Standing(Ranks):
    @extend_schema(responses=StandingSerializer)
    def get(self, request, slug):
        """Where you stand in a project: your stage, whether you are paused, a warning to be read."""
        project = get_object_or_404(Project, slug=slug)
        if not queries.belongs(request.user, project):
            raise Http404
        return Response(queries.standing(request.user.pk, project))


class Warned(Ranks):
    @extend_schema(request=WarnedSerializer, responses=StandingSerializer)
    def post(self, request, slug):
        """You have read what the project warns about, and take sensitive tasks or leave them out."""
        project = get_object_or_404(Project, slug=slug)
        actions.accept_warning(actor=request.user, project=project, **valid(WarnedSerializer, request))
        return Response(queries.standing(request.user.pk, project))


TURN = {200: OutcomeSerializer, 400: PROBLEMS, 404: PROBLEMS, 409: PROBLEMS}


class Submit(Ranks):
    @extend_schema(request=SubmitSerializer, responses=TURN)
    def post(self, request, pk):
        """Store a ranking and claim the next task. Late rankings are kept. 409: overtaken, the problem says by what."""
        given = valid(SubmitSerializer, request)
        return Response(outcome(actions.submit_ranking(actor=request.user, assignment=pk, **given)))


class Revise(Ranks):
    @extend_schema(request=SubmitSerializer, responses=TURN)
    def post(self, request, pk):
        """A changed mind: a new revision; the old one stays."""
        given = valid(SubmitSerializer, request)
        return Response(outcome(actions.revise_ranking(actor=request.user, assignment=pk, **given)))


class Skip(Ranks):
    @extend_schema(request=SkipSerializer, responses=TURN)
    def post(self, request, pk):
        """You cannot judge this task; it goes to others and does not come back to you."""
        given = valid(SkipSerializer, request)
        return Response(outcome(actions.skip_task(actor=request.user, assignment=pk, **given)))


class Flag(Ranks):
    @extend_schema(request=FlagSerializer, responses=TURN)
    def post(self, request, pk):
        """Something is wrong with the task itself; two people's flags close it for review."""
        given = valid(FlagSerializer, request)
        return Response(outcome(actions.flag_task(actor=request.user, assignment=pk, **given)))


class Undo(Ranks):
    @extend_schema(request=None, responses={200: BoardSerializer, 404: PROBLEMS, 409: PROBLEMS})
    def post(self, request, pk):
        """Call back what you submitted, skipped or flagged in the last ten seconds."""
        return Response(queries.board_state(actions.undo(actor=request.user, assignment=pk)))


class Extend(Ranks):
    @extend_schema(
        request=None,
        responses={200: {"type": "object", "properties": {"held": {"type": "boolean"}}}, 404: PROBLEMS},
    )
    def post(self, request, pk):
        """A sign of life: keeps the lease. `held` false: the lease had ended; a submit is kept all the same."""
        return Response({"held": actions.extend_lease(actor=request.user, assignment=pk)})
