// Looks at every page of the built site in headless Chromium, as three readers see it.
//
//   make check-browser      (installs what npm has, and runs the next line: see run.sh)
//   node tools/browser/check.mjs _build/html screenshots /usr/bin/chromium
//
// Needs Chromium from the system (Debian: apt-get install chromium) and, from npm, what
// package.json names. The script serves the site itself and writes a screenshot of each page.
// These are problems, and make it exit with 1: a request to another host, a failed request, an
// error in the console, an equation that is not typeset, a page wider than the window, a serious
// or critical violation of axe-core's rules, and a search that does not find a page by its title.

import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const VIEWS = [
  { name: 'desktop', viewport: { width: 1280, height: 900 }, colorScheme: 'light' },
  { name: 'phone', viewport: { width: 390, height: 844 }, colorScheme: 'light' },
  { name: 'dark', viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
];
const RULES = ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'];
const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json',
  '.svg': 'image/svg+xml', '.png': 'image/png', '.woff': 'font/woff', '.woff2': 'font/woff2',
};

/** Serve a folder on a free local port; return the address. */
function serve(folder) {
  const server = http.createServer((request, response) => {
    const file = path.join(folder, decodeURIComponent(new URL(request.url, 'http://x').pathname));
    fs.readFile(file, (error, data) => {
      const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
      response.writeHead(error ? 404 : 200, { 'Content-Type': type });
      response.end(data);
    });
  });
  return new Promise((done) => {
    server.listen(0, '127.0.0.1', () => done(`http://127.0.0.1:${server.address().port}/`));
    server.unref();
  });
}

/** The pages of the site: not the parts in _static, and not those that only lead elsewhere. */
function findPages(folder) {
  return fs.readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.html') && !name.startsWith('_static'))
    .filter((name) => !fs.readFileSync(path.join(folder, name), 'utf8').includes('http-equiv="Refresh"'))
    .sort();
}

/** Open a page and gather what goes wrong while it loads. */
async function open(context, base, name) {
  const page = await context.newPage();
  const problems = new Set();
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !/^(data|blob):/.test(url)) problems.add(`external request ${url}`);
  });
  page.on('requestfailed', (request) => problems.add(`request failed ${request.url()}`));
  page.on('response', (response) => {
    if (response.status() >= 400) problems.add(`status ${response.status()} of ${response.url()}`);
  });
  page.on('pageerror', (error) => problems.add(`script error ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.add(`console error ${message.text()}`);
  });
  await page.goto(base + name, { waitUntil: 'networkidle' });
  await page.evaluate(() => window.MathJax?.startup?.promise);
  return { page, problems };
}

/** What is wrong with the page as it stands; runs in the browser. */
function inspect(scheme) {
  const problems = [];
  const overflow = document.documentElement.scrollWidth - window.innerWidth;
  if (overflow > 0) problems.push(`${overflow} px wider than the window`);
  if (document.documentElement.dataset.theme !== scheme) problems.push(`is not ${scheme}`);
  for (const error of document.querySelectorAll('mjx-merror')) {
    problems.push(`equation error ${error.getAttribute('data-mjx-error')}`);
  }
  const plain = [...document.querySelectorAll('.math')].filter((e) => !e.querySelector('mjx-container'));
  if (plain.length > 0) problems.push(`${plain.length} equations not typeset`);
  return problems;
}

/** Serious and critical violations of axe-core's rules. */
async function axe(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate((rules) => window.axe.run(document, { runOnly: rules }), RULES);
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, impact, nodes }) => `axe ${impact} ${id} x${nodes.length}: ${nodes[0].html.slice(0, 120)}`);
}

/** Check one page in one view, and photograph it. */
async function checkPage(browser, base, name, view, shots) {
  const context = await browser.newContext({ ...view, reducedMotion: 'reduce' });
  const { page, problems } = await open(context, base, name);
  for (const problem of await page.evaluate(inspect, view.colorScheme)) problems.add(problem);
  const file = `${name.replace(/\.html$/, '').replaceAll('/', '_')}_${view.name}.png`;
  await page.screenshot({ path: path.join(shots, file), fullPage: true, timeout: 120_000 });
  for (const problem of await axe(page)) problems.add(problem);
  await context.close();
  return [...problems];
}

/** Search for the longest word of a page's title, and expect the page among the results. */
async function checkSearch(browser, base, name) {
  const context = await browser.newContext();
  const { page } = await open(context, base, name);
  const title = await page.locator('h1').first().innerText();
  const word = title.match(/\p{L}+/gu).sort((a, b) => b.length - a.length)[0];
  await page.goto(`${base}search.html?q=${encodeURIComponent(word)}`);
  const link = page.locator(`#search-results a[href*="${name}"]`).first();
  const found = await link.waitFor({ timeout: 10_000 }).then(() => true, () => false);
  await context.close();
  return found ? [] : [`"${word}" does not find ${name}`];
}

const [site, shots, executablePath] = process.argv.slice(2);
if (!executablePath) {
  console.error('usage: node check.mjs <site> <folder for screenshots> <Chromium>');
  process.exit(2);
}
fs.mkdirSync(shots, { recursive: true });
const base = await serve(site);
const browser = await chromium.launch({ executablePath });
let total = 0;
const report = (name, view, problems) => {
  total += problems.length;
  console.log(`${name.padEnd(44)} ${view.padEnd(8)} ${problems.length === 0 ? 'ok' : problems.length}`);
  for (const problem of problems) console.log(`    ${problem}`);
};
const pages = findPages(site);
for (const name of pages) {
  for (const view of VIEWS) report(name, view.name, await checkPage(browser, base, name, view, shots));
}
const titled = pages.find((name) => name.startsWith('book/')) ?? pages[0];
report('search.html', 'search', await checkSearch(browser, base, titled));
await browser.close();
console.log(`${pages.length} pages, ${total} problems, screenshots in ${shots}/`);
process.exitCode = total > 0 ? 1 : 0;
