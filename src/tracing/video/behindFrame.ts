import type { EngineSession, EngineTensor } from '../../engine/types';
import { behind } from '../../graph/cut';
import { withTangent } from '../../graph/tangent';
import type { Graph } from '../../graph/types';
import type { FrameRunner } from './runner';

interface Runnable {
  readonly session: EngineSession;
  readonly graph: Graph;
}

type Given = ReadonlyMap<string, EngineTensor>;

/** The part of a decoder behind one of its values, at one frame: what it makes of that value with rows changed. */
export class BehindFrame {
  /** Of a row. */
  readonly area: number;
  private tangent:
    Promise<(Runnable & { readonly direction: string; readonly fixed: Given }) | undefined> | undefined;

  private constructor(
    private readonly runner: FrameRunner,
    private readonly frame: number,
    private readonly cut: string,
    private readonly rest: Runnable,
    /** At the cut, `[1, rows, h, w]`. */
    private readonly values: EngineTensor,
    readonly rows: number,
    /** What the network puts out, `[channels, H·W]`. */
    readonly output: Float32Array,
  ) {
    this.area = values.data.length / rows;
  }

  static async at(runner: FrameRunner, frame: number, cut: string): Promise<BehindFrame> {
    const { graph } = runner.inr;
    const found = await runner.run(frame, [cut, graph.output]);
    const rest = behind(graph, [cut]);
    const { shape, data } = found.get(cut)!;
    const session = await runner.engine.load(rest, [graph.output]);
    const values = { shape, data: data.slice() };
    const output = found.get(graph.output)!.data.slice();
    return new BehindFrame(runner, frame, cut, { session, graph: rest }, values, shape[1], output);
  }

  /** The intact values of a row, `[h·w]`; to be read only. */
  row(row: number): Float32Array {
    return this.values.data.subarray(row * this.area, (row + 1) * this.area);
  }

  /** @param given besides the cut and the time */
  private run({ session, graph }: Runnable, given?: Given): Promise<Given> {
    const { domain } = this.runner.inr;
    if (domain.kind !== 'frames') throw new Error('pixels are not frames');
    const t = { shape: [1, 1], data: Float32Array.of(this.frame / domain.divisor) };
    const feed = (name: string) => given?.get(name) ?? (name === this.cut ? this.values : t);
    return session.run(new Map(graph.inputs.map(({ name }) => [name, feed(name)])));
  }

  /** The output with some rows at a constant each, `[channels, H·W]`. */
  async without(rows: readonly number[], constant: (row: number) => number): Promise<Float32Array> {
    // A copy: other questions may be under way.
    const data = this.values.data.slice();
    for (const row of rows) data.fill(constant(row), row * this.area, (row + 1) * this.area);
    const given = new Map([[this.cut, { shape: this.values.shape, data }]]);
    return (await this.run(this.rest, given)).get(this.rest.graph.output)!.data;
  }

  /**
   * How the output changes as one row grows in proportion to itself, `[channels, H·W]`: Σ over the row's places of
   * the value there times the derivative of the output with respect to it.
   * @throws NoDerivativeError
   */
  async along(row: number): Promise<Float32Array> {
    const tangent = await (this.tangent ??= this.prepared());
    if (!tangent) return new Float32Array(this.output.length);
    const data = new Float32Array(this.values.data.length);
    data.set(this.row(row), row * this.area);
    const given = new Map([...tangent.fixed, [tangent.direction, { shape: this.values.shape, data }]]);
    return (await this.run(tangent, given)).get(tangent.graph.output)!.data;
  }

  private async prepared() {
    const found = withTangent(this.rest.graph, this.cut);
    if (!found) return undefined;
    const { engine } = this.runner;
    const { graph, base, direction } = found;
    let fixed: Given = new Map();
    if (found.fixed.length > 0) {
      const session = await engine.load(base, found.fixed);
      fixed = await this.run({ session, graph: base });
      await session.release();
    }
    return { graph, direction, fixed, session: await engine.load(graph, [graph.output]) };
  }

  async release(): Promise<void> {
    await this.rest.session.release();
    const tangent = await this.tangent?.catch(() => undefined);
    await tangent?.session.release();
  }
}

export const meanOf = (values: Float32Array): number => values.reduce((sum, v) => sum + v, 0) / values.length;
