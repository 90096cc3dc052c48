/** Asks as often as they like, work for one at a time. */

/**
 * Wrap a task: while it runs, further requests are one request, served when it is done.
 *
 * @example
 * const detect = latest(async () => show(await detector.detect(image, settings())));
 * slider.oninput = detect;
 */
export function latest(task: () => Promise<void>): () => void {
  let running = false;
  let again = false;
  return () => {
    again = true;
    if (running) return;
    running = true;
    void (async () => {
      try {
        while (again) {
          again = false;
          await task();
        }
      } finally {
        running = false;
      }
    })();
  };
}

/** Call with the newest value at once, then at most once every `period()` milliseconds. */
export function throttle<T>(call: (value: T) => void, period: () => number): (value: T) => void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let next: { value: T } | null = null;
  const pass = () => {
    timer = null;
    if (!next) return;
    const { value } = next;
    next = null;
    call(value);
    timer = setTimeout(pass, period());
  };
  return (value) => {
    next = { value };
    if (timer === null) pass();
  };
}
