"""Settings: every variable, every refusal, and no value in any message."""

from datetime import date
from pathlib import Path

import pytest
import time_machine
from pydantic import SecretStr

from cds_service.app import create_app
from cds_service.errors import SettingsError
from cds_service.settings import Settings, load_settings
from tests.service.calling import SETTINGS

PRODUCTION = {"MMCDS_ENV": "production", "MMCDS_TIME_ZONE": "America/New_York"}


def faults_of(environ: dict[str, str]) -> tuple[str, ...]:
    """Give the faults of an environment that must be refused."""
    with pytest.raises(SettingsError) as refused:
        load_settings(environ)
    return refused.value.faults


def test_without_any_variable_the_service_keeps_to_itself() -> None:
    settings = load_settings({"PATH": "/bin", "HOME": "/root"})

    assert (settings.env, settings.host, settings.port) == ("development", "127.0.0.1", 8080)
    assert (settings.auth, settings.as_of, settings.time_zone) == ("on", None, None)
    assert settings.body_limit_bytes == 20_000_000
    assert settings.development_switches == ()


VARIABLES: list[tuple[str, str, object]] = [
    ("MMCDS_ENV", "development", "development"),
    ("MMCDS_HOST", "0.0.0.0", "0.0.0.0"),  # noqa: S104 - a value, not a socket
    ("MMCDS_PORT", "9000", 9000),
    ("MMCDS_ADMIN_PORT", "9100", 9100),
    ("MMCDS_AUTH", "off", "off"),
    ("MMCDS_AS_OF", "2024-02-29", "2024-02-29"),
    ("MMCDS_TIME_ZONE", "Pacific/Auckland", "Pacific/Auckland"),
    ("MMCDS_BODY_LIMIT_BYTES", "1000", 1000),
    ("MMCDS_SITE_FILE", "/etc/mmcds/site.toml", Path("/etc/mmcds/site.toml")),
    ("MMCDS_PUBLIC_URL", "https://cds.example.org", ("https://cds.example.org",)),
    (
        "MMCDS_FHIR_BASES",
        "http://localhost:8/r4, https://a.example/r4",
        ("http://localhost:8/r4", "https://a.example/r4"),
    ),
    ("MMCDS_DEADLINE_SECONDS", "0.8", 0.8),
    ("MMCDS_PROXY", "http://user:secret@proxy:3128", SecretStr("http://user:secret@proxy:3128")),
]


@pytest.mark.parametrize(("variable", "text", "value"), VARIABLES)
def test_each_variable_is_read(variable: str, text: str, value: object) -> None:
    settings = load_settings({variable: text})

    assert getattr(settings, variable.removeprefix("MMCDS_").lower()) == value


def test_every_setting_has_a_case_above() -> None:
    assert {variable for variable, _, _ in VARIABLES} == {f"MMCDS_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MMCDS_ENV", "live"),
        ("MMCDS_ENV", "Production"),
        ("MMCDS_PORT", "http"),
        ("MMCDS_PORT", "65536"),
        ("MMCDS_PORT", "-1"),
        ("MMCDS_AUTH", "none"),
        ("MMCDS_AUTH", ""),
        ("MMCDS_AS_OF", "2021"),
        ("MMCDS_AS_OF", "2026-12"),
        ("MMCDS_AS_OF", "20261120"),
        ("MMCDS_AS_OF", "2026-02-30"),
        ("MMCDS_AS_OF", "2026-W47-5"),
        ("MMCDS_AS_OF", "not-a-date"),
        ("MMCDS_AS_OF", "1732060800"),
        ("MMCDS_AS_OF", "2026-11-20T00:00:00Z"),
        ("MMCDS_AS_OF", ""),
        ("MMCDS_TIME_ZONE", "Atlantis/Poseidonis"),
        ("MMCDS_TIME_ZONE", "Europe"),
        ("MMCDS_TIME_ZONE", "../../etc/hostname"),
        ("MMCDS_TIME_ZONE", "Z" * 300),
        ("MMCDS_TIME_ZONE", ""),
        ("MMCDS_BODY_LIMIT_BYTES", "999"),
        ("MMCDS_BODY_LIMIT_BYTES", "20 MB"),
        ("MMCDS_PUBLIC_URL", "cds.example.org"),
        ("MMCDS_PUBLIC_URL", "https://cds.example.org/?x=1"),
        ("MMCDS_FHIR_BASES", "https://user:secret@ehr.example.org"),
        ("MMCDS_FHIR_BASES", "file:///etc/passwd"),
        ("MMCDS_PROXY", "proxy.example.org:3128"),
        ("MMCDS_PROXY", "socks5://proxy.example.org:1080"),
        ("MMCDS_PROXY", "http://proxy.example.org:99999"),
        ("MMCDS_PROXY", "http://proxy.example.org/path"),
        ("MMCDS_PROXY", ""),
        ("MMCDS_DEADLINE_SECONDS", "-7"),
        ("MMCDS_DEADLINE_SECONDS", "nan"),
        ("MMCDS_DEADLINE_SECONDS", "60"),
    ],
)
def test_a_bad_value_is_named_by_its_variable_and_never_shown(variable: str, text: str) -> None:
    (fault,) = faults_of({variable: text})

    assert fault.startswith(f"{variable}: ")
    assert not text or text not in fault


@pytest.mark.parametrize("variable", ["MMCDS_NOPE", "MMCDS_", "MMCDS_MODEL_CONFIG", "mmcds_auth", "MMCDS_Port"])
def test_an_unknown_variable_is_refused_by_its_own_spelling(variable: str) -> None:
    assert faults_of({variable: "canary"}) == (f"{variable} is not a setting",)


def test_all_faults_are_listed_at_once() -> None:
    faults = faults_of(
        {
            "MMCDS_ENV": "production",
            "MMCDS_PORT": "canary",
            "MMCDS_AS_OF": "2026-11-20",
            "MMCDS_AUTH": "off",
            "MMCDS_BODY_LIMIT_BYTES": "canary",
            "MMCDS_CANARY": "canary",
        }
    )

    assert [fault.split(":")[0].split(" ")[0].split("=")[0] for fault in faults] == [
        "MMCDS_AS_OF",
        "MMCDS_AUTH",
        "MMCDS_BODY_LIMIT_BYTES",
        "MMCDS_CANARY",
        "MMCDS_PORT",
        "MMCDS_TIME_ZONE",
    ]
    assert "canary" not in "".join(faults)


def test_the_message_lists_the_faults_one_per_line() -> None:
    with pytest.raises(SettingsError, match=r"cannot start:\n- MMCDS_A is not a setting\n- MMCDS_B is not a setting"):
        load_settings({"MMCDS_A": "", "MMCDS_B": ""})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MMCDS_AUTH", "off"),
        ("MMCDS_AS_OF", "2026-11-20"),
        ("MMCDS_TIME_ZONE", None),
        ("MMCDS_PUBLIC_URL", "http://cds.example.org"),
        ("MMCDS_FHIR_BASES", "http://ehr.example.org"),
    ],
)
def test_production_refuses(variable: str, text: str | None) -> None:
    environ = PRODUCTION | ({variable: text} if text else {})
    if text is None:
        del environ[variable]

    (fault,) = faults_of(environ)

    assert variable in fault


def test_production_starts_with_a_time_zone_and_authentication() -> None:
    assert load_settings(PRODUCTION).auth == "on"


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMCDS_PORT", "9001")

    assert load_settings().port == 9001


def test_what_is_handed_over_is_not_mixed_with_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMCDS_PORT", "9001")

    assert load_settings({}).port == 8080
    assert Settings().port == 8080


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Pacific/Auckland", date(2026, 11, 21)),
        ("UTC", date(2026, 11, 20)),
        ("America/New_York", date(2026, 11, 20)),
        (None, date(2026, 11, 20)),
    ],
)
def test_today_is_the_day_in_the_hospitals_time_zone(zone: str | None, day: date) -> None:
    with time_machine.travel("2026-11-20T23:30:00Z", tick=False):
        assert Settings(time_zone=zone).today() == day


def test_shortly_after_midnight_utc_it_is_still_yesterday_in_new_york() -> None:
    with time_machine.travel("2026-11-21T04:59:00Z", tick=False):
        assert Settings(time_zone="America/New_York").today() == date(2026, 11, 20)


def test_a_fixed_day_stands_still() -> None:
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False):
        assert Settings(as_of="2026-11-20").today() == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        (Settings(time_zone="UTC"), None),
        (Settings(auth="off"), "MMCDS_AUTH=off"),
        (Settings(as_of="2026-11-20"), "MMCDS_AS_OF"),
        (SETTINGS, "MMCDS_AUTH=off, MMCDS_AS_OF"),
    ],
)
@pytest.mark.parametrize("path", ["/cds-services", "/healthz", "/nothing/here"])
def test_every_answer_names_the_development_switches_in_force(
    settings: Settings, header: str | None, path: str
) -> None:
    response = create_app(settings).test_client().get(path)

    assert response.headers.get("X-Mmcds-Not-For-Patients") == header
