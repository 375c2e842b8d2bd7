/** Documentation that points to what is not there is worse than none. */
import { existsSync, readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../../..');
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file && existsSync(path.join(root, file)));

const withoutCode = (text: string) => text.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, '');

/** Anchors as code hosts make them of headings. */
function anchors(file: string): Set<string> {
  const headings = readFileSync(file, 'utf8')
    .replace(/```[\s\S]*?```/g, '')
    .matchAll(/^#+ +(.+)$/gm);
  return new Set(
    Array.from(headings, ([, heading]) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

describe.each(tracked)('%s', (file) => {
  const text = readFileSync(path.join(root, file), 'utf8');
  const links = [
    ...Array.from(withoutCode(text).matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g), ([, to]) => to),
    ...Array.from(text.matchAll(/<img[^>]* src="([^"]+)"/g), ([, to]) => to),
  ].filter((to) => !/^[a-z]+:/i.test(to));

  it('has no dead links', () => {
    const dead = links.filter((to) => {
      const [target, anchor] = decodeURI(to).split('#');
      const found = target === '' ? path.join(root, file) : path.resolve(root, path.dirname(file), target);
      if (!existsSync(found)) return true;
      return anchor !== undefined && found.endsWith('.md') && !anchors(found).has(anchor);
    });
    expect(dead).toEqual([]);
  });

  it('names npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const named = Array.from(text.matchAll(/npm run ([\w:-]+)/g), ([, name]) => name);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
