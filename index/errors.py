"""The error tree. Every error that chaincite raises on purpose is a `ChainciteError`.

    ChainciteError
    ├── SourceError       a source cannot be found, fetched, read, or is refused
    │   ├── Gone          a source that was there is there no more
    │   │   └── Reorged   its block was displaced by a reorganisation of the chain
    │   └── Unreachable   a passing fault of the network: trying again may help
    ├── LibraryError      the library on disk is missing, locked, damaged, or of another make
    ├── ModelError        an embedding or chat model is missing, altered, or failed
    │   └── Unavailable   a chat model did not answer this time: trying again may help
    │       └── Interrupted  it stopped in the midst of an answer: what was shown of it is void
    ├── SettingsError     a setting is unknown or has a value that is not allowed
    ├── BudgetError       something does not fit into the token budget
    ├── UngroundedError   an answer holds what its sources do not
    └── DeliveryError     a message cannot be delivered: the chat is gone, or may not be written to
        ├── Delayed       it cannot be delivered yet: trying again helps
        ├── Vanished      the message that was to be edited is gone
        └── Misread       the platform did not understand the markup

A message says what was seen, what is allowed, and the command or setting that mends it.
"""

from __future__ import annotations


class ChainciteError(Exception):
    """Something that a person can act on.

    `retry` tells the caller whether the same call may succeed later.
    """

    retry = False


class SourceError(ChainciteError):
    """A source cannot be found, fetched or read, or may not be."""


class Gone(SourceError):
    """There is nothing at the place of a source."""


class Reorged(Gone):
    """The block that a source stands in was displaced by a reorganisation of its chain."""


class Unreachable(SourceError):
    """A source did not answer this time."""

    retry = True


class LibraryError(ChainciteError):
    """The library on disk is missing, locked, damaged, or made by something else."""


class ModelError(ChainciteError):
    """A model is missing, altered, or failed. reason: one word for a table, such as `key` or `length`."""

    def __init__(self, message: str, reason: str = "model") -> None:
        super().__init__(message)
        self.reason = reason


class Unavailable(ModelError):
    """A chat model did not answer this time. after: seconds that its endpoint asks to wait, if it does."""

    retry = True

    def __init__(self, message: str, reason: str = "connection", after: float | None = None) -> None:
        super().__init__(message, reason)
        self.after = after


class Interrupted(Unavailable):
    """A chat model stopped after some of its words were shown; those words are void."""


class SettingsError(ChainciteError):
    """A setting is unknown, or has a value that is not allowed."""


class BudgetError(ChainciteError):
    """Something does not fit into the token budget."""


class UngroundedError(ChainciteError):
    """An answer holds what its sources do not."""


class DeliveryError(ChainciteError):
    """A message cannot be delivered: the chat is gone, or may not be written to."""


class Delayed(DeliveryError):
    """A message cannot be delivered yet. after: seconds that the platform asks to wait, if it does."""

    retry = True

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Vanished(DeliveryError):
    """The message that was to be edited is gone."""


class Misread(DeliveryError):
    """The platform did not understand the markup of a message."""
