"""The hidden taste of the demo's simulated annotators: helpful, polite, to the point. No model ever sees it.

An answer's taste is the sum of three parts:

    helpful       +2    one of its sentences says the fact that was asked about, and names no other topic
    polite        +1    it has a courteous phrase (more of them add nothing);  −1  it has a rude one;  0  it has both or neither
    to the point  −0.1  for each word beyond 12, at most −2

so it lies between −3 and 3. All of it is judged in the language of the question.
"""

import re
from dataclasses import dataclass

from .corpus import BY_TEXT, RUDE_OPENINGS, Question
from .facts import FACTS

HELPFUL = 2.0
POLITE = 1.0
FREE_WORDS = 12
PER_WORD = 0.1
MOST_FOR_LENGTH = 2.0

COURTESIES = {
    "en": ["thank you", "please", "gladly", "with pleasure", "you are welcome", "glad to help"],
    "id": ["terima kasih", "silakan", "dengan senang hati", "sama-sama", "senang bisa membantu"],
}
RUDENESS = {language: [phrase.rstrip(".").lower() for phrase in said] for language, said in RUDE_OPENINGS.items()}


@dataclass(frozen=True)
class Taste:
    """The three parts, each as it enters the sum."""

    helpful: float
    polite: float
    to_the_point: float

    @property
    def total(self) -> float:
        return self.helpful + self.polite + self.to_the_point


def _bare(topic: str) -> str:
    return re.sub(r"^(a|an) ", "", topic)


_TOPICS = {language: {_bare(fact.topic[language]) for fact in FACTS} for language in ("en", "id")}


def _says(phrase: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(phrase)}\b", text) is not None


def says_fact(question: Question, answer: str) -> bool:
    """Does a sentence of `answer` say what `question` asks, without speaking of another topic?"""
    language = question.language
    value = question.fact.value[language]
    own = _bare(question.fact.topic[language])
    for sentence in re.split(r"[.!?]", answer.lower()):
        if not _says(value, sentence):
            continue
        rest = re.sub(rf"\b({re.escape(value)}|{re.escape(own)})\b", " ", sentence)
        if not any(_says(topic, rest) for topic in _TOPICS[language]):
            return True
    return False


def judge(prompt: str, answer: str) -> Taste:
    """The taste of `answer` to `prompt`. A KeyError says that the prompt is no question of the demo's corpus."""
    question = BY_TEXT[prompt.strip()]
    lowered = answer.lower()
    courteous = any(_says(phrase, lowered) for phrase in COURTESIES[question.language])
    rude = any(_says(phrase, lowered) for phrase in RUDENESS[question.language])
    excess = max(0, len(answer.split()) - FREE_WORDS)
    return Taste(
        helpful=HELPFUL if says_fact(question, answer) else 0.0,
        polite=POLITE * (courteous - rude),
        to_the_point=-min(PER_WORD * excess, MOST_FOR_LENGTH),
    )


def taste(prompt: str, answer: str) -> float:
    """The hidden taste as one number, −3 … 3."""
    return judge(prompt, answer).total
