/** Debian's Chromium, and what tests do with the page. */

import fs from 'node:fs';
import path from 'node:path';

import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

import { afterAll, beforeAll } from 'vitest';

import { MODELS, serve, type TestServer } from './server';

/** Emulated GPUs on a busy machine take a minute for their first image. */
export const SLOW_MS = 240_000;

export interface Found {
  readonly label: string;
  readonly classId: number;
  readonly score: number;
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

/** WebGPU is off on Linux unless asked for; GPUs are emulated. */
export function launch(...more: string[]): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!fs.existsSync(executablePath)) throw new Error(`no ${executablePath}: apt-get install chromium, or set CHROMIUM`);
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--enable-unsafe-webgpu', '--disable-background-networking', '--disable-component-update', ...more],
  });
}

/** A browser and a server for the tests of one file. */
export function browserAndServer(...more: string[]): { browser: Browser; server: TestServer } {
  const both = {} as { browser: Browser; server: TestServer };
  beforeAll(async () => {
    [both.browser, both.server] = await Promise.all([launch(...more), serve()]);
  });
  afterAll(async () => {
    await both.browser?.close();
    await both.server?.close();
  });
  return both;
}

/** A page that fails the test if it throws, breaks its policy, or asks another host for anything. */
export async function open(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
  context?: BrowserContext,
): Promise<Page> {
  const page = await (context ?? (await browser.newContext(options))).newPage();
  const wrong: string[] = [];
  faults.set(page, wrong);
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('console', (message) => {
    if (/Content.Security.Policy/i.test(message.text())) wrong.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin) && !/^(blob|data):/.test(request.url())) wrong.push(request.url());
  });
  await page.goto(url);
  return page;
}

const faults = new WeakMap<Page, string[]>();

export function faultsOf(page: Page): string[] {
  return faults.get(page) ?? [];
}

export async function ready(page: Page): Promise<void> {
  await page.waitForFunction(() => document.documentElement.dataset.state === 'ready', null, { timeout: SLOW_MS });
}

/** Choose one of the test's photographs, and wait for what is found in it. */
export async function detect(page: Page, image: string): Promise<Found[]> {
  await page.setInputFiles('#file', path.join(MODELS, image));
  await page.waitForFunction(
    (name) => document.documentElement.dataset.image === name && document.documentElement.dataset.state === 'ready',
    image,
    { timeout: SLOW_MS },
  );
  return saved(page);
}

/** What `Save JSON` saves. */
export async function saved(page: Page): Promise<Found[]> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save-json')]);
  return JSON.parse(fs.readFileSync(await download.path(), 'utf8')).detections;
}
