import { describe, expect, it } from 'vitest';
import { type Area, boundsOf, paintMasks } from '../../../src/page/view/masks';
import { makeDetection, makeMask } from './fixtures';

const masked = (classId: number, ...mask: Parameters<typeof makeMask>) => ({ ...makeDetection(classId, 'x'), mask: makeMask(...mask) });

/** The painted pixels as text: the class in PALETTE order, or `.`. */
function painted(area: Area, detections: Parameters<typeof paintMasks>[2], zoom: number): string[] {
  const pixels = new Uint32Array(area.width * area.height);
  paintMasks(pixels, area, detections, zoom);
  const colors = [...new Set(pixels)].filter(Boolean);
  return Array.from({ length: area.height }, (_, y) =>
    Array.from(pixels.subarray(y * area.width, (y + 1) * area.width), (value) => (value ? colors.indexOf(value) : '.')).join(''),
  );
}

describe('boundsOf', () => {
  it('is the part of the canvas that masks cover', () => {
    const detections = [masked(0, 2, 1, '##', '##'), masked(1, 5, 3, '#')];
    expect(boundsOf(detections, 1, 20, 20)).toEqual({ x: 2, y: 1, width: 4, height: 3 });
    expect(boundsOf(detections, 1.5, 20, 20)).toEqual({ x: 3, y: 1, width: 6, height: 5 });
    expect(boundsOf(detections, 1, 5, 3)).toEqual({ x: 2, y: 1, width: 3, height: 2 });
  });

  it('is null without masks', () => {
    expect(boundsOf([], 1, 9, 9)).toBeNull();
    expect(boundsOf([makeDetection(0, 'x'), masked(0, 1, 1, '..')], 1, 9, 9)).toBeNull();
  });
});

describe('paintMasks', () => {
  it('sets the pixels inside, the highest score on top', () => {
    const detections = [masked(0, 0, 0, '##', '.#'), masked(1, 0, 0, '###', '###')];
    expect(painted({ x: 0, y: 0, width: 4, height: 3 }, detections, 1)).toEqual(['001.', '101.', '....']);
  });

  it('takes the nearest pixel of the image', () => {
    const detections = [masked(0, 1, 0, '#.', '##')];
    expect(painted({ x: 0, y: 0, width: 6, height: 4 }, detections, 2)).toEqual(['..00..', '..00..', '..0000', '..0000']);
    expect(painted({ x: 0, y: 0, width: 2, height: 1 }, [masked(0, 0, 0, '####', '####')], 0.5)).toEqual(['00']);
  });

  it('is clipped to the area', () => {
    expect(painted({ x: 1, y: 1, width: 2, height: 2 }, [masked(0, 0, 0, '....', '.###', '.#.#')], 1)).toEqual(['00', '0.']);
    expect(painted({ x: 5, y: 5, width: 2, height: 1 }, [masked(0, 0, 0, '##')], 1)).toEqual(['..']);
  });

  it('has the color of the class, translucent', () => {
    const pixels = new Uint32Array(1);
    paintMasks(pixels, { x: 0, y: 0, width: 1, height: 1 }, [masked(0, 0, 0, '#')], 1);
    expect(Array.from(new Uint8Array(pixels.buffer))).toEqual([0x7c, 0x3a, 0xed, 115]);
  });
});
