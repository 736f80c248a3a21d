"""REST: how good a project's labels are, review of its tasks, and the talk about them. Each endpoint calls the verb that the pages call."""

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.api_urls import JobSerializer
from labeling import actions, export, places, quality_tables, review_queries, task_queries
from labeling.actions.comments import own_turn
from labeling.api_parts import PromptField
from labeling.models import Adjudication, Comment, Disagreement, Project, Task
from labeling.quality import PARTS, Quality, plain
from models_registry.queries import find
from people.api import PROBLEMS, valid
from people.errors import Refusal
from people.permissions import HasRight, Right


class QualityOfProject(APIView):
    permission_classes = [HasRight]
    required_right = Right.SEE_QUALITY
    required_place = places.project

    @extend_schema(
        parameters=[
            OpenApiParameter("part", enum=list(PARTS), description="One part alone; without it, all of them.")
        ],
        responses={200: OpenApiTypes.OBJECT, 400: PROBLEMS},
    )
    def get(self, request, slug):
        """Agreement, people, parts of the project, bias, models compared: every figure with its interval and what it is made of."""
        project = get_object_or_404(Project, slug=slug)
        part = request.query_params.get("part")
        if part not in (None, *PARTS):
            raise Refusal(f"part: {', '.join(PARTS)}")
        export.export_quality(actor=request.user, project=project, what=part or "report.json")
        if part is None:
            return Response(quality_tables.report(project))
        return Response(Quality(project)[part])


# Review


class AgainstSerializer(serializers.ModelSerializer):
    likelihood = serializers.FloatField(help_text="Of what people say of a pair; the geometric mean over the pairs.")

    class Meta:
        model = Disagreement
        fields = ["people", "model", "likelihood", "opposite", "strict", "learned"]


class ContestedSerializer(serializers.Serializer):
    task = serializers.IntegerField(source="task.pk")
    agreement = serializers.FloatField(allow_null=True, help_text="Mean τ-x; the list begins with the lowest.")
    rankings = serializers.IntegerField()
    state = serializers.ChoiceField(Task.State.choices, source="task.state")
    flags = serializers.IntegerField()
    questions = serializers.IntegerField(help_text="Open ones.")
    decided = serializers.BooleanField()
    against = AgainstSerializer(allow_null=True, help_text="With show=model: what the model says.")


class AdjudicationSerializer(serializers.ModelSerializer):
    by = serializers.CharField(source="by.username")

    class Meta:
        model = Adjudication
        fields = ["revision", "current", "notation", "reason", "by", "created_at"]


class CommentSerializer(serializers.ModelSerializer):
    author = serializers.CharField(source="author.username")

    class Meta:
        model = Comment
        fields = ["id", "author", "text", "is_question", "answers", "resolved_at", "created_at"]


class SaidSerializer(serializers.Serializer):
    annotator = serializers.CharField(source="turn.annotator.username")
    ranking = serializers.CharField(source="ranking.notation")
    comment = serializers.CharField(source="ranking.comment")
    answers = serializers.JSONField(
        help_text="To the project's questions: {task: {key: value}, outputs: {A: {key: value}}}."
    )
    repeat = serializers.IntegerField(source="turn.repeat")


class ReviewSerializer(serializers.Serializer):
    """A task as a reviewer sees it, in canonical letters."""

    task = serializers.IntegerField()
    state = serializers.ChoiceField(Task.State.choices)
    prompt = PromptField()
    completions = serializers.ListField(child=serializers.CharField())
    said = SaidSerializer(many=True)
    agreement = serializers.FloatField(allow_null=True)
    consensus = serializers.JSONField(help_text="The order, the votes pair by pair, and which pairs are contested.")
    decisions = AdjudicationSerializer(many=True)
    talk = CommentSerializer(many=True)


class Reviews(APIView):
    permission_classes = [HasRight]
    required_right = Right.REVIEW
    required_place = places.project


class ReviewList(Reviews):
    @extend_schema(
        parameters=[
            OpenApiParameter(
                "show", enum=["", "shared", "flagged", "asked", "decided", "model"], description="Which tasks."
            ),
            OpenApiParameter(
                "model", str, description="With show=model: name:v3; those that it finds least likely first."
            ),
            OpenApiParameter(
                "learned", enum=["", "no", "yes"], description="Whether the model learned from the prompt."
            ),
            OpenApiParameter("size", int, description="Outputs of the task."),
            OpenApiParameter("batch", int),
            OpenApiParameter("q", str, description="In prompts and outputs."),
            OpenApiParameter("limit", int),
            OpenApiParameter("offset", int),
        ],
        responses=ContestedSerializer(many=True),
    )
    def get(self, request, slug):
        """The tasks that wait for a reviewer, those that people agree about least first."""
        project = get_object_or_404(Project, slug=slug)
        asked = request.query_params
        problems = [name for name in ("size", "batch") if not asked.get(name, "0").isdecimal()]
        problems += ["learned"] if asked.get("learned", "") not in ("", "no", "yes") else []
        if problems:
            raise Refusal([f"{name}: {asked[name]}" for name in problems])
        names = {"show": "show", "size": "size", "batch": "batch", "q": "search", "learned": "learned"}
        given = {own: asked[name] for name, own in names.items() if name in asked}
        if asked.get("show") == "model":
            given["model"] = str(find(asked.get("model", "")).pk)
        wanted = review_queries.Wanted(**given)
        pages = LimitOffsetPagination()
        keys = pages.paginate_queryset(review_queries.in_order(project, wanted), request)
        lines = ContestedSerializer(review_queries.lines(project, list(keys or []), wanted.model), many=True)
        return pages.get_paginated_response(lines.data)


class OpinionSerializer(serializers.Serializer):
    model = serializers.CharField(help_text="A reward model: name:v3.")


class AskOpinion(Reviews):
    @extend_schema(request=OpinionSerializer, responses={202: JobSerializer, 400: PROBLEMS})
    def post(self, request, slug):
        """Let a reward model say how likely it finds what people ranked; review/?show=model&model=… then lists the least likely first."""
        project = get_object_or_404(Project, slug=slug)
        version = find(valid(OpinionSerializer, request)["model"])
        job = actions.start_asking_opinion(actor=request.user, project=project, version=version)
        return Response(JobSerializer(job).data, status=202)


class ReviewTask(Reviews):
    @extend_schema(responses=ReviewSerializer)
    def get(self, request, slug, pk):
        """One task: what everybody said, where they disagree, what was decided, what was asked."""
        task = get_object_or_404(Task.objects.select_related("prompt", "project"), project__slug=slug, pk=pk)
        found = review_queries.review_of(task)
        told = {
            "task": task.pk,
            "state": task.state,
            "prompt": task.prompt.content,
            "completions": [output.completion.text for output in task_queries.outputs_of(task)],
            "said": [*found.said, *found.repeats],
            "agreement": found.agreement,
            "consensus": plain(found.consensus),
            "decisions": task.adjudications.select_related("by").order_by("-revision"),
            "talk": task.comments.select_related("author"),
        }
        return Response(ReviewSerializer(told).data)


class Verb(Reviews):
    """POST: a verb on one task."""

    def task(self, slug: str, pk: int) -> Task:
        return get_object_or_404(Task, project__slug=slug, pk=pk)


class DecisionSerializer(serializers.Serializer):
    notation = serializers.CharField(allow_blank=True, help_text="In canonical letters, best first: C > B = D > A.")
    reason = serializers.CharField(required=False, allow_blank=True, default="")


class TextSerializer(serializers.Serializer):
    text = serializers.CharField(allow_blank=True)


class Adjudicate(Verb):
    @extend_schema(request=DecisionSerializer, responses={200: AdjudicationSerializer, 400: PROBLEMS})
    def post(self, request, slug, pk):
        """The order that holds, beside the rankings, which stay as they are. A new decision replaces the last one, which stays too."""
        given = valid(DecisionSerializer, request)
        return Response(
            AdjudicationSerializer(actions.adjudicate(actor=request.user, task=self.task(slug, pk), **given)).data
        )


class _State(Verb):
    verb = staticmethod(actions.close_task)

    @extend_schema(request=None, responses={200: OpenApiTypes.OBJECT, 409: PROBLEMS})
    def post(self, request, slug, pk):
        task = self.verb(actor=request.user, task=self.task(slug, pk))
        return Response({"task": task.pk, "state": task.state, "overlap": task.overlap})


class CloseTask(_State):
    """Take a task out: nobody gets it any more, and snapshots leave it out unless asked."""

    verb = staticmethod(actions.close_task)


class ReopenTask(_State):
    """Put a closed task back. The flags it has close it no more; two new ones would."""

    verb = staticmethod(actions.reopen_task)


class OneMore(_State):
    """One more person is to rank this task."""

    verb = staticmethod(actions.ask_for_one_more)


# The talk


class Remark(Verb):
    @extend_schema(request=TextSerializer, responses={201: CommentSerializer, 400: PROBLEMS})
    def post(self, request, slug, pk):
        """A remark about a task, for reviewers."""
        made = actions.comment(actor=request.user, task=self.task(slug, pk), **valid(TextSerializer, request))
        return Response(CommentSerializer(made).data, status=201)


class Answer(Verb):
    @extend_schema(request=TextSerializer, responses={201: CommentSerializer, 400: PROBLEMS})
    def post(self, request, slug, pk):
        """Answer an annotator's question; they are told, and read it."""
        question = get_object_or_404(Comment, task__project__slug=slug, pk=pk)
        made = actions.answer(actor=request.user, question=question, **valid(TextSerializer, request))
        return Response(CommentSerializer(made).data, status=201)


class Resolve(Verb):
    @extend_schema(request=None, responses={200: CommentSerializer, 400: PROBLEMS})
    def post(self, request, slug, pk):
        """Nothing more is to be said to a question."""
        question = get_object_or_404(Comment, task__project__slug=slug, pk=pk)
        return Response(CommentSerializer(actions.resolve(actor=request.user, question=question)).data)


class Ask(APIView):
    permission_classes = [HasRight]
    required_right = Right.RANK

    @extend_schema(responses=CommentSerializer(many=True))
    def get(self, request, pk):
        """What you asked about a task that you have or had, and what you were answered."""
        turn = own_turn(request.user, pk)
        threads = review_queries.own_talk(request.user, turn.task)
        told = [comment for thread in threads for comment in (thread.comment, *thread.answers)]
        return Response(CommentSerializer(told, many=True).data)

    @extend_schema(request=TextSerializer, responses={201: CommentSerializer, 400: PROBLEMS, 404: PROBLEMS})
    def post(self, request, pk):
        """Ask those who run the project about a task that you have or had."""
        made = actions.ask(actor=request.user, assignment=pk, **valid(TextSerializer, request))
        return Response(CommentSerializer(made).data, status=201)
