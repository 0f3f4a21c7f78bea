"""The tokenizer that goes with a text tower."""

from typing import Any

import chex_api.encoder as api
from chex_jobs.models.errors import WeightsError
from chex_jobs.models.folder import ModelFolder
from chex_jobs.models.word_tokenizer import WordTokenizer

_VOCABULARY_FILES = ("tokenizer.json", "vocab.txt", "vocab.json")
_OTHER_FILES = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
)


def build_tokenizer(spec: api.TextEncoder) -> Any:
    """Return the tokenizer of `spec.encoders.text`: call it with texts, `truncation=True` and `max_length`.

    It has `pad_token_id` and returns a mapping whose `input_ids` are one list for each text. For `init.uri`
    it is what `transformers` makes of the folder's files; no hub is asked.

    Raises:
        WeightsError: the folder holds no tokenizer, or one that cannot be read.
    """
    if spec.init.uri is None:
        return WordTokenizer()
    from transformers import AutoTokenizer  # seconds of import, which image-only work does without

    folder = ModelFolder(spec.init.uri)
    folder.require(*_VOCABULARY_FILES)
    with folder.local_copy([*_VOCABULARY_FILES, *_OTHER_FILES]) as local:
        try:
            return AutoTokenizer.from_pretrained(local, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as fault:
            raise WeightsError(
                f"{spec.init.uri}: the tokenizer's files cannot be read; it needs config.json and "
                "tokenizer.json, or vocab.txt and tokenizer_config.json, as `save_pretrained` writes them"
            ) from fault
