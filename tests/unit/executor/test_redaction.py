"""What a log may not hold."""

from hypothesis import given
from hypothesis import strategies as st

from chex_jobs.executor.redaction import Redactor, secrets_of

SECRET, TOKEN = "wJalrXUtnFEMI/K7MDENG", "wJalrXUt-other"


def test_credentials_are_secrets_and_what_names_the_storage_is_not() -> None:
    environment = {
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_BRAND_NEW_CREDENTIAL": "not known to us yet",
        "RAY_AUTH_TOKEN": "0123456789",
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_S3": "https://storage.example",
        "AWS_MAX_ATTEMPTS": "3",
        "HOME": "/home/somebody",
    }
    assert set(secrets_of(environment)) == {
        SECRET,
        SECRET.replace("/", "%2F"),
        "AKIAIOSFODNN7EXAMPLE",
        "not known to us yet",
        "not%20known%20to%20us%20yet",
        "0123456789",
    }


@given(st.lists(st.sampled_from([SECRET, TOKEN, SECRET[:9], "w", "step 3\n", "é"]), max_size=8), st.data())
def test_a_secret_is_masked_wherever_the_stream_is_cut(words: list[str], data: st.DataObject) -> None:
    text = "".join(words).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    redactor, shown = Redactor([SECRET, TOKEN]), b""
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        shown += redactor.feed(text[begin:end])
    shown += redactor.flush()
    expected = text.replace(SECRET.encode(), b"[redacted]").replace(TOKEN.encode(), b"[redacted]")
    assert shown == expected


def test_what_cannot_become_a_secret_is_shown_at_once() -> None:
    assert Redactor([SECRET]).feed(b"epoch 1: loss 0.5") == b"epoch 1: loss 0.5"


def test_without_secrets_nothing_is_held_back() -> None:
    assert Redactor([]).feed(b"w") == b"w"
