import { defineConfig } from 'vitest/config';

/** Headers that threads in WebAssembly need; docs/deploy/web.md explains how to set them on a web host. */
export const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig({
  base: './',
  server: { headers: ISOLATION },
  preview: { headers: ISOLATION },
  worker: { format: 'es' },
  build: { outDir: '../tfyolo/web_page', emptyOutDir: true, target: 'es2022', assetsInlineLimit: 0, chunkSizeWarningLimit: 2000 },
  optimizeDeps: { exclude: ['@litertjs/core'] },
  test: {
    include: [process.env.BENCH ? 'tests/bench/*.ts' : 'tests/{unit,browser}/**/*.test.ts'],
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
