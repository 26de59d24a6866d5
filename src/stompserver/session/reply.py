"""What a frame is to be answered."""

from __future__ import annotations


class Reply:
    """The answer to one frame: the RECEIPT it wants under the name ``receipt``, None for none or when it was given,
    and the ``warning`` it carries, "" for none.
    """

    __slots__ = ("receipt", "warning")

    def __init__(self, receipt: str | None = None) -> None:
        self.receipt = receipt
        self.warning = ""

    def take(self) -> Reply:
        """What it has to say, to be said later by another; this one is the next frame's from now on."""
        other = Reply(self.receipt)
        other.warning = self.warning
        self.receipt = None
        self.warning = ""
        return other

    def warn(self, text: str) -> None:
        """Say in the RECEIPT, if one is wanted, what was not done as asked."""
        if self.receipt is not None:
            self.warning = self.warning + "; " + text if self.warning else text
