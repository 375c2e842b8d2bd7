import type { Rows } from './rows';

/**
 * Text as a CSV field. A name comes from a stranger's file: one that a spreadsheet would take for a
 * formula gets an apostrophe in front, as OWASP's “CSV injection” advises.
 */
function field(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** RFC 4180 with a header, one line a row in the order given, numbers in full precision. */
export function csv(rows: Rows, order: Iterable<number>, layerNames: readonly string[]): string {
  const names = layerNames.map(field);
  const lines = [
    'layer,neuron,total,share,mean_abs,max_abs,pixels,dead,cluster,removed_db,region_share,region_affinity',
  ];
  for (const row of order) {
    const { neuron, total, share, mean, max, pixels, dead, cluster, removed, regionShare, affinity } = rows;
    const group = Number.isNaN(cluster[row]) ? '' : cluster[row] + 1;
    const numbers = [neuron, total, share, mean, max, pixels, dead].map((values) => values[row]);
    const measured = [removed, regionShare, affinity].map((values) =>
      Number.isNaN(values[row]) ? '' : values[row],
    );
    lines.push([names[rows.layer[row]], ...numbers, group, ...measured].join(','));
  }
  return lines.join('\r\n') + '\r\n';
}
