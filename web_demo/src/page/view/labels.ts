/** Label placement: positions the labels of boxes so that they rarely overlap. */

/** Left, top, right, bottom. */
export type Rectangle = readonly [number, number, number, number];

/** With more boxes than this, overlap is ignored: there would be no free positions, and searching takes quadratic time. */
const MAX_BOXES = 100;

/**
 * Place each label inside the image, at the corner of its box where it overlaps the earlier labels least; above the top
 * left corner if possible.
 *
 * @param boxes - left, top, right, bottom in pixels; labels are placed in this order.
 * @param widths - width of each label in pixels.
 * @param height - common height of all labels in pixels.
 * @returns one rectangle per label.
 */
export function placeLabels(
  boxes: readonly Rectangle[],
  widths: readonly number[],
  height: number,
  [imageWidth, imageHeight]: readonly [number, number],
): Rectangle[] {
  const placed: Rectangle[] = [];
  for (const [index, [left, top, right, bottom]] of boxes.entries()) {
    const width = widths[index]!;
    const farLeft = right - width;
    const corners: [number, number][] = [
      [left, top - height], [left, top], [left, bottom], [farLeft, top - height],
      [farLeft, bottom], [farLeft, top], [left, bottom - height], [farLeft, bottom - height],
    ];
    const maxX = Math.max(imageWidth - width, 0);
    const maxY = Math.max(imageHeight - height, 0);
    const fits = ([x, y]: [number, number]) => x >= 0 && x <= maxX && y >= 0 && y <= maxY;
    // Corners where the label fits into the image are tried before those where it has to be moved.
    const rectangles = [...corners.filter(fits), ...corners.filter((corner) => !fits(corner))].map(([x, y]): Rectangle => {
      const [newLeft, newTop] = [Math.min(Math.max(x, 0), maxX), Math.min(Math.max(y, 0), maxY)];
      return [newLeft, newTop, newLeft + width, newTop + height];
    });
    // The first corner, unless another one has less overlap: the overlap with a box that is not finite is NaN.
    let best = rectangles[0]!;
    let leastOverlap = Infinity;
    for (const rectangle of rectangles) {
      const overlap = boxes.length > MAX_BOXES ? 0 : placed.reduce((sum, other) => sum + intersectionArea(rectangle, other), 0);
      if (overlap < leastOverlap) [best, leastOverlap] = [rectangle, overlap];
      if (overlap === 0) break;
    }
    placed.push(best);
  }
  return placed;
}

function intersectionArea(a: Rectangle, b: Rectangle): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return Math.max(width, 0) * Math.max(height, 0);
}
