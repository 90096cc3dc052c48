import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vite';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Builds the library: an ES module, its two workers, and the wasm files of the engines. */
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
      name: 'copy-wasm',
      closeBundle() {
        for (const name of ['litert', 'tfjs', 'licenses.txt'])
          cpSync(here(`public/${name}`), here(`dist-lib/${name}`), { recursive: true });
      },
    },
  ],
});
