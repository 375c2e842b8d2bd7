/** A real VS Code with the packaged extension installed, and a person's hands on it. */
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {
  test as base,
  expect,
  type BrowserContext,
  type Frame,
  type Locator,
  type Page,
} from '@playwright/test';
import { launchOptions } from '../../scripts/lib/browser.mjs';
import { run } from '../../scripts/lib/processes.mjs';
import { root } from '../../scripts/lib/project.mjs';
import { serverCommand, startServer, workbenchUrl } from '../../scripts/lib/vscode-server.mjs';

const screenshots = path.join(root, 'test-results', 'screenshots');

export type PanelName = 'canvas' | 'rankings' | 'clusters' | 'findings' | 'compare';

export class Workbench {
  constructor(
    readonly page: Page,
    /** The folder that is open: a copy of the picture sample. */
    readonly project: string,
  ) {}

  /** For people to look at; never compared. */
  async shot(name: string): Promise<void> {
    await this.page.screenshot({ path: path.join(screenshots, `${name}.png`) });
  }

  file(name: string): Locator {
    return this.page.locator('.explorer-folders-view').getByRole('treeitem', { name, exact: true });
  }

  async openFolder(name: string): Promise<void> {
    const folder = this.file(name);
    if ((await folder.getAttribute('aria-expanded')) !== 'true') await folder.click();
    await expect(folder).toHaveAttribute('aria-expanded', 'true');
  }

  trace(name: string): Promise<void> {
    return this.choose([name], 'Trace Contributions');
  }

  /** Chooses an entry of the menu of files in the Explorer. */
  async choose(names: readonly string[], entry: string): Promise<void> {
    const item = this.page.getByRole('menuitem', { name: entry });
    // A menu opened before the extensions are known lacks their entries: a person would try again.
    await expect(async () => {
      await this.page.keyboard.press('Escape');
      for (const [i, name] of names.entries()) {
        if (names.length > 1) await this.file(name).click({ modifiers: i === 0 ? [] : ['ControlOrMeta'] });
      }
      await this.file(names.at(-1)!).click({ button: 'right', timeout: 5_000 });
      await item.hover({ timeout: 2_000 });
      // A menu ignores clicks in its first tenth of a second.
      await this.page.waitForTimeout(200);
      await item.click({ timeout: 5_000 });
      await expect(item).toBeHidden({ timeout: 5_000 });
    }).toPass({ timeout: 60_000 });
  }

  async command(name: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget input').first();
    // A webview that is just being made has the focus and no ears yet.
    await expect(async () => {
      await this.page.keyboard.press('F1');
      await expect(input).toBeVisible({ timeout: 3_000 });
    }).toPass({ timeout: 30_000 });
    await input.fill(`>${name}`);
    await this.page.locator('.quick-input-list').getByText(name).first().click();
  }

  /** Chooses what the picture shows; in a narrow canvas it may be in the menu. */
  async mode(canvas: Frame, id: string): Promise<void> {
    const button = canvas.getByTestId(`mode-${id}`);
    await canvas.getByTestId('mode-reconstruction').or(canvas.getByTestId('more')).first().waitFor();
    if (!(await button.isVisible())) await canvas.locator('.modes').getByTestId('more').click();
    await button.click();
  }

  /** The frame that holds a panel, among the nested ones of the webviews; waits for it. */
  async panel(name: PanelName, timeout = 60_000): Promise<Frame> {
    return this.findPanel(name, timeout, () => true);
  }

  /** Another frame with the same panel. */
  async otherPanel(name: PanelName, than: Frame, timeout = 60_000): Promise<Frame> {
    return this.findPanel(name, timeout, (frame) => frame !== than);
  }

  private async findPanel(
    name: PanelName,
    timeout: number,
    wanted: (frame: Frame) => boolean,
  ): Promise<Frame> {
    let found: Frame | undefined;
    await expect
      .poll(
        async () => {
          for (const frame of this.page.frames()) {
            if (frame.isDetached() || !wanted(frame)) continue;
            const host = await frame.$(`nc-${name}`).catch(() => null);
            // Hidden editors keep their frames.
            if (
              host &&
              (await host.evaluate((element) => element.getBoundingClientRect().width > 0).catch(() => false))
            ) {
              found = frame;
              return true;
            }
          }
          return false;
        },
        { message: `the ${name} panel`, timeout },
      )
      .toBe(true);
    return found!;
  }
}

/** VS Code's own dialog for a file's name, which is Quick Input in the browser. */
export async function saveAs(workbench: Workbench, file: string, open: () => Promise<void>): Promise<void> {
  const input = workbench.page.locator('.quick-input-widget input').first();
  // The dialog reads folders while a path is typed: it ignores Enter meanwhile, or takes it for the path that was there
  // before. A person would press it again, or open it again.
  await expect(async () => {
    if (existsSync(file)) return;
    if (!(await input.isVisible())) {
      await open();
      await expect(input).toHaveValue(/\.(png|npz|csv)$/);
    }
    await input.fill(file);
    await workbench.page.waitForTimeout(500);
    await input.press('Enter');
    await workbench.shot('save-dialog');
    await expect.poll(() => existsSync(file), { timeout: 5_000 }).toBe(true);
  }).toPass({ timeout: 60_000 });
}

interface WorkerFixtures {
  /** A browser that has shown a webview before. */
  readonly warm: BrowserContext;
  readonly server: Awaited<ReturnType<typeof startServer>>;
}

interface Fixtures {
  /** Files to put into the project before it is opened: the server cannot be relied on to see new ones. */
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly workbench: Workbench;
}

/** Settings of all projects: findings when they are asked for, since two cores have enough to do. */
export const quiet = { 'editor.minimap.enabled': false, 'neuralCanvas.findings.automatic': false };

/** Each test has a project and a window of its own; the server is shared. */
export const test = base.extend<Fixtures, WorkerFixtures>({
  files: [{}, { option: true }],
  server: [
    // Playwright wants the pattern even when nothing is taken out of it.
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const folder = await mkdtemp(path.join(os.tmpdir(), 'neural-canvas-e2e-'));
      const vsix = path.join(folder, 'neural-canvas.vsix');
      const extensions = path.join(folder, 'extensions');
      await run(process.execPath, [path.join(root, 'scripts/package.mjs'), '--out', vsix], { cwd: root });
      await serverCommand('--install-extension', vsix, '--extensions-dir', extensions);
      const server = await startServer({ extensions });
      await use(server);
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
    { scope: 'worker', timeout: 300_000 },
  ],
  // In a fresh browser the second and third webview may wait ten seconds and more for the service worker
  // that the first one installs: open two once, before anything is tested.
  warm: [
    async ({ server, playwright }, use) => {
      const folder = await mkdtemp(path.join(os.tmpdir(), 'neural-canvas-warm-'));
      await cp(path.join(root, 'samples/pictures/checkpoints/siren.pth'), path.join(folder, 'siren.pth'));
      const browser = await playwright.chromium.launch(launchOptions());
      const context = await browser.newContext({ viewport: { width: 1600, height: 1100 } });
      const page = await context.newPage();
      const workbench = new Workbench(page, folder);
      await expect(async () => {
        await page.goto(workbenchUrl(server.origin, { folder }));
        await page.locator('.explorer-folders-view').getByRole('treeitem').first().waitFor();
        await workbench.trace('siren.pth');
        for (const name of ['canvas', 'rankings', 'clusters'] as const) await workbench.panel(name, 45_000);
      }).toPass({ timeout: 280_000 });
      await page.close();
      await use(context);
      await browser.close();
      await rm(folder, { recursive: true, force: true });
    },
    { scope: 'worker', timeout: 300_000 },
  ],
  workbench: async ({ server, warm, files }, use) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'neural-canvas-project-'));
    const project = path.join(folder, 'cat');
    await cp(path.join(root, 'samples/pictures'), project, { recursive: true });
    await mkdir(screenshots, { recursive: true });
    await mkdir(path.join(project, '.vscode'));
    await writeFile(
      path.join(project, '.vscode/settings.json'),
      JSON.stringify({ 'workbench.colorTheme': 'Default Dark Modern', ...quiet }),
    );
    for (const [name, content] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(project, name)), { recursive: true });
      await writeFile(path.join(project, name), content);
    }
    const page = await warm.newPage();
    await page.goto(workbenchUrl(server.origin, { folder: project }));
    await page.locator('.explorer-folders-view').getByRole('treeitem').first().waitFor({ timeout: 60_000 });
    await use(new Workbench(page, project));
    await page.close();
    await rm(folder, { recursive: true, force: true });
  },
});

export { expect };

/** Runs the command line of the build. */
export const commandLine = (...args: string[]): Promise<string> =>
  run(process.execPath, [path.join(root, 'dist/cli.js'), ...args], { cwd: root });

export const fixture = (name: string): Buffer => readFileSync(path.join(root, 'test/fixtures', name));
