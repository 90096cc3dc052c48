/** During a hundred frames of a fake camera, memory use does not grow and the main thread is never blocked. */

import { expect, test } from 'vitest';

import { browserAndServer, problemsOf, open, ready, SLOW_MS } from './browser';

const FRAMES = 100;
/** Longer main-thread tasks are noticeable; inference on the main thread would cause one per frame. */
const LONG_TASK_MS = 50;

const fixtures = browserAndServer({ samples: false }, [
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--enable-precise-memory-info',
  '--js-flags=--expose-gc',
]);

test.each([
  ['LiteRT.js', '?engine=litert-wasm'],
  ['TF.js', '?engine=tfjs-wasm&model=models-of-tests/int8-builtin_web_model/model.json'],
  ['a classifier', '?engine=litert-wasm&model=models-of-tests/classifier_int8.tflite'],
  ['a segmentation model', '?engine=litert-wasm&model=models-of-tests/segmenter_int8.tflite'],
])('%s', { timeout: 2 * SLOW_MS }, async (_, query) => {
  const page = await open(fixtures.browser, fixtures.server.url + query);
  await ready(page);
  await page.click('#camera');
  await page.waitForFunction(() => !document.querySelector<HTMLElement>('#fps')!.hidden, null, { timeout: SLOW_MS });
  const frames = async () => Number((await page.getAttribute('html', 'data-frames')) ?? 0);
  const untilFrame = (n: number) =>
    page.waitForFunction((n) => Number(document.documentElement.dataset.frames) >= n, n, { timeout: SLOW_MS });
  // The least of several times: frames on their way between the threads hold up to megabytes of masks.
  const heap = async () => {
    const sizes: number[] = [];
    while (sizes.length < 5) {
      sizes.push(
        await page.evaluate(() => {
          (globalThis as any).gc();
          return (performance as any).memory.usedJSHeapSize as number;
        }),
      );
    }
    return Math.min(...sizes);
  };
  await untilFrame((await frames()) + 10);
  const before = await heap();
  await fixtures.browser.startTracing(page, { categories: ['toplevel'] });
  await untilFrame((await frames()) + FRAMES);
  const trace = JSON.parse((await fixtures.browser.stopTracing()).toString());
  expect((await heap()) - before).toBeLessThan(2 * 2 ** 20);
  const tasks = mainThreadTasksMs(trace.traceEvents);
  expect(tasks.length).toBeGreaterThan(FRAMES);
  expect(tasks.filter((ms) => ms > LONG_TASK_MS).length).toBeLessThanOrEqual(1);
  await page.click('#pause');
  const paused = await frames();
  await page.waitForTimeout(500);
  expect((await frames()) - paused).toBeLessThanOrEqual(1);
  expect(problemsOf(page)).toEqual([]);
  await page.context().close();
});

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  /** CPU time of the thread in microseconds. */
  readonly tdur?: number;
  readonly args: { readonly name?: string };
}

function mainThreadTasksMs(events: readonly TraceEvent[]): number[] {
  const threads = events.filter((event) => event.name === 'thread_name' && event.args.name === 'CrRendererMain');
  const names = new Set(threads.map(({ pid, tid }) => `${pid}/${tid}`));
  return events
    .filter((event) => event.ph === 'X' && event.tdur !== undefined && names.has(`${event.pid}/${event.tid}`))
    .map((event) => event.tdur! / 1000);
}
