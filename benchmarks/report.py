"""Measurements as tables on the terminal and as a bar chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

console = Console()

OWN, OTHER = "#0b7a75", "#b8b8b8"


def print_runs(results: dict[str, Any]) -> None:
    """Print one line for each export and reference, at each latency."""
    table = Table(
        title="200,000 entries of 3.6 KB",
        caption="latency in ms; us per entry after start-up, wall and CPU; peak memory in MB",
    )
    table.add_column("subject", no_wrap=True)
    for column in ("ms", "wall s", "CPU s", "us", "CPU us", "calls", "MB"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in results["speed"]:
        large = row["large"]
        table.add_row(
            row["name"],
            f"{row['latency'] * 1000:.0f}",
            f"{large['seconds']:.2f}",
            f"{large['cpu_seconds']:.2f}",
            f"{row['us_per_entry']:.1f}",
            f"{row['cpu_us_per_entry']:.1f}",
            f"{large['requests']:,}",
            f"{large['resident_peak']:.0f}",
        )
    console.print(table)


def print_checks(results: dict[str, Any]) -> None:
    """Print each promise with its bar."""
    table = Table(title=f"Promises (load average {results['load_average'][0]:.1f})")
    table.add_column("promise", no_wrap=True)
    for column in ("measured", "bar", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for check in results["checks"]:
        measured, bar = check["measured"], check["bar"]
        held = measured <= bar if check["relation"] == "<=" else measured >= bar
        verdict = "[green]held[/]" if held else "[red]missed[/]"
        table.add_row(check["name"], f"{measured:,.2f}", f"{check['relation']} {bar:,.2f}", verdict)
    console.print(table)


def draw_chart(results: dict[str, Any], path: Path) -> None:
    """Draw what an entry costs without latency, for the exports and the other ways."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "awork"  # the same numbers give the same file
    from matplotlib import pyplot

    rows = [row for row in results["speed"] if row["latency"] == 0][::-1]
    names = [row["name"] for row in rows]
    costs = [row["us_per_entry"] for row in rows]
    colours = [_colour(name) for name in names]
    figure, axes = pyplot.subplots(figsize=(8, 3.6), layout="constrained")
    bars = axes.barh(names, costs, color=colours)
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.set_xlabel("microseconds per entry of 3.6 KB, after start-up (less is better)")
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _colour(name: str) -> str:
    return OTHER if name in ("raw download", "requests + json loop", "HttpOperator") else OWN
