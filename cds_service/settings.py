"""The service's settings, from the environment; every fault is reported at once, and no value is ever shown."""

import os
import time
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from cds_service.addresses import are_encrypted
from cds_service.errors import SettingsError
from cds_service.site import Address

PREFIX = "MMCDS_"


def _split_at_commas(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _is_proxy(secret: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(secret.get_secret_value())
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must be the http or https address of a proxy, with user and password if it needs them")
    return secret


Addresses = Annotated[tuple[Address, ...], BeforeValidator(_split_at_commas)]


class Settings(BaseSettings):
    """What an operator may set; each variable is the field's name in capitals after MMCDS_."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    env: Literal["development", "production"] = "development"
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    admin_port: int | None = Field(default=None, ge=1, le=65535)
    auth: Literal["on", "off"] = "on"
    as_of: str | None = None
    time_zone: str | None = None
    site_file: Path | None = None
    public_url: Addresses = ()
    fhir_bases: Addresses = ()
    deadline_seconds: float = Field(default=1.5, ge=0.1, le=10, allow_inf_nan=False)
    body_limit_bytes: int = Field(default=20_000_000, ge=1_000)
    proxy: Annotated[SecretStr, AfterValidator(_is_proxy)] | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what is handed over: `load_settings` reads the environment, unknown variables included."""
        return (init_settings,)

    @field_validator("as_of")
    @classmethod
    def _is_a_day(cls, value: str | None) -> str | None:
        # Kept as text: a pydantic date would take "2021" for a number of seconds
        try:
            is_a_day = value is None or date.fromisoformat(value).isoformat() == value
        except ValueError:
            is_a_day = False
        if not is_a_day:
            raise ValueError("must be a day such as 2026-11-20")
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, value: str | None) -> str | None:
        try:
            return value if value is None else ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be an IANA time zone such as America/New_York") from None

    @property
    def zone(self) -> ZoneInfo:
        """The hospital's time zone; UTC while none is set."""
        return ZoneInfo(self.time_zone or "UTC")

    def today(self) -> date:
        """Give the clinical date: the fixed one, else the calendar day in the hospital's time zone."""
        return date.fromisoformat(self.as_of) if self.as_of else datetime.now(self.zone).date()

    @property
    def development_switches(self) -> tuple[str, ...]:
        """Name the switches in force that must never be used with real patients."""
        switches = {"MMCDS_AUTH=off": self.auth == "off", "MMCDS_AS_OF": self.as_of is not None}
        return tuple(name for name, is_on in switches.items() if is_on)


def unix_time() -> float:
    """Give the seconds since 1970, by which tokens are judged."""
    return time.time()


def share_metrics(folder: Path) -> None:
    """Tell the Prometheus library, in the way it asks for, where the workers keep their numbers."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def named_site_file(environ: Mapping[str, str] | None = None) -> Path | None:
    """Give the site file that the environment names, also when other variables are at fault."""
    named = (os.environ if environ is None else environ).get(f"{PREFIX}SITE_FILE")
    return Path(named) if named else None


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Raises SettingsError with every fault: unknown variables, bad values, and what production forbids.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in environ.items() if name.upper().startswith(PREFIX)}
    fields = {f"{PREFIX}{field.upper()}": field for field in Settings.model_fields}
    faults = [f"{name} is not a setting" for name in given.keys() - fields.keys()]
    known = {fields[name]: value for name, value in given.items() if name in fields}
    faults += _production_faults(known)
    try:
        settings = Settings.model_validate(known)
    except ValidationError as error:
        faults += [_fault(e) for e in error.errors(include_input=False, include_url=False)]
        raise SettingsError(sorted(faults)) from None
    if faults:
        raise SettingsError(sorted(faults))
    return settings


def _fault(error: Any) -> str:
    return f"{PREFIX}{str(error['loc'][0]).upper()}: {error['msg']}"


def _production_faults(given: Mapping[str, str]) -> list[str]:
    if given.get("env") != "production":
        return []
    faults = []
    if "time_zone" not in given:
        faults.append("MMCDS_TIME_ZONE must be set in production: days are counted in the hospital's time zone")
    if given.get("auth") == "off":
        faults.append("MMCDS_AUTH=off is refused in production")
    if "as_of" in given:
        faults.append("MMCDS_AS_OF is refused in production")
    for name in ("public_url", "fhir_bases"):
        if not are_encrypted(_split_at_commas(given.get(name, ""))):
            faults.append(f"{PREFIX}{name.upper()}: production takes https addresses only")
    return faults
