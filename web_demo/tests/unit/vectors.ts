/** Test cases of ../tests/vectors, which Python wrote. */
import fs from 'node:fs';

export const readVectors = (name: string): any[] =>
  JSON.parse(fs.readFileSync(new URL(`../../../tests/vectors/${name}.json`, import.meta.url), 'utf8'));
