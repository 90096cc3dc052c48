import { expect, it } from 'vitest';
import { DetectorError } from '../../../src/detector';
import { describeCameraError, describeError } from '../../../src/page/messages';

it.each(['NotAllowedError', 'NotFoundError', 'NotReadableError', 'OverconstrainedError', 'AbortError', 'TypeError'])(
  'gives a remedy for camera errors: %s',
  (name) => {
    expect(describeCameraError(new DOMException('reason', name))).toMatch(/camera.*[.:].* Camera/i);
  },
);

it('gives the error and its remedy', () => {
  expect(describeError(new DetectorError('image', 'It is empty.', 'Use another one.'))).toBe('It is empty. Use another one.');
  expect(describeError(new DetectorError('image', 'It is empty'))).toBe('It is empty.');
  expect(describeError(new RangeError('Array buffer allocation failed'))).toMatch(/memory/);
  expect(describeError('odd')).toBe('Unexpected error: odd. If the problem persists, reload the page.');
});
