"""The frame of the page and its look, in light and in dark, on a phone and on a desk."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

STYLE = """
:root { --page: #fff; --ink: #222; --soft: #5c6068; --line: #ddd; --card: #f6f6f7;
  --good: #17692f; --fair: #7a5200; --poor: #a81e22; }
@media (prefers-color-scheme: dark) {
  :root { --page: #1b1d21; --ink: #e4e4e4; --soft: #a6abb3; --line: #3a3d44; --card: #25282d;
    --good: #62cd80; --fair: #e8b54d; --poor: #ff8a84; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1rem 0 .4rem; }
.name { font-family: ui-monospace, monospace; font-weight: 500; }
.caption, figcaption { color: var(--soft); font-size: .9rem; margin: .3rem 0 .6rem; }
.caption { max-width: 46rem; }
.banner { padding: .7rem 1rem; border-left: .3rem solid; border-radius: .3rem; background: var(--card); }
.banner span { color: var(--ink); }
code { white-space: nowrap; }
.good { color: var(--good); } .fair { color: var(--fair); } .poor { color: var(--poor); }
.facts { display: grid; gap: .6rem; margin: 1rem 0; }
.facts { grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
.facts dt { color: var(--soft); font-size: .8rem; } .facts dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; width: 100%; }
th, td { text-align: left; vertical-align: top; }
th, td { padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); }
thead th { font-weight: 500; color: var(--soft); font-size: .85rem; vertical-align: bottom; }
tbody th { font-weight: 500; white-space: nowrap; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
.config td { overflow-wrap: anywhere; font-family: ui-monospace, monospace; font-size: .85rem; }
.row { display: grid; grid-template-columns: repeat(var(--desk), minmax(0, 16rem)); gap: .5rem; }
figure { margin: 0; }
img { display: block; width: 100%; height: auto; }
.crop { image-rendering: pixelated; border-radius: .2rem; }
.charts { display: grid; gap: 1.5rem; }
.charts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
@media (max-width: 40rem) {
  .row { grid-template-columns: repeat(var(--phone), minmax(0, 1fr)); }
  .judged tr { display: grid; grid-template-columns: 1.3fr repeat(4, 1fr); }
  .judged tr { border-bottom: 1px solid var(--line); }
  .judged :is(th, td) { border: 0; padding-right: .4rem; white-space: normal; }
  .judged thead th:last-child { display: none; }
  .judged .verdict { grid-column: 1 / -1; padding-top: 0; } }
details { border-top: 1px solid var(--line); padding: .5rem 0; }
summary { cursor: pointer; font-weight: 500; }
"""
