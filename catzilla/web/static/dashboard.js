import { ago, bytes, clock, count, duration, percent, rate, whole } from "./format.js";
import { element, keyed, setClass, setName, setText, svg, table } from "./elements.js";

const BASE = document.body.dataset.base;
const EVERY_MS = 1000;
const SHOWN_FAILURES = 5;
const HISTORY_S = 120;
const LEAST_SPAN_S = 20;

const at = (id) => document.getElementById(id);
const history = [];
let latest = null;
let held = false;
let allFailures = false;

// -- doing ---------------------------------------------------------------------------------------

let toastTimer = 0;
function toast(text) {
  const node = at("toast");
  setText(node, text);
  node.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (node.hidden = true), 5000);
}

async function act(action, target) {
  try {
    const answer = await fetch(`${BASE}/actions`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Catzilla": "1" },
      body: JSON.stringify({ action, target }),
    });
    const body = await answer.json();
    toast(answer.ok ? body.done : typeof body.detail === "string" ? body.detail : `refused (${answer.status})`);
    await look();
  } catch (error) {
    toast(`It could not be asked for: ${error.message}`);
  }
}

// A button whose label and action may change with its row.
function actButton() {
  const made = element("button", { type: "button", onclick: () => act(made.act[0], made.act[1]) });
  return made;
}
function setButton(cell, label, action, target, name) {
  const node = cell.firstChild;
  node.act = [action, target];
  node.hidden = !latest.actions || label === null;
  setText(node, label ?? "");
  node.setAttribute("aria-label", `${label ?? ""} ${name}`);
}

// -- showing -------------------------------------------------------------------------------------

function showTiles(now) {
  const stats = now.stats;
  const ready = now.lanes.filter((lane) => lane.oldest_s !== null).map((lane) => lane.oldest_s);
  const oldest = ready.length ? Math.max(...ready) : null;
  const waits = !stats.total_queued ? "nothing waits" : oldest === null ? "none is ready to start" : oldest ? `the oldest for ${duration(oldest)}` : "came just now";
  const used = `${percent(stats.avg_worker_utilization)} used over 10 s`;
  const tiles = [
    ["Finished per second", rate(stats.tasks_per_second), "mean of 10 s", ""],
    ["Waiting", count(stats.total_queued), waits, ""],
    ["Workers busy", `${stats.active_workers} of ${stats.total_workers}`, stats.stuck_workers ? `${count(stats.stuck_workers)} stuck, ${used}` : used, stats.stuck_workers ? "warn" : ""],
    ["Median run", duration(ms(stats.p50_execution_time_ms)), `99 % within ${duration(ms(stats.p99_execution_time_ms))}`, ""],
    ["Completed", count(stats.completed), `of ${count(stats.submitted)} accepted`, ""],
    ["Failed", count(stats.failed + stats.timed_out), stats.timed_out ? `${count(stats.timed_out)} ran out of time` : stats.cancelled ? `${count(stats.cancelled)} cancelled` : "none ran out of time", stats.failed + stats.timed_out ? "bad" : ""],
    ["Retries", count(stats.retried), stats.dropped || stats.rejected ? `${count(stats.rejected)} refused, ${count(stats.dropped)} dropped` : "none refused or dropped", ""],
    ["Memory", bytes(now.memory.resident_bytes), "of the whole process", ""],
  ];
  keyed(
    at("tiles"),
    tiles,
    (tile) => tile[0],
    (tile) => element("div", {}, element("dt", {}, tile[0]), element("dd"), element("dd", { class: "note" })),
    (node, tile) => {
      setText(node.children[1], tile[1]);
      setClass(node.children[1], tile[3]);
      setText(node.children[2], tile[2]);
    },
  );
}

const ms = (value) => (value === null ? null : value / 1000);

function showRate(now) {
  const stats = now.stats;
  const finished = stats.completed + stats.failed + stats.cancelled + stats.timed_out;
  const before = history[history.length - 1];
  if (before && now.time <= before.time) return;
  const perSecond = before && finished >= before.finished ? (finished - before.finished) / (now.time - before.time) : null;
  history.push({ time: now.time, finished, perSecond });
  while (history.length && history[0].time < now.time - HISTORY_S) history.shift();
  const points = history.filter((point) => point.perSecond !== null);
  const top = Math.max(1, ...points.map((point) => point.perSecond));
  const span = Math.max(LEAST_SPAN_S, points.length ? now.time - points[0].time : 0);
  const x = (point) => (100 * (1 - (now.time - point.time) / span)).toFixed(2);
  const y = (point) => (38 - 35 * (point.perSecond / top)).toFixed(2);
  const line = points.map((point, index) => `${index ? "L" : "M"}${x(point)},${y(point)}`).join("");
  const box = at("rate");
  if (!box.firstChild) {
    const drawn = svg("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", "aria-hidden": "true" });
    drawn.append(svg("path", { class: "area" }), svg("path", { class: "line" }));
    box.append(element("p", { class: "top" }), drawn);
  }
  const [area, stroke] = box.lastChild.children;
  if (points.length > 1) {
    stroke.setAttribute("d", line);
    area.setAttribute("d", `${line}L${x(points[points.length - 1])},40L${x(points[0])},40Z`);
  }
  const last = points.length ? points[points.length - 1].perSecond : null;
  setText(box.firstChild, points.length ? `now ${rate(last)} · peak ${rate(top)}` : "measuring…");
}

function showLanes(now) {
  const columns = [
    { title: "Lane", kind: "text", text: (lane) => lane.name[0] + lane.name.slice(1).toLowerCase() },
    {
      title: "Waiting",
      make: () => element("span", {}, element("span", { class: "meter", "aria-hidden": "true" }, element("i")), element("span")),
      update: (cell, lane) => {
        const [meter, text] = cell.firstChild.children;
        meter.firstChild.style.width = `${Math.min(100, (100 * lane.queued) / lane.capacity)}%`;
        setText(text, count(lane.queued));
        cell.title = `${count(lane.queued)} of ${count(lane.capacity)} places`;
      },
    },
    { title: "Oldest", text: (lane) => duration(lane.oldest_s) },
    { title: "Started", text: (lane) => count(lane.wait.count) },
    { title: "Wait p50", text: (lane) => duration(lane.wait.p50_s) },
    { title: "p95", label: "Wait p95", text: (lane) => duration(lane.wait.p95_s) },
    { title: "p99", label: "Wait p99", text: (lane) => duration(lane.wait.p99_s) },
    { title: "Run p50", text: (lane) => duration(lane.duration.p50_s) },
    { title: "p95", label: "Run p95", text: (lane) => duration(lane.duration.p95_s) },
    { title: "p99", label: "Run p99", text: (lane) => duration(lane.duration.p99_s) },
    { title: "State", kind: "text", text: (lane) => (lane.paused ? "paused" : "open"), tone: (lane) => (lane.paused ? "warn" : "good") },
  ];
  if (now.actions) {
    columns.push({
      title: "",
      make: actButton,
      update: (cell, lane) => setButton(cell, lane.paused ? "Resume" : "Pause", lane.paused ? "resume" : "pause", lane.name, `lane ${lane.name}`),
    });
  }
  table(at("lanes"), columns, now.lanes, (lane) => lane.name, "");
}

function showFailures(now) {
  const total = now.stats.failed + now.stats.timed_out;
  setText(at("failures-note"), now.failures.length ? `the last ${now.failures.length} of ${count(total)}` : "none so far");
  // One that is being read stays, however many come after it.
  const held = [...at("failures").children]
    .filter((node) => node.open || node.contains(document.activeElement))
    .map((node) => node.failure);
  const heldKeys = new Set(held.map((failure) => failure.key));
  const listed = now.failures.filter((failure, index) => allFailures || index < SHOWN_FAILURES || heldKeys.has(failure.key));
  const listedKeys = new Set(listed.map((failure) => failure.key));
  const shown = [...listed, ...held.filter((failure) => !listedKeys.has(failure.key))];
  keyed(at("failures"), shown, (failure) => failure.key, makeFailure, (node, failure) => {
    setText(node.querySelector(".when"), ago(now.time - failure.time));
    node.querySelector("button").hidden = !now.actions;
  });
  const more = at("more-failures");
  more.hidden = now.failures.length <= SHOWN_FAILURES;
  more.setAttribute("aria-expanded", String(allFailures));
  setText(more, allFailures ? `Show only the last ${SHOWN_FAILURES}` : `Show all ${now.failures.length}`);
}

function makeFailure(failure) {
  const tries = failure.attempts === 1 ? "1 attempt" : `${failure.attempts} attempts`;
  const ran = failure.duration_s === null ? "" : `, the last ran ${duration(failure.duration_s)}`;
  const name = element("span", { class: "name" });
  setName(name, failure.name);
  const node = element(
    "details",
    { class: "failure" },
    element(
      "summary",
      {},
      name,
      element("span", { class: "error" }, failure.error.split("\n")[0] || failure.status),
      element("span", { class: "when" }),
    ),
    element(
      "div",
      { class: "failure-body" },
      element("p", { class: "quiet" }, `${failure.status.replace("_", " ").toLowerCase()} at ${clock(failure.time)} after ${tries}${ran} · lane ${failure.lane} · id `, element("span", { class: "mono" }, failure.task_id)),
      element("p", {}, "Arguments ", element("span", { class: "mono" }, failure.arguments)),
      element("pre", { tabindex: "0", "aria-label": "Traceback" }, failure.traceback || "There is no traceback."),
      element("button", { type: "button", onclick: () => act("retry", failure.key), "aria-label": `Retry ${failure.name}` }, "Retry with these arguments"),
    ),
  );
  node.failure = failure;
  return node;
}

function showTasks(now) {
  const busiest = [...now.tasks].sort((a, b) => finishedOf(b) - finishedOf(a) || a.name.localeCompare(b.name));
  table(
    at("tasks"),
    [
      { title: "Task", kind: "text", wrap: true, name: true, text: (task) => task.name },
      { title: "Completed", text: (task) => count(task.completed) },
      { title: "Failed", text: (task) => count(task.failed + task.timed_out), tone: (task) => (task.failed + task.timed_out ? "bad" : "") },
      { title: "Cancelled", text: (task) => count(task.cancelled) },
      { title: "Retries", text: (task) => count(task.retries) },
      { title: "Run p50", text: (task) => duration(task.duration.p50_s) },
      { title: "p99", label: "Run p99", text: (task) => duration(task.duration.p99_s) },
      { title: "Run times", make: () => svg("svg", { class: "histogram", role: "img", viewBox: "0 0 80 16", preserveAspectRatio: "none" }), update: showHistogram },
      { title: "Runs as", kind: "text", wrap: true, text: (task) => (task.compiled ? "C" : reason(task)), hint: (task) => task.why },
    ],
    busiest,
    (task) => task.name,
    "No task has ended yet.",
  );
}

const finishedOf = (task) => task.completed + task.failed + task.cancelled + task.timed_out;

function reason(task) {
  const why = task.why.split("\n")[0];
  const text = why.startsWith(`${task.name} `) ? why.slice(task.name.length + 1) : why;
  return text.replace(/^runs as Python: /, "Python: ").replace(/^runs as Python/, "Python");
}

function showHistogram(cell, task) {
  const drawn = cell.firstChild;
  const bars = task.histogram;
  const signature = JSON.stringify(bars);
  if (drawn.signature === signature) return;
  drawn.signature = signature;
  drawn.replaceChildren();
  if (!bars.length) return;
  const slot = (bound) => Math.round(Math.log10(bound) * 10);
  const first = slot(bars[0][0]);
  const slots = Math.max(12, slot(bars[bars.length - 1][0]) - first + 1);
  const most = Math.max(...bars.map((bar) => bar[1]));
  for (const [bound, number] of bars) {
    const height = Math.max(1, (16 * number) / most);
    drawn.append(svg("rect", { x: (80 * (slot(bound) - first)) / slots, width: Math.max(1, 80 / slots - 0.6), y: 16 - height, height }));
  }
  const text = `${duration(bars[0][0])} to ${duration(bars[bars.length - 1][0])}`;
  drawn.setAttribute("aria-label", `Run times from ${text}`);
  cell.title = text;
}

function showWorkers(now) {
  const rows = now.workers.map((worker, index) => ({ ...worker, key: worker.slot === null ? `c${worker.task_id}` : `${worker.kind}${worker.slot}${worker.kind === "helper" ? index : ""}` }));
  const busy = rows.filter((row) => row.task).length;
  setText(at("workers-note"), rows.length ? `${busy} of ${rows.length} threads and coroutines run something` : "");
  const columns = [
    { title: "Worker", kind: "text", text: (row) => (row.slot === null ? "coroutine" : row.kind === "worker" ? `worker ${row.slot}` : row.kind) },
    { title: "Runs", kind: "text", wrap: true, name: true, text: (row) => row.task ?? "idle" , tone: (row) => (row.task ? "" : "quiet") },
    { title: "Arguments", kind: "text", wrap: true, mono: true, text: (row) => row.arguments ?? "" },
    { title: "Attempt", text: (row) => (row.task ? String(row.attempt) : "") },
    { title: "For", text: (row) => (row.task ? duration(row.for_s) : "") },
  ];
  if (now.actions) {
    columns.push({
      title: "",
      make: actButton,
      update: (cell, row) => setButton(cell, row.task ? (row.cancel_requested ? "Asked to end" : "Cancel") : null, "cancel", row.task_id, row.task ?? ""),
    });
  }
  table(at("workers"), columns, rows, (row) => row.key, "No thread has been started yet.");
}

function showPending(now) {
  const total = now.stats.total_queued;
  setText(at("pending-note"), total > now.pending.length ? `the oldest ${now.pending.length} of ${count(total)}` : "");
  const columns = [
    { title: "Task", kind: "text", wrap: true, name: true, text: (row) => row.name },
    { title: "Id", kind: "text", mono: true, text: (row) => row.task_id },
    { title: "Lane", kind: "text", text: (row) => row.lane.toLowerCase() },
    { title: "State", kind: "text", text: (row) => row.status.toLowerCase() },
    { title: "Attempt", text: (row) => String(row.attempt) },
    { title: "Since", text: (row) => (row.age_s < 0 ? `in ${duration(-row.age_s)}` : duration(row.age_s)) },
  ];
  if (now.actions) {
    columns.push({ title: "", make: actButton, update: (cell, row) => setButton(cell, "Cancel", "cancel", row.task_id, row.name) });
  }
  table(at("pending"), columns, now.pending, (row) => row.task_id, "Nothing waits.");
}

function showSchedules(now) {
  at("schedules-card").hidden = now.schedules.length === 0;
  const columns = [
    { title: "Schedule", kind: "text", wrap: true, name: true, text: (row) => row.name },
    { title: "When", kind: "text", wrap: true, text: (row) => row.timetable },
    { title: "Next", text: (row) => (row.paused ? "paused" : row.next === null ? "–" : `in ${whole(row.next - now.time)}`) },
    { title: "Last", text: (row) => clock(row.last) },
    { title: "Runs", text: (row) => count(row.runs) },
    { title: "Skipped", text: (row) => count(row.skipped) },
    { title: "Missed", text: (row) => count(row.missed) },
  ];
  if (now.actions) {
    columns.push({ title: "", make: actButton, update: (cell, row) => setButton(cell, row.paused ? "Resume" : "Pause", row.paused ? "resume_schedule" : "pause_schedule", row.name, `schedule ${row.name}`) });
  }
  table(at("schedules"), columns, now.schedules, (row) => row.name, "");
}

function showMemory(now) {
  const facts = Object.entries(now.memory)
    .filter(([, value]) => typeof value === "number")
    .map(([name, value]) =>
      name.endsWith("_bytes")
        ? [words(name.slice(0, -6)), bytes(value)]
        : name.endsWith("_percent")
          ? [words(name.slice(0, -8)), percent(value / 100)]
          : [words(name), count(value)],
    );
  keyed(
    at("memory"),
    facts,
    (fact) => fact[0],
    (fact) => element("div", {}, element("dt", {}, fact[0]), element("dd")),
    (node, fact) => setText(node.lastChild, fact[1]),
  );
}

const words = (name) => (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");

function show(now) {
  latest = now;
  setText(at("title"), now.title);
  if (document.title !== `${now.title}: tasks`) document.title = `${now.title}: tasks`;
  setText(at("engine"), `backend ${now.stats.backend} · ${now.stats.allocator} · up ${duration(now.stats.uptime_seconds)} · ${now.actions ? "you may pause, cancel and retry" : "read only"}`);
  for (const part of [showTiles, showRate, showLanes, showFailures, showTasks, showWorkers, showPending, showSchedules, showMemory]) part(now);
}

// -- looking -------------------------------------------------------------------------------------

async function look() {
  const state = at("state");
  try {
    const answer = await fetch(`${BASE}/snapshot`, { cache: "no-store" });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    show(await answer.json());
    setText(state, held ? "held" : "live");
    setClass(state, held ? "state" : "state live");
  } catch (error) {
    setText(state, `no answer (${error.message})`);
    setClass(state, "state lost");
  }
}

async function go() {
  if (!held && !document.hidden) await look();
  setTimeout(go, EVERY_MS);
}

at("hold").addEventListener("click", () => {
  held = !held;
  at("hold").setAttribute("aria-pressed", String(held));
  setText(at("state"), held ? "held" : "live");
  setClass(at("state"), held ? "state" : "state live");
});

at("more-failures").addEventListener("click", () => {
  allFailures = !allFailures;
  if (latest) showFailures(latest);
});

const THEMES = ["auto", "light", "dark"];
function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  setText(at("theme"), `Theme: ${theme}`);
}
let theme = THEMES.includes(localStorage.getItem("catzilla-theme")) ? localStorage.getItem("catzilla-theme") : "auto";
setTheme(theme);
at("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  localStorage.setItem("catzilla-theme", theme);
  setTheme(theme);
});

go();
