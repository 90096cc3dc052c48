// The built site, opened from its folder in Chromium: `node --test docs/tools/site.test.mjs`.
// No page makes a request to another host, no script fails, every diagram and formula can be drawn, nothing is wider than
// a phone, axe finds nothing serious, and the search finds each question's page by the question's own words.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { chromium } from 'playwright-core';

import { launchOptions } from '../../tests/chromium.mjs';

const TOOLS = path.dirname(fileURLToPath(import.meta.url));
const SITE = path.resolve(TOOLS, '../../build/site');
const AXE = fs.readFileSync(path.join(TOOLS, 'node_modules/axe-core/axe.min.js'), 'utf8');
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
/** Every how manyth page axe looks at; AXE_STEP=1 takes all. */
const AXE_STEP = Number(process.env.AXE_STEP ?? 8);

const pages = fs
  .readdirSync(SITE, { recursive: true })
  .filter((name) => name.endsWith('.html') && !name.startsWith('tools') && name !== '404.html')
  .sort();
const questions = fs
  .readFileSync(path.join(TOOLS, 'questions.txt'), 'utf8')
  .split('\n')
  .filter((line) => line && !line.startsWith('#'))
  .map((line) => line.split('|').map((part) => part.trim()));

let browser;
before(async () => {
  browser = await chromium.launch(launchOptions(['--allow-file-access-from-files', '--disable-gpu']));
});
after(() => browser?.close());

/** Open a page that records uncaught errors and requests to other hosts in `problems`. */
async function open(options) {
  const page = await (await browser.newContext(options)).newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('request', (request) => {
    if (!/^(file|data|blob|about):/.test(request.url())) problems.push(`request to ${request.url()}`);
  });
  return { page, problems };
}

const address = (name) => pathToFileURL(path.join(SITE, name)).href;

/** Serious problems that axe finds, one line each. */
async function violations(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => globalThis.axe.run({ resultTypes: ['violations'] }));
  return found.violations
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.replace(/\s+/g, ' ').slice(0, 120)).join(' ; ')}`);
}

test('there are pages', () => assert.ok(pages.length > 40, `${pages.length} pages`));

test('every page on a phone: no error, no foreign request, nothing missing, nothing wider than the screen', async () => {
  const { page, problems } = await open({ viewport: PHONE });
  const wrong = [];
  for (const name of pages) {
    await page.goto(address(name), { waitUntil: 'load' });
    const found = await page.evaluate((width) => [
      ...[...document.querySelectorAll('.katex-error')].map((node) => `formula: ${node.title}`),
      ...[...document.images].filter((image) => image.complete && !image.naturalWidth).map((image) => `missing: ${image.src}`),
      ...[...document.images].filter((image) => !image.alt).map((image) => `image without alt text: ${image.src}`),
      ...(document.documentElement.scrollWidth > width ? [`${document.documentElement.scrollWidth} pixels wide`] : []),
    ], PHONE.width);
    for (const problem of [...found, ...problems.splice(0)]) wrong.push(`${name}: ${problem}`);
  }
  assert.deepEqual(wrong, []);
});

// axe takes a second or more per page, and pages of a folder look alike.
for (const [colorScheme, viewport, first] of [['light', DESKTOP, 0], ['dark', PHONE, AXE_STEP >> 1]]) {
  test(`axe finds nothing serious in the ${colorScheme} theme`, { timeout: 600_000 }, async () => {
    const { page } = await open({ viewport, colorScheme });
    const wrong = [];
    for (let index = first; index < pages.length; index += AXE_STEP) {
      await page.goto(address(pages[index]), { waitUntil: 'load' });
      for (const problem of await violations(page)) wrong.push(`${pages[index]}: ${problem}`);
    }
    assert.deepEqual(wrong, []);
  });
}

test('every diagram is valid', async () => {
  const { page } = await open({ viewport: DESKTOP });
  await page.goto(address('index.html'));
  const sources = fs.readdirSync(path.join(TOOLS, '..'), { recursive: true }).filter((name) => name.endsWith('.md') && !name.includes('node_modules'));
  let count = 0;
  for (const name of sources) {
    const text = fs.readFileSync(path.join(TOOLS, '..', name), 'utf8');
    for (const [, diagram] of text.matchAll(/```mermaid\n(.*?)```/gs)) {
      const error = await page.evaluate((code) => globalThis.mermaid.parse(code).then(() => '', String), diagram);
      assert.equal(error, '', name);
      count += 1;
    }
  }
  assert.ok(count > 1);
});

test('the search finds the page of each question by its words, without a server', async () => {
  const { page, problems } = await open({ viewport: DESKTOP });
  const wrong = [];
  // The first question is in the URL, as in a shared link. The others are typed into the same page, which builds the
  // index of the search once; the theme reads its field when a key is released.
  const field = page.locator('.md-search__input');
  const [[first]] = questions;
  await page.goto(`${address('index.html')}?q=${encodeURIComponent(first)}`);
  for (const [question, expected] of questions) {
    if (question !== first) {
      await field.fill('');
      await field.press('End');
      await page.waitForFunction(() => /Type to start/.test(document.querySelector('.md-search-result__meta')?.textContent ?? ''));
      await field.fill(question);
      await field.press('End');
    }
    // The number of results is shown before the results.
    await page.waitForFunction(() => {
      const count = document.querySelector('.md-search-result__meta')?.textContent ?? '';
      return /No matching/.test(count) || (/\d/.test(count) && document.querySelector('.md-search-result__item'));
    });
    const results = await page.locator('.md-search-result__item > a.md-search-result__link').evaluateAll((links) => links.map((link) => link.href));
    const names = [...new Set(results.map((href) => href.split('/build/site/')[1]?.split(/[?#]/)[0]))].slice(0, 3);
    if (!names.includes(expected)) wrong.push(`${question}: ${names} instead of ${expected}`);
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual(problems, []);
});
