import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vite';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** The library alone: an ES module, its two workers, and the engines' wasm beside them. */
export default defineConfig({
  base: './',
  publicDir: false,
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    outDir: 'dist-lib',
    emptyOutDir: true,
    chunkSizeWarningLimit: 2000,
    lib: { entry: here('src/detector/index.ts'), formats: ['es'], fileName: 'index' },
  },
  plugins: [
    {
      name: 'wasm-beside-the-library',
      closeBundle() {
        for (const folder of ['litert', 'tfjs']) cpSync(here(`public/${folder}`), here(`dist-lib/${folder}`), { recursive: true });
      },
    },
  ],
});
