// Copies LiteRT.js' WebAssembly files to public/wasm/, from where the page loads them at run time.
import { cpSync, existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));

cpSync(path('node_modules/@litertjs/core/wasm'), path('public/wasm'), { recursive: true });
if (!existsSync(path('public/best.tflite')))
  console.warn('public/best.tflite is missing: see README.md for the command that writes it');
