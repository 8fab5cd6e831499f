#include "report/page.h"

namespace dbps::report {

// Series colours: Okabe and Ito's, told apart by colour-blind readers; lightened on dark.
const std::string_view kPageStyle = R"css(
:root {
  --paper: #fbfbf9; --card: #ffffff; --ink: #1d2327; --soft: #5c666d; --rule: #e1e3e0;
  --accent: #0072b2; --shade: 0, 114, 178;
  --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #b0568f; --s4: #b07f00; --s5: #2f9bd1;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #121517; --card: #1a1e21; --ink: #e4e7e8; --soft: #9aa4aa; --rule: #2c3236;
    --accent: #62b5e5; --shade: 74, 163, 214;
    --s0: #62b5e5; --s1: #f08a45; --s2: #2fc79b; --s3: #dd94c0; --s4: #e6b54a; --s5: #a9d8f5;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1320px; margin: 0 auto; padding: clamp(20px, 4vw, 56px) clamp(14px, 4vw, 48px); }
.kicker { margin: 0 0 4px; color: var(--accent); font-size: 13px; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; }
h1 { margin: 0; font-size: clamp(24px, 3.4vw, 38px); line-height: 1.18; font-weight: 650; letter-spacing: -.015em; overflow-wrap: anywhere; }
h2 { margin: 0 0 14px; font-size: 20px; font-weight: 620; letter-spacing: -.005em; }
h3 { margin: 20px 0 10px; font-size: 15px; font-weight: 600; overflow-wrap: anywhere; }
h3:first-child { margin-top: 0; }
.lede { margin: 8px 0 0; color: var(--soft); max-width: 70ch; }
.remarks { margin: 14px 0 0; padding: 8px 14px; border-left: 3px solid var(--s1); color: var(--soft); list-style: none; font-size: 14px; overflow-wrap: anywhere; }
section { margin-top: 44px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 1px; margin: 26px 0 0; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; overflow: hidden; }
.facts div { padding: 14px 16px; box-shadow: 0 0 0 1px var(--rule); }
.facts dt { color: var(--soft); font-size: 13px; line-height: 1.35; }
.facts dd { margin: 2px 0 0; font-size: 22px; font-weight: 600; letter-spacing: -.01em; font-variant-numeric: tabular-nums; }
.facts small { display: block; color: var(--soft); font-size: 12.5px; font-weight: 400; letter-spacing: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 350px), 1fr)); gap: 18px; }
.chart { margin: 0; padding: 14px 14px 8px; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; min-width: 0; max-width: 640px; display: flex; flex-direction: column; }
.chart figcaption { font-size: 15px; font-weight: 600; overflow-wrap: anywhere; }
.chart > svg { display: block; width: 100%; height: auto; margin-top: auto; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 2px 0 8px; padding: 0; list-style: none; color: var(--soft); font-size: 13px; }
.legend li { display: inline-flex; align-items: center; gap: 6px; overflow-wrap: anywhere; }
.key { width: 22px; height: 10px; flex: none; }
.axis line { stroke: var(--rule); stroke-width: 1; }
.axis text { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
path { fill: none; stroke: currentColor; stroke-width: 1.9; stroke-linejoin: round; stroke-linecap: round; }
.faint path { stroke-width: 1; opacity: .34; } .key .faint path { opacity: .7; }
.dash1 path { stroke-dasharray: 6 4; } .dash2 path { stroke-dasharray: 1.5 4; }
.s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--s2); }
.s3 { color: var(--s3); } .s4 { color: var(--s4); } .s5 { color: var(--s5); }
.dot { fill: currentColor; stroke: var(--card); stroke-width: 1; }
.hit { fill: transparent; } .hit:hover { fill: currentColor; fill-opacity: .3; }
.scroll { overflow-x: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 28px 40px; align-items: start; }
.stack { display: grid; gap: 24px; }
.pair > *, .stack > * { min-width: 0; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 550; }
tbody th, th:first-child { text-align: left; padding-left: 0; }
tbody th { color: var(--ink); font-weight: 500; }
td small { display: block; color: var(--soft); font-size: 12px; }
.words th { white-space: normal; }
.wide { width: 100%; }
.matrix td { min-width: 46px; border: 2px solid var(--paper); text-align: center; border-radius: 6px; }
.matrix thead th { text-align: center; border: 0; }
.matrix tbody th { border: 0; }
.matrix .right { font-weight: 650; }
.matrix th { max-width: 130px; white-space: normal; overflow-wrap: break-word; }
.note { margin: 10px 0 0; color: var(--soft); font-size: 13px; max-width: 70ch; }
.bar { display: block; height: 10px; min-width: 1px; border-radius: 3px; background: var(--accent); }
.bars td.track { width: 60%; min-width: 90px; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 480px), 1fr)); gap: 18px; }
.maps figure { margin: 0; min-width: 0; }
.maps img { display: block; width: 100%; height: auto; border-radius: 8px; border: 1px solid var(--rule); }
.maps figcaption { margin-top: 5px; color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.provenance { width: 100%; table-layout: fixed; }
.provenance th { width: 220px; vertical-align: top; white-space: normal; overflow-wrap: anywhere; color: var(--soft); }
.provenance td { text-align: left; white-space: normal; overflow-wrap: anywhere; padding-right: 0; }
details { margin-top: 18px; border: 1px solid var(--rule); border-radius: 10px; background: var(--card); }
summary { padding: 12px 16px; cursor: pointer; font-weight: 600; overflow-wrap: anywhere; }
summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 10px; }
details > pre { margin: 0; padding: 4px 16px 16px; overflow-x: auto; font: 13px/1.55 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
details.run { background: none; margin-top: 28px; }
details.run > .inside { padding: 0 clamp(12px, 2vw, 24px) 24px; }
@media (max-width: 560px) { section { margin-top: 34px; } .facts { grid-template-columns: 1fr 1fr; } .facts dd { font-size: 19px; } table { font-size: 13px; } th, td { padding: 6px 5px; } .provenance th { width: 118px; } td:last-child, th:last-child { padding-right: 0; } .bars td.track { min-width: 40px; } }
@media print { details > pre { white-space: pre-wrap; } .chart, .facts, figure { break-inside: avoid; } }
)css";

}  // namespace dbps::report
