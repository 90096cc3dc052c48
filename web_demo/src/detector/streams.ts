/** Reads streams chunk by chunk. */

/**
 * The chunks of a stream. Browsers on iOS have no asynchronous iteration of streams, so `for await (... of stream)` fails there.
 *
 * A stream whose chunks are not all read is cancelled.
 */
export async function* chunksOf<T>(stream: ReadableStream<T>): AsyncGenerator<T> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => {}); // of a stream that failed
  }
}
