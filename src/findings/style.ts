/** Looks of the findings page. Colours and fonts are variables: the panel takes them from the theme. */
export const pageStyle = `
.findings { max-width: 1040px; margin: 0 auto; padding: 20px 28px 40px; }
.findings h1, .findings h2, .findings h3, .findings p, .findings figure { margin: 0; }
.findings header { display: flex; flex-wrap: wrap; gap: 16px 32px; align-items: flex-end; justify-content: space-between; padding-bottom: 20px; }
.findings .title { flex: 1 1 320px; min-width: 0; }
.findings .kicker { color: var(--muted); font-size: 11px; font-weight: 600; letter-spacing: .06em; text-transform: uppercase; }
.findings h1 { margin: 2px 0 6px; font-size: 24px; font-weight: 600; line-height: 1.2; overflow-wrap: anywhere; }
.findings .facts, .findings .comparison, .findings .note, .findings figcaption, .findings caption { color: var(--muted); }
.findings .pictures { display: flex; gap: 12px; }
.findings .picture { flex: none; }
.findings .picture img { display: block; height: 104px; max-width: 240px; object-fit: contain; image-rendering: pixelated; border-radius: 3px; }
.findings figcaption { margin-top: 4px; font-size: 11px; }
.findings section, .findings footer { padding: 20px 0; border-top: 1px solid var(--line); break-inside: avoid-page; }
.findings h2 { display: flex; align-items: center; gap: 10px; margin-bottom: 6px; color: var(--muted); font-size: 13px; font-weight: 600; letter-spacing: normal; text-transform: none; }
.findings h3 { display: flex; align-items: center; gap: 8px; margin-bottom: 6px; font-size: 12px; font-weight: 600; }
.findings .sentence { max-width: 74ch; font-size: 16px; line-height: 1.45; }
.findings .comparison { max-width: 90ch; margin-top: 6px; }
.findings .note { margin-top: 6px; max-width: 90ch; font-size: 12px; }
.findings .verdict { padding: 1px 8px; border: 1px solid currentColor; border-radius: 9px; font-size: 11px; font-weight: 600; line-height: 15px; }
.findings .verdict.yes { color: var(--yes); }
.findings .verdict.partly { color: var(--partly); }
.findings .verdict.no { color: var(--no); }
.findings .figures { display: flex; flex-wrap: wrap; gap: 16px 28px; align-items: flex-start; margin-top: 14px; }
.findings .figures > .picture img { height: 92px; }
.findings .plot { flex: 0 1 360px; min-width: 260px; }
.findings .tables { display: flex; flex: 1 1 380px; flex-direction: column; gap: 12px; min-width: 0; overflow-x: auto; }
.findings .block { margin-top: 20px; break-inside: avoid; }
.findings table { border-collapse: collapse; font-size: 12px; font-variant-numeric: tabular-nums; }
.findings caption { padding: 10px 0 4px; font-size: 12px; text-align: left; }
.findings th, .findings td { padding: 3px 14px 3px 0; border-bottom: 1px solid var(--line); font-weight: 400; text-align: left; vertical-align: top; white-space: nowrap; }
.findings thead th { color: var(--muted); font-size: 11px; vertical-align: bottom; white-space: normal; }
.findings .objects { margin-top: 12px; }
.findings .objects td:last-child { white-space: normal; }
.findings .number { text-align: right; }
.findings .number:last-child { padding-right: 0; }
.findings .heat td { padding: 3px 8px; background: color-mix(in srgb, var(--c0) calc(var(--heat, 0%) * .45), transparent); }
.findings .heat th.number, .findings .heat td.number:last-child { padding-right: 8px; }
.findings .chart { display: block; width: 100%; height: auto; overflow: visible; }
.findings .chart text { fill: var(--muted); font-family: inherit; font-size: 11px; font-variant-numeric: tabular-nums; }
.findings .chart .grid { stroke: var(--line); stroke-width: 1; opacity: .6; }
.findings .chart .axis { stroke: var(--muted); stroke-width: 1; }
.findings .chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.findings .chart .dashed { stroke-dasharray: 5 4; stroke-width: 1.5; }
.findings .legend { display: flex; flex-wrap: wrap; gap: 2px 14px; }
.findings .key { display: inline-block; width: 14px; height: 0; margin-right: 6px; border-top: 2px solid; vertical-align: middle; }
.findings .key.dashed { border-top-style: dashed; }
.findings .key.mark { width: 0; height: 10px; border-top: none; border-left: 2px solid var(--fg); }
.findings .dot { display: inline-block; width: 8px; height: 8px; margin-right: 7px; border-radius: 2px; background: currentColor; }
.findings .bars .row { display: grid; grid-template-columns: minmax(48px, 84px) minmax(60px, 280px) max-content; gap: 10px; align-items: center; height: 24px; font-size: 12px; font-variant-numeric: tabular-nums; }
.findings .bars .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.findings .bars .track { position: relative; height: 12px; }
.findings .bars .amount { display: block; height: 100%; border-radius: 0 2px 2px 0; background: currentColor; }
.findings .bars .weak { opacity: .4; }
.findings .bars .reference { position: absolute; top: -3px; bottom: -3px; border-left: 2px solid var(--fg); }
.findings .bars .value { white-space: pre; }
.findings .maps { display: flex; flex-wrap: wrap; gap: 8px; }
.findings .neuron { font-variant-numeric: tabular-nums; }
.findings .maps .neuron { display: flex; flex-direction: column; gap: 2px; align-items: flex-start; padding: 0; font-size: 11px; color: var(--muted); }
.findings .maps img { display: block; height: 44px; max-width: 110px; object-fit: contain; image-rendering: pixelated; border-radius: 2px; }
.findings button.neuron { padding: 0; color: var(--link); }
.findings button.neuron:hover { text-decoration: underline; }
.findings .maps button.neuron:hover img { outline: 2px solid var(--link); outline-offset: 1px; }
.findings .preferring { font-size: 12px; }
.findings .signs { display: grid; gap: 10px; margin: 10px 0 0; padding: 0; list-style: none; }
.findings .signs.good { gap: 4px; font-size: 12px; }
.findings .signs .note { margin: 2px 0 0 26px; }
.findings .mark { display: inline-block; width: 16px; height: 16px; margin-right: 10px; border-radius: 50%; color: var(--bg); background: var(--muted); font-size: 11px; font-weight: 700; line-height: 16px; text-align: center; }
.findings .key.mark { margin-right: 6px; border-radius: 0; background: none; }
.findings .mark.is-warning { background: var(--no); }
.findings .mark.is-note { background: var(--partly); }
.findings .mark.is-good { background: var(--yes); }
.findings details { margin-top: 14px; }
.findings summary { color: var(--muted); cursor: pointer; }
.findings footer p { max-width: 100ch; color: var(--muted); font-size: 12px; }
.findings footer p + p { margin-top: 6px; }
.findings .c0 { color: var(--c0); stroke: var(--c0); border-color: var(--c0); }
.findings .c1 { color: var(--c1); stroke: var(--c1); border-color: var(--c1); }
.findings .c2 { color: var(--c2); stroke: var(--c2); border-color: var(--c2); }
.findings .c3 { color: var(--c3); stroke: var(--c3); border-color: var(--c3); }
.findings .c4 { color: var(--c4); stroke: var(--c4); border-color: var(--c4); }
.findings .c5 { color: var(--c5); stroke: var(--c5); border-color: var(--c5); }
.findings .c7 { color: var(--muted); stroke: var(--muted); border-color: var(--muted); }
@media (max-width: 560px) {
  .findings { padding: 14px 14px 28px; }
  .findings .sentence { font-size: 15px; }
  .findings .plot, .findings .tables { flex-basis: 100%; min-width: 0; }
}
`;

/** Okabe and Ito's colours, which stay apart for all common forms of colour vision; adapted to the ground. */
export const colours = {
  light: ['#0072b2', '#b45309', '#047857', '#a21a78', '#737373', '#7c5cba'],
  dark: ['#56b4e9', '#e69f00', '#2fbf8f', '#dd7fb6', '#9d9d9d', '#a98fe8'],
} as const;

const variables = (values: readonly string[]) => values.map((value, k) => `--c${k}: ${value};`).join(' ');

/** Of the report, which has no theme around it. */
export const reportStyle = `
:root { color-scheme: light dark; --bg: #ffffff; --fg: #1b1b1f; --muted: #5c5f66; --line: #dfe1e5; --link: #0b5cad; --yes: #04734f; --partly: #8a5300; --no: #b3261e; ${variables(colours.light)} }
@media (prefers-color-scheme: dark) {
  :root { --bg: #1b1c1f; --fg: #e6e6e8; --muted: #a0a3aa; --line: #36383d; --link: #6cb2f2; --yes: #4cc38a; --partly: #e0a53b; --no: #f2857a; ${variables(colours.dark)} }
}
body { margin: 0; color: var(--fg); background: var(--bg); font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
@media print {
  :root { color-scheme: light; --bg: #ffffff; --fg: #000000; --muted: #474a50; --line: #c9ccd1; --yes: #04734f; --partly: #8a5300; --no: #b3261e; ${variables(colours.light)} }
  @page { margin: 16mm 14mm; }
  body { font-size: 10pt; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  .findings { max-width: none; padding: 0; }
  .findings section { padding: 12pt 0; }
  .findings .sentence { font-size: 12pt; }
  .findings .plot { flex: 0 0 240px; min-width: 0; }
  .findings .tables { flex: 1 1 300px; overflow: visible; }
  .findings h2 { break-after: avoid; }
  .findings th, .findings td { padding-right: 9px; }
}
`;
