"""What the benchmark leaves behind: a table, a page of the documentation, and its plots."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.watching import accounts, accounts_table
from benchmarks.watching.endpoint import TRAINING_SECONDS
from benchmarks.watching.figures import Results, Row, verdict
from benchmarks.watching.measure import SETTLING_SECONDS, YOUNG_SECONDS
from benchmarks.watching.plans import LONG_INTERVAL_SECONDS

PAGE = Path("docs/benchmarks.md")
PLOT = Path("docs/images/benchmarks-waiting.svg")
_PACKAGES = (
    "airflow-spot-provider",
    "apache-airflow",
    "apache-airflow-providers-amazon",
    "aiobotocore",
    "botocore",
    "aiohttp",
)
_COLUMNS = ("stock", "ours", "nothing")
_LABELS = {"stock": "stock trigger", "ours": "ours", "nothing": "a trigger that does nothing"}
_COLOURS = {"stock": "#c0392b", "ours": "#1f77b4", "nothing": "#7f7f7f"}


def machine() -> dict[str, Any]:
    """What the figures depend on, and nothing that names the machine."""
    information = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in information if line.startswith("model name")), "unknown"
    )
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| figure | stock | ours | nothing | ratio | wanted | met |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = [row.cells.get(name, "-") for name in _COLUMNS]
        lines.append("| " + " | ".join((row.name, *cells, row.ratio, row.wanted, verdict(row.met))) + " |")
    return "\n".join(lines)


def write(bench: Mapping[str, Any], triggerer: Mapping[str, Any] | None) -> None:
    """Write the page and its plot.

    :param bench: the content of ``build/bench.json``.
    :param triggerer: that of ``build/bench-triggerer.json``; None if a real triggerer was not measured.
    """
    results = Results(bench["rounds"])
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    plot(results, PLOT)
    PAGE.write_text(_page(bench, results, triggerer))


def _page(bench: Mapping[str, Any], results: Results, triggerer: Mapping[str, Any] | None) -> str:
    host = bench["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in host["packages"].items())
    rows = results.rows()
    missed = [
        f"- {row.name}: {row.cells.get('ours', '-')}; wanted {row.wanted}."
        for row in rows
        if row.met is False
    ]
    missed += accounts_table.missed(results)
    return f"""# Benchmarks

Written by `make bench`; change the benchmark, not this page.

How much it costs to wait for many training jobs in one triggerer: with the stock `SageMakerTrigger`, with ours, and with a
trigger that does nothing, which shows what Airflow itself takes. Machines differ; the ratios are the result.
Searches have [figures of their own](benchmarks-sweeps.md).

Measured on {bench["date"]}: {host["cpu"]}, {host["cores"]} cores, {host["memory_gb"]} GB, {host["system"]}, Python {host["python"]};
{packages}. Interval {bench["interval_seconds"]} s, {1_000 * bench["latency_seconds"]:.0f} ms latency a call.

{table(rows)}

## Large accounts

Ours among jobs that nobody here waits for. {1_000 * accounts.LATENCY_SECONDS:.0f} ms latency a call.

{accounts_table.table(results)}

{("Not met:" + chr(10) + chr(10) + chr(10).join(missed)) if missed else "All that was measured meets what was wanted."}

## All sizes

![Memory per waiting job, and seconds until the last is first seen, by number of jobs](images/{PLOT.name})

{_sizes(results)}

## In a real triggerer

{_triggerer(triggerer)}

## How it is measured

- A fake SageMaker in a process of its own answers ListTrainingJobs and DescribeTrainingJob with answers of AWS's size, and notes
  who asked for what and when. It keeps the times of all changes.
- Each round of each subject is a fresh process with everything imported. Airflow's own `TriggerRunner` decodes the triggers' arguments,
  builds and runs them in one event loop, as in a triggerer; only the supervisor is missing. The subjects take turns, and the
  figures are medians of the rounds (the worst of all rounds where it says max).
- No garbage is collected beforehand, as in a triggerer: Python's full collection of all that Airflow has imported falls into the
  start of every subject, and is most of the stall that the trigger that does nothing shows.
- Memory: resident memory from before the first trigger until nothing changes any more. A client to AWS is part of it.
- CPU to start one: the process's CPU time from the first trigger until an answer has named the last job (nothing: until all run), divided by their number.
- Steady CPU, calls and stall: over {bench["steady_seconds"]:.0f} s (other sizes: {bench["short_seconds"]:.0f} s) in which no job changes. A
  heartbeat every thousandth of the interval (5 ms) in the same loop tells the stall; it is part of the CPU of all subjects.
- Calls per interval: SageMaker lists a hundred jobs a page at most, newest first, and a page costs less than describing each job on
  it: a look at 1,000 jobs is ten pages, eleven if other jobs lie between them. The stock trigger describes each job.
- Change to event: up to 100 random jobs complete at random moments; from the endpoint's change to the event of the trigger.
- Throttled: the limit holds over all operations from when all jobs have been seen on; 200 jobs complete over 60 s.
- With push: the same, with EventBridge's events in a queue 0.2 s after each change.
- {LONG_INTERVAL_SECONDS} s interval: all triggers look so often, and nothing changes for {4 * LONG_INTERVAL_SECONDS} s.
- Large accounts: the account holds jobs that ended long ago, or other people's that were created in between the watched ones, ten of
  which change each second while every other second one ends and a new one begins. Pages are cut first and filtered then, as
  SageMaker documents it, but where the case says otherwise. The watched jobs were created in the seconds before they are
  waited for, so that they are looked at twice an interval at first: `new` are the {YOUNG_SECONDS:.0f} s after all have been seen, `later` begins
  {SETTLING_SECONDS} s after that. Then all of them, or {accounts.COMPLETIONS}, complete at random moments of {accounts.CHANGING_SECONDS:.0f} s, having begun to train {TRAINING_SECONDS:.0f} s before.
- The stock trigger at 5,000 jobs takes many minutes and gigabytes: `python -m benchmarks.watching --full` measures it, otherwise its
  memory per job at {results.headline:,} stands in.
"""


def _sizes(results: Results) -> str:
    lines = [
        "| jobs | trigger | rounds | memory a job | CPU to start one | last first seen | steady CPU | calls an interval | stall start / steady | change to event p50 / max | lost |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for jobs in sorted({jobs for name in (*_COLUMNS, "push") for jobs in results.sizes(name)}):
        for name in (*_COLUMNS, "push"):
            if (figures := results.of(name, jobs)) is None:
                continue
            idle = name == "nothing"
            p50, worst = (
                figures.get("change_to_event_p50_seconds"),
                figures.get("change_to_event_max_seconds"),
            )
            lines.append(
                f"| {jobs:,} | {name} | {figures['rounds']} | {figures['kb_per_job']:,.1f} KB | {figures['start_cpu_ms_per_job']:.2f} ms "
                f"| {'-' if idle else _seen(figures)} | {100 * figures['steady_cores']:.1f}% | {figures['calls_per_interval']:,.1f} "
                f"| {1_000 * figures['start_stall_seconds']:,.0f} / {1_000 * figures['steady_stall_seconds']:,.0f} ms "
                f"| {'-' if p50 is None else f'{p50:.2f} / {worst:.2f} s'} | {'-' if idle else figures['events_lost']} |"
            )
    return "\n".join(lines)


def _seen(figures: Mapping[str, Any]) -> str:
    if figures["seen"] < figures["jobs"]:
        return f"{figures['seen']:,.0f} of {figures['jobs']:,.0f} after {figures['patience_seconds']:.0f} s"
    return f"{figures['last_seen_seconds']:.2f} s"


def _triggerer(measured: Mapping[str, Any] | None) -> str:
    """One line for each run of ``benchmarks.watching.triggerer``."""
    if measured is None:
        return "Not measured: `python -m benchmarks.watching.triggerer` does."
    names = sorted({name for run in measured["runs"] for name in run})
    lines = ["| " + " | ".join(names) + " |", "| " + " | ".join("---" for _ in names) + " |"]
    lines += ["| " + " | ".join(str(run.get(name, "-")) for name in names) + " |" for run in measured["runs"]]
    lines += [
        "",
        (
            "Memory and CPU are of the supervisor and the process of the triggers together. `[triggerer] capacity` and "
            "`max_trigger_to_select_per_loop` are raised: by default Airflow takes up fifty triggers a second at most, whatever they cost."
        ),
    ]
    return "\n".join(lines)


def plot(results: Results, path: Path) -> None:
    """Memory per job and seconds until the last is first seen over the number of jobs, on logarithmic scales."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "benchmarks"  # the same figures give the same file
    figure = Figure(figsize=(10, 4), layout="constrained")
    memory, seen = figure.subplots(1, 2)
    for name in _COLUMNS:
        sizes = results.sizes(name)
        measured = [results.of(name, jobs) or {} for jobs in sizes]
        line = {"marker": "o", "label": _LABELS[name], "color": _COLOURS[name]}
        memory.plot(sizes, [figures["kb_per_job"] for figures in measured], **line)
        if name != "nothing":
            seen.plot(sizes, [figures["last_seen_seconds"] for figures in measured], **line)
    memory.set_title("Memory per waiting job, KB")
    seen.set_title("Until the last is first seen, seconds")
    for axes in (memory, seen):
        axes.set(xscale="log", yscale="log", xlabel="waiting jobs")
        axes.grid(visible=True, which="both", alpha=0.25)
        axes.legend()
    figure.savefig(path, metadata={"Date": None})
