"""What the API server can refuse, one exception for each kind of answer that a caller treats differently."""

from http import HTTPStatus


class ApiError(Exception):
    """The API server did not do what was asked.

    Attributes:
        status: The HTTP status, 0 where there was no answer.
        reason: The API's word for it, such as `AlreadyExists`; may be empty.
        message: For people.
        retry_after: Seconds that the server asks to wait before the next attempt; None where it does not say.
    """

    def __init__(self, status: int, reason: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else message)
        self.status, self.reason, self.message, self.retry_after = status, reason, message, retry_after


class NotFound(ApiError):
    """There is no such object, or no such kind."""


class AlreadyExists(ApiError):
    """An object of this name is there already."""


class Conflict(ApiError):
    """The object is not the one that was read: another resourceVersion, another uid, or another owner of a field."""


class Expired(ApiError):
    """The resourceVersion, or the page that continues from it, is older than what the API server remembers."""


class Forbidden(ApiError):
    """Not allowed: by role, by quota, or by admission."""


class Invalid(ApiError):
    """The object or the request is wrong as it stands; sending it again changes nothing."""


class TooManyRequests(ApiError):
    """The API server asks for patience."""


class ServerError(ApiError):
    """The API server failed; it may have done what was asked."""


class Unreachable(ApiError):
    """No answer, or half of one: the request may have been carried out."""


def error_for(status: int, reason: str, message: str, *, retry_after: float | None = None) -> ApiError:
    """The exception for an answer that is not a success."""
    kind = ApiError
    if status == HTTPStatus.CONFLICT:
        kind = AlreadyExists if reason == "AlreadyExists" else Conflict
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = ServerError
    else:
        kind = _BY_STATUS.get(status, ApiError)
    return kind(status, reason, message, retry_after=retry_after)


_BY_STATUS: dict[int, type[ApiError]] = {
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.GONE: Expired,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Invalid,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.TOO_MANY_REQUESTS: TooManyRequests,
}
