/** Reads what a `.tflite` file says about itself: tfyolo.json, in the zip archive behind the model. */

import { type Contract, readContract } from './contract';
import { DetectorError } from './errors';

const CONTRACT_FILE = 'tfyolo.json';
/** No description is as long. */
const MOST_BYTES = 8 << 20;

/**
 * The contract of a `.tflite` that `tfyolo export` wrote.
 *
 * @throws DetectorError `model-unknown`, `model-corrupt`, `model-without-contract` or `model-task`.
 */
export async function readTflite(bytes: Uint8Array): Promise<Contract> {
  if (bytes.length < 8 || text(bytes.subarray(4, 8)) !== 'TFL3')
    throw new DetectorError('model-unknown', 'This is no TensorFlow Lite model.', 'Choose a `.tflite` file.');
  const file = await readZipped(bytes, CONTRACT_FILE);
  if (!file)
    throw new DetectorError(
      'model-without-contract',
      'This TensorFlow Lite model does not say what it detects, or its end is missing.',
      'Write it with `tfyolo export --include tflite`.',
    );
  return readContract(text(file));
}

/** A file of the zip archive at the end of `bytes`; null if there is no such archive or file. */
async function readZipped(bytes: Uint8Array, wanted: string): Promise<Uint8Array<ArrayBuffer> | null> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // The end record is 22 bytes, and a comment of up to 65,535 may follow.
  for (let end = bytes.length - 22; end >= Math.max(bytes.length - 65_557, 0); end--) {
    if (view.getUint32(end, true) !== 0x06054b50) continue;
    const count = view.getUint16(end + 10, true);
    const size = view.getUint32(end + 12, true);
    // Offsets count from where the archive starts for its writer: the file's start, or the archive's own.
    const shift = end - size - view.getUint32(end + 16, true);
    return readEntry(bytes, view, { at: end - size, count, shift }, wanted);
  }
  return null;
}

async function readEntry(
  bytes: Uint8Array,
  view: DataView,
  directory: { at: number; count: number; shift: number },
  wanted: string,
): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    let { at } = directory;
    for (let i = 0; i < directory.count; i++) {
      if (view.getUint32(at, true) !== 0x02014b50) break;
      const [method, packed, unpacked] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true), view.getUint32(at + 24, true)];
      const nameLength = view.getUint16(at + 28, true);
      if (text(bytes.subarray(at + 46, at + 46 + nameLength)) === wanted) {
        const header = view.getUint32(at + 42, true) + directory.shift;
        const start = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
        if (Math.max(packed, unpacked) > MOST_BYTES || start + packed > bytes.length) break;
        const data = bytes.slice(start, start + packed);
        return method === 0 ? data : method === 8 ? await inflate(data, unpacked) : null;
      }
      at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    }
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
  }
  throw new DetectorError('model-corrupt', 'The description inside this model is damaged.', 'Export it again.');
}

async function inflate(data: Uint8Array<ArrayBuffer>, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  const out = new Uint8Array(size);
  let at = 0;
  for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) {
    out.set(chunk, at); // a RangeError where there is more than was said
    at += chunk.length;
  }
  return out;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
