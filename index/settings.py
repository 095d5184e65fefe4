"""What a person may set, where each value came from, and how a wrong one is reported."""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from platformdirs import user_config_path, user_data_path
from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from index.errors import SettingsError

MEGABYTE = 1_000_000

BORROWED = {
    "api_key": "OPENAI_API_KEY",
    "base_url": "OPENAI_BASE_URL",
    "telegram_token": "TELEGRAM_BOT_TOKEN",
    "discord_token": "DISCORD_BOT_TOKEN",
}
"""Settings that the environment may also give by a name that other programs use; CHAINCITE_ names win."""

_KEY = re.compile(r"\bsk-[\w-]{8,}")


def _masked(text: str) -> str:
    """A wrong value without user and password of a URL and keys of chat endpoints, held by mistake."""
    before, slashes, address = text.partition("//")
    _, at, host = address.rpartition("@")
    return _KEY.sub("***", f"{before}{slashes}***@{host}" if at else text)


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("should be a URL that begins with https:// or http://")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("should hold no user, password, query or fragment; a key belongs in `api_key`")
    return url.rstrip("/")


def _names(value: object) -> object:
    """Names from one text, parted by commas."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _decoded(value: object) -> object:
    """A table from JSON text, which is how the environment spells one."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError('should be JSON, as {"my-model": [0.5, 1.5]}') from None


_Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
_Decoded = BeforeValidator(_decoded)
_Endpoint = Annotated[str, AfterValidator(_endpoint)]
_Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
_Price = Annotated[float, Field(ge=0)]
_Prices = Annotated[dict[str, tuple[_Price, _Price]], NoDecode, BeforeValidator(_decoded)]
_Quota = Annotated[
    tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)], _Price], NoDecode, _Decoded
]
_Tiers = Annotated[
    dict[str, tuple[_Price, Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)], _Price]],
    NoDecode,
    _Decoded,
]
_Nodes = Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(_decoded)]


class Origin(NamedTuple):
    """A setting as it stands: secrets are masked, `origin` says which layer gave the value."""

    name: str
    value: str
    origin: str


class Settings(BaseSettings):
    """Everything that can be set. The command line wins over the environment, that over the file.

    The environment spells a name `CHAINCITE_NAME`; the file is TOML with one `name = value` a line.
    """

    model_config = SettingsConfigDict(
        env_prefix="CHAINCITE_", env_ignore_empty=True, extra="forbid", frozen=True
    )

    library: _Folder = Field(
        default_factory=lambda: user_data_path("chaincite") / "library",
        description="folder of the library",
    )
    embedder: str = Field(
        "all-MiniLM-L6-v2",
        min_length=1,
        description="embedding model: a sentence-transformers name, or a folder that holds one",
    )
    results: int = Field(10, ge=1, le=1000, description="passages that a search shows")
    budget: int = Field(
        6000, ge=1, description="tokens that a request to the model may take, its answer included"
    )
    allow_private_addresses: bool = Field(
        False, description="fetch from private, loopback and link-local addresses too"
    )
    fetch_timeout: float = Field(30.0, gt=0, description="seconds that a URL may take to answer")
    fetch_max_bytes: int = Field(50 * MEGABYTE, ge=1, description="largest answer taken from a URL, in bytes")
    text_max_bytes: int = Field(50 * MEGABYTE, ge=1, description="largest text file read, in bytes")
    pdf_max_bytes: int = Field(100 * MEGABYTE, ge=1, description="largest PDF read, in bytes")
    pdf_timeout: float = Field(60.0, gt=0, description="seconds that one PDF may take")
    pdf_memory_bytes: int = Field(
        1000 * MEGABYTE, ge=100 * MEGABYTE, description="memory that reading one PDF may take, in bytes"
    )
    ocr: str = Field(
        "",
        pattern=r"^(?:[a-zA-Z_]+(?:\+[a-zA-Z_]+)*)?$",
        description="languages in which Tesseract reads scanned pages, such as eng+deu; empty: not at all",
    )

    repo_timeout: float = Field(600.0, gt=0, description="seconds that downloading a repository may take")
    repo_max_entries: int = Field(
        200_000, ge=1, description="files and folders that a repository may have, at most"
    )
    repo_max_file_bytes: int = Field(
        MEGABYTE, ge=1, description="largest file read from a repository, in bytes"
    )
    repo_max_bytes: int = Field(
        500 * MEGABYTE, ge=1, description="bytes downloaded or read from a repository, at most"
    )

    api_key: SecretStr | None = Field(
        None, description="key of the chat endpoint; where it is not set, OPENAI_API_KEY"
    )
    base_url: _Endpoint | None = Field(
        None,
        description="chat endpoint, any that speaks as OpenAI's does; where it is not set, OPENAI_BASE_URL",
    )
    model: str = Field("gpt-4.1-mini", min_length=1, description="chat model that answers")
    fallback_models: _Names = Field(
        (), description="chat models asked in turn when it fails, parted by commas"
    )
    simple_model: str | None = Field(None, min_length=1, description="chat model for simple look-ups")
    judge_model: str | None = Field(
        None,
        min_length=1,
        description="chat model that judges whether a passage supports a sentence; else the one that answers",
    )
    verifier: str = Field(
        "chat",
        min_length=1,
        description="what judges sentences that are not a source's own: chat, none, or a local model by name",
    )
    unverified: Literal["mark", "remove"] = Field(
        "mark", description="what becomes of sentences that nothing has verified: mark or remove"
    )
    window: int | None = Field(
        None, ge=1024, description="tokens that the chat models can take; else what is known of each"
    )
    prices: _Prices = Field(
        {}, description="US dollars for a million tokens in and out, by chat model; others are looked up"
    )
    temperature: float = Field(0.0, ge=0, le=2, description="randomness of the chat model, 0 to 2")
    deadline: float = Field(180.0, gt=0, description="seconds that a question may take, all in all")
    request_timeout: float = Field(
        120.0, gt=0, description="seconds that one request to a chat model may take"
    )
    stall_timeout: float = Field(60.0, gt=0, description="seconds that a chat model may be silent")
    retries: int = Field(3, ge=0, le=20, description="times that a failed request is sent again")
    concurrency: int = Field(4, ge=1, description="requests to the chat endpoint that may be open at a time")
    requests_per_minute: int = Field(
        0, ge=0, description="requests to the chat endpoint in any minute; 0: no limit"
    )
    prompts: _Folder | None = Field(
        None, description="folder of prompts of your own, which win over the shipped ones by name"
    )
    token_factor: float = Field(
        1.15, ge=1, le=4, description="tokens reckoned for each one counted, for models not of OpenAI"
    )
    max_requests: int = Field(16, ge=1, description="requests to chat models for one question")
    max_tool_calls: int = Field(24, ge=0, description="tool calls of chat models for one question")
    max_cost: float = Field(0.5, gt=0, description="US dollars that one question may cost")
    only_loopback: bool = Field(False, description="refuse chat endpoints outside this machine, as tests do")
    ledger_days: int = Field(400, ge=1, description="days that the record of tokens and money is kept")
    log: Literal["off", "redacted", "full"] = Field(
        "off", description="whether prompts and answers are written to a log: off, redacted or full"
    )
    log_days: int = Field(14, ge=1, description="days that this log is kept")

    rpc: _Nodes = Field(
        {}, description="URL of the node that events of a chain are read from and checked at, by CAIP-2 id"
    )
    rpc_concurrency: int = Field(4, ge=1, le=64, description="requests to nodes that may be open at a time")
    rpc_timeout: float = Field(30.0, gt=0, description="seconds that a node may take to answer")
    poll_seconds: float = Field(
        12.0, gt=0, description="seconds between two looks at a chain that is followed"
    )

    telegram_token: SecretStr | None = Field(
        None, description="token of the Telegram bot; where it is not set, TELEGRAM_BOT_TOKEN"
    )
    discord_token: SecretStr | None = Field(
        None, description="token of the Discord bot; where it is not set, DISCORD_BOT_TOKEN"
    )
    telegram_url: _Endpoint = Field("https://api.telegram.org", description="where Telegram's Bot API is")
    discord_url: _Endpoint = Field("https://discord.com", description="where Discord is, with its gateway")
    webhook_secret: SecretStr | None = Field(
        None,
        description="secret that Telegram's webhook must show; where it is not set, a new one each start",
    )
    bot_allow: _Names = Field(
        (), description="who may use the bots, as telegram:user:42, discord:guild:7; telegram:* is everybody"
    )
    bot_admins: _Names = Field((), description="who may allow and deny others, as telegram:user:42")
    bot_user_quota: _Quota = Field(
        (100, 1_000_000, 2.0), description="questions, tokens and US dollars a day for each user; 0: no limit"
    )
    bot_chat_quota: _Quota = Field(
        (500, 5_000_000, 10.0),
        description="questions, tokens and US dollars a day for each chat; 0: no limit",
    )
    bot_concurrency: int = Field(4, ge=1, description="questions that a bot answers at a time")
    bot_retention_days: int = Field(
        30, ge=2, description="days after its last message that a bot's conversation is kept"
    )
    gate_rpc: SecretStr | None = Field(
        None, description="URL of the node that the token gate asks; without it there is no gate"
    )
    gate_contract: str | None = Field(
        None,
        pattern="^0x[0-9a-fA-F]{40}$",
        description="contract whose balances open the gate, 0x and 40 digits",
    )
    gate_call: str = Field(
        "balanceOf(address)",
        pattern=r"^\w+\(address\)$",
        description="function of that contract that gives a wallet's balance or stake",
    )
    gate_decimals: int = Field(18, ge=0, le=77, description="decimals of that balance")
    gate_tiers: _Tiers = Field(
        {}, description="by name: least balance, then questions, tokens and US dollars a day"
    )

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The layers, strongest first: command line, environment, file."""
        borrowed = InitSettingsSource(settings_cls, {n: os.environ[v] for n, v in _borrowed().items()})
        return init_settings, env_settings, borrowed, TomlConfigSettingsSource(settings_cls, settings_file())

    @classmethod
    def load(cls, **command_line: Any) -> Settings:
        """The settings of this process; `command_line` holds what was given there, None what was not.

        Raises SettingsError with one line for an unreadable file, an unknown name, or a wrong value.
        """
        given = {name: value for name, value in command_line.items() if value is not None}
        file = settings_file()
        try:
            settings = cls(**given)
            in_environment, in_file = EnvSettingsSource(cls)(), TomlConfigSettingsSource(cls, file)()
        except ValidationError as error:
            raise SettingsError(cls._explain(error, given, file)) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} is not TOML: {error}; write one `name = value` a line") from None
        except OSError as error:
            raise SettingsError(f"cannot read {file}: {error.strerror}; correct or remove it") from None
        settings._origins.update(dict.fromkeys(in_file, f"file {file}"))
        settings._origins.update({name: f"environment {variable}" for name, variable in _borrowed().items()})
        settings._origins.update({name: f"environment {_variable(name)}" for name in in_environment})
        settings._origins.update(dict.fromkeys(given, "command line"))
        return settings

    def origins(self) -> list[Origin]:
        """Each setting in the order of declaration, with its value as text and where it came from."""
        return [
            Origin(name, str(getattr(self, name)), self._origins.get(name, "default"))
            for name in type(self).model_fields
        ]

    @classmethod
    def _explain(cls, error: ValidationError, given: dict[str, Any], file: Path) -> str:
        """All that is wrong, in one line: the place, what is allowed, and the value unless it is secret."""
        faults = []
        for fault in error.errors(include_url=False):
            name = str(fault["loc"][0])
            if fault["type"] == "extra_forbidden":
                faults.append(f"{file}: unknown setting `{name}`; {_nearest(name)}")
                continue
            secret = "Secret" in str(cls.model_fields[name].annotation)
            seen = "not shown here" if secret else _masked(repr(fault["input"]))
            said = fault["msg"].removeprefix("Input ").removeprefix("Value error, ")
            allowed = said.partition(", unable")[0].partition(" for <")[0]
            faults.append(f"{_place(name, given, file)}: the setting `{name}` {allowed}, but it is {seen}")
        return "; ".join(faults)


def settings_file() -> Path:
    """The settings file: what CHAINCITE_SETTINGS names, else `settings.toml` in the user's configuration.

    Raises SettingsError when CHAINCITE_SETTINGS names no file.
    """
    named = os.environ.get("CHAINCITE_SETTINGS")
    if not named:
        return user_config_path("chaincite") / "settings.toml"
    path = Path(named).expanduser()
    if not path.is_file():
        raise SettingsError(f"CHAINCITE_SETTINGS names {path}, which is not a file; create it or unset it")
    return path


def _variable(name: str) -> str:
    return f"CHAINCITE_{name.upper()}"


def _borrowed() -> dict[str, str]:
    """The variables of other programs that are set, by the setting that they give."""
    return {name: variable for name, variable in BORROWED.items() if os.environ.get(variable)}


def _place(name: str, given: dict[str, Any], file: Path) -> str:
    if name in given:
        return "the command line"
    if os.environ.get(_variable(name)):
        return _variable(name)
    return _borrowed().get(name, str(file))


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, Settings.model_fields, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known are {', '.join(Settings.model_fields)}"
