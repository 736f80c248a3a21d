"""The formats that an import knows, each recognised by the keys of its first row. A format turns a row into Items.

A new one is a function with `@known(name, keys)`; it raises BadRow with the reason if a row makes no sense.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from labeling.files import BadRow, check_storable, messages_of, split_given, text_of
from labeling.importing.columns import (
    KnownAnswer,
    Placing,
    Problems,
    answers_of,
    known_answer_of,
    meta_of,
    placing_of,
    seconds_of,
    text_in,
)
from labeling.ranking import MAX_ITEMS, RankingError, WeakOrder
from people.errors import Refusal

ANONYMOUS = "anonymous"


@dataclass
class Judgement:
    """What one annotator said about an item's completions, in the order in which the item names them."""

    annotator: str
    order: WeakOrder
    answers: dict = field(default_factory=dict)  # to the project's questions, by the letters of the row
    comment: str = ""
    seconds: float | None = None


@dataclass
class Item:
    """One prompt, the outputs to be ranked (text, source), and what people said about them already.

    `blanks` counts outputs that an annotator left blank, `silent` the judgements that say nothing at all; `unkept` names columns that could not be kept.
    """

    prompt: str | list
    completions: list[tuple[str, str]] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    external_id: str = ""
    split: str | None = None
    meta: dict = field(default_factory=dict)
    unkept: list[str] = field(default_factory=list)
    blanks: int = 0
    silent: int = 0
    placing: Placing = field(default_factory=Placing)
    known: KnownAnswer | None = None


@dataclass(frozen=True)
class Format:
    name: str
    keys: frozenset[str]  # every row has them
    items: Callable[[dict], list[Item]]


_known: list[Format] = []


def known(name: str, keys: str) -> Callable:
    def declare(items: Callable[[dict], list[Item]]) -> Callable[[dict], list[Item]]:
        _known.append(Format(name, frozenset(keys.split()), items))
        return items

    return declare


def recognise(row: dict) -> Format:
    """The format with the most keys that are all in the row. Raises a Refusal that says what is expected."""
    fitting = [one for one in _known if one.keys <= row.keys()]
    if not fitting:
        raise Refusal(
            _(
                "The first row has the columns %(found)s. Expected at least “prompt”; “completions” and “rankings” may follow."
            )
            % {"found": ", ".join(sorted(map(str, row))) or "—"}
        )
    return max(fitting, key=lambda one: len(one.keys))


# One's own files


@known(gettext_noop("Peringkat's own format"), "prompt")
def rows_of_ours(row: dict) -> list[Item]:
    """{"prompt", "completions"?: [text or {"text", "source"}], "rankings"?: [{"annotator", "ranking"}], "id"?, "split"?}

    Also the flat shape of CSV and of exports: completion_1 … completion_9 (source_1 …), and one "ranking" by one "annotator". What else a row
    may say about its task, and what becomes of other columns: labeling/importing/columns.py. All that is wrong with a row is told at once.
    """
    problems = Problems()
    meta, unkept = meta_of(row)
    item = Item(
        prompt=problems.attempt(messages_of, row.get("prompt"), "prompt", otherwise=""),
        completions=problems.attempt(completions_of, row, otherwise=[]),
        external_id=problems.attempt(_identifier, row, otherwise=""),
        split=problems.attempt(split_given, row, otherwise=None),
        placing=placing_of(row, problems),
        meta=meta,
        unkept=unkept,
    )
    problems.attempt(_check_count, item, otherwise=None)
    if not problems.found:  # else nobody knows which outputs the letters mean
        item.known = known_answer_of(row, len(item.completions), problems)
        for one in problems.attempt(_rankings_given, row, otherwise=[]):
            problems.attempt(_judge_by_ranking, item, one, otherwise=None)
    if not item.completions and (item.placing.is_given or item.known):
        problems.found.append(_("priority, batch and the like are about tasks; this row has no completions."))
    problems.end()
    return [item]


def _rankings_given(row: dict) -> list[dict]:
    listed = row.get("rankings")
    if not isinstance(listed, list | None):
        raise BadRow(_("“rankings” must be a list."))
    given = list(listed or [])
    if "ranking" in row:
        given.append({key: row.get(key) for key in ("annotator", "ranking", "answers", "comment", "seconds")})
    return given


def _judge_by_ranking(item: Item, one: object) -> None:
    if not isinstance(one, dict) or not isinstance(one.get("ranking"), str):
        raise BadRow(_("each of “rankings” needs a “ranking” such as A > B = C, and an “annotator”."))
    if not item.completions:
        raise BadRow(_("there is a ranking, but there are no completions."))
    try:
        order = WeakOrder.parse(one["ranking"], items=len(item.completions))
    except RankingError as error:
        raise BadRow(
            _("ranking “%(ranking)s”: %(problem)s")
            % {"ranking": one["ranking"], "problem": _(error.template) % error.params}
        ) from None
    problems = Problems()
    answers = problems.attempt(answers_of, one, otherwise={})
    comment = problems.attempt(text_in, one, "comment", otherwise="")
    seconds = problems.attempt(seconds_of, one, otherwise=None)
    problems.end()
    _judge(item, Judgement(_annotator(one.get("annotator")), order, answers, comment, seconds))


def completions_of(row: dict) -> list[tuple[str, str]]:
    """(text, source) of each output of a row, under “completions” or completion_1 …; raises BadRow."""
    flat = [n for n in range(1, MAX_ITEMS + 2) if f"completion_{n}" in row]
    if "completions" in row and flat:
        raise BadRow(_("give either “completions” or “completion_1” …, not both."))
    if flat:
        if flat != list(range(1, len(flat) + 1)):
            raise BadRow(_("the columns completion_1 … must be filled without a gap."))
        return [(text_of(row, f"completion_{n}"), _source(row.get(f"source_{n}"))) for n in flat]
    given = row.get("completions", [])
    if not isinstance(given, list):
        raise BadRow(_("“completions” must be a list."))
    completions = []
    for one in given:
        text = one.get("text") if isinstance(one, dict) else one
        if not isinstance(text, str):
            raise BadRow(_("each completion must be a text, or an object with a “text”."))
        check_storable(text, "completions")
        completions.append((text, _source(one.get("source")) if isinstance(one, dict) else ""))
    return completions


# Published data sets


@known(gettext_noop("options with ranks (WMT)"), "prompt judge options")
def wmt(row: dict) -> list[Item]:
    """{"prompt", "judge", "options": [{"system", "rank": 1 best, -1 left blank, "text"}], "pair", "src_index", "reference"}"""
    options = row["options"]
    if not isinstance(options, list) or not all(isinstance(option, dict) for option in options):
        raise BadRow(_("“options” must be a list of objects."))
    ranks = [option.get("rank") for option in options]
    if not all(type(rank) is int and (rank > 0 or rank == -1) for rank in ranks):
        raise BadRow(_("each “rank” must be a whole number from 1 on, or -1 for a blank."))
    item = Item(
        prompt=messages_of(row["prompt"], "prompt"),
        completions=[(text_of(option, "text"), _source(option.get("system"))) for option in options],
        external_id=" ".join(str(row[key]) for key in ("pair", "src_index") if key in row),
        split=split_given(row),
        meta={key: row[key] for key in ("pair", "src_index", "reference") if key in row},
    )
    _check_count(item)
    _judge_by_ranks(item, _annotator(row["judge"]), [None if rank == -1 else rank for rank in ranks])
    return [item]


@known(gettext_noop("two responses, three annotators (PandaLM)"), "instruction response1 response2 annotator1")
def pandalm(row: dict) -> list[Item]:
    """{"instruction", "input", "response1", "response2", "annotator1".."annotator3": 0 tie, 1, 2, "cmp_key": "left_right"}"""
    instruction, context = text_of(row, "instruction"), text_of(row, "input", required=False)
    left, _sign, right = str(row.get("cmp_key", "")).partition("_")
    # A spreadsheet once turned the answers "True" and "5" into values; they are texts.
    responses = [text_of({key: str(row[key])}, key, required=False) for key in ("response1", "response2")]
    item = Item(
        prompt=f"{instruction}\n\n{context}" if context else instruction,
        completions=list(zip(responses, (left, right), strict=True)),
    )
    for name in sorted(key for key in row if key.startswith("annotator")):
        if row[name] not in (0, 1, 2):
            raise BadRow(_("“%(key)s” must be 0, 1 or 2.") % {"key": name})
        _judge_by_ranks(item, name, {0: [1, 1], 1: [1, 2], 2: [2, 1]}[row[name]])
    return [item]


@known(gettext_noop("four predictions, six pairs (fine-grained feedback)"), "question preference")
def finegrained(row: dict) -> list[Item]:
    """{"question", "passages", "prediction 1" … "prediction 4", "preference": of 1v2 1v3 1v4 2v3 2v4 3v4: 1 first, 2 second, 0 none}"""
    pairs = list(combinations(range(4), 2))
    preference = row["preference"]
    if not isinstance(preference, list) or len(preference) != 6 or not set(preference) <= {0, 1, 2}:
        raise BadRow(_("“preference” must be six numbers, each 0, 1 or 2."))
    passages = [line for passage in row.get("passages", []) for line in passage[1:]]
    item = Item(
        prompt="\n".join([text_of(row, "question"), "", *passages]).strip(),
        completions=[(text_of(row, f"prediction {n}"), f"prediction {n}") for n in range(1, 5)],
    )
    said = {pair: {0: 0, 1: 1, 2: -1}[value] for pair, value in zip(pairs, preference, strict=True)}
    wins = [sum(value if i == a else -value for (a, b), value in said.items() if i in (a, b)) for i in range(4)]
    order = WeakOrder.from_ranks([-won for won in wins])
    if any(order.compare(a, b) != value for (a, b), value in said.items()):
        raise BadRow(_("the judged pairs contradict each other; no ranking says them all."))
    _judge(item, Judgement(ANONYMOUS, order))
    return [item]


@known(gettext_noop("conversation trees with ranked replies (OpenAssistant)"), "message_tree_id prompt")
def oasst(row: dict) -> list[Item]:
    """A tree of messages; each person's message with 2..9 replies that carry a `rank` (0 best) is an Item."""
    return list(_ranked_replies(row["prompt"], []))


def _ranked_replies(node: dict, before: list[dict[str, str]]) -> Iterator[Item]:
    try:
        role = {"prompter": "user", "assistant": "assistant"}[node["role"]]
        conversation = [*before, {"role": role, "content": text_of(node, "text")}]
        replies = node["replies"]
        ranks = [reply.get("rank") for reply in replies]
    except (KeyError, TypeError, AttributeError):
        raise BadRow(_("each message of the tree needs “role”, “text” and “replies”.")) from None
    if role == "user" and len(replies) >= 2:
        item = Item(
            prompt=messages_of(conversation, "prompt"),
            completions=[(text_of(reply, "text"), _source(reply.get("model_name"))) for reply in replies],
            external_id=str(node.get("message_id", "")),
        )
        _check_count(item)
        _judge_by_ranks(item, ANONYMOUS, ranks)
        yield item
    for reply in replies:
        yield from _ranked_replies(reply, conversation)


# Shared


def _check_count(item: Item) -> None:
    count = len(item.completions)
    if count == 1 or count > MAX_ITEMS:
        raise BadRow(
            _("a task needs 2 to %(most)d completions, this row has %(count)d.") % {"most": MAX_ITEMS, "count": count}
        )


def _judge_by_ranks(item: Item, annotator: str, ranks: Sequence[int | None]) -> None:
    if all(rank is None for rank in ranks):
        item.blanks += len(ranks)
        item.silent += 1
    else:
        _judge(item, Judgement(annotator, WeakOrder.from_ranks(ranks)))


def _judge(item: Item, judgement: Judgement) -> None:
    order = judgement.order
    item.blanks += len(order.unranked)
    if order.strict_pairs() or order.tied_pairs() or order.line is not None:
        item.judgements.append(judgement)
    else:
        item.silent += 1


def _annotator(given: object) -> str:
    if given in (None, ""):
        return ANONYMOUS
    name = str(given).strip()
    check_storable(name, "annotator")
    return name or ANONYMOUS


def _identifier(row: dict) -> str:
    given = row.get("id", row.get("task", ""))
    if not isinstance(given, str | int):
        raise BadRow(_("“id” must be a text or a number."))
    check_storable(str(given), "id")
    if len(str(given)) > 200:
        raise BadRow(_("“id” has more than 200 characters."))
    return str(given)


def _source(given: object) -> str:
    source = "" if given is None else str(given)
    check_storable(source, "source")
    if len(source) > 200:
        raise BadRow(_("“source” has more than 200 characters."))
    return source
