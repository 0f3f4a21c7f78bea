"""How a stage fails: with one sentence that says what, where and what to do, not with a traceback."""


class StageFailed(Exception):
    """A stage could not be finished.

    Args:
        stage: `<kind>/<name>`.
        message: what many may read.
        user_error: the manifest or the data are at fault: the same attempt would fail again.
        whole: the message with the text of an exception that nobody foresaw, which may quote data; empty: there is none.
    """

    def __init__(self, stage: str, message: str, *, user_error: bool, whole: str = "") -> None:
        super().__init__(f"{stage}: {message}")
        self.stage = stage
        self.user_error = user_error
        self._whole = whole or message

    def with_details(self) -> "StageFailed":
        """The same failure with its whole text: for whoever ran the stage on a machine of their own, not for a cluster."""
        return StageFailed(self.stage, self._whole, user_error=self.user_error)
