import type { ReactiveController, ReactiveControllerHost } from 'lit';
import { categoryColour, magnitudeMap, signedMap, type Brightness, type ColourMap } from './colourMaps';

/** Red, green, blue 0–255, opacity 0–1. */
export type Rgba = readonly [number, number, number, number];

/** Reads `#rgb`, `#rgba`, `#rrggbb`, `#rrggbbaa`, `rgb(…)` and `rgba(…)`, the forms VS Code writes; null otherwise. */
export function parseColour(text: string): Rgba | null {
  const hex = /^#([\da-f]{3,4}|[\da-f]{6}|[\da-f]{8})$/i.exec(text.trim())?.[1];
  if (hex) {
    const long = hex.length <= 4 ? [...hex].map((digit) => digit + digit).join('') : hex;
    const part = (i: number) => parseInt(long.slice(2 * i, 2 * i + 2), 16);
    return [part(0), part(1), part(2), long.length === 8 ? part(3) / 255 : 1];
  }
  const list = /^rgba?\(([^)]*)\)$/i.exec(text.trim())?.[1];
  const parts = list?.split(/[\s,/]+/).filter(Boolean) ?? [];
  if (parts.length < 3) return null;
  const numbers = parts.map((part) => (part.endsWith('%') ? parseFloat(part) / 100 : parseFloat(part)));
  if (numbers.some(Number.isNaN)) return null;
  return [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
}

/** The editor's theme; asks its element to update when the person changes it. */
export class Theme implements ReactiveController {
  brightness: Brightness = 'dark';
  highContrast = false;
  signed: ColourMap = signedMap('dark');
  readonly magnitude: ColourMap = magnitudeMap();
  private style = getComputedStyle(document.documentElement);
  private readonly observer = new MutationObserver(() => {
    this.read();
    this.element.requestUpdate();
  });

  constructor(private readonly element: ReactiveControllerHost) {
    element.addController(this);
    this.read();
  }

  hostConnected(): void {
    const options = { attributes: true, attributeFilter: ['class', 'style', 'data-vscode-theme-id'] };
    this.observer.observe(document.documentElement, options);
    this.observer.observe(document.body, options);
  }

  hostDisconnected(): void {
    this.observer.disconnect();
  }

  private read(): void {
    const { classList } = document.body;
    const light = classList.contains('vscode-light') || classList.contains('vscode-high-contrast-light');
    this.highContrast = [...classList].some((name) => name.startsWith('vscode-high-contrast'));
    this.brightness = light ? 'light' : 'dark';
    this.signed = signedMap(this.brightness);
    this.style = getComputedStyle(document.documentElement);
  }

  /** @param variable without `--vscode-`, e.g. `charts-blue` */
  colour(variable: string, fallback: string): string {
    return this.style.getPropertyValue(`--vscode-${variable}`).trim() || fallback;
  }

  rgba(variable: string, fallback: Rgba): Rgba {
    return parseColour(this.colour(variable, '')) ?? fallback;
  }

  get foreground(): string {
    return this.colour('foreground', this.brightness === 'dark' ? '#cccccc' : '#3b3b3b');
  }

  get muted(): string {
    return this.colour('descriptionForeground', this.foreground);
  }

  get background(): string {
    return this.colour('editor-background', this.brightness === 'dark' ? '#1e1e1e' : '#ffffff');
  }

  /** Colour of a cluster; the theme's own chart colours are too alike for many eyes. */
  category(index: number): string {
    return categoryColour(index, this.brightness);
  }

  /** Colour of one of `count` layers: deeper ones lie further along the map for magnitudes. */
  depth(layer: number, count: number): string {
    // The map's end that is close to the background is left out.
    const [first, last] = this.brightness === 'dark' ? [0.35, 0.95] : [0.05, 0.75];
    const t = first + (last - first) * (count > 1 ? layer / (count - 1) : 0);
    return `rgb(${this.magnitude
      .subarray(4 * Math.round(255 * t))
      .subarray(0, 3)
      .join(', ')})`;
  }
}

export const withOpacity = ([r, g, b, a]: Rgba, opacity: number) => `rgba(${r}, ${g}, ${b}, ${a * opacity})`;
