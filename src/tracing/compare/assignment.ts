/**
 * The assignment of rows to columns of the largest total, by shortest augmenting paths: Jonker and Volgenant's
 * algorithm as D. F. Crouse wrote it down (On implementing 2D rectangular assignment algorithms, IEEE Trans.
 * Aerospace and Electronic Systems 52(4), 2016), O(rows² · columns). Ours and not a library's: the one that is
 * kept up brings two matrix libraries for these sixty lines.
 * @param values `[rows, columns]`, finite
 * @returns the column of each row; −1 for rows without one, where there are more rows than columns
 */
export function assign(values: Float32Array | Float64Array, rows: number, columns: number): Int32Array {
  if (rows > columns) {
    const turned = new Float64Array(rows * columns);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) turned[j * rows + i] = values[i * columns + j];
    const rowOf = assign(turned, columns, rows);
    const out = new Int32Array(rows).fill(-1);
    rowOf.forEach((row, column) => (out[row] = column));
    return out;
  }
  let largest = -Infinity;
  for (const value of values) largest = Math.max(largest, value);
  const cost = (i: number, j: number) => largest - values[i * columns + j];
  const u = new Float64Array(rows);
  const v = new Float64Array(columns);
  const columnOf = new Int32Array(rows).fill(-1);
  const rowOf = new Int32Array(columns).fill(-1);
  const shortest = new Float64Array(columns);
  const before = new Int32Array(columns);
  const reached = new Uint8Array(columns);
  const passed = new Uint8Array(rows);
  const open = new Int32Array(columns);
  for (let start = 0; start < rows; start++) {
    shortest.fill(Infinity);
    before.fill(-1);
    reached.fill(0);
    passed.fill(0);
    let left = columns;
    for (let k = 0; k < columns; k++) open[k] = columns - 1 - k;
    let [row, sink, distance] = [start, -1, 0];
    while (sink < 0) {
      passed[row] = 1;
      let [best, lowest] = [-1, Infinity];
      for (let k = 0; k < left; k++) {
        const j = open[k];
        const reduced = distance + cost(row, j) - u[row] - v[j];
        if (reduced < shortest[j]) {
          before[j] = row;
          shortest[j] = reduced;
        }
        // Of equally near columns a free one ends the search.
        if (shortest[j] < lowest || (shortest[j] === lowest && rowOf[j] < 0))
          [lowest, best] = [shortest[j], k];
      }
      distance = lowest;
      const j = open[best];
      if (rowOf[j] < 0) sink = j;
      else row = rowOf[j];
      reached[j] = 1;
      open[best] = open[--left];
    }
    u[start] += distance;
    for (let i = 0; i < rows; i++) {
      if (passed[i] && i !== start) u[i] += distance - shortest[columnOf[i]];
    }
    for (let j = 0; j < columns; j++) if (reached[j]) v[j] -= distance - shortest[j];
    for (let j = sink; ;) {
      const i = before[j];
      rowOf[j] = i;
      const next = columnOf[i];
      columnOf[i] = j;
      if (i === start) break;
      j = next;
    }
  }
  return columnOf;
}
