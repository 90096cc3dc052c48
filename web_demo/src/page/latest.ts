/** Rate limiting: one task at a time, or one call per period. */

/**
 * Wrap an asynchronous task so that it never runs twice at the same time: calls made while it runs are merged into one
 * more run after it.
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

/** Wrap a callback: the first call is immediate, later calls pass the newest value at most once per `period()` milliseconds. */
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
