"""Writes what labels say of doses as lines for reviewers, each row with its date."""

from collections.abc import Iterator

from cards.label_doses import LabelDoses, LessOften, Printed, Restart, Step


def dose_lines(label: LabelDoses) -> Iterator[str]:
    """Write the doses of one drug, and every row about them."""
    name = label.drug.name
    yield f"{name}: {', '.join(label.named(level) for level in label.levels)}"
    yield from (f"{name} {_restart(row)} ({_printed(row.printed)})" for row in label.restarts)
    yield from (f"{name} {_less_often(row)} ({_printed(row.printed)})" for row in label.less_often)


def _restart(row: Restart) -> str:
    last = f"after {row.last.name}" if row.last else "after any dose"
    every = f", every {row.every_days} d" if row.every_days else ""
    beside = f", with {' or '.join(sorted(row.beside))}" if row.beside else ""
    return f"{last}{every}{beside}: {'; '.join(map(_step, row.steps))}"


def _step(step: Step) -> str:
    until = "from then on" if step.up_to is None else f"to {step.up_to} d"
    if not step.is_readable:
        return f"{until} not readable"
    return f"{until} {step.level.name if step.level else 'continue'}"


def _less_often(row: LessOften) -> str:
    return f"every {row.every_days} d: {row.asks}"


def _printed(printed: Printed) -> str:
    verified = "verified" if printed.verified else "not verified"
    return f"{printed.source}, {printed.label_date}, {verified}. Owner: {printed.owner}, until {printed.expires}"
