"""What was measured, made comparable: medians over rounds, what each way adds, and the tables for people."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from load import Case

Run = Mapping[str, object]


def _median(runs: Sequence[Run], field: str) -> dict[str, float]:
    """Medians over rounds of the quantiles that each round measured."""
    values = [run[field] for run in runs if run.get(field)]
    return {name: statistics.median(value[name] for value in values) for name in values[0]} if values else {}


def compare(case: Case, runs: Mapping[str, Sequence[Run]]) -> Mapping[str, object]:
    """The ways of a case beside each other, and what each adds to the first of them.

    Times are to the whole answer; of a stream to its first content, and for a slow one also of each piece on its way.
    """
    base = case.ways[0]
    ways = {
        way: {
            "per_second": statistics.median(float(str(run["per_second"])) for run in measured),
            "total_us": _median(measured, "total_us"),
            "first_us": _median(measured, "first_us"),
            "piece_us": _median(measured, "piece_us") if case.gap_us else {},
            "cpu_us": _median(measured, "cpu_us"),
        }
        for way, measured in runs.items()
        if measured
    }

    def added(way: str, field: str, quantile: str) -> float | None:
        mine, theirs = ways[way][field], ways[base][field]
        return mine[quantile] - theirs[quantile] if mine and theirs else None

    field = "first_us" if case.stream else "total_us"
    others = [way for way in ways if way != base]
    return {
        "case": case.name,
        "ways": ways,
        "added_us": {way: {name: added(way, field, name) for name in ("p50", "p99")} for way in others},
        "added_piece_us": {way: {name: added(way, "piece_us", name) for name in ("p50", "p99")} for way in others},
        "beside_nginx": beside_nginx(ways, added, field),
    }


def beside_nginx(ways: Mapping[str, Mapping[str, object]], added, field: str) -> Mapping[str, float | None]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """The gateway's numbers in units of nginx's: the goals are written in these."""
    if "nginx" not in ways or "gateway" not in ways:
        return {}

    def ratio(quantile: str) -> float | None:
        ours, theirs = added("gateway", field, quantile), added("nginx", field, quantile)
        # A direct run that was slower than nginx says that the machine was busy, and nothing else.
        return ours / theirs if ours is not None and theirs is not None and theirs > 0 else None

    per_second = [float(str(ways[way]["per_second"])) for way in ("gateway", "nginx")]
    return {"throughput": per_second[0] / per_second[1], "added_p50": ratio("p50"), "added_p99": ratio("p99")}


def _number(value: float | None, form: str = ",.0f") -> str:
    return "-" if value is None else format(value, form)


def _processor(way: Mapping[str, object]) -> str:
    cpu = way["cpu_us"]
    return f"{cpu['user']:.0f}+{cpu['kernel']:.0f}" if isinstance(cpu, dict) and sum(cpu.values()) else "-"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def main_table(results: Sequence[Mapping[str, object]]) -> str:
    """Every case with nginx and the gateway beside the direct way."""
    rows = [
        [
            "case",
            "direct/s",
            "nginx/s",
            "gateway/s",
            "of nginx",
            "+p50 us",
            "ratio",
            "+p99 us",
            "ratio",
            "cpu us a call",
        ]
    ]
    for result in results:
        ways, beside = result["ways"], result["beside_nginx"]
        if not beside:
            continue
        added = result["added_us"]
        pair = {name: " / ".join(_number(added[way][name]) for way in ("nginx", "gateway")) for name in ("p50", "p99")}
        rows.append(
            [
                str(result["case"]),
                *(_number(ways[way]["per_second"]) for way in ("direct", "nginx", "gateway")),
                _number(beside["throughput"], ".0%"),
                pair["p50"],
                _number(beside["added_p50"], ".2f"),
                pair["p99"],
                _number(beside["added_p99"], ".2f"),
                f"{_processor(ways['nginx'])} / {_processor(ways['gateway'])}",
            ]
        )
    return aligned(rows) if len(rows) > 1 else ""


def other_table(results: Sequence[Mapping[str, object]]) -> str:
    """The cases that nginx cannot serve: translation, many keys, changes under load, peers."""
    rows = [["case", "way", "calls/s", "p50 us", "p99 us", "cpu us a call"]]
    for result in results:
        ways = result["ways"]
        if result["beside_nginx"] and set(ways) <= {"direct", "nginx", "gateway"}:
            continue
        for way, measured in ways.items():
            times = measured["first_us"] or measured["total_us"]
            rows.append(
                [
                    str(result["case"]),
                    way,
                    _number(measured["per_second"]),
                    _number(times["p50"]),
                    _number(times["p99"]),
                    _processor(measured),
                ]
            )
    return aligned(rows) if len(rows) > 1 else ""


def piece_table(results: Sequence[Mapping[str, object]]) -> str:
    """What is added to each piece of a stream that comes slowly."""
    rows = [["case", "way", "piece p50 us", "piece p99 us", "added p50", "added p99"]]
    for result in results:
        for way, measured in result["ways"].items():
            if times := measured["piece_us"]:
                added = result["added_piece_us"].get(way, {})
                quantiles = [_number(times[name]) for name in ("p50", "p99")]
                more = [_number(added.get(name)) for name in ("p50", "p99")]
                rows.append([str(result["case"]), way, *quantiles, *more])
    return aligned(rows) if len(rows) > 1 else ""
