/** One color per class, the same on every page load, in Python and in the Android app; and a readable text color on it. */

/** Distinguishable with most kinds of color vision, and visible on dark and light images. */
const PALETTE = [
  '#7c3aed', '#d13a12', '#0a6fc2', '#0c7d55', '#d0216a', '#96610f', '#0a7a86', '#9333b5', '#47730e', '#7a4a2b',
] as const;
/** Golden angle in degrees: multiples of it are spread evenly over the color wheel. */
const GOLDEN_ANGLE = 137.508;

/** Color of a class as `#rrggbb`: from the palette, then hues at multiples of the golden angle. */
export function classColor(classId: number): string {
  return PALETTE[classId] ?? hsl((classId * GOLDEN_ANGLE) % 360, 0.72, classId % 2 ? 0.38 : 0.46);
}

/** Text color for a background: black or white, whichever has the higher contrast. */
export function textColor(background: string): '#000000' | '#ffffff' {
  return contrast(background, '#ffffff') >= contrast(background, '#000000') ? '#ffffff' : '#000000';
}

/** Contrast ratio of two `#rrggbb` colors, 1 to 21. Source: WCAG 2, "contrast ratio". */
export function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

function luminance(hex: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function hsl(hue: number, saturation: number, lightness: number): string {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const channel = (at: number) => {
    const turn = (at + hue / 30) % 12;
    const value = lightness - reach * Math.max(-1, Math.min(turn - 3, 9 - turn, 1));
    return Math.round(value * 255).toString(16).padStart(2, '0');
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}
