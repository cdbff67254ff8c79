// A referendum: yes beside no in one bar, its quorum, and the areas that must approve too. page_referendum.py has written
// the same into the page.
import { el, number, percent, t } from "./words.js";

// `limit`: the share of valid ballots that wins, where there is one.
export function referendumOf(root, contest, limit) {
  if (contest.approval === null || !root.outcome) return [];
  const yes = root.candidates.find((c) => c.id === contest.approval);
  const no = root.candidates.find((c) => c.id !== contest.approval);
  const measures = [...quorum(root.outcome, contest.quorum), ...areas(root.outcome.double_majority, contest.double_majority)];
  return [...yesAndNo(yes, no, limit), ...(measures.length ? [el("dl", { class: "measures" }, ...measures)] : [])];
}

function yesAndNo(yes, no, limit) {
  if (yes.share === null) return [];
  const side = (c) => el("span", {}, el("bdi", {}, c.name), " ", el("strong", {}, `${percent(c.share)} %`));
  return [
    el("h3", {}, t("referendum")),
    el("p", { class: "sides" }, side(yes), side(no)),
    el("svg", { class: "sidebar", "aria-hidden": "true" },
      el("rect", { class: "no", x: `${fromTheRight(no.share)}%`, y: "15%", width: `${no.share}%`, height: "70%" }),
      el("rect", { class: "yes", y: "15%", width: `${yes.share}%`, height: "70%" }),
      limit === null ? null : el("line", { x1: `${limit}%`, x2: `${limit}%`, y1: "0", y2: "100%" })),
  ];
}

// Ballots that gave no vote are of neither side, and stay free between them.
const fromTheRight = (share) => Number((100 - Number(share)).toPrecision(4));

function quorum(outcome, rule) {
  if (rule === null) return [];
  const limit = t(rule.more_than ? "wins.over" : "wins.least", { percent: percent(rule.percent), base: t("quorum.base") });
  const title = el("dt", {}, t("quorum", { limit, of: t(`quorum.${rule.of}`) }));
  const value = outcome.quorum;
  if (value === null) return [el("div", { class: "unknown" }, title, el("dd", {}, t("unknown")))];
  const state = value.done >= value.needed ? "reached" : outcome.state === "void" ? "void" : "open";
  const of = el("span", {}, t("of", { done: number(value.done), of: number(value.of) }));
  const said = el("dd", {}, t(`quorum.${state}`, { needed: number(value.needed) }));
  if (value.percent === null) return [el("div", {}, title, el("dd", {}, of), said)]; // of nobody
  return [el("div", {}, title,
    el("dd", {}, el("strong", {}, `${percent(value.percent)} %`), " ", of,
      el("svg", { class: "bar", "aria-hidden": "true" },
        el("rect", { width: `${Math.min(Number(value.percent), 100)}%`, height: "100%" }),
        el("line", { x1: `${rule.percent}%`, x2: `${rule.percent}%`, y1: "0", y2: "100%" }))), said)];
}

function areas(value, rule) {
  if (!value || !rule) return [];
  const figures = Object.fromEntries(Object.entries(value).map(([name, figure]) => [name, percent(figure)]));
  return [el("div", {}, el("dt", {}, t("approving", { level: rule.level })),
    el("dd", {}, el("strong", {}, `${figures.approved} : ${figures.rejected}`), " ", el("span", {}, t("approving.of", figures))))];
}
