import { describe, expect, it } from 'vitest';
import { toCsv } from '../../../src/page/output/csv';
import { toJson } from '../../../src/page/output/json';
import { savedName } from '../../../src/page/output/save';
import { makeDetection } from './fixtures';

describe('toCsv', () => {
  it('writes a row per detection', () => {
    expect(toCsv('a.jpg', [makeDetection(1, 'RBC', 0.98765)])).toBe(
      'image,class_id,label,score,x,y,width,height\r\na.jpg,1,RBC,0.9877,1.3,2.0,30.0,40.0\r\n',
    );
    expect(toCsv('a.jpg', [])).toBe('image,class_id,label,score,x,y,width,height\r\n');
  });

  it('quotes commas, quotes and line breaks', () => {
    expect(toCsv('a, "b"\n.jpg', [makeDetection(0, 'x')])).toContain('"a, ""b""\n.jpg",0,x,');
  });

  it.each(['=HYPERLINK("http://x")', '+1', '-1', '@x', '\tx'])('escapes formulas: %s', (label) => {
    expect(toCsv('a.jpg', [makeDetection(0, label)])).toMatch(/,0,"?'/);
  });
});

describe('toJson', () => {
  it('writes valid JSON', () => {
    const metadata = { image: 'a.jpg', width: 640, height: 480, model: 'cells.tflite', confidence: 0.25, iou: 0.45 };
    expect(JSON.parse(toJson(metadata, [makeDetection(1, 'R"BC', 0.98765)]))).toEqual({
      ...metadata,
      detections: [{ label: 'R"BC', classId: 1, score: 0.9877, box: { x: 1.3, y: 2, width: 30, height: 40 } }],
    });
  });
});

describe('savedName', () => {
  it.each([
    ['smear.v2.jpg', 'smear.v2-detected.csv'],
    ['Blood smear 1', 'Blood smear 1-detected.csv'],
    ['Zellen ä.png', 'Zellen ä-detected.csv'],
    ['a/b\\c:d.jpg', 'a_b_c_d-detected.csv'],
    ['.jpg', 'image-detected.csv'],
  ])('of %s is %s', (source, name) => {
    expect(savedName(source, 'csv')).toBe(name);
  });
});
