/** The theme switch: light, dark or system. public/theme.js applies the stored theme before the first paint. */

import { byId } from './dom';

const KEY = 'tfyolo-theme';

export function showTheme(): void {
  const switcher = byId('theme');
  const { dataset } = document.documentElement;
  const current = dataset.theme ?? 'system';
  for (const radio of switcher.querySelectorAll('input')) radio.checked = radio.value === current;
  switcher.onchange = (event) => {
    const { value } = event.target as HTMLInputElement;
    if (value === 'system') delete dataset.theme;
    else dataset.theme = value;
    try {
      localStorage.setItem(KEY, value);
    } catch {
      // localStorage is unavailable: the choice is lost when the page is closed.
    }
  };
}
