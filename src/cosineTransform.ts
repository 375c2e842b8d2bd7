/** Orthonormal DCT-II along both axes. */
export function cosineTransform(values: Float64Array, rows: number, columns: number): Float64Array {
  return alongRows(
    turned(alongRows(turned(values, rows, columns), columns, rows), columns, rows),
    rows,
    columns,
  );
}

function turned(values: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(values.length);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) out[c * rows + r] = values[r * columns + c];
  return out;
}

function alongRows(values: Float64Array, rows: number, n: number): Float64Array {
  const cosines = new Float64Array(n * n);
  for (let u = 0; u < n; u++) {
    const scale = Math.sqrt((u === 0 ? 1 : 2) / n);
    for (let x = 0; x < n; x++) cosines[u * n + x] = scale * Math.cos((Math.PI * (2 * x + 1) * u) / (2 * n));
  }
  const out = new Float64Array(values.length);
  for (let r = 0; r < rows; r++) {
    const row = values.subarray(r * n, (r + 1) * n);
    for (let u = 0; u < n; u++) {
      const wave = cosines.subarray(u * n, (u + 1) * n);
      let sum = 0;
      for (let x = 0; x < n; x++) sum += row[x] * wave[x];
      out[r * n + u] = sum;
    }
  }
  return out;
}
