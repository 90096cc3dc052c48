import { describe, expect, it } from 'vitest';
import { classesToCsv, toCsv } from '../../../src/page/output/csv';
import { classesToJson, toJson } from '../../../src/page/output/json';
import { savedName } from '../../../src/page/output/save';
import { makeClassification, makeDetection, makeMask } from './fixtures';

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

describe('masks', () => {
  const detections = [{ ...makeDetection(0, 'x'), mask: makeMask(1, 2, '##', '#.') }];

  it('are saved as their number of pixels', () => {
    expect(toCsv('a.jpg', detections)).toBe(
      'image,class_id,label,score,x,y,width,height,mask_area\r\na.jpg,0,x,0.5000,1.3,2.0,30.0,40.0,3\r\n',
    );
    const metadata = { image: 'a.jpg', width: 640, height: 480, model: 'cells.tflite', confidence: 0.25, iou: 0.45 };
    expect(JSON.parse(toJson(metadata, detections)).detections[0].maskArea).toBe(3);
  });
});

describe('classes', () => {
  const { classes } = makeClassification(0.98765, 0.01);

  it('have a row each', () => {
    expect(classesToCsv('a.jpg', classes)).toBe('image,class_id,label,probability\r\na.jpg,0,class 0,0.9877\r\na.jpg,1,class 1,0.0100\r\n');
  });

  it('are saved as JSON without thresholds', () => {
    const metadata = { image: 'a.jpg', width: 640, height: 480, model: 'cells.tflite' };
    expect(JSON.parse(classesToJson(metadata, classes))).toEqual({
      ...metadata,
      classes: [
        { label: 'class 0', classId: 0, probability: 0.9877 },
        { label: 'class 1', classId: 1, probability: 0.01 },
      ],
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

  it('ends with what was done', () => {
    expect(savedName('a.jpg', 'png', 'classified')).toBe('a-classified.png');
  });
});
