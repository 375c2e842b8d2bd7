/** A benchmark's JSON as text: objects of like objects are tables, everything else is listed. */

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isRow = (value) =>
  isObject(value) && Object.values(value).every((cell) => !isObject(cell) && !Array.isArray(cell));
const text = (value) =>
  typeof value === 'number' ? String(Number(value.toPrecision(4))) : String(value ?? '');

/** Rows of equal width, the first being the heads. */
function aligned(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd(),
  );
}

/** @param named rows by their name */
function tableOf(named) {
  const columns = [...new Set(Object.values(named).flatMap(Object.keys))];
  return aligned([
    ['', ...columns],
    ...Object.entries(named).map(([name, row]) => [name, ...columns.map((column) => text(row[column]))]),
  ]);
}

/** @returns lines */
export function table(value, title = '') {
  const entries = Object.entries(Array.isArray(value) ? { ...value } : value);
  const lines = [];
  const rows = entries.filter(([, cell]) => isRow(cell));
  const single = entries.filter(([, cell]) => !isObject(cell) && !Array.isArray(cell));
  if (single.length > 0) lines.push(...aligned(single.map(([name, cell]) => [name, text(cell)])), '');
  // What has the same columns is one table.
  const tables = Map.groupBy(rows, ([, row]) => Object.keys(row).join());
  for (const alike of tables.values()) lines.push(...tableOf(Object.fromEntries(alike)), '');
  if (lines.length > 0 && title) lines.unshift(`# ${title}`);
  for (const [name, cell] of entries) {
    if (isRow(cell) || !(isObject(cell) || Array.isArray(cell))) continue;
    const path = title ? `${title} · ${name}` : name;
    // A list of numbers needs no table.
    if (Array.isArray(cell) && !cell.some(isObject)) lines.push(`# ${path}`, cell.map(text).join(' '), '');
    else lines.push(...table(cell, path));
  }
  return lines;
}
