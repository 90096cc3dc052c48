/** Light, dark, or as the system has it; public/theme.js sets what is remembered before the first paint. */

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
      // Storage is switched off: the choice lasts as long as the page.
    }
  };
}
