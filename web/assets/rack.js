// Devices are dragged to other units, faces and racks. Without this file the page has a form that does the same. The server decides what
// fits; the red shape only says early what it is going to answer.
"use strict";
(() => {
  const svgNS = "http://www.w3.org/2000/svg";
  const threshold = 5; // px before a press becomes a drag
  let drag = null, justDragged = false;

  const say = (text) => {
    const box = document.getElementById("said");
    box.textContent = text;
    box.hidden = !text;
    if (text) box.scrollIntoView({ block: "nearest" });
  };

  // A drawing's measures, as its data attributes have them.
  const measures = (svg) => {
    const d = svg.dataset;
    return { rack: d.rack, face: d.face, first: +d.first, units: +d.units, top: +d.top, x: +d.x, uh: +d.unitHeight, uw: +d.unitWidth, desc: d.desc === "1" };
  };

  const pointIn = (svg, e) => {
    const p = svg.createSVGPoint();
    p.x = e.clientX; p.y = e.clientY;
    return p.matrixTransform(svg.getScreenCTM().inverse());
  };

  // Where the device would stand if it were let go here.
  const target = (e) => {
    const svg = document.elementsFromPoint(e.clientX, e.clientY).map((n) => n.closest("svg[data-rack]")).find(Boolean);
    if (!svg) return null;
    const m = measures(svg), p = pointIn(svg, e), h = drag.height;
    if (p.x < m.x - 10 || p.x > m.x + m.uw + 10) return null;
    const step = e.shiftKey || h % 1 ? 0.5 : 1;
    const rows = (p.y - drag.offset * m.uh - m.top) / m.uh; // units from the top edge to the device's
    const from = m.desc ? m.first + rows : m.first + m.units - rows - h;
    const position = Math.min(Math.max(Math.round(from / step) * step, m.first), m.first + m.units - h);
    let slot = Math.min(Math.max(Math.floor((p.x - m.x) / (m.uw / drag.slots)), 0), drag.slots - 1);
    if (m.face === "rear") slot = drag.slots - 1 - slot;
    return { svg, m, position, slot };
  };

  const shape = (t) => {
    const { m } = t, w = m.uw / drag.slots;
    const column = m.face === "rear" ? drag.slots - 1 - t.slot : t.slot;
    const row = m.desc ? t.position - m.first : m.first + m.units - t.position - drag.height;
    return { x: m.x + column * w, y: m.top + row * m.uh, width: w, height: drag.height * m.uh };
  };

  const meets = (a, b) => a.x < b.x + b.width - 1.5 && b.x < a.x + a.width - 1.5 && a.y < b.y + b.height - 1.5 && b.y < a.y + a.height - 1.5;

  const inTheWay = (t, at) => [...t.svg.querySelectorAll("a.box:not([data-side])")].find((box) => {
    if (box.dataset.device === drag.device) return false;
    const r = box.querySelector(".body");
    return meets(at, { x: +r.getAttribute("x"), y: +r.getAttribute("y"), width: +r.getAttribute("width"), height: +r.getAttribute("height") });
  });

  const draw = (t) => {
    drag.ghost?.remove();
    drag.ghost = null;
    if (!t) return;
    const at = shape(t), ghost = document.createElementNS(svgNS, "rect");
    for (const [name, value] of Object.entries(at)) ghost.setAttribute(name, value);
    ghost.setAttribute("class", inTheWay(t, at) ? "ghost clash" : "ghost");
    t.svg.append(ghost);
    drag.ghost = ghost;
  };

  const end = () => {
    drag?.ghost?.remove();
    document.body.classList.remove("dragging");
    drag = null;
  };

  const place = async (device, wish) => {
    const answer = await fetch(`/api/v1/devices/${device}/place`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(wish) });
    if (answer.ok) { location.reload(); return; }
    const problem = await answer.json().catch(() => ({ detail: "The server gave no answer." }));
    const text = Object.values(problem.fields || {}).filter((why) => why !== problem.detail).concat(problem.detail).join(" ");
    if (text.includes("over_reservation") && !wish.over_reservation) {
      const why = prompt(`${text.replace(/ To put something there.*/, "")}\n\nWhy may it stand there all the same?`);
      if (why) { await place(device, { ...wish, over_reservation: why }); return; }
    }
    say(text);
  };

  document.addEventListener("pointerdown", (e) => {
    const box = e.target.closest?.("a[data-device]");
    if (!box || box.dataset.fixed || e.button !== 0 || e.pointerType === "touch") return;
    const svg = box.closest("svg[data-rack]"), d = box.dataset;
    drag = { device: d.device, height: +d.height || 1, slots: +d.slots || 1, startX: e.clientX, startY: e.clientY, offset: 0, moving: false, ghost: null };
    if (svg && !d.side) {
      const body = box.querySelector(".body");
      drag.offset = (pointIn(svg, e).y - +body.getAttribute("y")) / measures(svg).uh;
    }
  });

  document.addEventListener("pointermove", (e) => {
    if (!drag) return;
    if (!drag.moving && Math.hypot(e.clientX - drag.startX, e.clientY - drag.startY) < threshold) return;
    drag.moving = true;
    document.body.classList.add("dragging");
    draw(target(e));
  });

  document.addEventListener("pointerup", (e) => {
    if (!drag) return;
    const { moving, device } = drag, t = moving ? target(e) : null;
    end();
    if (!moving) return;
    justDragged = true;
    setTimeout(() => { justDragged = false; }, 0);
    if (t) { say(""); place(device, { rack: t.m.rack, face: t.m.face, position: t.position, slot: t.slot }).catch(() => say("The server cannot be reached.")); }
  });

  document.addEventListener("pointercancel", end);
  document.addEventListener("keydown", (e) => { if (e.key === "Escape" && drag) end(); });
  document.addEventListener("dragstart", (e) => { if (e.target.closest?.("a[data-device]")) e.preventDefault(); });
  document.addEventListener("click", (e) => { if (justDragged) { e.preventDefault(); e.stopPropagation(); } }, true);
})();
