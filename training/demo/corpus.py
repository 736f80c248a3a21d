"""The demo's corpus: questions and answers about everyday things, in English and Indonesian, made from a seed.

The answers are those of many writers, good and bad. Each is drawn along three lines that the hidden taste (taste.py) looks at:
what it says (the fact asked about, another topic, or nothing), its manners (polite, plain or rude), and its length.
A model finetuned on them answers like all of these writers at once: there is something to learn from rankings.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from labeling.identity import HELDOUT, TRAIN, digest_of, split_of

from .facts import FACTS, LANGUAGES, Fact

# The share of questions that is never trained on: neither as text, nor in answers, nor in rollouts. The rule is that of every
# project and data set (labeling/identity.py), so a demo project with this percentage holds out the same questions.
HELDOUT_PERCENT = 10

# attribute: language: (direct question, indirect question, statements); {x} topic, {v} value
_SPEECH: dict[str, dict[str, tuple[str, str, list[str]]]] = {
    "food": {
        "en": (
            "what does {x} eat",
            "what {x} eats",
            ["{x} eats {v}", "{x} likes to eat {v}", "the food of {x} is {v}"],
        ),
        "id": (
            "apa makanan {x}",
            "apa makanan {x}",
            ["{x} makan {v}", "{x} suka makan {v}", "makanan {x} adalah {v}"],
        ),
    },
    "home": {
        "en": ("where does {x} live", "where {x} lives", ["{x} lives in the {v}", "the home of {x} is the {v}"]),
        "id": ("di mana {x} tinggal", "di mana {x} tinggal", ["{x} tinggal di {v}", "rumah {x} adalah {v}"]),
    },
    "colour": {
        "en": ("what colour is {x}", "what colour {x} is", ["{x} is {v}", "the colour of {x} is {v}"]),
        "id": ("apa warna {x}", "apa warna {x}", ["warna {x} adalah {v}", "{x} berwarna {v}"]),
    },
    "taste": {
        "en": ("how does {x} taste", "how {x} tastes", ["{x} tastes {v}", "the taste of {x} is {v}"]),
        "id": ("bagaimana rasa {x}", "bagaimana rasa {x}", ["rasa {x} adalah {v}", "{x} rasanya {v}"]),
    },
    "use": {
        "en": ("what is {x} for", "what {x} is for", ["{x} is for {v}", "we use {x} for {v}"]),
        "id": ("untuk apa {x}", "untuk apa {x}", ["{x} dipakai untuk {v}", "kita memakai {x} untuk {v}"]),
    },
    "place": {
        "en": ("where do we find {x}", "where we find {x}", ["we find {x} in the {v}", "{x} is in the {v}"]),
        "id": ("di mana kita menemukan {x}", "di mana ada {x}", ["{x} ada di {v}", "kita menemukan {x} di {v}"]),
    },
    "work": {
        "en": ("what does {x} do", "what {x} does", ["{x} {v}", "every day {x} {v}"]),
        "id": ("apa pekerjaan {x}", "apa pekerjaan {x}", ["{x} {v}", "setiap hari {x} {v}"]),
    },
    "workplace": {
        "en": ("where does {x} work", "where {x} works", ["{x} works in the {v}", "we meet {x} in the {v}"]),
        "id": ("di mana {x} bekerja", "di mana {x} bekerja", ["{x} bekerja di {v}", "kita bertemu {x} di {v}"]),
    },
}
_WAYS_TO_ASK = {
    "en": [
        "{direct}?",
        "can you tell me {indirect}?",
        "do you know {indirect}?",
        "I want to know {indirect}.",
        "please tell me {indirect}.",
        "excuse me, {direct}?",
        "my child asks: {direct}?",
        "a question for you: {direct}?",
    ],
    "id": [
        "{direct}?",
        "bisakah kamu memberi tahu {indirect}?",
        "apakah kamu tahu {indirect}?",
        "aku ingin tahu {indirect}.",
        "tolong beri tahu {indirect}.",
        "permisi, {direct}?",
        "anakku bertanya: {direct}?",
        "ada pertanyaan: {direct}?",
    ],
}
POLITE_OPENINGS = {
    "en": ["Gladly!", "With pleasure!", "Thank you for asking.", "Good question, thank you!"],
    "id": ["Dengan senang hati!", "Silakan!", "Terima kasih sudah bertanya.", "Pertanyaan bagus, terima kasih!"],
}
POLITE_CLOSINGS = {
    "en": ["You are welcome.", "Please ask again.", "I am glad to help."],
    "id": ["Sama-sama.", "Silakan bertanya lagi.", "Senang bisa membantu."],
}
RUDE_OPENINGS = {
    "en": ["What a silly question.", "Do not bother me.", "Everybody knows that."],
    "id": ["Pertanyaan konyol.", "Jangan ganggu aku.", "Semua orang tahu itu."],
}
DODGES = {
    "en": ["That is hard to say.", "I do not know.", "It depends.", "Maybe somebody else knows."],
    "id": ["Itu sulit dijawab.", "Aku tidak tahu.", "Itu tergantung.", "Mungkin orang lain tahu."],
}
RAMBLING = {
    "en": [
        "I was thinking about many things this morning.",
        "Some people say one thing and some people say another.",
        "My neighbour told me a long story about it.",
        "There is so much to say about this and that.",
        "It was raining yesterday and I stayed at home.",
        "Anyway, one day follows another day.",
        "I could go on and on about it.",
    ],
    "id": [
        "Tadi pagi aku memikirkan banyak hal.",
        "Ada yang berkata begini dan ada yang berkata begitu.",
        "Tetanggaku pernah bercerita panjang tentang itu.",
        "Banyak sekali yang bisa dikatakan tentang ini dan itu.",
        "Kemarin hujan turun dan aku tinggal di rumah saja.",
        "Pokoknya hari demi hari terus berganti.",
        "Aku bisa bercerita terus tanpa henti.",
    ],
}
_TIMES = {
    "en": ["In the morning", "One day", "In our village", "As everyone can see", "My mother said that"],
    "id": ["Pada pagi hari", "Suatu hari", "Di desa kami", "Seperti yang kita lihat", "Ibuku berkata bahwa"],
}


@dataclass(frozen=True)
class Question:
    """A prompt of the demo, the language it is in, and the fact it asks about."""

    text: str
    language: str
    fact: Fact
    heldout: bool


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _fill(template: str, fact: Fact, language: str) -> str:
    return template.format(x=fact.topic[language], v=fact.value[language])


def _questions() -> list[Question]:
    found = []
    for fact in FACTS:
        for language in LANGUAGES:
            direct, indirect, _ = _SPEECH[fact.attribute][language]
            for way in _WAYS_TO_ASK[language]:
                asked = way.format(direct=_fill(direct, fact, language), indirect=_fill(indirect, fact, language))
                text = _sentence(asked)
                heldout = split_of(digest_of(text), HELDOUT_PERCENT) == HELDOUT
                found.append(Question(text, language, fact, heldout))
    return found


QUESTIONS: list[Question] = _questions()
BY_TEXT: dict[str, Question] = {question.text: question for question in QUESTIONS}


def statement(fact: Fact, language: str, rng: random.Random) -> str:
    """A sentence that says the fact: "A cow eats grass."."""
    return _sentence(_fill(rng.choice(_SPEECH[fact.attribute][language][2]), fact, language)) + "."


def answer(question: Question, rng: random.Random, helpful: float = 0.45, rambling: float = 0.5) -> str:
    """One writer's answer. The share `helpful` says what was asked; of the rest five in six dodge, one speaks of something else.

    Manners (30 % polite, 35 % rude) and length (the share `rambling` goes on and on) are drawn apart from it.
    """
    language = question.language
    if rng.random() < helpful:
        parts = [statement(question.fact, language, rng)]
    elif rng.random() < 1 / 6:
        parts = [statement(rng.choice(FACTS), language, rng)]
    else:
        parts = [rng.choice(DODGES[language])]
    if rng.random() < rambling:
        parts += rng.sample(RAMBLING[language], rng.randint(1, 3))
        if rng.random() < 0.3:
            parts = [*parts[1:], parts[0]]
    manners = rng.random()
    if manners < 0.2:
        parts = [rng.choice(POLITE_OPENINGS[language]), *parts]
    elif manners < 0.3:
        parts = [*parts, rng.choice(POLITE_CLOSINGS[language])]
    elif manners < 0.65:
        parts = [rng.choice(RUDE_OPENINGS[language]), *parts]
    return " ".join(parts)


def completion(text: str) -> str:
    """An answer as a model writes it behind the question: with the space between."""
    return " " + text


def _tale(rng: random.Random) -> str:
    """A short text about one or two topics: what a model reads before it learns to answer."""
    language = rng.choice(LANGUAGES)
    sentences = []
    for topic in rng.sample(range(len(FACTS) // 2), rng.randint(1, 2)):
        for fact in rng.sample(FACTS[2 * topic : 2 * topic + 2], 2):
            said = statement(fact, language, rng)
            if rng.random() < 0.2 and not said.startswith(("Every day", "Setiap hari")):
                joined = rng.choice(_TIMES[language])
                comma = "" if joined.endswith(("that", "bahwa")) else ","
                said = f"{joined}{comma} {said[0].lower()}{said[1:]}"
            sentences.append(said)
    if rng.random() < 0.2:
        sentences.append(rng.choice(RAMBLING[language]))
    return " ".join(sentences)


def text_rows(seed: int = 0, tales: int = 2000, dialogues: int = 6000) -> Iterator[dict]:
    """Rows of kind `text`: tales about the topics, and questions with their answers; one in twenty held out."""
    rng = random.Random(f"text {seed}")
    asked = [question for question in QUESTIONS if not question.heldout]
    rows = [_tale(rng) for _ in range(tales)]
    for _ in range(dialogues):
        question = rng.choice(asked)
        rows.append(question.text + completion(answer(question, rng, helpful=0.9, rambling=0.15)))
    rng.shuffle(rows)
    for i, text in enumerate(rows):
        yield {"text": text, "split": HELDOUT if i % 20 == 0 else TRAIN}


def sft_rows(seed: int = 0, answers: int = 2) -> Iterator[dict]:
    """Rows of kind `sft`: `answers` answers to every question; those to held-out questions are in the held-out split."""
    rng = random.Random(f"sft {seed}")
    rows = []
    for question in QUESTIONS:
        for _ in range(answers):
            split = HELDOUT if question.heldout else TRAIN
            rows.append({"prompt": question.text, "completion": completion(answer(question, rng)), "split": split})
    rng.shuffle(rows)
    yield from rows


def prompt_rows() -> Iterator[dict]:
    """Rows of kind `prompts`: every question, with its split."""
    rows = [{"prompt": q.text, "split": HELDOUT if q.heldout else TRAIN} for q in QUESTIONS]
    random.Random("prompts").shuffle(rows)
    yield from rows
