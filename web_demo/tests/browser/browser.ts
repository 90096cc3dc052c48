/** Helpers for browser tests: launches Chromium, opens pages and reads results. */

import fs from 'node:fs';
import path from 'node:path';

import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

import { afterAll, beforeAll } from 'vitest';

import { launchOptions } from '../../../tests/chromium.mjs';
import { MODELS, REPOSITORY, serve, type ServerOptions, type TestServer } from './server';

/** Timeout for slow steps: an emulated GPU on a busy machine takes a minute for its first image. */
export const SLOW_MS = 240_000;

export interface SavedDetection {
  readonly label: string;
  readonly classId: number;
  readonly score: number;
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  /** Only from segmentation models. */
  readonly maskArea?: number;
}

/** Launch Chromium. WebGPU is enabled explicitly, because it is off by default on Linux; GPUs are emulated. */
export function launch(...args: string[]): Promise<Browser> {
  return chromium.launch(launchOptions(['--enable-unsafe-webgpu', ...args]));
}

/**
 * One browser and one server, shared by the tests of a file.
 *
 * @param options - of the server. Tests that open images of their own need no samples: an inference on an emulated GPU
 *   takes seconds.
 * @param args - more command line arguments of Chromium.
 */
export function browserAndServer(options: ServerOptions = {}, args: readonly string[] = []): { browser: Browser; server: TestServer } {
  const fixtures = {} as { browser: Browser; server: TestServer };
  beforeAll(async () => {
    [fixtures.browser, fixtures.server] = await Promise.all([launch(...args), serve(options)]);
  });
  afterAll(async () => {
    await fixtures.browser?.close();
    await fixtures.server?.close();
  });
  return fixtures;
}

/** Open a page and record uncaught errors, Content-Security-Policy violations and requests to other hosts. */
export async function open(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
  context?: BrowserContext,
): Promise<Page> {
  const page = await (context ?? (await browser.newContext(options))).newPage();
  const problems: string[] = [];
  problemsByPage.set(page, problems);
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (/Content.Security.Policy/i.test(message.text())) problems.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin) && !/^(blob|data):/.test(request.url())) problems.push(request.url());
  });
  await page.goto(url);
  return page;
}

const problemsByPage = new WeakMap<Page, string[]>();

export function problemsOf(page: Page): string[] {
  return problemsByPage.get(page) ?? [];
}

export async function ready(page: Page): Promise<void> {
  await page.waitForFunction(() => document.documentElement.dataset.state === 'ready', null, { timeout: SLOW_MS });
}

/** Open a test image in the page, and wait for its result. */
export async function openImage(page: Page, image: string): Promise<void> {
  await page.setInputFiles('#file', path.join(MODELS, image));
  await page.waitForFunction(
    (name) => document.documentElement.dataset.image === name && document.documentElement.dataset.state === 'ready',
    image,
    { timeout: SLOW_MS },
  );
}

/** Open a test image in the page, and return its detections. */
export async function detect(page: Page, image: string): Promise<SavedDetection[]> {
  await openImage(page, image);
  return saved(page);
}

/** The detections in the file that `Save JSON` downloads. */
export async function saved(page: Page): Promise<SavedDetection[]> {
  return (await savedJson(page)).detections;
}

/** The content of the file that `Save JSON` downloads. */
export async function savedJson(page: Page): Promise<any> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save-json')]);
  return JSON.parse(fs.readFileSync(await download.path(), 'utf8'));
}

/** Rules of axe that the page violates seriously, with the elements concerned. The page must be opened with `bypassCSP`. */
export async function axeViolations(page: Page): Promise<[rule: string, elements: string[]][]> {
  await page.evaluate(fs.readFileSync(path.join(REPOSITORY, 'web_demo/node_modules/axe-core/axe.min.js'), 'utf8'));
  const { violations } = await page.evaluate(() => (globalThis as any).axe.run());
  const serious = violations.filter((one: any) => ['serious', 'critical'].includes(one.impact));
  return serious.map((one: any) => [one.id, one.nodes.map((node: any) => node.html)]);
}
