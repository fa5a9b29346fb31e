"""The table of large accounts: what was measured beside what is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.watching.accounts import CASES, Case
from benchmarks.watching.figures import Figures, Results, count_text, seconds_text, verdict

_HEAD = (
    "case",
    "calls per interval, new / later",
    "wanted",
    "last first seen",
    "wanted",
    "change to event, p50 / max",
    "wanted",
    "lost, doubled or wrong",
    "met",
)


@dataclass(frozen=True)
class _Measured:
    """A figure, what is wanted of it, and whether that is met."""

    figure: str
    wanted: str
    met: bool


def table(results: Results) -> str:
    """All cases as Markdown."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + " --- |" * len(_HEAD)]
    for case in CASES:
        if (figures := results.of("ours", case.watched, case.name)) is None:
            cells = ["-"] * (len(_HEAD) - 2) + [verdict(None)]
        else:
            *told, amiss = _measured(case, figures)
            cells = [cell for each in told for cell in (each.figure, each.wanted)]
            cells += [amiss.figure, verdict(all(each.met for each in (*told, amiss)))]
        lines.append("| " + " | ".join((case.name, *cells)) + " |")
    return "\n".join(lines)


def missed(results: Results) -> list[str]:
    """A line for each figure that is not as wanted."""
    return [
        f"- {case.name}: {each.figure}; wanted {each.wanted}."
        for case in CASES
        if (figures := results.of("ours", case.watched, case.name)) is not None
        for each in _measured(case, figures)
        if not each.met
    ]


def _measured(case: Case, figures: Figures) -> list[_Measured]:
    young, later = figures["young_calls_per_interval"], figures["calls_per_interval"]
    same = case.calls == case.calls_while_young
    seen, p50, worst = (
        figures[f"{name}_seconds"] for name in ("last_seen", "change_to_event_p50", "change_to_event_max")
    )
    return [
        _Measured(
            f"{count_text(young)} / {count_text(later)}",
            f"<= {case.calls}" if same else f"<= {case.calls_while_young} / {case.calls}",
            young <= case.calls_while_young and later <= case.calls,
        ),
        _Measured(
            seconds_text(seen), f"<= {seconds_text(case.first_seen_seconds)}", seen <= case.first_seen_seconds
        ),
        _Measured(
            "-" if worst is None else f"{seconds_text(p50)} / {seconds_text(worst)}",
            f"max <= {seconds_text(case.told_within_seconds)}",
            worst is not None and worst <= case.told_within_seconds,
        ),
        _Measured(f"{figures['events_amiss']:,} of {figures['changed']:,}", "0", not figures["events_amiss"]),
    ]
