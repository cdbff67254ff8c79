// Words, numbers and times in the page's language; and the one way to make an element: text is never markup.

export const language = document.documentElement.lang;
const BAR_MOST = 99;
const answer = await fetch(`/static/lang/${language}.json`);
const catalogue = await answer.json();

export function t(key, values = {}) {
  const text = catalogue[key];
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// "1 vote", "2 votes": the catalogue has a form for each of the language's plurals.
export const counted = (noun, value) => t(`_${noun}.${plurals.select(value ?? 0)}`, { n: number(value) });

// The reader's own region, where it is of the page's language: 8 Feb or Feb 8. Not every browser knows every language;
// then another one that writes numbers and dates alike stands in, and the catalogue has the words.
const isKnown = !/^M\d/.test(new Intl.DateTimeFormat(language, { month: "short" }).format(0));
const locale = isKnown ? navigator.languages.find((tag) => tag.split("-")[0] === language) ?? language : catalogue._stand_in;

const plurals = new Intl.PluralRules(isKnown ? language : catalogue._stand_in);
const whole = new Intl.NumberFormat(locale, { useGrouping: "always" });
const signed = new Intl.NumberFormat(locale, { useGrouping: "always", signDisplay: "exceptZero" });
const moment = new Intl.DateTimeFormat(locale, {
  year: "numeric", month: isKnown ? "short" : "2-digit", day: isKnown ? "numeric" : "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short",
});
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayOnly = new Intl.DateTimeFormat(locale, { month: isKnown ? "short" : "2-digit", day: isKnown ? "numeric" : "2-digit" });
const ago = new Intl.RelativeTimeFormat(locale, { numeric: "always" });

export const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));
const minus = (text) => text.replace("-", "\u2212");
export const difference = (value) => (value === null || value === undefined ? "–" : minus(signed.format(value)));
export const time = (value) => moment.format(new Date(value));
export const hour = (value) => clock.format(new Date(value));
export const day = (value) => dayOnly.format(new Date(value));

// A message's percent is a text with the contest's places: as many are shown.
export function percent(text, sign = false) {
  if (text === null || text === undefined) return "–";
  const places = (text.split(".")[1] ?? "").length;
  return minus(new Intl.NumberFormat(locale, {
    minimumFractionDigits: places, maximumFractionDigits: places, signDisplay: sign ? "exceptZero" : "auto",
  }).format(Number(text)));
}

function unitOf(seconds) {
  if (seconds < 120) return [Math.round(seconds), "second"];
  if (seconds < 7200) return [Math.round(seconds / 60), "minute"];
  if (seconds < 172800) return [Math.round(seconds / 3600), "hour"];
  return [Math.round(seconds / 86400), "day"];
}

export function since(seconds) {
  const [amount, unit] = unitOf(Math.max(0, seconds));
  return isKnown ? ago.format(-amount, unit) : t("_ago", { time: duration(seconds) });
}

export function duration(seconds) {
  const [amount, unit] = unitOf(Math.max(0, seconds));
  if (!isKnown) return t(`_${unit}`, { n: number(amount) });
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(amount);
}

// `children`: nodes or text.
export function el(tag, attributes = {}, ...children) {
  const svg = ["svg", "rect", "line", "path", "g", "text", "circle", "defs", "pattern"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// What a link keeps of this address: the language, the look and the mode, where they were chosen.
const asked = new URLSearchParams(location.search);
const kept = new URLSearchParams([...asked].filter(([name]) => ["lang", "theme", "screen", "embed"].includes(name)));
export const linked = (path) => (kept.size ? `${path}?${kept}` : path);

// What this very place is shown with, in its address: who comes back finds it as it was.
export const said = (name) => asked.get(name) ?? "";
export function say(values) {
  for (const [name, value] of Object.entries({ from: "", stations_from: "", ...values })) {
    if (value) asked.set(name, value);
    else asked.delete(name);
  }
  history.replaceState(history.state, "", `${location.pathname}${asked.size ? `?${asked}` : ""}${location.hash}`);
}

export const $ = (id) => document.getElementById(id);
// Only what differs is put in place, and a row with a `data-key` is known again wherever it stands: a reader's focus, an
// open "By candidate", a selection and a screen reader's place stay.
export function fill(node, children) {
  const held = document.activeElement;
  const fresh = document.createDocumentFragment();
  fresh.append(...children);
  mend(node, [...fresh.childNodes]);
  if (held !== document.activeElement && node.contains(held)) held.focus({ preventScroll: true }); // its row was moved
}

function mend(node, fresh) {
  const known = new Map([...node.childNodes].filter(keyOf).map((child) => [keyOf(child), child]));
  let at = node.firstChild;
  for (const child of fresh) {
    const key = keyOf(child);
    const old = key ? known.get(key) : at;
    if (!old || old.nodeName !== child.nodeName || keyOf(old) !== key) {
      node.insertBefore(child, at);
      continue;
    }
    if (old === at) at = at.nextSibling;
    else node.insertBefore(old, at);
    become(old, child);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

const keyOf = (node) => node.dataset?.key ?? null;

function become(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  mend(old, [...fresh.childNodes]);
}

// What is not whole never looks full, however little is missing.
export function bar(share, limit = null) {
  const width = Number(share ?? 0);
  return el("svg", { class: "bar", "aria-hidden": "true" },
    el("rect", { width: `${width < 100 ? Math.min(width, BAR_MOST) : 100}%`, height: "100%" }),
    limit === null ? null : el("line", { x1: `${limit}%`, x2: `${limit}%`, y1: "0", y2: "100%" }));
}
