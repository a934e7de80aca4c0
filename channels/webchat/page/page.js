(() => {
  "use strict";

  const base = location.pathname.replace(/\/+$/, "");
  const $ = (id) => document.getElementById(id);
  const log = $("log"), input = $("message"), status = $("status"), typing = $("typing");

  // --- What the browser keeps. Storage may be switched off: then a reload begins anew.
  const memory = new Map();
  const keep = (store, key, value) => {
    memory.set(key, value);
    try { store.setItem(key, value); } catch { /* kept in memory */ }
  };
  const kept = (store, key) => {
    try { return store.getItem(key) ?? memory.get(key) ?? null; } catch { return memory.get(key) ?? null; }
  };
  // crypto.randomUUID is missing where the page is not served securely.
  const random = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, "0")).join("");

  const visitorKey = "omni.visitor:" + base, outboxKey = "omni.outbox:" + base;
  let visitor = kept(localStorage, visitorKey);
  if (!/^[A-Za-z0-9_-]{32,128}$/.test(visitor || "")) {
    visitor = random(32);
    keep(localStorage, visitorKey, visitor);
  }
  // Messages not yet stored by the hub, oldest first. They survive a reload.
  let outbox = [];
  try { outbox = JSON.parse(kept(sessionStorage, outboxKey) || "[]"); } catch { outbox = []; }
  const saveOutbox = () => keep(sessionStorage, outboxKey, JSON.stringify(outbox));

  // --- The log.
  const byId = new Map();      // message id -> bubble
  const byClient = new Map();  // id made by this page -> bubble
  // The newest messages that are surely in the history. Coming back, the page
  // asks from the oldest of them on: a place in the history may still have moved
  // when a message was shown live, and what comes twice is shown once, as it
  // reads now.
  const recent = [];

  const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;

  // Text becomes text nodes, never markup; only http addresses become links.
  const fill = (body, text) => {
    body.textContent = "";
    let end = 0;
    for (const m of text.matchAll(/https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g)) {
      body.append(text.slice(end, m.index), link(m[0], m[0]));
      end = m.index + m[0].length;
    }
    body.append(text.slice(end));
  };
  const link = (url, label) => {
    const a = document.createElement("a");
    a.href = url;
    a.target = "_blank";
    a.rel = "noopener noreferrer nofollow";
    a.textContent = label;
    return a;
  };

  const show = (bubble, content) => {
    const body = bubble.querySelector(".body");
    fill(body, content.text || "");
    for (const m of content.media || []) {
      if (!/^https?:\/\//i.test(m.url || "")) continue;
      if (body.textContent) body.append("\n");
      body.append(link(m.url, m.filename || "Open " + m.type));
    }
    bubble.querySelector(".choices")?.remove();
    if (content.buttons?.length) {
      const choices = document.createElement("div");
      choices.className = "choices";
      for (const b of content.buttons) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = b.text;
        button.addEventListener("click", () => write(b.text, b.id));
        choices.append(button);
      }
      bubble.append(choices);
    }
  };

  const add = (direction, content) => {
    const follow = atEnd() || direction === "in";
    const bubble = document.createElement("li");
    bubble.className = "bubble " + direction;
    const author = document.createElement("span");
    author.className = "hint";
    author.textContent = direction === "in" ? "You: " : "Answer: ";
    const body = document.createElement("div");
    body.className = "body";
    const state = document.createElement("span");
    state.className = "state";
    bubble.append(author, body, state);
    show(bubble, content);
    log.append(bubble);
    if (follow) log.scrollTop = log.scrollHeight;
    return bubble;
  };

  const mark = (bubble, state, label) => {
    bubble.classList.toggle("pending", state === "pending");
    bubble.classList.toggle("failed", state === "failed");
    bubble.dataset.state = state;
    bubble.querySelector(".state").textContent = label;
  };

  const name = (bubble, id) => {
    bubble.dataset.messageId = id;
    byId.set(id, bubble);
  };

  // A message from the history or live: each id is shown once.
  const receive = (m, fromHistory) => {
    if (m.deleted) {
      remove(m.id);
      return;
    }
    if (byId.has(m.id)) {
      // Edited while this page was away. (Live, it is the first text once more.)
      if (fromHistory && m.outbound) show(byId.get(m.id), m.content || {});
      return;
    }
    if (m.outbound || fromHistory) {
      recent.push(m.id);
      if (recent.length > 20) recent.shift();
    }
    const own = !m.outbound && m.clientId && byClient.get(m.clientId);
    if (own) {
      stored(m.clientId, m.id);
      return;
    }
    const bubble = add(m.outbound ? "out" : "in", m.content || {});
    name(bubble, m.id);
    if (m.outbound) {
      typing.hidden = true;
    } else {
      if (m.clientId) byClient.set(m.clientId, bubble);
      mark(bubble, "sent", "Sent");
    }
  };

  // What is taken back may be said anew under the same id.
  const remove = (id) => {
    byId.get(id)?.remove();
    byId.delete(id);
  };

  const stored = (clientId, messageId) => {
    const bubble = byClient.get(clientId);
    if (bubble) {
      name(bubble, messageId);
      mark(bubble, "sent", "Sent");
    }
    settle(clientId);
  };

  const settle = (clientId) => {
    outbox = outbox.filter((m) => m.id !== clientId);
    saveOutbox();
    if (inFlight === clientId) inFlight = null;
    flush();
  };

  // --- Sending: one at a time, so that the order holds whatever is repeated.
  let socket = null, ready = false, inFlight = null, retryTimer = 0;

  const write = (text, button) => {
    text = text.trim();
    if (!text) return;
    const m = { id: random(16), text, button };
    outbox.push(m);
    saveOutbox();
    pend(m);
    flush();
  };

  const pend = (m) => {
    const bubble = add("in", { text: m.text });
    byClient.set(m.id, bubble);
    mark(bubble, "pending", "Sending…");
  };

  const flush = () => {
    if (!ready || inFlight || !outbox.length) return;
    inFlight = outbox[0].id;
    socket.send(JSON.stringify({ type: "message", id: inFlight, text: outbox[0].text, button: outbox[0].button }));
  };

  const failed = (f) => {
    if (f.code === "unavailable" || f.code === "rate_limited") {
      clearTimeout(retryTimer);
      retryTimer = setTimeout(() => { inFlight = null; flush(); }, f.retryAfterMs || 1000);
      return;
    }
    const bubble = byClient.get(f.id);
    if (bubble) mark(bubble, "failed", f.detail || "Not sent");
    settle(f.id);
  };

  // --- The connection.
  let attempts = 0, reconnectTimer = 0, typingTimer = 0;

  const say = (text) => { if (status.textContent !== text) status.textContent = text; };

  const frames = {
    history: (f) => f.messages.forEach((m) => receive(m, true)),
    ready: () => { ready = true; attempts = 0; say("Connected"); flush(); },
    message: (f) => receive(f.message, false),
    edit: (f) => { const b = byId.get(f.message.id); if (b) show(b, f.message.content || {}); },
    delete: (f) => remove(f.id),
    ack: (f) => stored(f.id, f.messageId),
    error: failed,
    typing: () => {
      typing.hidden = false;
      clearTimeout(typingTimer);
      typingTimer = setTimeout(() => { typing.hidden = true; }, 6000);
    },
  };

  const connect = () => {
    clearTimeout(reconnectTimer);
    const s = new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host + base + "/ws");
    socket = s;
    s.onopen = () => s.send(JSON.stringify({ type: "hello", visitor, since: recent[0] || "" }));
    s.onmessage = (e) => {
      if (s !== socket) return;
      const f = JSON.parse(e.data);
      frames[f.type]?.(f);
    };
    s.onclose = () => {
      if (s !== socket) return;
      ready = false;
      inFlight = null;
      say("Reconnecting…");
      const wait = Math.min(10000, 400 * 2 ** attempts++);
      reconnectTimer = setTimeout(connect, wait / 2 + Math.random() * wait / 2);
    };
  };
  const hurry = () => {
    if (!ready && (!socket || socket.readyState === WebSocket.CLOSED)) { attempts = 0; connect(); }
  };
  addEventListener("online", hurry);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) hurry(); });

  // --- The form.
  $("composer").addEventListener("submit", (e) => {
    e.preventDefault();
    write(input.value);
    input.value = "";
    input.focus();
  });
  let typed = 0;
  input.addEventListener("input", () => {
    if (!ready || !input.value || Date.now() - typed < 3000) return;
    typed = Date.now();
    socket.send(JSON.stringify({ type: "typing" }));
  });

  outbox.forEach(pend);
  connect();
})();
