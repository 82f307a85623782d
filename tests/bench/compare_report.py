"""What tests/bench/compare makes of what it measured: statistics, a table, Markdown and an SVG plot. Pure."""

import html
import statistics
from decimal import Decimal

# Of the events; a first top ten with fewer says more of a start than of a pace.
STEADY_FROM = Decimal("0.25")
# The outcome of a system that had not come to the right top ten in time.
UNFINISHED = "did not finish"
BEGIN, END = "<!-- compare: begin -->", "<!-- compare: end -->"


class Figure:
    """A column: of which data sets, in which unit, and with how many digits."""

    def __init__(self, data, name, title, unit, scale=1.0):
        self.data, self.name, self.title, self.unit, self.scale = data, name, title, unit, scale


FIGURES = (
    Figure("start", "total_s", "start-up", "s"),
    *(figure for data in ("a", "b") for figure in (
        Figure(data, "total_s", "total", "s"),
        Figure(data, "steady_per_s", "steady", "M events/s", 1e-6),
        Figure(data, "cpu_s_per_million", "CPU", "s/M events"),
        Figure(data, "kafka_cpu_s_per_million", "Kafka's CPU", "s/M events"),
        Figure(data, "memory_mib", "peak memory", "MiB"))),
    Figure("live", "p50_ms", "latency p50", "ms"),
    Figure("live", "p99_ms", "latency p99", "ms"),
    Figure("live", "cores", "cores", ""),
    Figure("live", "memory_mib", "peak memory", "MiB"),
)
COMPARISON_TABLES = {data: [(data, name) for name in names] for data, names in (
    ("a", ("total_s", "steady_per_s", "cpu_s_per_million", "memory_mib")),
    ("b", ("total_s", "steady_per_s", "cpu_s_per_million", "memory_mib")),
    ("live", ("p50_ms", "p99_ms", "cores", "memory_mib")),
    ("start", ("total_s",)))}
README_TABLE = [("a", "total_s"), ("a", "cpu_s_per_million"), ("b", "total_s"), ("b", "cpu_s_per_million"),
                ("live", "p99_ms"), ("live", "cores")]
PANELS = [("a", "total_s"), ("b", "total_s"), ("a", "cpu_s_per_million"), ("b", "cpu_s_per_million"), ("live", "p99_ms"),
          ("start", "total_s")]


def steady_rate(entries, end, right, events):
    """Events a second between the first of (time, top) that has a quarter of the events and the right one, at `end`. None
    if there was nothing between."""
    whole = sum(score for _, score in right)
    if whole <= 0:
        return None
    for when, top in entries:
        share = sum(score for _, score in top) / whole
        # Too near the end, the share is not told well enough by the scores.
        if len(top) == len(right) and STEADY_FROM <= share:
            return float(1 - share) * events / (end - when) if share <= Decimal("0.9") and when < end else None
    return None


def live_latencies(entries, reference, warm_up_s):
    """Percentiles of the milliseconds from a probe's making to the first of (time, top) whose score of its page has it. What
    was made in the warm-up does not count."""
    probes = reference["probes"]
    counted_from = min(times[0] for times in probes.values()) + warm_up_s * 1000
    finals = {entry["key"]: Decimal(entry["score"]) for entry in reference["top"]}
    latencies = []
    for page, times in probes.items():
        without = finals[page] - len(times)
        seen = 0
        for when, top in entries:
            score = dict(top).get(page)
            if score is None:
                continue
            for made in times[seen:max(seen, int(score - without))]:
                if made >= counted_from:
                    latencies.append(when * 1000 - made)
            seen = max(seen, int(score - without))
    latencies.sort()
    shares = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1}
    return {name: latencies[int(share * (len(latencies) - 1))] for name, share in shares.items()}


class Summary:
    """Of the rounds: medians, ranges, and what went wrong, by system and data set."""

    def __init__(self, report):
        self._cases = {}
        for case in report["cases"]:
            self._cases.setdefault((case["system"], case["data"]), []).append(case)

    def cases(self, system, data):
        return self._cases.get((system, data), [])

    def values(self, system, figure):
        """Sorted, scaled."""
        found = [case["figures"].get(figure.name) for case in self.cases(system, figure.data) if case["outcome"] == "right"]
        return sorted(value * figure.scale for value in found if value is not None)

    def failures(self, system, data):
        return [case for case in self.cases(system, data) if case["outcome"] != "right"]

    def cell(self, system, figure):
        """The median, with the range if there is one; the outcome if there is no figure."""
        values = self.values(system, figure)
        if not values:
            failures = self.failures(system, figure.data)
            return failures[0]["outcome"] if failures else "-"
        if len(values) == 1:
            return shown(values[0])
        return f"{shown(statistics.median(values))} ({shown(values[0])}-{shown(values[-1])})"


def shown(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}"


def find(data, name):
    return next(figure for figure in FIGURES if (figure.data, figure.name) == (data, name))


def title_of(report, data):
    events = f"{report['events']:,} events"
    return {"start": "start: 100 events", "a": f"(a): {events}, 100 pages alike",
            "b": f"(b): {events}, 1 million pages, Zipf 1.1",
            "live": f"live: {report['live_rate']:,} events/s of (b) for {report['live_s']} s, "
                    f"after {report['warm_up_s']} s that do not count"}[data]


def heading(figure):
    return f"{figure.title}, {figure.unit}" if figure.unit else figure.title


def row(summary, system, figures):
    return [system["label"], *(summary.cell(system["name"], figure) for figure in figures)]


def table(report):
    """Everything as text: a block a data set, what went wrong, then the settings."""
    summary = Summary(report)
    blocks = [f"{report['date']}, {report['machine']}; median (min-max) of {report['rounds']} round(s), "
              f"at most {report['timeout_s']:.0f} s for a system on a data set"]
    for data in report["data"]:
        figures = [figure for figure in FIGURES if figure.data == data]
        lines = [["", *map(heading, figures)]] + [row(summary, system, figures) for system in report["systems"]]
        if data == "live":
            lines = [[*line, "published"] if index == 0 else [*line, report["systems"][index - 1]["pace"]]
                     for index, line in enumerate(lines)]
        widths = [max(map(len, column)) for column in zip(*lines)]
        blocks.append("\n".join([title_of(report, data)] + [
            "  " + "  ".join([name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:]))])
            for name, *cells in lines]))
    failures = [f"  round {case['round']}, {case['data']}, {case['system']}: {case['outcome']}: {case['reason']}"
                for case in report["cases"] if case["outcome"] != "right"]
    if failures:
        blocks.append("\n".join(["not right", *failures]))
    blocks.append("\n".join(["settings", *(line for system in report["systems"] for line in settings(system))]))
    return "\n\n".join(blocks)


def settings(system):
    bulk, live = system["bulk"], system["live"]
    both = {name: value for name, value in bulk.items() if live.get(name) == value}
    yield f"  {system['label']}: {system['numbers']}; {system['guarantee']}"
    for mode, values in (("", both), ("in bulk: ", {name: bulk[name] for name in bulk if name not in both}),
                         ("live: ", {name: live[name] for name in live if name not in both})):
        if values:
            yield f"    {mode}{', '.join(f'{name}={value}' for name, value in values.items())}"


def conditions(report):
    return (f"{report['date']}, {report['machine']}; {report['events']:,} events, live {report['live_rate']:,} events/s; median "
            f"(min-max) of {report['rounds']} rounds; at most {report['timeout_s']:.0f} s for a system on a data set.")


def comparison_markdown(report):
    """For COMPARISON.md: every table, the plot and the settings."""
    summary = Summary(report)
    tables = []
    for data, names in COMPARISON_TABLES.items():
        figures = [find(*name) for name in names]
        lines = [[title_of(report, data), *map(heading, figures)], ["---", *["---:"] * len(figures)]]
        lines += [row(summary, system, figures) for system in report["systems"]]
        if data == "live":
            paces = ["published", "---", *(system["pace"] for system in report["systems"])]
            lines = [[*line, pace] for line, pace in zip(lines, paces)]
        tables += [f"| {' | '.join(line)} |" for line in lines] + [""]
    return "\n".join([
        "![The comparison, drawn](compare.svg)", "", *tables, conditions(report), "",
        "<details><summary>Settings</summary>", "", "```text",
        *(line for system in report["systems"] for line in settings(system)), "```", "", "</details>"])


def readme_markdown(report):
    """For README: one table and the plot."""
    summary = Summary(report)
    figures = [find(*name) for name in README_TABLE]
    places = {"a": "(a)", "b": "(b)", "live": "live"}
    lines = [["", *(f"{places[figure.data]} {heading(figure)}" for figure in figures)], ["---", *["---:"] * len(figures)]]
    lines += [row(summary, system, figures) for system in report["systems"]]
    return "\n".join(["![The comparison, drawn](tests/bench/compare.svg)", "",
                      *(f"| {' | '.join(line)} |" for line in lines), "", conditions(report)])


def between_markers(text, new):
    """The document with the text between its markers replaced."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no {BEGIN} and {END}")
    return f"{before}{begin}\n{new}\n{end}{after}"


BAR, GAP, LABELS, BARS, PANEL_HEAD, MARGIN = 16, 7, 225, 230, 34, 16
STYLE = """text { font: 12px system-ui, sans-serif; fill: #24292f }
.head { font-weight: 600 } .small { fill: #57606a; font-size: 11px }
.ours { fill: #0969da } .theirs { fill: #9aa5b1 } .none { fill: #eaeef2 } .range { stroke: #24292f; stroke-width: 1 }"""


def svg(report):
    """Bars by system, a panel a figure: medians, with a line from least to most. Shorter is better in all."""
    summary = Summary(report)
    panels = [find(*panel) for panel in PANELS if panel[0] in report["data"]]
    height = PANEL_HEAD + len(report["systems"]) * (BAR + GAP) + MARGIN
    width = LABELS + BARS + 110
    parts = []
    for index, figure in enumerate(panels):
        x, y = MARGIN + index % 2 * width, 44 + index // 2 * height
        parts += panel(summary, report, figure, x, y)
    rows = (len(panels) + 1) // 2
    foot = f"{report['date']}, {report['machine']}, median and range of {report['rounds']} round(s). Shorter is better."
    total_height = 44 + rows * height + 24
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * width + MARGIN}" height="{total_height}" role="img" '
        f'viewBox="0 0 {2 * width + MARGIN} {total_height}">', f"<style>{STYLE}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{MARGIN}" y="26" class="head">The exact top ten of {report["events"]:,} events, and live</text>', *parts,
        f'<text x="{MARGIN}" y="{total_height - 12}" class="small">{html.escape(foot)}</text>', "</svg>", ""])


def panel(summary, report, figure, x, y):
    prefixes = {"start": "", "a": "(a) ", "b": "(b) ", "live": "live "}
    values = {system["name"]: summary.values(system["name"], figure) for system in report["systems"]}
    most = max((found[-1] for found in values.values() if found), default=1) or 1
    yield f'<text x="{x}" y="{y + 14}" class="head">{prefixes[figure.data] + heading(figure)}</text>'
    for index, system in enumerate(report["systems"]):
        top, left = y + PANEL_HEAD - 8 + index * (BAR + GAP), x + LABELS
        base = top + BAR - 4
        found = values[system["name"]]
        yield f'<text x="{left - 8}" y="{base}" text-anchor="end">{html.escape(system["label"])}</text>'
        if not found:
            yield f'<rect x="{left}" y="{top}" width="{BARS}" height="{BAR}" class="none"/>'
            yield f'<text x="{left + 6}" y="{base}" class="small">{reason(summary, report, system, figure)}</text>'
            continue
        median = statistics.median(found)
        kind = "ours" if system["name"] == "tenfold" else "theirs"
        yield f'<rect x="{left}" y="{top}" width="{median / most * BARS:.1f}" height="{BAR}" class="{kind}"/>'
        if found[0] < found[-1]:
            yield (f'<line x1="{left + found[0] / most * BARS:.1f}" x2="{left + found[-1] / most * BARS:.1f}" '
                   f'y1="{top + BAR / 2}" y2="{top + BAR / 2}" class="range"/>')
        yield f'<text x="{left + found[-1] / most * BARS + 6:.1f}" y="{base}" class="small">{shown(median)}</text>'


def reason(summary, report, system, figure):
    failures = summary.failures(system["name"], figure.data)
    if not failures:
        return "not measured"
    limit = f" in {report['timeout_s']:.0f} s" if failures[0]["outcome"] == UNFINISHED else ""
    return failures[0]["outcome"] + limit
