"""Environment and site file together: one check before the start, with every fault of both at once."""

from collections.abc import Mapping
from dataclasses import dataclass

from cards.knowledge.loader import Knowledge
from cds_service.concept_maps import site_catalog, site_faults
from cds_service.errors import SettingsError
from cds_service.settings import Settings, load_settings, named_site_file
from cds_service.site import Site, production_faults, read_site
from cds_service.site_numbers import site_knowledge, site_numbers
from fhir_mapping.catalog.loader import Catalog


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the service runs with."""

    settings: Settings
    site: Site


def load_configuration(variables: Mapping[str, str] | None = None, knowledge: Knowledge | None = None) -> Configuration:
    """Read the environment and the site file that it names.

    With `knowledge`, the site's order codes are held against the templates that exist, and its numbers against the
    bounds of the rules.
    Raises SettingsError with the faults of both, and of the concept maps that the site file names.
    """
    faults: list[str] = []
    try:
        settings = load_settings(variables)
    except SettingsError as error:
        path = named_site_file(variables)
        site, found = read_site(path) if path else (Site(), [])
        numbers = _number_faults(Settings(), site, knowledge)
        raise SettingsError([*error.faults, *found, *site_faults(site.concept_maps), *numbers]) from None
    site, found = read_site(settings.site_file) if settings.site_file else (Site(), [])
    faults += [*found, *site_faults(site.concept_maps)]
    if settings.public_url and site.public_urls:
        faults.append("MMCDS_PUBLIC_URL and public_urls of the site file are both set: keep one")
    if settings.public_url:
        site = site.model_copy(update={"public_urls": settings.public_url})
    if not found:
        faults += _faults_together(settings, site)
    if knowledge is not None:
        faults += (
            f"site file, orders: {order.template} is no template of cards/knowledge/orders.toml"
            for order in site.orders
            if order.template not in knowledge.orders
        )
    faults += _number_faults(settings, site, knowledge)
    if faults:
        raise SettingsError(faults)
    return Configuration(settings, site)


def catalog_of(settings: Settings) -> Catalog:
    """Give the catalogue with the site's own codes, for commands that need nothing else of the site file.

    Raises SettingsError.
    """
    site, faults = read_site(settings.site_file) if settings.site_file else (Site(), [])
    if faults:
        raise SettingsError(faults)
    return site_catalog(site.concept_maps)


def knowledge_of(settings: Settings, shipped: Knowledge) -> Knowledge:
    """Give the knowledge with what the site has set and switched on, as it is in force today.

    Raises SettingsError.
    """
    site, faults = read_site(settings.site_file) if settings.site_file else (Site(), [])
    if faults:
        raise SettingsError(faults)
    today = settings.today()
    return site_knowledge(site, shipped, today).on(today)


def _number_faults(settings: Settings, site: Site, knowledge: Knowledge | None) -> tuple[str, ...]:
    return site_numbers(site, knowledge, settings.today()).faults if knowledge is not None else ()


def _faults_together(settings: Settings, site: Site) -> list[str]:
    faults = list(production_faults(site)) if settings.env == "production" else []
    if settings.auth == "on":
        if not site.issuers:
            faults.append(
                "client authentication is on and no issuer is known: name a site file with issuers in "
                "MMCDS_SITE_FILE, or set MMCDS_AUTH=off, with synthetic data only"
            )
        if not site.public_urls:
            faults.append(
                "client authentication is on and no public address is known: tokens are made for one, so set "
                "public_urls in the site file, or MMCDS_PUBLIC_URL"
            )
        if settings.fhir_bases:
            faults.append("MMCDS_FHIR_BASES counts with MMCDS_AUTH=off only: name the servers with their issuer")
    return faults
