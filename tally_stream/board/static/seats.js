// Seats: a bar with the majority's line, the same as a table, and who takes part in sharing them out. page_seats.py has
// written the same into the page, and says why it looks so.
import { el, number, percent, t } from "./words.js";

const COLORS = 7;
const FIGURE_MIN_PERCENT = 5;
const NAMES_MAX = 8;

export function seatsOf(root, contest) {
  if (contest.rule !== "proportional" || !root.outcome) return [];
  const places = new Map(contest.candidates.map((c, place) => [c.id, place]));
  const parts = root.candidates.filter((c) => c.seats).map((c) => ({
    name: c.name, ...c.seats, place: places.get(c.id), color: contest.candidates[places.get(c.id)].color,
  }));
  const drawn = [...seatsDrawn(parts, contest.seats, t("seats.list")),
    ...rules(root, contest).map((text) => el("p", { class: "note" }, text))];
  return drawn.length ? [el("h3", {}, t("seats")), ...drawn] : [];
}

// `parts`: name, now, certain, place, color of lists or parties.
export function seatsDrawn(parts, seats, ofWhat) {
  if (!parts.length) return [];
  const order = parts.filter((part) => part.now || part.certain).sort((a, b) => b.now - a.now);
  const left = seats - parts.reduce((sum, part) => sum + part.now, 0);
  const majority = t("seats.note", { majority: number(majorityOf(seats)), seats: number(seats) });
  const head = [el("th", { scope: "col" }, ofWhat), ...["now", "certain"].map((name) =>
    el("th", { scope: "col", class: "n" }, t(`seats.${name}`)))];
  return [
    seatBar(order, seats),
    el("p", { class: "note" }, majority + (left ? ` ${t("seats.left", { n: number(left) })}` : "")),
    el("table", { class: "seats" },
      el("caption", { class: "unseen" }, t("seats.caption")),
      el("thead", {}, el("tr", {}, ...head)),
      el("tbody", {}, ...order.map((part) => el("tr", {},
        el("th", { scope: "row" },
          el("svg", { class: "swatch", "aria-hidden": "true" }, el("rect", { ...filled(part), width: "100%", height: "100%" })),
          el("bdi", {}, part.name)),
        el("td", { class: "n" }, number(part.now)), el("td", { class: "n" }, number(part.certain)))))),
  ];
}

const majorityOf = (seats) => Math.floor(seats / 2) + 1;
const share = (part, whole) => `${Number(((100 * part) / whole).toPrecision(4))}%`;
const filled = (part) => (part.color === null ? { class: `part${part.place % COLORS}` } : { fill: part.color });

function seatBar(order, seats) {
  const drawn = [];
  const box = { y: "1.4em", height: "1.7em" };
  let begin = 0;
  for (const part of order) {
    const certain = Math.min(part.now, part.certain);
    drawn.push(el("rect", { ...filled(part), ...box, x: share(begin, seats), width: share(part.now, seats) }));
    if (part.now > certain) {
      drawn.push(el("rect", {
        class: "unsure", ...box, x: share(begin + certain, seats), width: share(part.now - certain, seats), fill: "url(#hatch)",
      }));
    }
    if (100 * part.now >= FIGURE_MIN_PERCENT * seats) {
      const middle = share(2 * begin + part.now, 2 * seats);
      drawn.push(el("text", { x: middle, y: "1em", "text-anchor": "middle" }, String(part.now)));
    }
    begin += part.now;
  }
  const at = share(majorityOf(seats), seats);
  const pattern = { id: "hatch", width: "6", height: "6", patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
  return el("svg", { class: "seatbar", "aria-hidden": "true" },
    el("defs", {}, el("pattern", pattern, el("rect", { class: "hatch", width: "3", height: "6" }))),
    el("rect", { class: "whole", x: "0%", ...box, width: "100%" }),
    ...drawn, el("line", { x1: at, x2: at, y1: "1.2em", y2: "3.5em" }));
}

function rules(root, contest) {
  const { allocation: rule, combinations } = contest;
  const names = new Map(contest.candidates.map((c) => [c.id, c.name]));
  const said = [];
  if (Number(rule.threshold_percent) > 0) {
    const limit = { percent: percent(rule.threshold_percent), base: t(`wins.${rule.threshold_base}`) };
    const base = baseOf(rule.threshold_base, root.ballots);
    if (!base) said.push(t("seats.threshold.unknown", limit));
    else {
      const [limitOf, isIn] = thresholdOf(rule, base);
      const eligible = new Set(contest.candidates.filter((c) => c.eligible).map((c) => c.id));
      const lists = root.candidates.filter((c) => eligible.has(c.id));
      const below = lists.filter((c) => !isIn(c));
      said.push(t("seats.threshold", { ...limit, needed: number(limitOf), n: number(lists.length - below.length) }));
      if (below.length) said.push(t("seats.below", { names: some(below.map((c) => c.name)) }));
    }
    if (rule.exempt.length) said.push(t("seats.exempt", { names: some(rule.exempt.map((id) => names.get(id))) }));
  }
  const seats = new Map(root.candidates.map((c) => [c.id, c.seats]));
  for (const together of combinations) {
    const now = together.reduce((total, id) => total + (seats.get(id)?.now ?? 0), 0);
    said.push(t("seats.together", { names: together.map((id) => names.get(id)).join(" + "), now: number(now) }));
  }
  return said;
}

function baseOf(of, { cast, valid, blank }) {
  if (of === "cast") return cast;
  if (of === "valid") return valid;
  return valid === null || blank === null ? null : valid + blank;
}

// Whole numbers: a limit is a decimal of few places, and a list at it is in.
function thresholdOf(rule, base) {
  const [whole, places = ""] = rule.threshold_percent.split(".");
  const line = BigInt(whole + places) * BigInt(base), unit = 100n * 10n ** BigInt(places.length);
  const isIn = (c) => rule.exempt.includes(c.id) || unit * BigInt(c.votes) >= line;
  return [Number((line + unit - 1n) / unit), isIn];
}

function some(names) {
  const listed = names.slice(0, NAMES_MAX).join(", ");
  return names.length <= NAMES_MAX ? listed : t("seats.more", { names: listed, n: number(names.length - NAMES_MAX) });
}
