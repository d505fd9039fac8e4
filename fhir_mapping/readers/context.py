"""What every reader shares: the catalogue, the day of the request, and the way references and dates are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, tzinfo
from enum import Enum, auto

from msgspec import UNSET, Raw, UnsetType

from fhir_mapping import wire
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.elements import concepts_in, ingredients_in
from fhir_mapping.model.dates import ClinicalDate, parse
from fhir_mapping.model.history import DataGap, GapCode
from fhir_mapping.model.treatment import Recognition, SourceRef, UnmappedDrug
from fhir_mapping.model.vocabulary import Certainty, ChartText
from fhir_mapping.needs import Observed

_ANY_SERVER = "*/"  # where a resource came without its address
_LONGEST_REFERENCE = 300  # characters; Epic's draft ids have about 190


class Standing(Enum):
    """What a record's status makes of it (status table of the clinical catalogue, section 2.2)."""

    ACTIVE = auto()
    ENDED = auto()
    ON_HOLD = auto()
    POSSIBLE = auto()
    PLANNED = auto()
    NOT_GIVEN = auto()


@dataclass(frozen=True, slots=True)
class LinkedOrders:
    """The orders of which another record says something: see `linked`, which makes it."""

    missed: frozenset[str] = frozenset()
    not_taken: frozenset[str] = frozenset()
    not_collected: frozenset[str] = frozenset()
    halted: frozenset[str] = frozenset()


NO_ORDERS = LinkedOrders()


@dataclass(slots=True)
class Context:
    """One reading of one chart.

    `observed` says which observations somebody will look at; None for all. `gaps` collects what
    could not be read on the way, `recognised` and `unmapped` what the admins will want to see.
    """

    catalog: Catalog
    as_of: date
    zone: tzinfo
    medications: Mapping[str, wire.Medication] = field(default_factory=dict)
    linked: LinkedOrders = NO_ORDERS
    observed: Observed | None = None
    gaps: list[DataGap] = field(default_factory=list)
    recognised: list[Recognition] = field(default_factory=list)
    unmapped: list[UnmappedDrug] = field(default_factory=list)

    def day(self, text: str | None, resource_type: str) -> ClinicalDate | None:
        """Read a date or dateTime; what is no date becomes a gap."""
        if text is None:
            return None
        day = parse(text, self.zone)
        if day is None:
            self.gaps.append(DataGap(GapCode.DATE, resource_type))
        return day

    def past_day(self, text: str | None, resource_type: str) -> ClinicalDate | None:
        """Read the date of something that has happened; a date in the future becomes a gap."""
        day = parse(text, self.zone) if text is not None else None
        if day is not None and day.latest <= self.as_of:
            return day
        day = day or self.day(text, resource_type)
        if day is None:
            return None
        past = day.capped(self.as_of)
        if past is None:
            self.gaps.append(DataGap(GapCode.DATE, resource_type))
        return past

    def concepts(self, raw: Raw | UnsetType, resource_type: str) -> tuple[wire.Concept, ...]:
        """Read the concepts of an element; one that cannot be read becomes a gap."""
        found = concepts_in(raw)
        if not found.is_whole:
            self.gaps.append(DataGap(GapCode.PRUNED, resource_type))
        return found.read

    def certainty(self, resource: wire.Resource, standing: Standing | None = None) -> Certainty:
        """Say whether a record states its fact; one that was pruned, or has a modifier, only makes it possible."""
        if resource.modifier_extension is not UNSET or resource.implicit_rules is not None:
            if not resource.was_pruned:  # which has been counted
                self.gaps.append(DataGap(GapCode.NOT_UNDERSTOOD, type(resource).__name__))
            return Certainty.POSSIBLE
        return Certainty.POSSIBLE if standing is Standing.POSSIBLE else Certainty.STATED


def source_of(resource: wire.Resource, on: ClinicalDate | None = None) -> SourceRef:
    """Give the reference of a record with the date that was read in it."""
    kind = type(resource).__name__
    reference = f"{kind}/{resource.id}" if resource.id else kind
    return SourceRef(ChartText(reference[:_LONGEST_REFERENCE]), on)


def local_reference(reference: str | None) -> str | None:
    """Cut a relative, absolute or versioned reference down to "Type/id"; a urn stays as it is."""
    if not reference or reference.startswith("urn:"):
        return reference
    parts = reference.partition("/_history/")[0].rstrip("/").split("/")
    return "/".join(parts[-2:])


def names_for(reference: str | None) -> tuple[str, ...]:
    """Give the names under which a referred resource may stand in an index, see `names_of`.

    An absolute reference fits the address of its own server alone: the same id on another server is another drug.
    """
    local = local_reference(reference)
    if reference is None or local is None:
        return ()
    if "://" in reference:
        return (reference.partition("/_history/")[0].rstrip("/"), f"{_ANY_SERVER}{local}")
    return (reference, local)


def names_of(own_id: str | None, kind: str, full_url: str | None) -> tuple[str, ...]:
    """Give the names under which a resource is put into an index: its address, its type and id, or both."""
    local = f"{kind}/{own_id}" if own_id else local_reference(full_url)
    names = [full_url and full_url.rstrip("/"), local]
    has_address = full_url is not None and not full_url.startswith("urn:")
    names.append(local_reference(full_url) if has_address else f"{_ANY_SERVER}{local}")
    return tuple(dict.fromkeys(name for name in names if name))


def medication_of(use: wire.MedicationUse, context: Context) -> wire.Concept | None:
    """Find what a drug record names: its own concept, a contained or sent Medication, or a display as last resort.

    None when the reference leads nowhere, or nothing is named at all.
    """
    if use.medication_codeable_concept is not None:
        return use.medication_codeable_concept
    reference = use.medication_reference
    if reference is None:
        return None
    medication = _referred(use, reference.reference, context)
    contents = _ingredients(medication, context) if medication is not None else ()
    if medication is not None and (medication.code is not None or contents):
        code = medication.code or wire.NO_CONCEPT
        form = [medication.form.text, *(c.display for c in medication.form.coding)] if medication.form else []
        texts = [code.text or reference.display, *form]  # the form tells what reaches the whole body
        return wire.Concept(code.coding + contents, " ".join(text for text in texts if text) or None)
    return wire.Concept(text=reference.display) if reference.display else None


def _ingredients(medication: wire.Medication, context: Context) -> tuple[wire.Coding, ...]:
    """List what a Medication is made of: a compounded bag often names its drug only there."""
    if medication.ingredient is UNSET:
        return ()
    codings, is_whole = ingredients_in(medication.ingredient)
    if not is_whole:
        context.gaps.append(DataGap(GapCode.PRUNED, "Medication"))
    return codings


def _referred(use: wire.MedicationUse, reference: str | None, context: Context) -> wire.Medication | None:
    if reference is not None and reference.startswith("#"):
        for raw in use.contained:
            contained = wire.decode(raw, wire.Medication)
            if contained is not None and contained.id == reference[1:]:
                return contained
        return None
    return next((found for key in names_for(reference) if (found := context.medications.get(key)) is not None), None)


def label_of(concept: wire.Concept) -> ChartText:
    """Give the chart's own name of a drug or service."""
    return ChartText(next(iter(texts_of(concept)), ""))
