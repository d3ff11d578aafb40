// Every page works without this file. With it, pages stay true by themselves: the server says over one stream of events that something
// changed, the page is fetched again, and its regions marked data-live are put in place of the old ones.
"use strict";
(() => {
  const restSeconds = 0.4; // between two refreshes

  // Regions a person is working in are left alone until they are done.
  const busy = (region) => {
    const at = document.activeElement;
    if (region.contains(at) && at.matches("input:not([type=checkbox]), select, textarea")) return true;
    return region.querySelector("details.menu[open], input[type=checkbox]:checked") !== null;
  };

  const swap = (fresh) => {
    for (const region of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(region.id);
      if (!next || busy(region) || next.isEqualNode(region)) continue;
      const focused = region.contains(document.activeElement) ? document.activeElement : null;
      const place = focused ? [...region.querySelectorAll("a, button")].indexOf(focused) : -1;
      region.replaceWith(next);
      if (place >= 0) next.querySelectorAll("a, button")[place]?.focus({ preventScroll: true });
    }
  };

  let under = false, again = false;
  const refresh = async () => {
    if (under || document.hidden) { again = true; return; }
    under = true; again = false;
    try {
      const answer = await fetch(location.href, { headers: { "X-Live": "1" }, cache: "no-store" });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch { /* the stream says when the server is back */ }
    await new Promise((done) => setTimeout(done, restSeconds * 1000));
    under = false;
    if (again) refresh();
  };

  const url = document.body.dataset.liveStream;
  if (url) {
    const mark = document.getElementById("live-state");
    const stream = new EventSource(url);
    let broken = false;
    stream.onopen = () => { mark.hidden = false; if (broken) refresh(); broken = false; };
    stream.onerror = () => { mark.hidden = true; broken = true; };
    stream.addEventListener("changed", refresh);
    document.addEventListener("visibilitychange", () => { if (!document.hidden && again) refresh(); });
    addEventListener("pagehide", () => stream.close());
  }

  // Relative times stay relative.
  const span = (s) => s < 60 ? `${Math.floor(s)} s` : s < 7200 ? `${Math.floor(s / 60)} min` : s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} days`;
  setInterval(() => {
    for (const t of document.querySelectorAll("time[datetime]:not([data-clock])")) {
      const s = (Date.now() - Date.parse(t.dateTime)) / 1000;
      const text = s < 0 ? `in ${span(-s)}` : s < 5 ? "just now" : `${span(s)} ago`;
      if (t.textContent !== text) t.textContent = text;
    }
  }, 10000);

  // A button that destroys wakes up when the name is typed. The server checks it all the same.
  for (const field of document.querySelectorAll("[data-typed]")) {
    const button = field.form.querySelector("[data-confirm]");
    const check = () => { button.disabled = field.value.trim() !== field.dataset.typed; };
    field.addEventListener("input", check);
    check();
  }

  // The quick search filters while one types.
  for (const form of document.querySelectorAll("form[data-filter]")) {
    const field = form.querySelector("input[name=q]");
    if (!field) continue;
    let timer;
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const at = new URL(location.href);
        if (field.value) at.searchParams.set("q", field.value); else at.searchParams.delete("q");
        at.searchParams.delete("cursor");
        history.replaceState(null, "", at);
        refresh();
      }, 250);
    });
  }

  // Only one menu is open, and a click elsewhere or Escape closes it.
  const closeMenus = (but) => document.querySelectorAll("details.menu[open]").forEach((d) => { if (d !== but) d.open = false; });
  document.addEventListener("click", (e) => closeMenus(e.target.closest("details.menu")));
  document.addEventListener("keydown", (e) => { if (e.key === "Escape") closeMenus(null); });

  // Keys of the lists and pages. None works while somebody types, and none with a modifier: those belong to the browser.
  const rows = () => [...document.querySelectorAll("#list tbody tr")];
  let at = -1, going = false;
  const mark = (step) => {
    const all = rows();
    if (!all.length) return;
    all[at]?.classList.remove("at");
    at = Math.min(Math.max(at + step, 0), all.length - 1);
    all[at].classList.add("at");
    all[at].scrollIntoView({ block: "nearest" });
    all[at].querySelector("a")?.focus({ preventScroll: true });
  };
  const follow = (selector) => { const link = document.querySelector(selector); if (link) link.click(); return link; };
  const focusOn = (selector) => { const field = document.querySelector(selector); if (field) { field.focus(); field.select(); } return field; };
  const keys = {
    "?": () => { document.getElementById("keys")?.showModal(); return true; },
    "/": () => focusOn("[data-focus-key='/']"),
    "f": () => focusOn("form[data-filter] input[name=q]"),
    "j": () => { mark(1); return true; },
    "k": () => { mark(-1); return true; },
    "x": () => { const box = rows()[at]?.querySelector("input[type=checkbox]"); if (box) box.checked = !box.checked; return box; },
    "n": () => follow(".head .actions a[href$='/new']"),
    "e": () => follow(".head .actions a[href$='/edit']"),
    "g": () => { going = true; setTimeout(() => { going = false; }, 1500); return true; },
  };
  const places = { h: "/", m: "/machines", i: "/all", s: "/shipments", r: "/racks" };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, select, textarea, dialog")) return;
    if (going && places[e.key]) { location.href = places[e.key]; return; }
    if (keys[e.key]?.()) e.preventDefault();
  });

  // One box ticks all rows of the page.
  document.addEventListener("change", (e) => {
    if (!e.target.matches("[data-tick-all]")) return;
    for (const box of e.target.form.querySelectorAll("input[name=uid]")) box.checked = e.target.checked;
  });
  const showTickAll = () => document.querySelectorAll("[data-tick-all]").forEach((box) => { box.hidden = false; });
  showTickAll();
  new MutationObserver(showTickAll).observe(document.getElementById("main"), { childList: true, subtree: true });

  // A row of the filter builder offers the values of the field that is chosen, and a new row when the last is in use.
  document.addEventListener("change", (e) => {
    const row = e.target.closest(".condition");
    if (!row || e.target.name !== "f") return;
    const value = row.querySelector("input[name=v]");
    if (value) value.setAttribute("list", `values-${e.target.value}`);
    if (row.nextElementSibling?.matches(".condition")) return;
    const next = row.cloneNode(true);
    for (const field of next.querySelectorAll("select, input")) { if (field.matches("select")) field.selectedIndex = 0; else field.value = ""; }
    row.after(next);
  });

  // An upload shows how far it is.
  for (const form of document.querySelectorAll("form[data-upload]")) {
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      const bar = form.querySelector("progress"), button = form.querySelector("button");
      const request = new XMLHttpRequest();
      request.upload.onprogress = (p) => { bar.value = p.total ? 100 * p.loaded / p.total : 0; };
      request.onload = () => {
        if (request.responseURL && request.status < 300) { location.href = request.responseURL; return; }
        const fresh = new DOMParser().parseFromString(request.responseText, "text/html").querySelector(".problem");
        document.querySelectorAll("main > .problem").forEach((old) => old.remove());
        if (fresh) document.getElementById("main").prepend(fresh);
        bar.hidden = true; button.disabled = false;
      };
      request.onerror = () => { bar.hidden = true; button.disabled = false; alert("The upload was cut off."); };
      bar.hidden = false; button.disabled = true;
      request.open("POST", form.action);
      request.send(new FormData(form));
    });
  }
})();
