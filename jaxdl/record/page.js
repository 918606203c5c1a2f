// Curves: point at a step to read the values (or the arrow keys), drag to enlarge, double click or Escape to go back,
// press a name to hide its line. No library, no request.
const H = 280, LEFT = 58, RIGHT = 12, TOP = 10, BOTTOM = 40;
const NS = "http://www.w3.org/2000/svg";
const shown = v => v === undefined ? "–" : Number.isInteger(v) ? String(v) : String(Number(v.toPrecision(4)));
const part = (parent, name, attributes = {}, text) => {
  const e = parent.appendChild(document.createElementNS(NS, name));
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  return e;
};
const html = (parent, name, text) => {
  const e = parent.appendChild(document.createElement(name));
  if (text !== undefined) e.textContent = text;
  return e;
};

function ticks(low, high, count = 5) {
  const raw = (high - low) / count || 1, base = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * base).find(s => s >= raw * 0.999), found = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-6; v += step) found.push(Number(v.toPrecision(8)));
  return found;
}

function panel(parent, { title, lines }) {
  const figure = html(parent, "figure"), caption = html(figure, "figcaption");
  html(caption, "span", title.replaceAll("_", " "));
  const every = lines.flatMap(l => l.y), least = Math.min(...every), most = Math.max(...every);
  const last = Math.max(...lines.flatMap(l => l.x), 1);
  let log = least > 0 && most > 30 * least, from = 0, to = last, at = null, start = null;
  let W = 560;
  const hidden = new Set();
  const svg = part(figure, "svg", { tabindex: 0, role: "img" });
  const said = html(figure, "div");
  said.setAttribute("aria-live", "polite");
  said.style.cssText = "font-size:.85rem;min-height:1.5em";
  if (least > 0) {
    const button = html(caption, "button", "log");
    button.setAttribute("aria-pressed", log);
    button.onclick = () => { log = !log; button.setAttribute("aria-pressed", log); draw(); };
  }
  const colour = i => `var(--c${i % 7})`;
  const keys = html(figure, "div");
  keys.className = "keys";
  lines.forEach((line, i) => {
    const button = html(keys, "button");
    html(button, "i").style.background = colour(i);
    button.append(`${line.name} ${shown(line.y.at(-1))}`);
    button.setAttribute("aria-pressed", true);
    button.onclick = () => {
      hidden.has(i) ? hidden.delete(i) : hidden.add(i);
      button.setAttribute("aria-pressed", !hidden.has(i));
      draw();
    };
  });
  const visible = () => lines.map((line, i) => ({ ...line, i })).filter(l => !hidden.has(l.i));
  const x = v => LEFT + (v - from) / (to - from) * (W - LEFT - RIGHT);
  const step = px => from + (px - LEFT) / (W - LEFT - RIGHT) * (to - from);
  const nearest = (line, v) => line.x.reduce((best, s, k) => Math.abs(s - v) < Math.abs(line.x[best] - v) ? k : best, 0);

  function draw() {
    W = Math.max(svg.clientWidth, 200);
    svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
    svg.replaceChildren();
    part(svg, "title", {}, `${title}: ${lines.map(l => `${l.name} ends at ${shown(l.y.at(-1))}`).join(", ")}`);
    const scale = log ? Math.log10 : v => v;
    const inside = visible().flatMap(l => l.y.filter((_, k) => l.x[k] >= from && l.x[k] <= to)).map(scale);
    let low = Math.min(...inside), high = Math.max(...inside);
    if (!inside.length) [low, high] = [0, 1];
    if (low === high) [low, high] = [low - 0.5, high + 0.5];
    const pad = 0.05 * (high - low);
    [low, high] = [low - pad, high + pad];
    const y = v => TOP + (high - scale(v)) / (high - low) * (H - TOP - BOTTOM);
    const inner = v => Math.max(TOP, Math.min(H - BOTTOM, y(Math.max(v, log ? 1e-300 : -Infinity))));
    for (const t of ticks(low, high)) {
      const h = TOP + (high - t) / (high - low) * (H - TOP - BOTTOM);
      part(svg, "line", { x1: LEFT, x2: W - RIGHT, y1: h, y2: h, stroke: "var(--line)" });
      part(svg, "text", { x: LEFT - 6, y: h + 4, "text-anchor": "end" }, shown(log ? 10 ** t : t));
    }
    for (const t of ticks(from, to, W > 400 ? 6 : 4)) part(svg, "text", { x: x(t), y: H - 22, "text-anchor": "middle" }, shown(t));
    part(svg, "text", { x: W - RIGHT, y: H - 6, "text-anchor": "end" }, "step");
    for (const l of visible()) {
      const ks = l.x.map((_, k) => k).filter(k => l.x[k] >= from && l.x[k] <= to);
      if (l.spread) {
        const up = ks.map(k => `${x(l.x[k])},${inner(l.y[k] + l.spread[k])}`);
        const down = ks.map(k => `${x(l.x[k])},${inner(l.y[k] - l.spread[k])}`).reverse();
        part(svg, "polygon", { points: [...up, ...down].join(" "), fill: colour(l.i), opacity: 0.18 });
      }
      const points = ks.map(k => `${x(l.x[k])},${y(l.y[k])}`).join(" ");
      part(svg, "polyline", { points, fill: "none", stroke: colour(l.i), "stroke-width": 2, "stroke-linejoin": "round" });
      if (ks.length === 1) part(svg, "circle", { cx: x(l.x[ks[0]]), cy: y(l.y[ks[0]]), r: 3, fill: colour(l.i) });
      if (at !== null) {
        const k = nearest(l, at);
        if (l.x[k] >= from && l.x[k] <= to) part(svg, "circle", { cx: x(l.x[k]), cy: y(l.y[k]), r: 4, fill: colour(l.i) });
      }
    }
    if (at !== null) part(svg, "line", { x1: x(at), x2: x(at), y1: TOP, y2: H - BOTTOM, stroke: "var(--faint)", "stroke-dasharray": "3 3" });
    if (start !== null && at !== null) part(svg, "rect", { x: Math.min(x(start), x(at)), y: TOP, width: Math.abs(x(at) - x(start)), height: H - TOP - BOTTOM, fill: "var(--link)", opacity: 0.12 });
    const values = visible().map(l => { const k = nearest(l, at ?? last); return `${l.name} ${shown(l.y[k])}${l.spread ? ` ± ${shown(l.spread[k])}` : ""}`; });
    said.textContent = at === null ? "" : `step ${Math.round(at)}: ${values.join(" · ")}`;
  }
  const place = e => {
    const box = svg.getBoundingClientRect();
    return Math.max(from, Math.min(to, step((e.clientX - box.left) / box.width * W)));
  };
  const whole = () => { [from, to, start] = [0, last, null]; draw(); };
  svg.onpointermove = e => { at = place(e); draw(); };
  svg.onpointerdown = e => { if (e.pointerType === "mouse") start = place(e); };
  svg.onpointerup = e => {
    const end = place(e);
    if (start !== null && Math.abs(x(end) - x(start)) > 8) [from, to] = [Math.min(start, end), Math.max(start, end)];
    start = null;
    draw();
  };
  svg.onpointerleave = () => { [at, start] = [null, null]; draw(); };
  svg.ondblclick = whole;
  svg.onkeydown = e => {
    if (e.key === "Escape") whole();
    if (e.key !== "ArrowLeft" && e.key !== "ArrowRight") return;
    e.preventDefault();
    const all = [...new Set(visible().flatMap(l => l.x))].sort((a, b) => a - b).filter(v => v >= from && v <= to);
    at = e.key === "ArrowRight" ? all.find(v => at === null || v > at) ?? all.at(-1) : all.findLast(v => at === null || v < at) ?? all[0];
    draw();
  };
  new ResizeObserver(draw).observe(svg);
}
for (const e of document.querySelectorAll(".curves")) JSON.parse(e.dataset.panels).forEach(p => panel(e, p));
