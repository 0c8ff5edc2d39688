"""The text of the report's page: its layout, style and script. `<!--name-->` is filled in.

Nothing here may name an address: the page's policy would not let it be reached.
"""

LAYOUT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="<!--policy-->">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title><!--title--></title>
<style><!--style--></style>
</head>
<body>
<main>
<header><h1><!--title--></h1><button id="theme" type="button">Dark or light</button></header>
<!--thresholds-->
<!--facts-->
<section id="charts" aria-label="Charts over time"></section>
<!--tables-->
<!--violations-->
</main>
<script type="application/json" id="history"><!--data--></script>
<script type="module"><!--script--></script>
</body>
</html>
"""

STYLE = """
:root { --back: #fff; --text: #1c2128; --soft: #59636e; --line: #d1d9e0; --good: #1a7f37;
  --bad: #c4262e; --a: #0969da; --b: #bf5700; --c: #8250df; }
@media (prefers-color-scheme: dark) { :root:not(.light) { --back: #0d1117; --text: #e6edf3;
  --soft: #9198a1; --line: #30363d; --good: #3fb950; --bad: #f85149; --a: #58a6ff; --b: #e09b3d;
  --c: #b083f0; } }
:root.dark { --back: #0d1117; --text: #e6edf3; --soft: #9198a1; --line: #30363d; --good: #3fb950;
  --bad: #f85149; --a: #58a6ff; --b: #e09b3d; --c: #b083f0; color-scheme: dark; }
:root.light { color-scheme: light; }
body { margin: 0; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 16px; }
header { display: flex; justify-content: space-between; align-items: center; gap: 16px; }
h1 { font-size: 22px; overflow-wrap: anywhere; } h2 { font-size: 17px; margin: 28px 0 8px; }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--line);
  border-radius: 6px; padding: 4px 10px; cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; }
dt { color: var(--soft); } dd { margin: 0; font-variant-numeric: tabular-nums; }
.thresholds { list-style: none; padding: 0; font-weight: 600; }
.held { color: var(--good); } .missed { color: var(--bad); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 12px 3px 0; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child, th:last-child, td:last-child { text-align: left; }
th { color: var(--soft); font-weight: 500; }
.u-legend th, .u-legend td { border: 0; }
pre { overflow-x: auto; font-size: 12px; } summary { color: var(--bad); cursor: pointer; }
"""

# In a block of its own, beside the names of the library that stands before it.
SCRIPT = """
{
const points = JSON.parse(document.getElementById("history").textContent);
const place = document.getElementById("charts");
const known = points.some((point) => point.server_cpu >= 0);
const CHARTS = [
  ["Calls a second", [["done", "calls_per_s"], ["failed", "failed"], ["wanted", "wanted"]]],
  ["Ring, ms", [["p50", "ring_p50"], ["p95", "ring_p95"], ["p99", "ring_p99"]]],
  ["Relay, ms", [["p50", "relay_p50"], ["p99", "relay_p99"]]],
  ["Users and live calls", [["users", "users"], ["live calls", "live"]]],
  ["CPU, in cores", [["generator", "cpu"], ...(known ? [["server", "server_cpu"]] : [])]],
];

function draw() {
  place.replaceChildren();
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const colours = [colour("--a"), colour("--b"), colour("--c")];
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1 } };
  for (const [title, lines] of CHARTS) {
    const series = lines.map(([label], index) => ({ label, stroke: colours[index], width: 2,
      value: (_, value) => (value == null ? "" : value.toFixed(2)) }));
    const at = points.map((point) => point.at_s);
    const values = lines.map(([, name]) => points.map((point) => point[name]));
    new uPlot({ title, width: Math.max(300, place.clientWidth), height: 220,
      scales: { x: { time: false } },
      series: [{ label: "s", value: (_, value) => (value == null ? "" : value.toFixed(0)) },
        ...series],
      axes: [axis, axis] }, [at, ...values], place);
  }
}

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.classList.contains("dark") || (!root.classList.contains("light")
    && matchMedia("(prefers-color-scheme: dark)").matches);
  root.classList.remove("dark", "light");
  root.classList.add(dark ? "light" : "dark");
  draw();
});
addEventListener("resize", draw);
draw();
}
"""
