/** Where labels of boxes stand. */

/** Left, top, right, bottom. */
export type Place = readonly [number, number, number, number];

/** With more boxes there are no free places, and to look for them would cost time. */
const MOST_SPREAD = 100;

/**
 * Places inside of the image: above the box, else at another corner of it, so that labels do not cover each other as
 * long as one of these places is free; where none is, the one that covers least.
 *
 * @param boxes in the order in which they choose.
 * @param widths of each label.
 * @param height of every label.
 */
export function placeLabels(
  boxes: readonly Place[],
  widths: readonly number[],
  height: number,
  [imageWidth, imageHeight]: readonly [number, number],
): Place[] {
  const taken: Place[] = [];
  for (const [index, [left, top, right, bottom]] of boxes.entries()) {
    const width = widths[index]!;
    const farLeft = right - width;
    const corners: [number, number][] = [
      [left, top - height], [left, top], [left, bottom], [farLeft, top - height],
      [farLeft, bottom], [farLeft, top], [left, bottom - height], [farLeft, bottom - height],
    ];
    const mostX = Math.max(imageWidth - width, 0);
    const mostY = Math.max(imageHeight - height, 0);
    const fits = ([x, y]: [number, number]) => x >= 0 && x <= mostX && y >= 0 && y <= mostY;
    let best: Place | undefined;
    let lowest = Infinity;
    // Places that fit without being moved come first.
    for (const [x, y] of [...corners.filter(fits), ...corners.filter((corner) => !fits(corner))]) {
      const [newLeft, newTop] = [Math.min(Math.max(x, 0), mostX), Math.min(Math.max(y, 0), mostY)];
      const place: Place = [newLeft, newTop, newLeft + width, newTop + height];
      const covered = boxes.length > MOST_SPREAD ? 0 : taken.reduce((sum, other) => sum + overlap(place, other), 0);
      if (covered < lowest) [best, lowest] = [place, covered];
      if (covered === 0) break;
    }
    taken.push(best!);
  }
  return taken;
}

function overlap(a: Place, b: Place): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return Math.max(width, 0) * Math.max(height, 0);
}
