/** Reads the contract of a `.tflite` file: tfyolo.json, in the zip archive appended to the model (TFLite metadata). */

import { type Contract, readContract } from './contract';
import { DetectorError } from './errors';
import { chunksOf } from './streams';

const CONTRACT_FILE = 'tfyolo.json';
/** Size limit of tfyolo.json, against zip bombs. */
const MAX_BYTES = 8 << 20;

/** True if a file of this name is a `.tflite`. */
export function isTfliteName(name: string): boolean {
  return /\.tflite$/i.test(name);
}

/** True if the content is that of a `.tflite`: its file identifier follows four bytes. */
export async function isTfliteContent(file: Blob): Promise<boolean> {
  return isTflite(new Uint8Array(await file.slice(0, 8).arrayBuffer()));
}

/**
 * Read the contract of a `.tflite` exported by tfyolo.
 *
 * @throws DetectorError `model-unknown`, `model-corrupt`, `model-without-contract` or `model-task`.
 */
export async function readTflite(bytes: Uint8Array): Promise<Contract> {
  if (!isTflite(bytes))
    throw new DetectorError('model-unknown', 'This is not a TensorFlow Lite model.', 'Choose a `.tflite` file.');
  const file = await readZipped(bytes, CONTRACT_FILE);
  if (!file)
    throw new DetectorError(
      'model-without-contract',
      'This TensorFlow Lite model has no tfyolo metadata, or the file is truncated.',
      'Export it with `tfyolo export --include tflite`.',
    );
  return readContract(text(file));
}

function isTflite(bytes: Uint8Array): boolean {
  return text(bytes.subarray(4, 8)) === 'TFL3';
}

/** Content of the file `name` in the zip archive at the end of `bytes`; null if there is no archive or no such file. */
async function readZipped(bytes: Uint8Array, name: string): Promise<Uint8Array<ArrayBuffer> | null> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // The "end of central directory" record has 22 bytes, and a comment of up to 65,535 bytes may follow it.
  for (let end = bytes.length - 22; end >= Math.max(bytes.length - 65_557, 0); end--) {
    if (view.getUint32(end, true) !== 0x06054b50) continue;
    const count = view.getUint16(end + 10, true);
    const size = view.getUint32(end + 12, true);
    // Some zip writers count offsets from the start of the file, others from the start of the archive.
    const shift = end - size - view.getUint32(end + 16, true);
    return readEntry(bytes, view, { at: end - size, count, shift }, name);
  }
  return null;
}

async function readEntry(
  bytes: Uint8Array,
  view: DataView,
  directory: { at: number; count: number; shift: number },
  name: string,
): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    let { at } = directory;
    for (let i = 0; i < directory.count; i++) {
      if (view.getUint32(at, true) !== 0x02014b50) break;
      const [method, packed, unpacked] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true), view.getUint32(at + 24, true)];
      const nameLength = view.getUint16(at + 28, true);
      if (text(bytes.subarray(at + 46, at + 46 + nameLength)) === name) {
        const header = view.getUint32(at + 42, true) + directory.shift;
        const start = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
        if (Math.max(packed, unpacked) > MAX_BYTES || start + packed > bytes.length) break;
        const data = bytes.slice(start, start + packed);
        return method === 0 ? data : method === 8 ? await inflate(data, unpacked) : null;
      }
      at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    }
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
  }
  throw new DetectorError('model-corrupt', 'The metadata inside this model is damaged.', 'Export the model again.');
}

async function inflate(data: Uint8Array<ArrayBuffer>, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  const out = new Uint8Array(size);
  let at = 0;
  for await (const chunk of chunksOf(stream)) {
    out.set(chunk, at); // throws RangeError if the data is longer than declared
    at += chunk.length;
  }
  return out;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
