// How the tests of the page, of the documentation site and of the web examples launch Chromium.

import fs from 'node:fs';

// Chromium uses only the last list of disabled features, so that this one begins with those of Playwright that
// concern Chromium on Linux.
const DISABLED = [
  'AimEnabled',
  'AvoidCorsURLLoaderRestartOnRedirect',
  'AvoidUnnecessaryBeforeUnloadCheckSync',
  'DestroyProfileOnBrowserClose',
  'HttpsFirstBalancedModeAutoEnable',
  'HttpsUpgrades',
  'LensOverlay',
  'MediaRouter',
  'NetworkTimeServiceQuerying',
  'OptimizationHints',
  'PaintHolding',
  'PreconnectToSearch',
  'ThirdPartyStoragePartitioning',
  // The suggestions of the address bar are web pages, which every new window loads in two processes: half of the CPU
  // time of opening an empty page.
  'WebUIOmniboxAimPopup',
  'WebUIOmniboxPopup',
  // A process for the next page, which is rarely used here: every test has a context of its own.
  'SpareRendererForSitePerProcess',
];

/**
 * Options of Playwright's `chromium.launch`.
 *
 * @param {string[]} args - more command line arguments.
 * @param {string[]} disabledFeatures - more of Chromium's features that are disabled.
 */
export function launchOptions(args = [], disabledFeatures = []) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!fs.existsSync(executablePath)) throw new Error(`no ${executablePath}: apt-get install chromium, or set CHROMIUM`);
  return { executablePath, args: ['--no-sandbox', `--disable-features=${[...DISABLED, ...disabledFeatures]}`, ...args] };
}
