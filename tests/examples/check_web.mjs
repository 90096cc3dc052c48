// Builds examples/web-vanilla and examples/web-react, opens them in Chromium and detects objects in an image:
//   node tests/examples/check_web.mjs MODEL.tflite IMAGE [SCREENSHOTS]
// MODEL is an int8 file with NMS inside, at 320 pixels, with the classes of bccd-n. Needs the packages of web_demo
// (npm ci) and its library (npm run build:lib).
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { launchOptions } from '../chromium.mjs';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const { chromium } = createRequire(path.join(root, 'web_demo/package.json'))('playwright-core');
const [model, image, screenshots] = process.argv.slice(2);
if (!image) throw new Error('usage: node check_web.mjs MODEL.tflite IMAGE [SCREENSHOTS]');

const EXAMPLES = [
  { name: 'web-vanilla', assets: 'site', install: null, serve: ['node', 'serve.mjs'], port: 8123 },
  {
    name: 'web-react',
    assets: 'public',
    install: ['ci', '--ignore-scripts', '--no-audit', '--no-fund'],
    serve: ['node', 'node_modules/vite/bin/vite.js', 'preview', '--port', '8124', '--strictPort'],
    port: 8124,
  },
];

const camera = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
const browser = await chromium.launch(launchOptions(camera));
try {
  for (const { name, assets, install, serve, port } of EXAMPLES) {
    const cwd = path.join(root, 'examples', name);
    const npm = (...words) => execFileSync('npm', ['--silent', ...words], { cwd, stdio: 'inherit' });
    mkdirSync(path.join(cwd, assets), { recursive: true });
    cpSync(model, path.join(cwd, assets, 'best.tflite'));
    if (install) npm(...install);
    npm('run', 'build');
    const server = spawn(serve[0], serve.slice(1), { cwd, stdio: 'ignore', env: { ...process.env, PORT: String(port) } });
    try {
      const page = await browser.newPage({ viewport: { width: 760, height: 860 } });
      const problems = [];
      page.on('pageerror', (error) => problems.push(error.message));
      await reach(`http://localhost:${port}/`);
      await page.goto(`http://localhost:${port}/`);
      await page.setInputFiles('input[type=file]', image);
      const status = page.getByRole('status');
      await status.filter({ hasText: /^\d+ detections/ }).waitFor({ timeout: 60_000 });
      const text = await status.textContent();
      if (Number.parseInt(text, 10) < 5) throw new Error(`${name}: ${text}`);
      if (screenshots) await page.screenshot({ path: path.join(screenshots, `${name}.png`) });
      await page.getByRole('button', { name: 'Use the camera' }).click();
      await page.waitForFunction((before) => document.querySelector('[role=status]').textContent !== before, text, { timeout: 60_000 });
      await page.getByRole('button', { name: 'Stop the camera' }).click();
      if (problems.length) throw new Error(`${name}: ${problems.join('; ')}`);
      console.log(`${name}: ${text}`);
      await page.close();
    } finally {
      server.kill();
    }
  }
} finally {
  await browser.close();
}

/** Wait until a server answers. */
async function reach(url) {
  for (let i = 0; i < 100; i++) {
    if (await fetch(url).then((response) => response.ok, () => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${url} does not answer`);
}
