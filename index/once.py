"""What is made when it is first needed, and once, whichever threads ask."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from threading import RLock
from typing import Any, TypeVar, overload

Made = TypeVar("Made")


class once(cached_property[Made]):  # noqa: N801 - named as the decorator that it is
    """A `cached_property` that threads may share: the first makes the value, the others wait for it.

    The lock is one for all objects of a class, held only until the value is there.
    """

    def __init__(self, make: Callable[[Any], Made]) -> None:
        super().__init__(make)
        self._making = RLock()

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> once[Made]: ...

    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Made: ...

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        with self._making:
            return super().__get__(instance, owner)
