"""A checker of tunes in ABC notation: does a text parse as a tune, and do its bars hold what its metre says?

`check(text)` reads one tune by these rules, after the ABC standard 2.1, with `+…+` chords of ABC 1.6:

* The header is lines `X:` (first, a number), `T:`, and others, up to `K:`; `M:` and `K:` must be there and make sense. Then comes music.
* In the music, a line is a field (`letter:`), a comment (`%`), or music: notes and rests with their lengths, chords, grace notes, tuplets, broken
  rhythm, ties, slurs, decorations, chord names and annotations in quotes, bar lines with endings, inline fields. Quotes, brackets and braces close
  in the line. Anything else is an error.
* There are at least two bars with notes, and the last thing but for its line's end is a bar line.

A bar is *full* if its notes and rests last as long as the metre says. Shorter bars may stand at the beginning, at repeats, double bars, endings and new parts, and
at the end: upbeats, and what an upbeat leaves over. `bars_fit` is true if every bar is full or is such a one.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction

_FIELD = re.compile(r"([A-Za-z]):(.*)")
_METRE = re.compile(r"\s*(?:(\d+)/(\d+)|(C\|?)|none)\s*$")
_KEY = re.compile(r"\s*(?:[A-G][#b]?\s*(?:m|min|minor|maj|major|mix|dor|phr|lyd|loc|ion|aeo)?[a-z]*.*|HP|Hp|none)\s*$")
_LENGTH = re.compile(r"\s*(\d+)/(\d+)\s*$")
_TOKEN = re.compile(
    r"""(?P<space>[ \t`]+)
      | (?P<text>"[^"]*")
      | (?P<inline>\[[A-Za-z]:[^\]]*\])
      | (?P<tuplet>\((?P<p>[2-9])(?::(?P<q>\d?))?(?::(?P<r>\d?))?)
      | (?P<bar>:*\|[|\]]?:*(?:[1-9](?:[,-][1-9])*)?|::|\[\|:*|\[[1-9](?:[,-][1-9])*)
      | (?P<grace>\{/?(?:[_=^]{0,2}[A-Ga-g][,']*\d*/*\d*)+\})
      | (?P<decoration>![a-z]+!|[~.HLMOPSTuv](?=[~.HLMOPSTuv!"_=^A-Ga-g\[+{(]))
      | (?P<note>(?:[_=^]{0,2}[A-Ga-g][,']*|[zx])(?P<n>\d*)(?P<slashes>/*)(?P<d>\d*))
      | (?P<open>\[|\+)
      | (?P<broken>>{1,3}|<{1,3})
      | (?P<tie>-)
      | (?P<slur>[()])""",
    re.VERBOSE,
)
_LENGTHS = re.compile(r"(\d*)(/*)(\d*)")
_FIRST_NOTE = re.compile(r"(?:\"[^\"]*\")?[_=^]{0,2}[A-Ga-g][,']*(\d*)(/*)(\d*)")
_BORDER = re.compile(r"::|:\||\|:|\|\||\|\]|\[\||[1-9]")  # bar lines beside which a bar may be short


@dataclass
class Report:
    """`problems`: why the text is no tune; empty if it parses. `bars` and `full`: how many bars there are, and how many are full."""

    problems: list[str] = field(default_factory=list)
    bars: int = 0
    full: int = 0
    bars_fit: bool = False

    @property
    def parses(self) -> bool:
        return not self.problems


def check(text: str) -> Report:
    report = Report()
    lines = text.strip("\n").split("\n")
    reader = _Reader(report)
    key_at = next((number for number, line in enumerate(lines) if line.startswith("K:")), None)
    if not re.match(r"X:\s*\d+\s*$", lines[0]):
        report.problems.append("the first line is no X: with a number")
    if key_at is None:
        report.problems.append("there is no K:")
        return report
    names = set()
    for line in lines[:key_at]:
        if line.startswith("%") or not line.strip():
            continue
        if (found := _FIELD.match(line)) is None:
            report.problems.append(f"no field of a header: {line[:30]}")
            continue
        names.add(found[1])
        reader.field(found[1], found[2])
    report.problems += [f"there is no {name}:" for name in "TM" if name not in names]
    reader.field("K", lines[key_at][2:])
    for line in lines[key_at + 1 :]:
        if line.startswith("%") or not line.strip():
            continue
        if found := _FIELD.match(line):
            reader.field(found[1], found[2])
        else:
            reader.music(line.split("%")[0].rstrip().removesuffix("\\").rstrip())
    reader.end()
    return report


class _Reader:
    """Reads music from left to right and keeps time."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.metre: Fraction | None = None
        self.unit: Fraction | None = None
        self.time = Fraction(0)  # in the bar so far
        self.notes = 0  # in the bar so far
        self.scale, self.scaled = Fraction(1), 0  # of a tuplet, and how many notes it still has
        self.next_scale = Fraction(1)  # of broken rhythm
        self.last = Fraction(0)
        self.border = True  # whether the bar began at a place where it may be short
        self.misfits = 0
        self.closed = False  # whether a bar line was the last thing

    def wrong(self, text: str) -> None:
        self.report.problems.append(text)

    def field(self, name: str, value: str) -> None:
        if name == "M":
            if (found := _METRE.match(value)) is None:
                return self.wrong(f"no metre: {value[:20]}")
            if found[1] and int(found[2]):
                self.metre = Fraction(int(found[1]), int(found[2]))
            else:
                self.metre = Fraction(1) if found[3] else None
            self.border = True
        elif name == "L":
            if (found := _LENGTH.match(value)) is None or not int(found[2]):
                return self.wrong(f"no length: {value[:20]}")
            self.unit = Fraction(int(found[1]), int(found[2]))
        elif name == "K":
            if _KEY.match(value.split("%")[0]) is None:
                self.wrong(f"no key: {value[:20]}")
        elif name == "P":
            self.border = True

    def music(self, line: str) -> None:
        place = 0
        while place < len(line):
            found = _TOKEN.match(line, place)
            if found is None:
                return self.wrong(f"cannot be read: {line[place : place + 12]!r}")
            place = found.end()
            kind = found.lastgroup
            if found["note"] is not None:
                self.note(found["n"], found["slashes"], found["d"])
            elif found["tuplet"] is not None:
                p = int(found["p"])
                q = int(found["q"] or {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(p, 2))
                self.scale, self.scaled = Fraction(q, p), int(found["r"] or p)
            elif found["bar"] is not None:
                self.bar(found["bar"])
            elif found["open"] is not None:
                end = line.find("]" if found["open"] == "[" else "+", place)
                inside = line[place:end] if end >= 0 else ""
                if not re.fullmatch(r"(?:\"[^\"]*\")?(?:[_=^]{0,2}[A-Ga-g][,']*\d*/*\d*-? *)+", inside):
                    return self.wrong(f"a chord that cannot be read: {line[place - 1 : place + 11]!r}")
                # Its length stands behind it, or with its first note.
                behind = _LENGTHS.match(line, end + 1)
                place = behind.end()
                self.note(*(behind if behind[0] else _FIRST_NOTE.match(inside)).groups())
            elif found["broken"] is not None:
                self.broken(found["broken"])
            elif found["inline"] is not None:
                self.field(found["inline"][1], found["inline"][3:-1])
            if kind != "space":
                self.closed = found["bar"] is not None

    def note(self, n: str, slashes: str, d: str) -> None:
        if (n and not int(n)) or (d and not (int(d) and slashes)):
            return self.wrong(f"no length of a note: {n}{slashes}{d}")
        length = Fraction(int(n or 1), int(d) if d else 2 ** len(slashes))
        if self.scaled:
            length, self.scaled = length * self.scale, self.scaled - 1
        length, self.next_scale = length * self.next_scale, Fraction(1)
        self.last = length
        self.time += length
        self.notes += 1

    def broken(self, signs: str) -> None:
        short = Fraction(1, 2 ** len(signs))
        mine, other = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
        self.time += self.last * (mine - 1)
        self.next_scale = other

    def bar(self, line: str, *, border: bool = False) -> None:
        border = border or _BORDER.search(line) is not None
        if self.notes:
            unit = self.unit
            if unit is None:
                unit = Fraction(1, 8) if self.metre is None or self.metre >= Fraction(3, 4) else Fraction(1, 16)
            length = self.time * unit
            self.report.bars += 1
            if self.metre is None or length == self.metre:
                self.report.full += 1
            elif not ((border or self.border) and length < self.metre):
                self.misfits += 1
        self.border = border
        self.time, self.notes = Fraction(0), 0
        self.next_scale, self.scaled = Fraction(1), 0

    def end(self) -> None:
        if not self.closed:
            self.wrong("the music does not end with a bar line")
        self.bar("", border=True)
        if self.report.bars < 2:
            self.wrong("there are fewer than two bars")
        self.report.bars_fit = self.report.parses and not self.misfits
