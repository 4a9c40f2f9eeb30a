// The page of the Slack stand-in. The server sends all that a person sees
// whenever it changes; here it becomes nodes. Text is only ever set as text, so
// that nobody's words become HTML.
"use strict";

const $ = (id) => document.getElementById(id);
let state = null; // what the server sent last
let source = null; // of what the server sends

// el makes an element: el("p", {class: "x"}, "text", node, …).
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== ""));
  return node;
}

// ---- Where we are: who, and in which channel. The address keeps both.

function place() {
  const at = new URLSearchParams(location.hash.slice(1));
  return { as: at.get("as") || "U0ALICE", channel: at.get("in") || "" };
}

function connect() {
  if (source) source.close();
  source = new EventSource("page/events?as=" + encodeURIComponent(place().as));
  source.onmessage = (e) => { state = JSON.parse(e.data); draw(); };
  source.onopen = () => { lost = false; };
  source.onerror = () => { lost = true; drawStatus(); };
}
let lost = false;

let was = "";
addEventListener("hashchange", () => {
  if (place().as !== was) { was = place().as; shown.clear(); connect(); } else draw();
});

// post does something, and answers what went wrong with it; empty is nothing.
async function post(act, what) {
  try {
    const answer = await fetch("page/" + act, {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ as: state.me, channel: here().id, ...what }),
    });
    if (!answer.ok) return await answer.text();
    return (await answer.json()).trouble || "";
  } catch {
    return "The stand-in does not answer. Is the sandbox still running?";
  }
}

const person = (id) => state.people.find((p) => p.id === id) || { id, name: id, real: id, kind: "" };

function here() {
  const wanted = place().channel;
  return state.channels.find((c) => c.id === wanted) ||
    state.channels.find((c) => c.name === "#access-requests") || state.channels[0];
}

// ---- Faces and times

// icon draws one of a few pictures: fonts do not have them everywhere.
const icons = {
  key: "M14.5 3a6.5 6.5 0 0 0-6.2 8.5L2 17.8V22h4.2l.8-.8V19h2.2l.8-.8V16h2.2l.3-.3" +
    "A6.5 6.5 0 1 0 14.5 3Zm2 6.2a1.7 1.7 0 1 1 0-3.4 1.7 1.7 0 0 1 0 3.4Z",
  eye: "M12 5C7 5 3 8.5 1 12c2 3.5 6 7 11 7s9-3.5 11-7c-2-3.5-6-7-11-7Zm0 11a4 4 0 1 1 0-8" +
    " 4 4 0 0 1 0 8Zm0-2a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z",
  siren: "M5 20h14v2H5Zm2-2v-5a5 5 0 0 1 10 0v5Zm4-14h2v2h-2ZM4.2 6.3l1.4-1.4 1.5 1.5-1.4" +
    " 1.4ZM16.9 6.4l1.5-1.5 1.4 1.4-1.5 1.4Z",
};
function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", icons[name]);
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

function face(id, small) {
  const p = person(id);
  const initials = p.real.split(/\s+/).map((w) => w[0] || "").slice(0, 2).join("").toUpperCase();
  let n = 0;
  for (const c of id) n = (n * 7 + c.codePointAt(0)) % 8;
  const kind = p.bot ? "app" : "c" + n;
  return el("span", { class: `face ${kind}${small ? " small" : ""}`, "aria-hidden": "true" },
    p.id === state.app ? icon("key") : initials);
}

const formats = {};
function show(date, options) {
  const key = JSON.stringify(options);
  formats[key] ||= new Intl.DateTimeFormat("en", options);
  return formats[key].format(date);
}
const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const full = { dateStyle: "full", timeStyle: "medium" };

function pretty(date, otherwise) {
  const day = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate());
  const days = Math.round((day(date) - day(new Date())) / 864e5);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days] || otherwise;
}

function ago(date) {
  const s = Math.round((date - Date.now()) / 1000);
  const in_ = new Intl.RelativeTimeFormat("en");
  if (Math.abs(s) < 60) return in_.format(s, "second");
  if (Math.abs(s) < 3600) return in_.format(Math.round(s / 60), "minute");
  if (Math.abs(s) < 86400) return in_.format(Math.round(s / 3600), "hour");
  return in_.format(Math.round(s / 86400), "day");
}

// moment shows a time in Slack's format, in the reader's own time zone.
function moment(seconds, format, fallback) {
  const date = new Date(seconds * 1000);
  if (isNaN(date)) return document.createTextNode(fallback || "");
  const month = (m) => show(date, { year: "numeric", month: m, day: "numeric" });
  const long = show(date, { weekday: "long", year: "numeric", month: "long", day: "numeric" });
  const pad = (n) => String(n).padStart(2, "0");
  const num = [date.getFullYear(), pad(date.getMonth() + 1), pad(date.getDate())];
  const tokens = {
    date_num: () => num.join("-"), date_slash: () => [...num].reverse().join("/"),
    date: () => month("long"), date_short: () => month("short"), date_long: () => long,
    date_long_full: () => month("long"),
    date_pretty: () => pretty(date, month("long")),
    date_short_pretty: () => pretty(date, month("short")),
    date_long_pretty: () => pretty(date, long), day_divider_pretty: () => pretty(date, long),
    time: () => show(date, clock), time_secs: () => show(date, { ...clock, second: "2-digit" }),
    ago: () => ago(date),
  };
  const text = format.replace(/\{(\w+)\}/g, (all, token) => tokens[token] ? tokens[token]() : all);
  return el("time", { datetime: date.toISOString(), title: show(date, full) }, text);
}

// ---- Slack's text

const unescape = (text) =>
  text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

function link(url, label) {
  if (!/^(https?:|mailto:)/i.test(url)) return document.createTextNode(label || url);
  const ours = new RegExp("^" + location.origin.replace(/\W/g, "\\$&") + "/archives/(\\w+)").exec(url);
  if (ours) { // a message here: whoever follows the link stays who they are
    return el("a", { href: "#" + new URLSearchParams({ as: state.me, in: ours[1] }) }, label || url);
  }
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label || url);
}

function mention(id) {
  return el("span", { class: "mention" + (id === state.me ? " me" : "") }, "@" + person(id).name);
}

function channelLink(id) {
  const c = state.channels.find((c) => c.id === id);
  return el("span", { class: "mention" }, c && c.name ? c.name : "#" + id);
}

// special is what stands between < and >.
function special(inside) {
  const bar = inside.indexOf("|");
  const what = bar < 0 ? inside : inside.slice(0, bar);
  const label = bar < 0 ? "" : unescape(inside.slice(bar + 1));
  if (what.startsWith("@")) return mention(what.slice(1));
  if (what.startsWith("#")) return channelLink(what.slice(1));
  if (what.startsWith("!date^")) {
    const [, seconds, format] = what.split("^");
    return moment(Number(seconds), format || "", label);
  }
  if (what.startsWith("!")) return el("span", { class: "mention all" }, "@" + what.slice(1));
  return link(unescape(what), label);
}

const marks = new RegExp([
  "```([\\s\\S]+?)```", "`([^`\\n]+)`", "<([^<>\\n]+)>",
  ...["*", "_", "~"].map((m) =>
    `(?<![\\w${"\\" + m}])\\${m}([^\\s${"\\" + m}](?:[^\\n${"\\" + m}]*[^\\s${"\\" + m}])?)\\${m}(?![\\w${"\\" + m}])`),
].join("|"), "g");

// inline turns mrkdwn into nodes.
function inline(text) {
  const nodes = [];
  let end = 0;
  for (const m of text.matchAll(marks)) {
    nodes.push(document.createTextNode(unescape(text.slice(end, m.index))));
    end = m.index + m[0].length;
    if (m[1] !== undefined) nodes.push(el("pre", {}, unescape(m[1].replace(/^\n|\n$/g, ""))));
    else if (m[2] !== undefined) nodes.push(el("code", {}, unescape(m[2])));
    else if (m[3] !== undefined) nodes.push(special(m[3]));
    else if (m[4] !== undefined) nodes.push(el("strong", {}, inline(m[4])));
    else if (m[5] !== undefined) nodes.push(el("em", {}, inline(m[5])));
    else nodes.push(el("s", {}, inline(m[6])));
  }
  nodes.push(document.createTextNode(unescape(text.slice(end))));
  return nodes;
}

// mrkdwn is a text with its quotes set off.
function mrkdwn(text) {
  const parts = text.split(/((?:^&gt;[^\n]*(?:\n|$))+)/m);
  return parts.filter((p) => p !== "").map((p) => p.startsWith("&gt;")
    ? el("blockquote", {}, inline(p.replace(/^&gt; ?/gm, "").replace(/\n$/, "")))
    : inline(p)).flat();
}

function textOf(object) {
  if (!object) return "";
  return object.type === "mrkdwn" ? mrkdwn(object.text) : [document.createTextNode(object.text)];
}

// ---- Rich text

function richInline(e) {
  let node;
  switch (e.type) {
    case "text": node = document.createTextNode(e.text); break;
    case "link": node = link(e.url, e.text); break;
    case "user": node = mention(e.user_id); break;
    case "channel": node = channelLink(e.channel_id); break;
    case "broadcast": node = el("span", { class: "mention all" }, "@" + e.range); break;
    case "date": node = moment(e.timestamp, e.format, e.fallback); break;
    case "emoji":
      node = document.createTextNode(e.unicode
        ? String.fromCodePoint(...e.unicode.split("-").map((u) => parseInt(u, 16)))
        : ":" + e.name + ":");
      break;
    default: return null;
  }
  const style = e.style || {};
  for (const [name, tag] of [["code", "code"], ["bold", "strong"], ["italic", "em"],
    ["strike", "s"], ["underline", "u"]]) {
    if (style[name]) node = el(tag, {}, node);
  }
  return node;
}

function rich(e) {
  const inner = () => (e.elements || []).map(richInline);
  switch (e.type) {
    case "rich_text_section": return el("div", { class: "text" }, inner());
    case "rich_text_quote": return el("blockquote", {}, inner());
    case "rich_text_preformatted": return el("pre", {}, inner());
    case "rich_text_list":
      return el(e.style === "ordered" ? "ol" : "ul", {},
        e.elements.map((item) => el("li", {}, rich(item))));
    default: return null;
  }
}

// ---- Blocks

// block draws one; click is what its buttons do, and form where its inputs are.
function block(b, click, form) {
  const part = (kind, ...children) => el("div", { class: "block " + kind }, ...children);
  switch (b.type) {
    case "header": {
      // The loudest of messages must not begin with an empty box.
      const text = b.text.text, loud = text.startsWith("🚨");
      return loud ? part("header", icon("siren"), text.slice(2)) : part("header", text);
    }
    case "divider": return el("hr", { class: "block" });
    case "context":
      return part("context", b.elements.map((e) => el("span", { class: "text" }, textOf(e))));
    case "section":
      return part("section",
        el("div", { class: "body" },
          b.text ? el("div", { class: "text" }, textOf(b.text)) : null,
          b.fields ? el("div", { class: "fields" },
            b.fields.map((f) => el("div", { class: "text" }, textOf(f)))) : null),
        b.accessory ? button(b, b.accessory, click) : null);
    case "actions": return part("actions", b.elements.map((e) => button(b, e, click)));
    case "rich_text": return part("rich", b.elements.map(rich));
    case "input": return form ? field(b, form) : null;
    default: return part("unknown", "(" + b.type + ")");
  }
}

function button(b, e, click) {
  const node = el("button", {
    type: "button", class: e.style, "data-action": e.action_id, "data-block": b.block_id,
    onclick: async () => {
      if (e.confirm && !await confirmed(e.confirm)) return;
      node.disabled = true;
      await click(b, e);
      node.disabled = false;
    },
  }, e.text.text);
  return node;
}

// confirmed asks before a click counts.
function confirmed(ask) {
  const dialog = $("confirm");
  return new Promise((resolve) => {
    dialog.replaceChildren(el("form", { method: "dialog" },
      el("header", {}, el("h2", { id: "confirm-title" }, ask.title.text)),
      el("div", { class: "content text" }, textOf(ask.text)),
      el("footer", {},
        el("button", { value: "no" }, ask.deny.text),
        el("button", { value: "yes", class: ask.style || "primary", autofocus: true },
          ask.confirm.text))));
    dialog.returnValue = "no";
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
    dialog.showModal();
  });
}

// ---- Modals

const keyOf = (b) => "block-" + b.block_id;

// field draws an input; form has what stands in it and what is wrong with it.
function field(b, form) {
  const e = b.element, id = keyOf(b);
  const held = (form.values[b.block_id] || {})[e.action_id] || {};
  const error = form.errors && form.errors[b.block_id];
  const told = [error ? id + "-error" : "", b.hint ? id + "-hint" : ""].join(" ").trim();
  const aria = { "aria-describedby": told || null, "aria-invalid": error ? "true" : null };
  const title = [b.label.text, b.optional ? el("span", { class: "optional" }, " (optional)") : null];
  const changed = () => { if (b.dispatch_action) form.choose(b); };
  const frame = (tag, ...inside) => el(tag, { class: "field" + (error ? " wrong" : ""), id: id + "-field" },
    ...inside,
    b.hint ? el("p", { class: "hint", id: id + "-hint" }, b.hint.text) : null,
    error ? el("p", { class: "error", id: id + "-error", role: "alert" }, error) : null);
  const label = el("label", { for: id }, title);
  switch (e.type) {
    case "plain_text_input": {
      const count = el("p", { class: "count" });
      const control = el(e.multiline ? "textarea" : "input", {
        id, type: e.multiline ? null : "text", placeholder: e.placeholder && e.placeholder.text,
        autofocus: e.focus_on_load, ...aria,
        onkeydown: (k) => {
          if (k.key === "Enter" && (k.ctrlKey || k.metaKey)) control.form.requestSubmit();
        },
        oninput: () => {
          const left = e.max_length ? e.max_length - control.value.length : Infinity;
          count.textContent = left < 100 ? left + " characters left" : "";
        },
      });
      control.value = held.value || "";
      return frame("div", label, control, count);
    }
    case "static_select": {
      const options = (list) => list.map((o) => el("option", { value: o.value }, o.text.text));
      const control = el("select", { id, ...aria, onchange: changed },
        el("option", { value: "" }, e.placeholder ? e.placeholder.text : "Choose"),
        (e.option_groups || []).map((g) =>
          el("optgroup", { label: g.label.text }, options(g.options))),
        options(e.options || []));
      control.value = held.selected_option ? held.selected_option.value : "";
      return frame("div", label, control);
    }
    default: { // checkboxes and radio buttons
      const kind = e.type === "checkboxes" ? "checkbox" : "radio";
      const on = (held.selected_options || [held.selected_option]).map((o) => o && o.value);
      return frame("fieldset", el("legend", {}, title), e.options.map((o, i) =>
        el("label", { class: "choice" },
          el("input", { type: kind, name: id, id: id + "-" + i, value: o.value,
            checked: on.includes(o.value), onchange: changed, ...aria }),
          el("span", {}, textOf(o.text),
            o.description ? el("span", { class: "hint" }, " — ", textOf(o.description)) : null))));
    }
  }
}

// valuesOf reads what stands in a modal, by block.
function valuesOf(blocks) {
  const values = {};
  for (const b of blocks) {
    if (b.type !== "input") continue;
    const on = [...document.getElementsByName(keyOf(b))].filter((c) => c.checked).map((c) => c.value);
    switch (b.element.type) {
      case "checkboxes": values[b.block_id] = on; break;
      case "radio_buttons": values[b.block_id] = on[0] || ""; break;
      default: values[b.block_id] = $(keyOf(b)).value;
    }
  }
  return values;
}

let drawn = ""; // the modal as it was drawn last

function drawModal() {
  const dialog = $("modal"), v = state.modal;
  if (!v) {
    if (dialog.open) dialog.close();
    drawn = "";
    return;
  }
  const { values, ...rest } = v;
  const now = JSON.stringify([state.me, rest]);
  if (now === drawn) return;
  const same = drawn !== "" && dialog.dataset.view === v.id;
  drawn = now;
  // What is being written stays, though the server does not know it yet.
  const typed = {};
  const focused = same && document.activeElement ? document.activeElement.id : "";
  if (same) {
    for (const b of v.blocks) {
      const old = b.type === "input" && b.element.type === "plain_text_input" && $(keyOf(b));
      if (old) typed[b.block_id] = old.value;
    }
  }
  const form = {
    values, errors: v.errors,
    choose: (b) => post("choose", { view: v.id, block: b.block_id, values: valuesOf(v.blocks) }),
  };
  const press = (b, e) => post("choose", { view: v.id, block: b.block_id, action: e.action_id,
    values: { ...valuesOf(v.blocks), [b.block_id]: "" } });
  const send = el("button", { class: "primary", type: "submit" }, v.submit);
  dialog.dataset.view = v.id;
  dialog.replaceChildren(el("form", {
    novalidate: true,
    onsubmit: async (e) => {
      e.preventDefault();
      send.disabled = true;
      await post("submit", { view: v.id, values: valuesOf(v.blocks) });
      send.disabled = false;
    },
  },
  el("header", {}, el("h2", { id: "modal-title" }, v.title),
    el("button", { type: "button", "aria-label": "Close", onclick: dismiss }, "×")),
  el("div", { class: "content" },
    v.trouble ? el("p", { class: "trouble", role: "alert" }, v.trouble) : null,
    v.blocks.map((b) => block(b, press, form))),
  el("footer", {},
    el("button", { type: "button", onclick: dismiss }, v.close || "Cancel"),
    v.submit ? send : null)));
  for (const [id, text] of Object.entries(typed)) $("block-" + id).value = text;
  if (!dialog.open) dialog.showModal();
  const wrong = dialog.querySelector("[aria-invalid]");
  if (wrong) wrong.focus();
  else if (focused && $(focused)) $(focused).focus();
  else if (!same) (dialog.querySelector(".field select, .field input, .field textarea") || send).focus();
}

const dismiss = () => { if (state.modal) post("dismiss", { view: state.modal.id }); };
$("modal").addEventListener("cancel", (e) => { e.preventDefault(); dismiss(); });

// ---- Messages

const shown = new Map(); // what was drawn of each message, by channel and ts
const troubles = new Map(); // what went wrong with clicks, by channel and ts

function drawMessage(m, c, as) {
  const key = c.id + " " + m.ts + " " + as;
  const trouble = troubles.get(c.id + " " + m.ts) || "";
  const now = JSON.stringify([m, trouble, state.people.length]);
  const old = shown.get(key);
  if (old && old.now === now) return old.node;
  const p = person(m.user);
  const click = async (b, e) => {
    const went = await post("click", { ts: m.ts, action: e.action_id });
    if (went) troubles.set(c.id + " " + m.ts, went); else troubles.delete(c.id + " " + m.ts);
    draw();
  };
  const when = Number(m.ts);
  const node = el("article", {
    "aria-label": p.real,
    class: ["message", m.private && "private", as === "reply" && "reply", old && "changed"]
      .filter(Boolean).join(" "),
    "data-ts": m.ts,
  },
  face(m.user),
  el("div", { class: "said" },
    m.private ? el("p", { class: "note" }, icon("eye"), " Only visible to you") : null,
    as === "again" ? el("p", { class: "note" }, "↪ replied to a thread") : null,
    el("p", { class: "by" }, el("b", {}, p.real),
      p.bot ? el("span", { class: "badge" }, "app") : null,
      moment(when, "{time}")),
    m.blocks ? m.blocks.map((b) => block(b, click))
      : el("div", { class: "text" }, mrkdwn(m.text), m.edited ? el("span", { class: "note" }, " (edited)") : null),
    trouble ? el("p", { class: "trouble", role: "alert" }, trouble) : null));
  shown.set(key, { now, node });
  return node;
}

let lastPlace = "";

function drawMessages() {
  const list = $("messages"), c = here(), all = state.messages[c.id] || [];
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  const known = new Set(all.map((m) => m.ts));
  const nodes = [];
  let day = "";
  for (const m of all) {
    const reply = m.thread && known.has(m.thread);
    if (reply && !m.broadcast) continue; // below its message
    const date = new Date(Number(m.ts) * 1000);
    const its = pretty(date, show(date, { weekday: "long", month: "long", day: "numeric" }));
    if (its !== day) nodes.push(el("p", { class: "day" }, its[0].toUpperCase() + its.slice(1)));
    day = its;
    nodes.push(drawMessage(m, c, reply ? "again" : ""));
    for (const r of all) if (r.thread === m.ts) nodes.push(drawMessage(r, c, "reply"));
  }
  if (!nodes.length) {
    nodes.push(el("p", { class: "empty" }, c.with ? "Sym writes to you here." : "Nothing has been said here yet."));
  }
  // Only what is not in its place is put there, so that the focus stays where it is.
  nodes.forEach((node, i) => {
    const there = list.children[i];
    if (there === node) return;
    if (there && there.isEqualNode(node) && !node.dataset.ts) return;
    list.insertBefore(node, there || null);
  });
  while (list.children.length > nodes.length) list.lastChild.remove();
  const at = state.me + c.id;
  if (atEnd || at !== lastPlace) list.scrollTop = list.scrollHeight;
  lastPlace = at;
  const last = all.length ? all[all.length - 1].ts : "";
  if (c.unread && last && document.hasFocus()) post("read", { ts: last });
}
addEventListener("focus", () => { if (state) draw(); });

// ---- The left, the top and the bottom

// replace puts nodes into a list unless they are there, and keeps the focus.
function replace(list, nodes) {
  const same = list.children.length === nodes.length &&
    nodes.every((n, i) => n.isEqualNode(list.children[i]));
  if (same) return;
  const focused = list.contains(document.activeElement)
    ? [...list.children].indexOf(document.activeElement.closest("li")) : -1;
  list.replaceChildren(...nodes);
  if (focused >= 0 && nodes[focused]) nodes[focused].firstChild.focus();
}

const unreadMark = (n) =>
  n ? el("span", { class: "mark", "aria-label": n + " unread" }, String(n)) : null;

function drawSide() {
  const row = (p) => el("li", { class: p.unread ? "unread" : null },
    el("a", { href: "#" + new URLSearchParams({ as: p.id, in: here().with ? "" : here().id }),
      "aria-current": p.id === state.me ? "true" : null, title: p.email || p.name },
    face(p.id, true), el("span", { class: "name" }, p.real),
    p.kind ? el("span", { class: "kind" }, p.kind) : null, unreadMark(p.unread)));
  const people = state.people.filter((p) => !p.bot);
  replace($("people"), people.filter((p) => !p.kind).map(row));
  replace($("others"), people.filter((p) => p.kind).map(row));
  if (person(state.me).kind) $("others").parentNode.open = true;
  const current = here();
  const item = (c) => el("li", { class: c.unread ? "unread" : null },
    el("a", { href: "#" + new URLSearchParams({ as: state.me, in: c.id }),
      "aria-current": c.id === current.id ? "page" : null, "data-channel": c.name || "direct" },
    c.with ? face(c.with, true) : el("span", { "aria-hidden": "true" }, "#"),
    el("span", { class: "name" }, c.with ? person(c.with).real : c.name.slice(1)),
    unreadMark(c.unread)));
  replace($("channels"), state.channels.filter((c) => !c.with).map(item));
  replace($("directs"), state.channels.filter((c) => c.with).map(item));
  const name = current.with ? person(current.with).real : current.name;
  $("title").textContent = name;
  $("about").textContent = current.with ? "Between you and the app"
    : { "#access-requests": "Who asks for access, and who approves it",
      "#sym-errors": "What needs a human", "#general": "Everybody" }[current.name] || "";
  $("line").placeholder = "Message " + name + ", or " + state.command + " req to ask for access";
  const unread = state.channels.reduce((n, c) => n + c.unread, 0);
  $("menu").textContent = unread ? "Menu (" + unread + ")" : "Menu";
  document.title = (unread ? "(" + unread + ") " : "") + name + " – Slack stand-in";
}

function drawStatus() {
  $("status").textContent = lost ? "The stand-in is not running any more."
    : state && state.down ? "Slack is down for the app: a test has switched it off."
      : state && !state.connected ? "The app is not deployed yet." : "";
}

// ---- What is written

const hints = [
  ["req", "ask for access: for what, for how long, and why"],
  ["list", "who has what now, and what you wait for"],
  ["help", "what else there is"],
];
let chosen = -1;

function offers() {
  const text = $("line").value;
  if (!text.startsWith("/")) return [];
  return hints.map(([word, does]) => [state.command + " " + word, does])
    .filter(([command]) => command.startsWith(text) && command !== text);
}

function drawHints() {
  const all = offers(), list = $("hints");
  chosen = Math.min(Math.max(chosen, 0), all.length - 1);
  list.hidden = !all.length;
  $("line").setAttribute("aria-expanded", String(!list.hidden));
  $("line").setAttribute("aria-activedescendant", all.length ? "hint-" + chosen : "");
  list.replaceChildren(...all.map(([command, does], i) => el("li", {
    id: "hint-" + i, role: "option", "aria-selected": i === chosen,
    onmousedown: (e) => { e.preventDefault(); take(command); },
  }, el("b", {}, command), el("span", {}, does))));
  for (const [i, node] of [...list.children].entries()) {
    node.setAttribute("aria-selected", String(i === chosen));
  }
}

function take(command) {
  $("line").value = command;
  chosen = -1;
  drawHints();
  $("line").focus();
}

$("line").addEventListener("input", drawHints);
$("line").addEventListener("blur", () => { $("hints").hidden = true; });
$("line").addEventListener("focus", () => { if (state) drawHints(); });
$("line").addEventListener("keydown", (e) => {
  const all = offers();
  if (!all.length || $("hints").hidden) return;
  if (e.key === "ArrowDown" || e.key === "ArrowUp") {
    chosen = (chosen + (e.key === "ArrowDown" ? 1 : -1) + all.length) % all.length;
    drawHints();
  } else if (e.key === "Tab") {
    take(all[chosen][0]);
  } else if (e.key === "Escape") {
    $("hints").hidden = true;
  } else {
    return;
  }
  e.preventDefault();
});

$("composer").addEventListener("submit", async (e) => {
  e.preventDefault();
  const text = $("line").value.trim();
  if (!text || !state) return;
  $("line").value = "";
  drawHints();
  $("messages").scrollTop = $("messages").scrollHeight;
  await post("say", { text });
});

function draw() {
  if (!state) return;
  drawStatus();
  drawSide();
  drawMessages();
  drawModal();
}

was = place().as;
connect();
