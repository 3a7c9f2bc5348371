/** A real Chromium, which `dev/setup.sh` installs. */
import { type Browser, chromium, type Page } from "playwright-core";
import { which } from "./_parts.ts";

export type { Browser, Page } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

function findBrowser(): string | undefined {
  return NAMES.map(which).find((path) => path !== undefined);
}

/** Why there can be no browser here, if so. */
export function browserMissing(): string | undefined {
  return findBrowser() ? undefined : `not installed: ${NAMES[0]}`;
}

/** Starts a browser, to be closed at the end. */
export async function openBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: findBrowser(),
    args: [
      "--no-sandbox", // root may not use it
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** How a page looks, and to whom. */
export interface PageOptions {
  colors?: "light" | "dark";
  phone?: boolean;
  javaScript?: boolean;
  /** Whether its time stands still unless `page.clock` moves it. */
  frozen?: boolean;
}

/** A page, and what it did that a report must not do. */
export interface WatchedPage {
  page: Page;
  /** Errors of its script, messages, dialogs, and requests that leave the place it came from. */
  faults: string[];
}

/** Opens a page in a browser. */
export async function openPage(
  browser: Browser,
  url: string,
  { colors = "light", phone = false, javaScript = true, frozen = false }:
    PageOptions = {},
): Promise<WatchedPage> {
  const page = await browser.newPage({
    colorScheme: colors,
    locale: "en-GB",
    timezoneId: "UTC",
    javaScriptEnabled: javaScript,
    viewport: phone
      ? { width: 390, height: 844 }
      : { width: 1440, height: 900 },
    ...(phone && { hasTouch: true, isMobile: true, deviceScaleFactor: 2 }),
  });
  const faults: string[] = [];
  const own = new URL(".", url).href;
  page.on("pageerror", (error) => faults.push(`error: ${error.stack}`));
  page.on("console", (message) => faults.push(`message: ${message.text()}`));
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const to = request.url();
    if (!to.startsWith(own) && !to.startsWith("blob:")) {
      faults.push(`request: ${to}`);
    }
  });
  page.on("popup", (popup) => faults.push(`window: ${popup.url()}`));
  if (frozen) {
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 1000);
  }
  await page.goto(url);
  return { page, faults };
}
