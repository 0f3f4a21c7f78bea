"""Report texts as token numbers, each distinct text tokenised once."""

import threading
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from chex_jobs.data.reports.report_texts import ReportTexts

# Lengths are rounded up to this, so that few shapes occur and matrix kernels get what they like.
_LENGTH_MULTIPLE = 8


class Tokenizer(Protocol):
    """What is used of a `transformers` tokenizer."""

    pad_token_id: Any

    def __call__(self, text: list[str], *, truncation: bool, max_length: int) -> Any:
        """Return a mapping whose "input_ids" are one list of token numbers for each text, special tokens included."""
        ...


class TokenizedTexts:
    """The texts of a data set's reports and, from their first use on, their token numbers.

    Thread-safe: fast tokenizers keep truncation settings in shared state and fail with "Already borrowed" when two
    threads call them, so that calls are made one at a time.
    """

    def __init__(self, texts: ReportTexts, tokenizer: Tokenizer, max_tokens: int) -> None:
        """Args: texts to choose from; tokenizer; longest sequence, special tokens included."""
        self.texts = texts
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._tokens: list[np.ndarray | None] = [None] * len(texts.texts)
        self._lock = threading.Lock()

    def padded(self, numbers: Sequence[int], among: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return token numbers and attention mask of texts, int64 `[B, L]` each.

        Args:
            numbers: the texts, `[B]`.
            among: the texts whose longest sets L: those of the *global* batch, so that each rank computes on the
                shape that one worker alone would use.
        """
        tokens = self._tokenised([*numbers, *among])
        longest = max(len(sequence) for sequence in tokens)
        length = min(-(-longest // _LENGTH_MULTIPLE) * _LENGTH_MULTIPLE, self._max_tokens)
        ids = np.full((len(numbers), length), self._tokenizer.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(tokens[: len(numbers)]):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        return ids, mask

    def _tokenised(self, numbers: Sequence[int]) -> list[np.ndarray]:
        with self._lock:
            missing = sorted({number for number in numbers if self._tokens[number] is None})
            if missing:
                texts = [self.texts.texts[number] for number in missing]
                encoded = self._tokenizer(texts, truncation=True, max_length=self._max_tokens)["input_ids"]
                for number, ids in zip(missing, encoded, strict=True):
                    self._tokens[number] = np.asarray(ids, dtype=np.int32)
            return [tokens for number in numbers if (tokens := self._tokens[number]) is not None]
