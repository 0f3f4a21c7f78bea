"""The demonstration's tokenizer: whole words, a vocabulary in the code, no files.

Called as `transformers` tokenizers are, so that data loading knows one interface.
"""

import re
import zlib
from collections.abc import Sequence

from chex_jobs.models.vocabulary import WORDS

_SPECIAL = ("[PAD]", "[CLS]", "[SEP]")
_NUM_BUCKETS = 512

# A run of letters, a single digit, or one sign: "3.5cm" is 3 . 5 cm, as the vocabulary lists digits singly.
_PIECE = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_")


class WordTokenizer:
    """Lower-cased words as numbers; words outside the vocabulary by a hash, so that every text has tokens.

    Attributes:
        pad_token_id: number that fills rows up.
        vocab_size: numbers are 0 to vocab_size - 1.
    """

    pad_token_id = 0

    def __init__(self) -> None:
        self._numbers = {word: number for number, word in enumerate(WORDS, start=len(_SPECIAL))}
        self._first_bucket = len(_SPECIAL) + len(WORDS)
        self.vocab_size = self._first_bucket + _NUM_BUCKETS

    def __call__(
        self, text: Sequence[str], *, truncation: bool = False, max_length: int | None = None
    ) -> dict[str, list[list[int]]]:
        """Return `input_ids` and `attention_mask`, one unpadded list for each text.

        Args:
            text: any texts; an empty one gives [CLS] [SEP].
            truncation: keep at most `max_length` tokens, the two special ones included.
            max_length: >= 2; read only with `truncation`.
        """
        longest = max_length if truncation else None
        ids = [self._encoded(one, longest) for one in text]
        return {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]}

    def _encoded(self, text: str, longest: int | None) -> list[int]:
        pieces = _PIECE.findall(text.lower())
        if longest is not None:
            pieces = pieces[: longest - 2]
        cls, sep = _SPECIAL.index("[CLS]"), _SPECIAL.index("[SEP]")
        return [cls, *map(self._number, pieces), sep]

    def _number(self, piece: str) -> int:
        known = self._numbers.get(piece)
        # crc32 and not hash(): Python salts the latter anew in each process.
        return known if known is not None else self._first_bucket + zlib.crc32(piece.encode()) % _NUM_BUCKETS
