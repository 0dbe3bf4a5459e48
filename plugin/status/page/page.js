"use strict";
(() => {
const $ = id => document.getElementById(id), body = document.body;
const quiet = 40000; // ms without a word after which the connection is taken for lost: two beats of the server, and some
let ahead = 0, heard = Date.now(), source;

// Times are UTC in the page, and shown as the reader's.
const two = n => String(n).padStart(2, "0");
const clock = d => two(d.getHours()) + ":" + two(d.getMinutes()) + ":" + two(d.getSeconds());
const local = d => {
  const now = new Date(), year = d.getFullYear() === now.getFullYear() ? undefined : "numeric";
  const day = d.toDateString() === now.toDateString() ? "" : d.toLocaleDateString([], {day: "numeric", month: "short", year}) + " ";
  return day.replaceAll(" ", "\u00a0") + clock(d);
};
const span = ms => {
  const s = Math.round(Math.abs(ms) / 1000);
  return s < 60 ? s + " s" : s < 5400 ? Math.round(s / 60) + " min" : s < 129600 ? Math.round(s / 3600) + " h" : Math.round(s / 86400) + " days";
};
const say = (p, text) => {
  p.hidden = !text;
  write(p, text);
};
const write = (t, text) => { if (t.textContent !== text) t.textContent = text; };
const times = () => {
  const now = Date.now() + ahead;
  for (const t of document.querySelectorAll("time")) {
    if (!t.dateTime) {
      t.dateTime = t.textContent.replace(" ", "T");
      t.title = t.textContent;
    }
    const d = new Date(t.dateTime), ms = now - d;
    const far = (ms < -999 ? "in " + span(ms) : span(ms) + " ago").replaceAll(" ", "\u00a0");
    write(t, t.id || t.closest("ol") ? local(d) : local(d) + " (" + far + ")");
  }
};

// Parts of the page are replaced as they change.
const made = html => {
  const t = document.createElement("template");
  t.innerHTML = html;
  return t.content;
};
const swap = (id, html) => {
  const old = $(id);
  if (!old) return;
  const at = [...old.querySelectorAll("button")].indexOf(document.activeElement);
  old.replaceWith(made(html));
  if (at >= 0) $(id).querySelectorAll("button")[at]?.focus();
};
const headlines = () => [...document.querySelectorAll(".headline b")].map(b => b.textContent).join(". ");
const apply = m => {
  const before = headlines();
  if (m.main !== undefined) $("main").replaceChildren(made(m.main));
  for (const p of m.parts ?? []) swap(p.id, p.html);
  for (const p of m.events ?? []) {
    const list = $(p.id);
    list.prepend(made(p.html));
    while (list.children.length > 500) list.lastElementChild.remove();
  }
  if (m.title) document.title = m.title;
  if (headlines() !== before) $("say").textContent = headlines();
  alive(m.at);
};

// The connection is shown while it is lost, and comes back by itself.
const alive = at => {
  heard = Date.now();
  ahead = Date.parse(at) - heard;
  $("at").dateTime = at;
  say($("connection"), "");
  body.classList.remove("lost");
  times();
};
const lost = () => {
  say($("connection"), "Connection lost: this is as of " + $("at").textContent + ".");
  body.classList.add("lost");
};
const open = () => {
  source?.close();
  source = new EventSource("/live?look=" + body.dataset.look + "&state=" + body.dataset.state);
  source.onerror = () => {
    lost();
    if (source.readyState === EventSource.CLOSED) setTimeout(open, 3000);
  };
  source.addEventListener("news", e => {
    body.dataset.state = e.lastEventId;
    apply(JSON.parse(e.data));
  });
  source.addEventListener("reload", () => location.reload());
};

document.addEventListener("submit", async e => {
  const button = e.submitter;
  if (!button) return;
  e.preventDefault();
  button.disabled = true;
  let wrong = "";
  try {
    const answer = await fetch(button.formAction, {method: "POST"});
    if (!answer.ok) wrong = (await answer.json()).error;
  } catch {
    wrong = "no answer";
  }
  button.disabled = false;
  say($("note"), wrong && "Not done: " + wrong + ".");
});
ahead = Date.parse($("at").textContent.replace(" ", "T")) - Date.now();
times();
setInterval(() => {
  times();
  if (Date.now() - heard > quiet) {
    heard = Date.now();
    lost();
    open();
  }
}, 1000);
addEventListener("pagehide", () => source.close());
open();
})();
