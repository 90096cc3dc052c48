import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { latest, throttle } from '../../../src/page/latest';

describe('latest', () => {
  it('runs one task at a time, and once more for all requests made meanwhile', async () => {
    const ends: (() => void)[] = [];
    const task = vi.fn(() => new Promise<void>((resolve) => ends.push(resolve)));
    const request = latest(task);
    for (let i = 0; i < 5; i++) request();
    expect(task).toHaveBeenCalledTimes(1);
    ends[0]!();
    await vi.waitFor(() => expect(task).toHaveBeenCalledTimes(2));
    ends[1]!();
    await Promise.resolve();
    await Promise.resolve();
    expect(task).toHaveBeenCalledTimes(2);
    request();
    await vi.waitFor(() => expect(task).toHaveBeenCalledTimes(3));
  });
});

describe('throttle', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('calls immediately, then with the newest value after the period', () => {
    const call = vi.fn();
    const say = throttle(call, () => 100);
    for (const value of [1, 2, 3]) say(value);
    expect(call.mock.calls).toEqual([[1]]);
    vi.advanceTimersByTime(100);
    expect(call.mock.calls).toEqual([[1], [3]]);
    vi.advanceTimersByTime(500);
    say(4);
    expect(call).toHaveBeenLastCalledWith(4);
  });
});
