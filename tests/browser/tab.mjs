// A browser whose pages may not complain: the console, failed requests and the pages'
// own security policy are watched, and what they say fails the test.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { PATIENCE } from '../support/programs.mjs';

export const DESKTOP = { viewport: { width: 1280, height: 800 } };
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    chromiumSandbox: false,
    args: [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });

// Pages of one test. Each opened by `open` is somebody else's browser.
export class Tabs {
  #browser;
  #contexts = [];
  #complaints = [];
  #tolerated = [];

  constructor(browser) {
    this.#browser = browser;
  }

  async open(address, options = DESKTOP) {
    const context = await this.#browser.newContext(options);
    this.#contexts.push(context);
    return this.again(context, address);
  }

  // A page beside others of the same browser.
  async again(context, address) {
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE / 4);
    const complain = (text) => this.#complaints.push(`${new URL(page.url(), 'x:/').pathname}: ${text}`);
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complain(`${message.text()} ${message.location().url}`);
    });
    page.on('pageerror', (error) => complain(error.stack));
    page.on('response', (response) => {
      if (response.status() >= 400) complain(`${response.url()}: ${response.status()}`);
    });
    page.on('requestfailed', (request) => {
      const { errorText } = request.failure();
      // Aborted is what the page itself gives up, when it is left for another.
      if (errorText !== 'net::ERR_ABORTED') complain(`${request.url()}: ${errorText}`);
    });
    await page.exposeFunction('reportViolation', complain);
    await page.addInitScript(() => {
      addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) => {
        window.reportViolation(`policy: ${violatedDirective} ${blockedURI} ${sample}`);
      });
    });
    await page.goto(String(address));
    return page;
  }

  // From here on pages may complain like this: the test takes something away from them.
  tolerate(pattern) {
    this.#tolerated.push(pattern);
  }

  // Ends the test: pages close before the server does, and nothing was said.
  async close() {
    await Promise.all(this.#contexts.map((context) => context.close()));
    const rest = this.#complaints.filter((text) => !this.#tolerated.some((pattern) => pattern.test(text)));
    assert.deepEqual(rest, [], 'no page has anything to complain of');
  }
}

// What the browser says of a server that is not there.
export const NO_SERVER = /WebSocket connection to .* failed|ERR_CONNECTION|ERR_EMPTY_RESPONSE/;

export async function screenshot(page, name, options = {}) {
  if (process.env.SCREENSHOTS === undefined) return;
  await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), animations: 'disabled', ...options });
}

// Nothing is wider than the screen, and this is in sight.
export async function assertFits(page, visible) {
  const { wide, width } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    width: document.documentElement.clientWidth,
  }));
  assert.ok(wide <= width, `the page is ${wide} pixels wide on a screen of ${width}`);
  // What slides in takes a moment.
  await page.waitForFunction((selector) => {
    const { left, top, right, bottom } = document.querySelector(selector).getBoundingClientRect();
    const isSeen = document.querySelector(selector).checkVisibility({ visibilityProperty: true });
    return isSeen && left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
  }, visible);
}

// Whatever can be reached says what it is.
export async function assertLabelled(page) {
  const unnamed = await page.evaluate(() =>
    [...document.querySelectorAll('button, input, textarea')]
      .filter((control) => control.checkVisibility())
      .filter((control) => !(control.ariaLabel || control.labels?.length || control.innerText.trim()))
      .map((control) => control.outerHTML),
  );
  assert.deepEqual(unnamed, []);
}

// The text stands out enough from what is behind it.
export async function assertReadable(page, selector) {
  const ratio = await page.locator(selector).first().evaluate(contrast);
  assert.ok(ratio >= 4.5, `${selector} has a contrast of ${ratio.toFixed(2)}`);
}

// WCAG 2.2 §1.4.3, of an element's text on what is behind it.
function contrast(element) {
  const parse = (color) => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => {
    const [r, g, b] = parse(color).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let behind = element;
  while (parse(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
  const [dark, light] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(luminance).sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}
