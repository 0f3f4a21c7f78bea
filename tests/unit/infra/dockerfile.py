"""A Dockerfile as instructions, as far as its rules need to know it."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """One instruction, continued lines joined, comments gone."""

    name: str
    rest: str

    @property
    def words(self) -> list[str]:
        """What follows the name: of the JSON form its strings, else words as a shell splits them."""
        return json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)


@dataclass(frozen=True)
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[Instruction]:
        return [each for each in self.instructions if each.name == name]


@dataclass(frozen=True)
class Dockerfile:
    """Arguments before the first stage, by name with their default, and the stages."""

    arguments: dict[str, str]
    stages: tuple[Stage, ...]


def read_dockerfile(path: Path) -> Dockerfile:
    """Read one. Raises `ValueError` for an instruction before the first stage other than ARG."""
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for each in instructions(path.read_text()):
        if each.name == "FROM":
            base, _, name = each.rest.partition(" AS ")
            stages.append(Stage(base, name, ()))
        elif stages:
            last = stages[-1]
            stages[-1] = Stage(last.base, last.name, (*last.instructions, each))
        elif each.name == "ARG":
            name, _, default = each.rest.partition("=")
            arguments[name] = default
        else:
            raise ValueError(f"{path.name}: {each.name} stands before the first FROM")
    return Dockerfile(arguments, tuple(stages))


def instructions(text: str) -> list[Instruction]:
    """All of them, in order."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    split = [line.split(maxsplit=1) for line in joined]
    return [Instruction(name.upper(), " ".join(rest[0].split()) if rest else "") for name, *rest in split]
