"""How the report looks: system fonts, one column, light or dark as the reader's system is."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2024; --soft: #5a636d; --line: #d5dae0; --card: #f4f6f8;
  --link: #0a58a6; --better: #0b5d33; --better-back: #d9f2e3; --worse: #93231c;
  --worse-back: #fbe3e0; --open: #4a4f55; --open-back: #e6e9ec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e4e7ea; --soft: #a3acb5; --line: #363c43; --card: #1e2226;
    --link: #7db8f5; --better: #9be3b9; --better-back: #16402a; --worse: #f6b0a9;
    --worse-back: #4f1d19; --open: #cdd3d9; --open-back: #343a40;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.25rem 1rem 4rem; max-width: 70rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 2.8rem 0 .6rem; padding-top: .8rem;
     border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p, ul { margin: .5rem 0; max-width: 48rem; }
ul { padding-left: 1.2rem; }
a { color: var(--link); }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin: 1rem 0; }
.soft, figcaption, summary, dt { color: var(--soft); }
.soft, figcaption { font-size: .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .8rem 0; }
dd { margin: 0; min-width: 0; }
.name { white-space: nowrap; }
.verdict { background: var(--card); border: 1px solid var(--line); border-left-width: 5px;
           border-radius: 6px; padding: .6rem .9rem; margin: .6rem 0; }
.verdict p { margin: .15rem 0; }
.better { border-left-color: var(--better); }
.worse { border-left-color: var(--worse); }
.chip { display: inline-block; border-radius: 1rem; padding: 0 .6rem; font-size: .85rem;
        font-weight: 600; color: var(--open); background: var(--open-back); white-space: nowrap; }
.chip.better { color: var(--better); background: var(--better-back); }
.chip.worse { color: var(--worse); background: var(--worse-back); }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top;
         border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
figure { margin: 1.2rem 0; }
/* Drawn on white: a card of paper keeps them readable in the dark. */
.picture { background: #ffffff; border: 1px solid var(--line); border-radius: 6px; padding: .5rem;
           overflow-x: auto; }
/* Never so small that its words could not be read, nor larger than is of use. */
.picture img { display: block; width: 100%; height: auto; margin: 0 auto;
               min-width: calc(var(--inches) * 76px); max-width: calc(var(--inches) * 112px); }
figcaption { margin-top: .4rem; max-width: 48rem; }
.swipe { display: none; }
.videos { display: flex; flex-wrap: wrap; gap: 1rem; }
.videos figure { flex: 1 1 15rem; max-width: 24rem; margin: 0; }
.videos img, .videos video { display: block; width: 100%; height: auto; border-radius: 6px;
                             background: #000000; image-rendering: pixelated; }
details { margin: .6rem 0; }
summary { cursor: pointer; }
@media (max-width: 40rem) {
  body { padding: 1rem .9rem 3rem; }
  .swipe { display: inline; }
  .picture img { min-width: calc(var(--inches) * 100px); }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
}
@media print { .scroll, .picture { overflow: visible; } }
"""
