import { expect, it } from 'vitest';
import { DetectorError } from '../../../src/detector';
import { describeCameraError, describeError } from '../../../src/page/sentences';

it.each(['NotAllowedError', 'NotFoundError', 'NotReadableError', 'OverconstrainedError', 'AbortError', 'TypeError'])(
  'says what to do about the camera: %s',
  (name) => {
    expect(describeCameraError(new DOMException('reason', name))).toMatch(/camera.*[.:].* Camera/i);
  },
);

it('says what is wrong and what to do', () => {
  expect(describeError(new DetectorError('image', 'It is empty.', 'Use another one.'))).toBe('It is empty. Use another one.');
  expect(describeError(new DetectorError('image', 'It is empty'))).toBe('It is empty.');
  expect(describeError(new RangeError('Array buffer allocation failed'))).toMatch(/memory/);
  expect(describeError('odd')).toBe('Something failed: odd. Load the page again if it does not go on.');
});
