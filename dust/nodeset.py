"""Numbered names in short: `worker[1-3,7],master`. Pure.

A range is a list of numbers and spans with steps: `[1-3,7]`, `[01-20]`, `[0-10/2,15]`. A leading
zero pads: `[01-20]` stands for 01 to 20, `[1-20]` for 1 to 20. Quotes keep a name as it is.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import product

from dust.errors import TargetError

#: Most names that one pattern may stand for.
MOST = 100_000
_SPAN = r"(\d+)(?:-(\d+)(?:/(\d+))?)?"
_DIGITS = r"\d+"
_PART = (
    r"""(?s)\[(?P<range>[^\]]*)\]|(?P<text>[^\[\]'"]+)|(?P<quote>['"])(?P<quoted>.*?)(?P=quote)|."""
)
#: What `expand` would not take for a part of a name.
_ODD = r"""[\[\],'"]"""
#: Most digits in a number: what is longer is no count of machines.
LONGEST = 12
#: Characters that as many names may have on average.
_USUAL = 300


def numbers(spans: str) -> list[tuple[range, int]]:
    """The spans of what stands in a range's brackets: numbers, and the width they are padded to.

    Raises TargetError where it is malformed.
    """
    found: list[tuple[range, int]] = []
    for span in spans.split(","):
        match = re.fullmatch(_SPAN, span)
        if not match or not span.isascii():
            raise TargetError(f"[{spans}]: {span!r} is no number or range such as 1-5 or 0-10/2")
        first, last, step = match[1], match[2] or match[1], match[3] or "1"
        if max(len(first), len(last), len(step)) > LONGEST:
            raise TargetError(f"[{spans}]: a number has more than {LONGEST} digits")
        if int(last) < int(first):
            raise TargetError(f"[{spans}]: {span} runs backwards")
        if not int(step):
            raise TargetError(f"[{spans}]: the step of {span} is 0")
        padded = next((end for end in (first, last) if len(end) > 1 and end[0] == "0"), "")
        found.append((range(int(first), int(last) + 1, int(step)), len(padded)))
    return found


def count(spans: list[tuple[range, int]]) -> int:
    """How many numbers there are in the spans."""
    return sum(len(span) for span, _ in spans)


def spelled(spans: list[tuple[range, int]]) -> Iterator[str]:
    """The numbers of the spans as they stand in names."""
    for span, width in spans:
        for number in span:
            yield f"{number:0{width}}"


def expand(pattern: str) -> list[str]:
    """All names that a pattern stands for, such as `n[01-20]` or `r[1-2]n[1-4],master`.

    In order, without duplicates. Raises TargetError where it is malformed or stands for too many.
    """
    names: dict[str, None] = {}
    made = length = 0
    for item in split(pattern):
        parts: list[list[str]] = []
        total = 1
        for match in re.finditer(_PART, item):
            if match["text"] or match["quote"]:
                parts.append([match["text"] or match["quoted"]])
                continue
            if match["range"] is None:
                raise TargetError(f"{pattern}: a bracket or a quote has no partner")
            spans = numbers(match["range"])
            total *= count(spans)
            if made + total > MOST:
                raise TargetError(f"{pattern}: more than {MOST:,} names")
            parts.append(list(spelled(spans)))
        made += total
        length += total * sum(len(part[0]) for part in parts)
        if made > MOST or length > MOST * _USUAL:
            raise TargetError(f"{pattern}: more than {MOST:,} names, or too long ones")
        names.update(("".join(chosen), None) for chosen in product(*parts))
    return list(names)


def split(pattern: str) -> list[str]:
    """The items of a list, split at commas outside brackets and quotes; empty ones left out."""
    items, depth, start, quote = [], 0, 0, ""
    for at, char in enumerate(pattern):
        if quote or char in "'\"":
            quote = "" if char == quote else quote or char
        elif char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
        elif char == "," and depth <= 0:
            items.append(pattern[start:at])
            start = at + 1
    items.append(pattern[start:])
    return [item.strip() for item in items if item.strip()]


def fold(names: Iterable[str]) -> str:
    """Names in short form, in the order in which they first occur; the inverse of `expand`.

    Of names that differ in one number those belong together that are most. A name with commas,
    brackets, quotes or space at an end is quoted.
    """
    unique = list(dict.fromkeys(names))
    shapes = {name: _shapes(name) for name in unique}
    sizes = Counter(shape for each in shapes.values() for shape, _ in each)
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    order: dict[tuple[str, str] | str, None] = {}
    for name in unique:
        best = max(shapes[name], key=lambda shape: sizes[shape[0]], default=None)
        if best is None or sizes[best[0]] == 1:
            order[_quoted(name) if _is_odd(name) else name] = None
        else:
            order[best[0]] = None
            groups[best[0]].append(best[1])
    return ",".join(key if isinstance(key, str) else _folded(*key, groups[key]) for key in order)


def grouped(said: Iterable[tuple[str, str]]) -> list[str]:
    """What is said of each name, once for all of which the same is said: `worker[1-3]: lost`."""
    groups: dict[str, list[str]] = {}
    for name, text in said:
        groups.setdefault(text, []).append(name)
    return [f"{fold(names)}: {text}" for text, names in groups.items()]


def _is_odd(name: str) -> bool:
    return not name or name != name.strip() or re.search(_ODD, name) is not None


def _quoted(name: str) -> str:
    if "'" not in name:
        return f"'{name}'"
    return "".join(f'"{each}"' if each == "'" else f"'{each}'" for each in re.split("(')", name))


def _shapes(name: str) -> list[tuple[tuple[str, str], str]]:
    """Each way to see a name as text, a number and text; the last number first."""
    if not name.isascii() or _is_odd(name):
        return []
    found = [
        ((name[: match.start()], name[match.end() :]), match[0])
        for match in re.finditer(_DIGITS, name)
        if len(match[0]) <= LONGEST
    ]
    return found[::-1]


def _folded(before: str, after: str, digits: list[str]) -> str:
    if len(digits) == 1:
        return before + digits[0] + after
    padded = {len(each) for each in digits if len(each) > 1 and each[0] == "0"}
    by_width: dict[int, list[int]] = defaultdict(list)
    for each in digits:
        by_width[len(each) if len(each) in padded else 0].append(int(each))
    spans = [
        (first, last, width)
        for width, values in by_width.items()
        for first, last in _runs(sorted(values))
    ]
    text = ",".join(
        f"{first:0{width}}" if first == last else f"{first:0{width}}-{last:0{width}}"
        for first, last, width in sorted(spans)
    )
    return f"{before}[{text}]{after}"


def _runs(values: list[int]) -> Iterator[tuple[int, int]]:
    first = last = values[0]
    for value in values[1:]:
        if value != last + 1:
            yield first, last
            first = value
        last = value
    yield first, last
