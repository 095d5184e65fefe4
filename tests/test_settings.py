from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from index.errors import SettingsError
from index.settings import Settings

NAMES = list(Settings.model_fields)
ANY_TEXT = {
    *(
        "library",
        "prompts",
        "embedder",
        "prompts",
        "api_key",
        "model",
        "fallback_models",
        "simple_model",
        "judge_model",
        "verifier",
    ),
    *("telegram_token", "discord_token", "webhook_secret", "bot_allow", "bot_admins", "gate_rpc", "rpc"),
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    path.touch()
    monkeypatch.setenv("CHAINCITE_SETTINGS", str(path))
    return path


def origin(loaded: Settings, name: str) -> str:
    return next(row.origin for row in loaded.origins() if row.name == name)


def test_each_layer_wins_over_the_ones_below(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (Settings.load().budget, origin(Settings.load(), "budget")) == (6000, "default")
    file.write_text("budget = 300\n")
    assert (Settings.load().budget, origin(Settings.load(), "budget")) == (300, f"file {file}")
    monkeypatch.setenv("CHAINCITE_BUDGET", "400")
    assert (Settings.load().budget, origin(Settings.load(), "budget")) == (
        400,
        "environment CHAINCITE_BUDGET",
    )
    given = Settings.load(budget=500)
    assert (given.budget, origin(given, "budget")) == (500, "command line")


def test_what_was_not_given_on_the_command_line_does_not_count(file: Path) -> None:
    file.write_text('library = "/srv/library"\n')
    assert Settings.load(library=None).library == Path("/srv/library")


def test_an_empty_variable_is_no_value(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINCITE_BUDGET", "")
    assert origin(Settings.load(), "budget") == "default"


def test_a_home_folder_is_expanded(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/srv/someone")
    assert Settings.load(library=Path("~/notes")).library == Path("/srv/someone/notes")


def test_origins_name_every_setting_once_and_in_order() -> None:
    assert [row.name for row in Settings.load().origins()] == NAMES


def test_settings_cannot_be_changed_after_loading() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().budget = 1


@settings(max_examples=30)
@given(budget=st.integers(1, 10**9))
def test_file_and_environment_mean_the_same(budget: int, file: Path) -> None:
    file.write_text(f"budget = {budget}\n")
    from_file = Settings.load().budget
    file.write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAINCITE_BUDGET", str(budget))
        assert Settings.load().budget == from_file == budget


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budgett = 4", "unknown setting `budgett`; did you mean `budget`?"),
        ("zzz = 4", "known are library, embedder"),
        ("[chaincite]\nbudget = 4", "unknown setting `chaincite`"),
        ("budget = [1]", "the setting `budget` should be a valid integer, but it is [1]"),
        ("budget = 0", "greater than or equal to 1"),
        ("library = 3", "the setting `library` is not a valid path, but it is 3"),
        ("budget", "is not TOML"),
        ("budget = 4\nbudget = 5", "is not TOML"),
    ],
)
def test_a_wrong_file_is_told_in_one_line_with_its_place(text: str, said: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as told:
        Settings.load()
    assert said in str(told.value)
    assert str(file) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_text_is_told(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="is not TOML"):
        Settings.load()


def test_a_folder_in_place_of_the_file_is_told(file: Path) -> None:
    file.unlink()
    file.mkdir()
    with pytest.raises(SettingsError, match="which is not a file"):
        Settings.load()


def test_a_named_file_that_is_missing_is_told(file: Path) -> None:
    file.unlink()
    with pytest.raises(SettingsError, match="which is not a file"):
        Settings.load()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ANY_TEXT])
def test_a_wrong_variable_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CHAINCITE_{name.upper()}", "not so")
    with pytest.raises(SettingsError, match=f"CHAINCITE_{name.upper()}: .*'not so'"):
        Settings.load()


class _WithSecret(Settings):
    token: SecretStr | None = None
    pin: SecretStr = SecretStr("")


def test_secrets_are_masked_where_they_are_shown(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINCITE_TOKEN", "hunter2hunter2")
    shown = {row.name: row.value for row in _WithSecret.load().origins()}
    assert "hunter2" not in str(shown)
    assert set(shown["token"]) == {"*"}


def test_secrets_are_not_shown_when_they_are_wrong(file: Path) -> None:
    file.write_text("pin = [1234]\n")
    with pytest.raises(SettingsError) as told:
        _WithSecret.load()
    assert "`pin`" in str(told.value)
    assert "1234" not in str(told.value)


def test_a_key_and_endpoint_of_other_programs_are_taken_and_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-shared")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://chat.example.org/v1/")
    loaded = Settings.load()
    assert loaded.api_key == SecretStr("sk-shared")
    assert loaded.base_url == "https://chat.example.org/v1"
    assert origin(loaded, "api_key") == "environment OPENAI_API_KEY"
    file.write_text('api_key = "sk-file"\n')
    assert Settings.load().api_key == SecretStr("sk-shared")
    monkeypatch.setenv("CHAINCITE_API_KEY", "sk-own")
    assert Settings.load().api_key == SecretStr("sk-own")
    assert origin(Settings.load(), "api_key") == "environment CHAINCITE_API_KEY"
    assert "sk-" not in repr(Settings.load()) + str(Settings.load().origins())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("chat.example.org", "should be a URL that begins with https:// or http://"),
        ("ftp://chat.example.org", "should be a URL"),
        ("https://me:hunter2hunter2@chat.example.org/v1", "a key belongs in `api_key`"),
        ("https://chat.example.org/v1?key=1", "should hold no user, password, query"),
    ],
)
def test_a_wrong_endpoint_is_told_without_its_password(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(SettingsError) as told:
        Settings.load()
    assert said in str(told.value)
    assert "OPENAI_BASE_URL: " in str(told.value)
    assert "hunter2" not in str(told.value)


def test_lists_and_tables_mean_the_same_in_file_and_environment(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('fallback_models = ["a", "b/c"]\nprices = {"a" = [0.5, 1.5]}\n')
    from_file = Settings.load()
    file.write_text("")
    monkeypatch.setenv("CHAINCITE_FALLBACK_MODELS", "a, b/c,")
    monkeypatch.setenv("CHAINCITE_PRICES", '{"a": [0.5, 1.5]}')
    loaded = Settings.load()
    assert loaded.fallback_models == from_file.fallback_models == ("a", "b/c")
    assert loaded.prices == from_file.prices == {"a": (0.5, 1.5)}


def test_nodes_are_a_table_whose_values_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINCITE_RPC", '{"eip155:1": "https://node.example/a-key"}')
    settings = Settings.load()
    assert settings.rpc["eip155:1"].get_secret_value() == "https://node.example/a-key"
    assert not any("a-key" in str(origin) for origin in settings.origins())
    monkeypatch.setenv("CHAINCITE_RPC", "https://node.example/a-key")
    with pytest.raises(SettingsError, match="CHAINCITE_RPC: the setting `rpc` should be JSON") as error:
        Settings.load()
    assert "a-key" not in str(error.value)
