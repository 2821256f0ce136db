"""How bad data is told apart from a defect."""

from __future__ import annotations


class ItemError(Exception):
    """One item of a job cannot be used: its row gets a status and a reason, and the job goes on.

    Anything else that a stage raises is a defect and stops the job.

    Args:
        kind: A dotted reason that can be counted, e.g. ``"decode.truncated"``.
        message: A sentence naming the file, the value and the remedy.
        status: ``"failed"`` (could not be processed) or ``"rejected"`` (was, and is not wanted).
    """

    def __init__(self, kind: str, message: str, *, status: str = "failed") -> None:
        if status not in ("failed", "rejected"):
            raise ValueError(f"status must be 'failed' or 'rejected', got {status!r}")
        super().__init__(kind, message)
        self.kind = kind
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"

    def __reduce__(self) -> tuple[object, ...]:  # crosses process boundaries with its keyword
        return (_rebuild, (self.kind, self.message, self.status))


class ItemDeferredError(Exception):
    """An item cannot be worked on now, through no fault of its own: it gets no outcome.

    The job goes on with the others; the next run takes the item up again. For a platform that
    refuses everybody for a while, say.

    Args:
        kind: A dotted reason that can be counted, e.g. ``"fetch.platform_paused"``.
        message: What is waited for, and until when.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def _rebuild(kind: str, message: str, status: str) -> ItemError:
    return ItemError(kind, message, status=status)
