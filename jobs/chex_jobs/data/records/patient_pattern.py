r"""A patient's id inside a cell, by a regular expression that takes linear time.

Python's own `re` tries every way to part a text among repeats, so that a pattern of a manifest could hold up an ingest for
years. The patterns that `chex_api.dataset.PATIENT_PATTERN` admits are a chain of characters with repeats around one group.
A chain needs no more than one look at each pair of a place in the chain and a place in the text: what failed from a pair
once always fails from it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LONGEST_TEXT = 1024
"""Characters of a cell that are looked at: paths are shorter."""

_GROUP = re.compile(
    r"((?:\\.|\[(?:\\.|[^\]\\])+\]|[^\\(\[])*)\(((?:\\.|\[(?:\\.|[^\]\\])+\]|[^\\)\[])+)\)(.*)", re.DOTALL
)
_ATOM = re.compile(r"(\\.|\[\^?(?:\\.|[^\]\\])+\]|[^\\])([*+?]|\{[0-9]{1,2}(?:,[0-9]{1,2})?\})?", re.DOTALL)
_END = re.compile(r"(?<!\\)(?:\\\\)*\$\Z")
_KINDS: dict[str, Callable[[str], bool]] = {
    "d": lambda character: character in "0123456789",
    "w": lambda character: character == "_" or character.isalnum(),
    "s": str.isspace,
}
_Fits = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Step:
    """One character of the chain: whether it must come, and whether it may come again and again."""

    fits: _Fits
    must: bool
    repeats: bool


@dataclass(frozen=True, slots=True)
class _Way:
    """What is still to be tried: from a step and a place in the text, with where the group began and ended so far."""

    step: int
    place: int
    opened: int
    closed: int


class PatientPattern:
    """A compiled `patientPattern`."""

    def __init__(self, pattern: str) -> None:
        """Compile a pattern that `chex_api` has admitted."""
        self._from_start, self._to_end = pattern.startswith("^"), _END.search(pattern) is not None
        parts = _GROUP.fullmatch(pattern[self._from_start : len(pattern) - self._to_end])
        assert parts is not None, "the API admits patterns with one group only"
        before, group, after = (list(_steps(part)) for part in parts.groups())
        self._chain = [*before, *group, *after]
        self._opens, self._closes = len(before), len(before) + len(group)

    def find(self, text: str) -> str:
        """Return what the group holds where the pattern is found first, repeats as long as can be; empty: not found."""
        text = text[:LONGEST_TEXT]
        seen: set[tuple[int, int]] = set()
        for start in range(1 if self._from_start else len(text) + 1):
            found = self._found_from(text, start, seen)
            if found is not None:
                return text[found.opened : found.closed]
        return ""

    def _found_from(self, text: str, start: int, seen: set[tuple[int, int]]) -> _Way | None:
        ways = [_Way(0, start, start, start)]
        while ways:
            way = ways.pop()
            if (way.step, way.place) in seen:
                continue
            seen.add((way.step, way.place))
            if way.step < len(self._chain):
                ways.extend(self._ways_on(way, text))
            elif not self._to_end or way.place == len(text):
                return way
        return None

    def _ways_on(self, way: _Way, text: str) -> Iterator[_Way]:
        """Yield the ways on, the one to be tried first last."""
        step = self._chain[way.step]
        if not step.must:
            yield self._next(way, way.place)
        if way.place < len(text) and step.fits(text[way.place]):
            if step.repeats:
                yield _Way(way.step, way.place + 1, way.opened, way.closed)
            else:
                yield self._next(way, way.place + 1)

    def _next(self, way: _Way, place: int) -> _Way:
        step = way.step + 1
        return _Way(
            step,
            place,
            place if step == self._opens else way.opened,
            place if step == self._closes else way.closed,
        )


def _steps(part: str) -> Iterator[_Step]:
    for atom, repeat in _ATOM.findall(part):
        fits = _fits(atom)
        least, most = _bounds(repeat)
        yield from [_Step(fits, must=True, repeats=False)] * least
        if most is None:
            yield _Step(fits, must=False, repeats=True)
        else:
            yield from [_Step(fits, must=False, repeats=False)] * (most - least)


def _bounds(repeat: str) -> tuple[int, int | None]:
    """Return how often an atom must and may come; None: any number of times."""
    if repeat.startswith("{"):
        least, comma, most = repeat[1:-1].partition(",")
        return int(least), int(most) if comma else int(least)
    return {"": (1, 1), "?": (0, 1), "*": (0, None), "+": (1, None)}[repeat]


def _fits(atom: str) -> _Fits:
    if atom == ".":
        return lambda character: character != "\n"
    if atom.startswith("\\"):
        return _escaped(atom[1])
    if atom.startswith("["):
        return _class(atom[1:-1])
    return lambda character: character == atom


def _escaped(letter: str) -> _Fits:
    kind = _KINDS.get(letter.lower())
    if kind is None:
        return lambda character: character == letter
    return kind if letter.islower() else lambda character: not kind(character)


def _class(body: str) -> _Fits:
    """Return what a class such as `[^a-z_]` fits, from what stands between its brackets."""
    inverted, body = body.startswith("^"), body.removeprefix("^")
    choices: list[_Fits] = []
    tokens = re.findall(r"\\.|.", body, re.DOTALL)
    while tokens:
        token = tokens.pop(0)
        if len(tokens) >= 2 and tokens[0] == "-" and not token.startswith("\\"):
            choices.append(_between(token, tokens[1][-1]))
            del tokens[:2]
        else:
            choices.append(_fits_token(token))
    return lambda character: any(fits(character) for fits in choices) != inverted


def _fits_token(token: str) -> _Fits:
    return _escaped(token[1]) if token.startswith("\\") else lambda character: character == token


def _between(low: str, high: str) -> _Fits:
    return lambda character: low <= character <= high
