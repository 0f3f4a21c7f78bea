"""What differs between two things that identities are made of, in words: why a stage is not the one that was finished. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

_IDENTITY = re.compile(r"[0-9a-f]{64}")
_KEYS = ("name", "label", "hospital", "parameter", "column")
"""Members that name an entry of a list, the first that all of its entries have."""
_LONGEST_VALUE = 60
_SOURCE = "the films, patients or reports at its source have changed"


def differences(before: Mapping[str, Any], now: Mapping[str, Any], parents: Mapping[str, str]) -> list[str]:
    """What differs, a phrase for each; empty where nothing does.

    Args:
        before: what a finished stage's identity was the digest of (`StageSpec.identified`).
        now: the same of the planned stage.
        parents: `<kind>/<name>` by identity, of what the planned stage follows from.
    """
    return list(dict.fromkeys(_phrases("", before, now, parents)))


def _phrases(path: str, before: Any, now: Any, parents: Mapping[str, str]) -> Iterator[str]:
    if before == now:
        return
    if isinstance(before or {}, Mapping) and isinstance(now or {}, Mapping):
        # An object of which every member stands at its default is left out of an identity.
        yield from _of_members(path, _object(before), _object(now), parents)
    elif isinstance(before, list) and isinstance(now, list):
        yield from _of_lists(path, cast(list[Any], before), cast(list[Any], now), parents)
    else:
        yield _of_values(path, before, now, parents)


def _of_members(
    path: str, before: dict[str, Any], now: dict[str, Any], parents: Mapping[str, str]
) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        below = f"{path}.{name}" if path else name
        yield from _phrases(below, before.get(name), now.get(name), parents)


def _of_lists(path: str, before: list[Any], now: list[Any], parents: Mapping[str, str]) -> Iterator[str]:
    key = _key_of([*before, *now])
    if key is not None:
        earlier, later = ({str(entry[key]): entry for entry in entries} for entries in (before, now))
        for name in dict.fromkeys([*earlier, *later]):
            if name in earlier and name in later:
                yield from _phrases(f"{path}[{name}]", earlier[name], later[name], parents)
            else:
                yield f"{path}[{name}]: {'new' if name in later else 'no longer'}"
        if earlier == later:
            yield f"{path}: in another order"
    elif all(_is_identity(entry) for entry in [*before, *now]):
        for entry in now:
            if entry not in before:
                yield f"{parents.get(entry, path)} is another"
        if set(now) <= set(before):
            yield f"{path}: fewer than before"
    else:
        yield _of_values(path, before, now, parents)


def _of_values(path: str, before: Any, now: Any, parents: Mapping[str, str]) -> str:
    if path == "implementationVersion":
        return f"this version of chex computes it differently (implementation {before} → {now})"
    if path == "source":
        return _SOURCE
    if _is_identity(before) or _is_identity(now):
        return _of_identities(path, before, now, parents)
    return f"{path}: {_shown(before)} → {_shown(now)}"


def _of_identities(path: str, before: Any, now: Any, parents: Mapping[str, str]) -> str:
    *_, member = path.rpartition("labels.")
    what = f"labels of task {member}" if "labels." in path else parents.get(str(now), path)
    if before is None:
        return f"{what}: new"
    return f"{what}: no longer" if now is None else f"{what} changed"


def _key_of(entries: list[Any]) -> str | None:
    """The member by which entries of a list are told apart; None where there is none, or one of them twice."""
    return next(
        (key for key in _KEYS if entries and all(isinstance(e, Mapping) and key in e for e in entries)), None
    )


def _object(value: Any) -> dict[str, Any]:
    return dict(cast(Mapping[str, Any], value or {}))


def _is_identity(value: Any) -> bool:
    return isinstance(value, str) and _IDENTITY.fullmatch(value) is not None


def _shown(value: Any) -> str:
    """A value as a phrase has room for it; what stands at its default is not part of an identity."""
    if value is None:
        return "default"
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
