"""What the figures of the quality page say, in plain words."""

from django.utils.translation import gettext as _

# Krippendorff (2004), "Reliability in content analysis", section 4: from 0.8 on data are relied on, from 0.667 on for tentative conclusions.
RELIABLE, TENTATIVE = 0.8, 0.667


def of_100(share: float) -> int:
    return round(share * 100)


def three_way(found: dict) -> str:
    raw, corrected = found["raw"]["value"], found["chance_corrected"]["value"]
    if raw is None:
        return ""
    said = _("Two people say the same about %(n)d of 100 pairs: better, tied or worse.") % {"n": of_100(raw)}
    if corrected is not None and corrected < 1:
        chance = (raw - corrected) / (1 - corrected)
        said += " " + _("By chance it would be %(n)d.") % {"n": of_100(chance)}
    return said


def strict(found: dict) -> str:
    value = found["strict"]["value"]
    if value is None:
        return ""
    return _("Where neither of the two says tied, they prefer the same output in %(n)d of 100 pairs.") % {
        "n": of_100(value)
    }


def corrected(value: float | None) -> str:
    """Of a measure that is 0 by chance and 1 if all agree."""
    if value is None:
        return ""
    if value < 0.05:
        return _("No more than chance.")
    if value < 0.2:
        return _("Little more than chance.")
    if value < 0.4:
        return _("Some agreement: people see the same things, and weigh them differently.")
    if value < 0.6:
        return _("Moderate agreement, as is usual for preferences between good outputs.")
    return _("Strong agreement.") if value < 0.8 else _("Nearly everybody says the same.")


def alpha(value: float | None) -> str:
    if value is None:
        return ""
    if value >= RELIABLE:
        return _("Reliable by Krippendorff's rule (0.8 and more).")
    if value >= TENTATIVE:
        return _("Good for tentative conclusions by Krippendorff's rule (0.67 to 0.8).")
    return _(
        "Below what Krippendorff asks for facts (0.67). Preferences seldom reach that: learn from many rankings, not from one."
    )


def ceiling(found: dict) -> str:
    value = found["strict_by_person"]["value"]
    if value is None:
        return ""
    return _(
        "One person foretells another's preference in %(n)d of 100 pairs. A reward model that does as well on held-out pairs has learnt what "
        "there is to learn from one person's rankings."
    ) % {"n": of_100(value)}


def themselves(found: dict) -> str:
    value = found["three_way"]["raw"]["value"]
    if value is None:
        return ""
    return _("Asked again, people repeat their answer on %(n)d of 100 pairs.") % {"n": of_100(value)}


def _around(figure: dict, middle: float, below: str, none: str, above: str) -> str:
    """One of three sentences, by where the interval lies."""
    if figure["value"] is None:
        return ""
    if figure["low"] is None:
        return ""
    if figure["low"] > middle:
        return above
    return below if figure["high"] < middle else none


def position(found: dict) -> str:
    return _around(
        found["earlier_wins"],
        0.5,
        _("What is shown later wins more often than it should."),
        _("No bias to be seen: the place where an output was shown does not decide."),
        _("What is shown earlier wins more often than it should."),
    )


def length(found: dict) -> str:
    return _around(
        found["longer_wins"],
        0.5,
        _("Shorter outputs win more often. That may be taste, or haste."),
        _("No bias to be seen: longer and shorter outputs win alike."),
        _("Longer outputs win more often. They may be better; a reward model will learn it either way."),
    )


def speed(found: dict) -> str:
    return _around(
        found["slope"],
        0.0,
        _("The longer somebody takes, the less they agree with the others: hard tasks take long."),
        _("No bias to be seen: quick rankings agree with the others as well as slow ones."),
        _("Quick rankings agree less with the others: haste costs quality."),
    )
