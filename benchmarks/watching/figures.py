"""From rounds to figures: medians, ratios, and whether what was wanted is met."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.watching.measure import INTERVAL_SECONDS
from benchmarks.watching.plans import LONG_INTERVAL, LONG_INTERVAL_SECONDS, THROTTLED

Figures = Mapping[str, Any]
_SUMMED = ("events_lost", "events_amiss")
_WORST = ("change_to_event_max_seconds",)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    :param name: of the figure, with its unit.
    :param cells: the figure by subject, as text.
    :param ratio: ours beside what it is held against.
    :param wanted: what the ratio or the figure should be.
    :param met: whether it is; None if it was not measured.
    """

    name: str
    cells: Mapping[str, str]
    ratio: str
    wanted: str
    met: bool | None


class Results:
    """The medians of all rounds.

    :param rounds: what :func:`benchmarks.watching.measure.run` returned.
    """

    def __init__(self, rounds: Iterable[Mapping[str, Any]]) -> None:
        groups: dict[tuple[str, int, str], list[Mapping[str, Any]]] = {}
        for one in rounds:
            groups.setdefault((one["subject"], one["jobs"], one["case"]), []).append(one)
        self._figures = {key: _summary(group) for key, group in groups.items()}

    def of(self, subject: str, jobs: int, case: str = "") -> Figures | None:
        """The figures of a subject at a size, in a case or in the usual circumstances; None if that was not measured."""
        return self._figures.get((subject, jobs, case))

    def sizes(self, subject: str) -> list[int]:
        """The sizes that a subject was measured at in the usual circumstances."""
        return sorted(jobs for name, jobs, case in self._figures if name == subject and not case)

    @property
    def headline(self) -> int:
        """The size that the table is about: the largest up to 1,000 at which most of the three were measured."""
        sizes = {name: set(self.sizes(name)) for name in ("stock", "ours", "nothing")}
        small = {jobs for each in sizes.values() for jobs in each if jobs <= 1_000}
        return max(
            small, key=lambda jobs: (sum(jobs in each for each in sizes.values()), jobs), default=1_000
        )

    def rows(self) -> list[Row]:
        """The table."""
        jobs = self.headline
        return [
            self._against("memory per waiting job", "kb_per_job", jobs, stock=1 / 50, show=_kilobytes),
            self._memory_at(5_000, wanted=1 / 100),
            self._against("CPU to start one", "start_cpu_ms_per_job", jobs, stock=1 / 70, show=_milliseconds),
            self._against(
                "until the last is first seen", "last_seen_seconds", jobs, stock=1 / 40, show=seconds_text
            ),
            self._against("steady CPU", "steady_cores", jobs, stock=1 / 8, show=_percent_of_core),
            self._limit(
                "calls per interval, nothing changed", "calls_per_interval", jobs, 13.0, show=count_text
            ),
            self._against("longest loop stall, start", "start_stall_seconds", jobs, nothing=1.5, show=_stall),
            self._against(
                "longest loop stall, steady", "steady_stall_seconds", jobs, nothing=1.5, show=_stall
            ),
            self._limit(
                "change to event, p50",
                "change_to_event_p50_seconds",
                jobs,
                INTERVAL_SECONDS / 2 + 0.5,
                show=seconds_text,
            ),
            self._limit(
                "change to event, max",
                "change_to_event_max_seconds",
                jobs,
                2.0 * INTERVAL_SECONDS,
                show=seconds_text,
            ),
            self._limit(
                "change to event with push, p50",
                "change_to_event_p50_seconds",
                jobs,
                1.0,
                show=seconds_text,
                subject="push",
            ),
            self._throttled(),
            *self._many(10_000),
        ]

    def _cells(self, figure: str, jobs: int, show: Callable[[float], str], case: str = "") -> dict[str, str]:
        found = {name: self.of(name, jobs, case) for name in ("stock", "ours", "nothing")}
        return {
            name: show(figures[figure]) if figures and figures.get(figure) is not None else "-"
            for name, figures in found.items()
        }

    def _against(
        self,
        name: str,
        figure: str,
        jobs: int,
        *,
        show: Callable[[float], str],
        stock: float | None = None,
        nothing: float | None = None,
    ) -> Row:
        """Ours as a part of the stock trigger's figure, or as a multiple of the idle one's."""
        other, wanted = ("stock", stock) if stock is not None else ("nothing", nothing)
        assert wanted is not None
        ours, theirs = self.of("ours", jobs), self.of(other, jobs)
        cells = self._cells(figure, jobs, show)
        text = f"<= 1/{1 / wanted:.0f} of stock" if other == "stock" else f"<= {wanted:g}x nothing"
        if ours is None or theirs is None:
            return Row(f"{name}, {jobs:,} jobs", cells, "-", text, None)
        ratio = ours[figure] / theirs[figure] if theirs[figure] > 0 else float("inf")
        told = f"1/{1 / ratio:,.0f} of stock" if other == "stock" and ratio > 0 else f"{ratio:.2f}x {other}"
        return Row(f"{name}, {jobs:,} jobs", cells, told, text, ratio <= wanted)

    def _memory_at(self, jobs: int, *, wanted: float) -> Row:
        """At a size where the stock trigger takes many minutes and gigabytes: its figure of the headline size stands in."""
        row = self._against("memory per waiting job", "kb_per_job", jobs, stock=wanted, show=_kilobytes)
        ours, theirs = self.of("ours", jobs), self.of("stock", self.headline)
        if row.met is not None or ours is None or theirs is None:
            return row
        ratio = ours["kb_per_job"] / theirs["kb_per_job"]
        cells = {**row.cells, "stock": f"{_kilobytes(theirs['kb_per_job'])} (at {self.headline:,})"}
        return Row(row.name, cells, f"1/{1 / ratio:,.0f} of stock", row.wanted, ratio <= wanted)

    def _limit(
        self,
        name: str,
        figure: str,
        jobs: int,
        limit: float,
        *,
        show: Callable[[float], str],
        subject: str = "ours",
        case: str = "",
    ) -> Row:
        """A figure of ours that has a limit of its own."""
        figures = self.of(subject, jobs, case)
        cells = self._cells(figure, jobs, show, case)
        value = figures.get(figure) if figures else None
        if subject == "push":
            cells = {"ours": show(value)} if value is not None else {}
        met = None if figures is None else value is not None and value <= limit
        return Row(f"{name}, {jobs:,} jobs", cells, "-", f"<= {show(limit)}", met)

    def _throttled(self) -> Row:
        limit = 2.0 * INTERVAL_SECONDS
        throttled = {
            subject: (jobs, found)
            for (subject, jobs, case), found in self._figures.items()
            if case == THROTTLED
        }
        cells = {
            subject: " / ".join(
                seconds_text(found[f"change_to_event_{which}_seconds"]) for which in ("p50", "max")
            )
            for subject, (_, found) in throttled.items()
            if found["change_to_event_max_seconds"] is not None
        }
        name, met = "throttled: change to event, p50 / max", None
        if "ours" in throttled:
            jobs, ours = throttled["ours"]
            name = f"throttled to {ours['requests_per_second']:g} requests/s: change to event, p50 / max, {jobs:,} jobs"
            met = not ours["events_lost"] and ours["change_to_event_max_seconds"] <= limit
        return Row(name, cells, "-", f"max <= {seconds_text(limit)}", met)

    def _many(self, jobs: int) -> list[Row]:
        return [
            self._limit("until the last is first seen", "last_seen_seconds", jobs, 15.0, show=seconds_text),
            self._limit("memory in all", "more_mb", jobs, 250.0, show=_megabytes),
            self._limit("steady CPU", "steady_cores", jobs, 0.25, show=_percent_of_core),
            self._limit("events lost, doubled or wrong", "events_amiss", jobs, 0, show=count_text),
            *(
                self._limit(f"{LONG_INTERVAL}: {name}", figure, jobs, limit, show=show, case=LONG_INTERVAL)
                for name, figure, limit, show in (
                    ("steady CPU", "steady_cores", 0.05, _percent_of_core),
                    (
                        "change to event, max",
                        "change_to_event_max_seconds",
                        2.0 * LONG_INTERVAL_SECONDS,
                        seconds_text,
                    ),
                    ("events lost, doubled or wrong", "events_amiss", 0, count_text),
                )
            ),
        ]


def _summary(rounds: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians; the worst of all rounds for a maximum; the sum for what must never happen."""
    summary: dict[str, Any] = {"rounds": len(rounds)}
    for name, first in rounds[0].items():
        values = [one[name] for one in rounds if isinstance(one.get(name), int | float)]
        if not values:
            summary[name] = first
        elif name in _SUMMED:
            summary[name] = sum(values)
        else:
            summary[name] = max(values) if name in _WORST else statistics.median(values)
    return summary


def _kilobytes(value: float) -> str:
    return f"{value:,.0f} KB" if value >= 100 else f"{value:.1f} KB"


def _megabytes(value: float) -> str:
    return f"{value:,.0f} MB"


def _milliseconds(value: float) -> str:
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2f} ms"


def seconds_text(value: float) -> str:
    """Seconds, as the tables tell them."""
    return f"{value:.0f} s" if value >= 20 else f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"


def _stall(value: float) -> str:
    return f"{value:.1f} s" if value >= 1 else f"{1_000 * value:.0f} ms"


def _percent_of_core(value: float) -> str:
    return f"{100 * value:.1f}% of a core"


def count_text(value: float) -> str:
    """A number of things, which may be a mean."""
    return f"{value:,.0f}" if float(value).is_integer() or value >= 100 else f"{value:.1f}"


def verdict(met: bool | None) -> str:
    """Whether what was wanted is met."""
    return "not measured" if met is None else "yes" if met else "**no**"
