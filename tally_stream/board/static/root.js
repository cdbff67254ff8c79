// The root figures: results, how much is counted, states, outcome, exit polls. The board has written most of them into
// the page already (page.py); here they are drawn again for each message.
import { $, bar, counted, el, fill, linked, number, percent, t, time } from "./words.js";
import { referendumOf } from "./referendum.js";
import { seatsOf } from "./seats.js";
import { drawWays, voted } from "./ways.js";

const STATES = ["counted", "partial", "held", "annulled", "outstanding"];

export function drawRoot(root, contest, election, partialHold) {
  drawLine(root, election);
  fill($("hold"), root.on_hold ? hold(partialHold).map((said) => el("p", { class: "hold" }, said)) : []);
  drawLeaders(root, contest);
  fill($("referendum"), referendumOf(root, contest, limitOfShares(contest)));
  fill($("seats"), seatsOf(root, contest));
  const measures = ["stations", "registered", "ballots"].map((name) => measure(name, root.progress[name]));
  fill($("measures"), [...measures, ...voted(root)]);
  drawWays(root);
  fill($("states"), states(root, contest));
  if (root.area === election.root) fill($("outcome"), outcomeOf(root, contest, election));
  drawPolls(root);
  const offsets = Object.entries(root.provenance.next_offsets).map(([p, o]) => `${p}: ${o}`).join(", ");
  $("source").textContent = t("source", {
    version: number(root.version), offsets, topic: root.provenance.topic, definition: root.definition,
  });
}

// A hold that stands in some partitions and not in all: the figures are neither those before it nor those after it.
function hold(partial) {
  return [t("hold"), ...(partial ? [t("hold.incomplete", { n: number(partial[0]), of: number(partial[1]) })] : [])];
}

function drawLine(root, election) {
  const parts = [el("strong", { class: "status" }, t(`status.${root.status}`)), " "];
  const isBefore = root.status === "pre-election" && root.phase === "official";
  const at = isBefore ? election.polls_close : root.as_of;
  if (at) {
    const [before, after] = t(isBefore ? "before" : "as_of", { time: "\0" }).split("\0");
    parts.push(el("span", {}, before, el("time", { datetime: at }, time(at)), after));
  }
  fill($("line"), parts);
}

function drawLeaders(root, contest) {
  const limit = limitOfShares(contest);
  const party = new Map(contest.candidates.map((c) => [c.id, c.party]));
  fill($("leaders"), root.candidates.map((c) =>
    el("tr", { class: isFirst(c) ? "first" : null, "data-key": c.id },
      el("td", { class: "rank" }, c.rank === null ? "" : String(c.rank)),
      el("th", { scope: "row" }, el("bdi", {}, c.name), party.get(c.id) ? " " : null,
        party.get(c.id) ? el("span", { class: "party" }, el("bdi", {}, party.get(c.id))) : null,
        bar(c.share, limit)),
      el("td", { class: "n" }, number(c.votes)),
      el("td", { class: "n share" }, percent(c.share)))));
  const several = contest.votes_per_ballot > 1;
  const base = root.ballots.valid === null ? t("base.unknown")
    : t("base", { valid: number(root.ballots.valid), method: t(`method.${root.rounding.method}`) });
  $("base").textContent = [base, ...(limit === null ? [] : [t("limit", { percent: percent(limit) })]),
    ...(several ? [t("several", { n: number(contest.votes_per_ballot) })] : [])].join(" ");
}

// Who leads: nobody does without votes, and nobody who can't win has a rank.
export const isFirst = (candidate) => candidate.rank === 1 && candidate.votes > 0;

// The share that wins, where there is one (page.py says why there may be none).
function limitOfShares({ majority, majority_base: base }) {
  return majority !== null && base === "valid" && majority.or_percent === null ? majority.percent : null;
}

// A measure is never a bare per cent: unit, numerator and denominator stand beside it.
function measure(name, value) {
  const title = el("dt", {}, t(`measure.${name}`));
  if (value === null) return el("div", { class: "unknown" }, title, el("dd", {}, t("unknown")));
  return el("div", {}, title, el("dd", {}, el("strong", {}, `${percent(value.percent)} %`), " ",
    el("span", {}, t("of", { done: number(value.done), of: number(value.of) })), bar(value.percent)));
}

function states(root, contest) {
  const rows = STATES.map((name) => [t(`state.${name}`), number(root.stations[name])]);
  const { corrected, recounted, disputed, warned, held } = root.flags;
  const besides = { corrected, recounted, disputed, warned, waiting: held - root.stations.held };
  for (const [name, count] of Object.entries(besides)) if (count > 0) rows.push([t(`state.${name}`), number(count)]);
  if (root.turnout) rows.push([t("state.turnout"), `${percent(root.turnout.percent)} %`]);
  const { invalid, undervotes, overvotes } = root.ballots;
  if (invalid !== null) rows.push([t("state.invalid"), number(invalid)]);
  // Without a statement in force they are 0: where a ballot has one vote, nobody asks for that.
  if (undervotes !== null && (undervotes + overvotes > 0 || contest.votes_per_ballot > 1)) {
    rows.push([t("state.undervotes"), number(undervotes)], [t("state.overvotes"), number(overvotes)]);
  }
  return rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
}

// On the page of an area, whose leader could be taken for a winner: nothing is won there, and how the whole stands.
export function drawOutcomeOfWhole(root, contest, election) {
  const [before, after] = t("outcome.part", { contest: "\0" }).split("\0");
  const link = el("a", { href: linked(contest.page) }, el("bdi", {}, contest.name));
  fill($("outcome"), [el("p", { class: "outcome" }, before, link, after), ...outcomeOf(root, contest, election)]);
}

const ALL_IN = {
  undecided: "undecided.in", decided: "decided.in", "decided.seats": "elected", runoff: "runoff.in",
  "undecided.lists": "undecided.in", "decided.lists": "decided.lists.in", accepted: "accepted.in", rejected: "rejected.in", void: "void.in",
};

function outcomeOf(root, contest, election) {
  const outcome = root.outcome;
  if (!outcome) return [];
  const listed = (ids) => contest.candidates.filter((c) => ids.includes(c.id)).map((c) => c.name).join(", ");
  const { elected, tied, outstanding_bound: bound } = outcome;
  const lists = contest.rule === "proportional" ? root.candidates.filter((c) => c.seats) : [];
  const bySeats = lists.filter((c) => c.seats.now).sort((a, b) => b.seats.now - a.seats.now);
  const key = outcomeKey(outcome, root.ballots.valid, lists.length > 0), allIn = ALL_IN[key];
  const values = {
    leader: listed([outcome.leader]), lead: counted("votes", outcome.lead), bound: counted("ballots", bound),
    names: listed(tied?.between ?? elected), seats: number(tied?.seats ?? 0), limit: whatWins(contest),
    lists: bySeats.map((c) => `${c.name} ${number(c.seats.now)}`).join(", "),
    certain: number(lists.reduce((sum, c) => sum + c.seats.certain, 0)), of: number(contest.seats),
  };
  const texts = [bound === 0 && allIn ? `${t("outcome.in")} ${t(`outcome.${allIn}`, values)}` : t(`outcome.${key}`, values)];
  if (elected.length && outcome.state !== "decided" && !lists.length) texts.push(t("outcome.elected", { names: listed(elected) }));
  const out = allIn && bound ? `${t("outcome.bound", { percent: percent(election.bound_register_percent) })} ` : "";
  return [...texts.map((text) => el("p", { class: "outcome" }, text)), el("p", { class: "note" }, out + t("outcome.note"))];
}

function whatWins({ majority: m, majority_base: of }) {
  if (m === null) return "";
  const base = t(of === "cast" ? "wins.cast" : "wins.valid");
  let limit = t(m.at_least ? "wins.least" : "wins.over", { percent: percent(m.percent), base });
  if (m.or_percent !== null) limit = t("wins.or", { limit, percent: percent(m.or_percent), lead: percent(m.or_lead_percent) });
  return m.percent > 50 || (Number(m.percent) === 50 && !m.at_least) ? limit : t("wins.most", { limit });
}

// The sentence for a state, by what is known beside it.
function outcomeKey({ state, leader, elected, outstanding_bound: bound }, valid, hasSeats) {
  if (hasSeats && ["undecided", "decided"].includes(state) && bound !== null) return `${state}.lists`;
  if (state === "none" && leader !== null) return "none.leader";
  if (state === "undecided" && bound === null) return "undecided.unknown";
  if (leader === null && (state === "undecided" || (state === "none" && valid))) return "nobody";
  if (state === "decided" && (elected.length > 1 || leader === null)) return "decided.seats";
  return state;
}

function drawPolls(root) {
  const polls = root.exit_polls ?? [];
  $("polls-section").hidden = polls.length === 0;
  fill($("polls-head"), [el("tr", {}, el("th", { scope: "col" }, t("candidate")),
    el("th", { scope: "col", class: "n" }, t("polls.count")),
    ...polls.map((p) => el("th", { scope: "col", class: "n" }, el("bdi", {}, p.pollster))))]);
  fill($("polls"), root.candidates.map((c) => el("tr", { "data-key": c.id },
    el("th", { scope: "row" }, el("bdi", {}, c.name)),
    el("td", { class: "n" }, percent(c.share)),
    ...polls.map((p) => (c.id in p.share
      ? el("td", { class: "n" }, percent(p.share[c.id]), " ",
        el("span", { class: "difference" }, p.difference[c.id] === null ? "" : `(${percent(p.difference[c.id], true)})`))
      : el("td", { class: "n" }, el("span", { class: "unseen" }, t("polls.none")), el("span", { "aria-hidden": "true" }, "–")))))));
}
