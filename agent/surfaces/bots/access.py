"""Who may use the bots, and how much of them in a day. Nobody may unless somebody allowed it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.surfaces.bots.channel import Incoming
from agent.surfaces.bots.store import Store
from index.errors import SettingsError
from index.settings import Settings

_SUBJECT = re.compile(r"[a-z]+:(?:(?:user|chat|guild|role):-?[0-9]{1,24}|\*)")


@dataclass(frozen=True, slots=True)
class Quota:
    """What may be spent in a day (UTC): questions, tokens of chat models, US dollars; 0: no limit."""

    questions: int
    tokens: int
    cost: float


class Access:
    """The list of access: what the settings allow, and what admins allowed and denied since.

    A denial wins over what is allowed; admins are always allowed.
    Raises SettingsError where the settings name what is no subject.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._allowed = {subject(one) for one in settings.bot_allow}
        self._admins = {subject(one) for one in settings.bot_admins}

    def allows(self, incoming: Incoming) -> bool | None:
        """Whether the writer may use the bot; None where nothing was said of the writer."""
        if self.is_admin(incoming):
            return True
        said = self.changed()
        mine = (*incoming.subjects, f"{incoming.platform}:*")
        if any(said.get(one) is False for one in mine):
            return False
        return True if any(one in self._allowed or said.get(one) for one in mine) else None

    def is_admin(self, incoming: Incoming) -> bool:
        """Whether the writer may change the list."""
        return incoming.person in self._admins

    def change(self, name: str, *, allowed: bool) -> None:
        """Allows or denies a subject. Raises SettingsError where it is none."""
        row = (subject(name), int(allowed))
        self._store.change(("insert or replace into access values (?, ?)", row))

    def moved(self, old: str, new: str) -> None:
        """Gives a subject what was said of another, unless something was said of it."""
        said = self.changed()
        allowed = said.get(old, True if old in self._allowed else None)
        if allowed is not None and new not in said:
            self.change(new, allowed=allowed)

    def changed(self) -> Mapping[str, bool]:
        """What admins allowed and denied."""
        return {
            one: bool(allowed) for one, allowed in self._store.rows("select subject, allowed from access")
        }


def subject(name: str) -> str:
    """The name of a subject of access. Raises SettingsError where it is none.

    >>> subject("telegram:chat:-1001234")
    'telegram:chat:-1001234'
    """
    if not _SUBJECT.fullmatch(name):
        raise SettingsError(
            f"{name!r} names nobody; write platform:kind:id, as in telegram:user:42, telegram:chat:-1001, "
            "discord:guild:7, discord:role:9, or telegram:* for everybody there"
        )
    return name


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent in a day."""

    questions: int
    tokens: int
    cost: float


class Quotas:
    """What users and chats spend. A question counts once, by its key, however often it is begun."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self.of_user = Quota(*settings.bot_user_quota)
        self.of_chat = Quota(*settings.bot_chat_quota)

    def spent(self, name: str) -> Spent:
        """What a user or a chat, named as access names it, spent today."""
        column = "person" if ":user:" in name else "place"
        query = f"select count(*), total(tokens), total(cost) from charges where day = ? and {column} = ?"  # noqa: S608
        questions, tokens, cost = self._store.rows(query, _today(), name)[0]
        return Spent(questions, int(tokens), cost)

    def refusal(self, incoming: Incoming, of_user: Quota | None = None) -> str:
        """Why a question may not be asked today; empty where it may. of_user: the user's own quota."""
        if self._store.rows("select 1 from charges where key = ?", incoming.key):
            return ""
        for whose, name, quota in (
            ("You", incoming.person, of_user or self.of_user),
            ("This chat", incoming.place, self.of_chat),
        ):
            spent = self.spent(name)
            for unit, used, most in (
                ("questions", spent.questions, quota.questions),
                ("tokens", spent.tokens, quota.tokens),
                ("US dollars", spent.cost, quota.cost),
            ):
                if most and used >= most:
                    return (
                        f"{whose} had {most:,} {unit} for today; ask again after midnight, UTC, "
                        "or ask the operator for more."
                    )
        return ""

    def begin(self, incoming: Incoming) -> None:
        """Counts a question."""
        row = (incoming.key, _today(), incoming.person, incoming.place)
        self._store.change(("insert or ignore into charges values (?, ?, ?, ?, 0, 0)", row))

    def charge(self, incoming: Incoming, tokens: int, cost: float) -> None:
        """Adds what its answer took."""
        change = "update charges set tokens = ?, cost = ? where key = ?"
        self._store.change((change, (tokens, cost, incoming.key)))

    def waive(self, incoming: Incoming) -> None:
        """Takes a question back that could not be answered."""
        self._store.change(("delete from charges where key = ?", (incoming.key,)))

    def moved(self, old: str, new: str) -> None:
        """Counts what a chat spent for another."""
        self._store.change(("update charges set place = ? where place = ?", (new, old)))

    def prune(self, days: int) -> None:
        """Forgets what was spent so many days ago."""
        before = (datetime.now(UTC) - timedelta(days=days)).date().isoformat()
        self._store.change(("delete from charges where day < ?", (before,)))


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
