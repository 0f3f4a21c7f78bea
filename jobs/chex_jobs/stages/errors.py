"""How a stage fails: with one sentence that says what, where and what to do, not with a traceback."""


class StageFailed(Exception):
    """A stage could not be finished.

    `by_input` is true when the manifest or the data are at fault: the same attempt would fail again.
    """

    def __init__(self, stage: str, message: str, *, by_input: bool) -> None:
        super().__init__(f"{stage}: {message}")
        self.stage = stage
        self.by_input = by_input
