"use strict";
// Optimizers on a surface of two weights, step by step as jaxdl.optim takes them.

const SURFACES = {
  valley: { name: "a narrow valley", f: (x, y) => 0.5 * (x * x + 50 * y * y), g: (x, y) => [x, 50 * y], start: [-2.5, 0.8], box: [-3, 3, -1.5, 1.5], rate: 0.03 },
  banana: { name: "Rosenbrock's banana", f: (x, y) => (1 - x) ** 2 + 20 * (y - x * x) ** 2, g: (x, y) => [-2 * (1 - x) - 80 * x * (y - x * x), 40 * (y - x * x)], start: [-1.5, 1.5], box: [-2, 2, -1, 3], rate: 0.003 },
  saddle: { name: "a saddle that ends in two basins", f: (x, y) => 0.5 * x * x - 0.5 * y * y + 0.1 * y ** 4 + 0.625, g: (x, y) => [x, -y + 0.4 * y ** 3], start: [-2.5, 0.02], box: [-3, 3, -2.5, 2.5], rate: 0.1 },
  plateau: { name: "a plateau with a hole", f: (x, y) => 1 - Math.exp(-0.5 * (x * x + y * y)), g: (x, y) => { const e = Math.exp(-0.5 * (x * x + y * y)); return [x * e, y * e]; }, start: [-2.2, 1.4], box: [-3, 3, -2.5, 2.5], rate: 0.3 },
};
const adam = (decay, trust) => (lr, eps = 1e-8) => {
  let m = [0, 0], v = [0, 0], t = 0;
  return (w, raw) => {
    const g = trust ? raw.map((a) => a / Math.max(1, Math.hypot(...raw))) : raw; // LAMB clips the norm of the gradient at 1
    t++;
    m = m.map((a, i) => 0.9 * a + 0.1 * g[i]);
    v = v.map((a, i) => 0.999 * a + 0.001 * g[i] * g[i]);
    const u = m.map((a, i) => a / (1 - 0.9 ** t) / (Math.sqrt(v[i] / (1 - 0.999 ** t)) + eps) + decay * w[i]);
    const size = Math.hypot(...w), step = Math.hypot(...u), r = trust && size > 0 && step > 0 ? size / step : 1;
    return w.map((a, i) => a - lr * r * u[i]);
  };
};
const OPTIMIZERS = {
  SGD: (lr) => (w, g) => w.map((a, i) => a - lr * g[i]),
  momentum: (lr) => { let m = [0, 0]; return (w, g) => { m = m.map((a, i) => 0.9 * a + g[i]); return w.map((a, i) => a - lr * m[i]); }; },
  Nesterov: (lr) => { let m = [0, 0]; return (w, g) => { m = m.map((a, i) => 0.9 * a + g[i]); return w.map((a, i) => a - lr * (g[i] + 0.9 * m[i])); }; },
  AdaGrad: (lr) => { let s = [0, 0]; return (w, g) => { s = s.map((a, i) => a + g[i] * g[i]); return w.map((a, i) => a - lr * g[i] / (Math.sqrt(s[i]) + 1e-10)); }; },
  RMSprop: (lr) => { let v = [0, 0]; return (w, g) => { v = v.map((a, i) => 0.99 * a + 0.01 * g[i] * g[i]); return w.map((a, i) => a - lr * g[i] / (Math.sqrt(v[i]) + 1e-8)); }; },
  Adam: adam(0, false),
  AdamW: adam(0.01, false),
  LAMB: (lr) => adam(0.01, true)(lr, 1e-6),
};
const ADAPTIVE = new Set(["AdaGrad", "RMSprop", "Adam", "AdamW", "LAMB"]);

function race(surface, name, lr, steps) { // the places visited; ends where a value is not finite
  const { g, start } = SURFACES[surface], step = OPTIMIZERS[name](lr), path = [start];
  for (let i = 0; i < steps; i++) {
    const next = step(path[i], g(...path[i]));
    if (!next.every(Number.isFinite) || Math.hypot(...next) > 1e6) break;
    path.push(next);
  }
  return path;
}

function mount(root) {
  const get = (name) => root.querySelector(`[name=${name}]`), canvas = root.querySelector("canvas"), table = root.querySelector("tbody");
  const COLOURS = ["--site-1", "--site-2", "--site-3", "--site-4", "--site-5", "--site-1", "--site-2", "--site-3"];
  let shown = 0, timer = null;
  const draw = () => {
    const surface = SURFACES[get("surface").value], [x0, x1, y0, y1] = surface.box, g = canvas.getContext("2d");
    const width = (canvas.width = 640), height = (canvas.height = Math.round(640 * (y1 - y0) / (x1 - x0))), ink = getComputedStyle(root).color;
    const place = (p) => [(p[0] - x0) / (x1 - x0) * width, (y1 - p[1]) / (y1 - y0) * height];
    const values = Array.from({ length: 81 * 81 }, (_, i) => surface.f(x0 + (x1 - x0) * (i % 81) / 80, y1 - (y1 - y0) * Math.floor(i / 81) / 80));
    const low = Math.min(...values), top = Math.max(...values), level = (v) => Math.log1p(200 * (v - low) / (top - low)) / Math.log1p(200);
    const ground = new OffscreenCanvas(81, 81), image = new ImageData(81, 81);
    values.forEach((v, i) => image.data.set([128, 128, 128, 20 + 110 * Math.floor(14 * level(v)) / 14], 4 * i)); // bands, equal in the logarithm
    ground.getContext("2d").putImageData(image, 0, 0);
    g.drawImage(ground, 0, 0, width, height);
    const rate = 10 ** get("rate").value;
    root.querySelector(".rate").textContent = rate.toPrecision(2);
    table.replaceChildren();
    Object.keys(OPTIMIZERS).forEach((name, k) => {
      if (!get(name).checked) return;
      const path = race(get("surface").value, name, rate, shown), colour = getComputedStyle(root).getPropertyValue(COLOURS[k]).trim() || ink, end = path[path.length - 1];
      g.strokeStyle = g.fillStyle = colour; g.lineWidth = 3; g.setLineDash(k > 4 ? [8, 5] : []);
      g.beginPath(); path.forEach((p) => g.lineTo(...place(p))); g.stroke(); g.setLineDash([]);
      g.beginPath(); g.arc(...place(end), 6, 0, 7); g.fill();
      const row = table.insertRow(), gone = path.length <= shown;
      const mark = document.createElement("i"); mark.style.borderTop = `3px ${k > 4 ? "dashed" : "solid"} ${colour}`;
      const cell = row.insertCell(); cell.append(mark, name);
      row.insertCell().textContent = gone ? `diverged at step ${path.length}` : surface.f(...end).toPrecision(3);
      row.insertCell().textContent = gone ? "" : `${end[0].toFixed(2)}, ${end[1].toFixed(2)}`;
    });
    root.querySelector("output").textContent = `after ${shown} steps`;
  };
  const stop = () => { clearInterval(timer); timer = null; root.querySelector("button.go").textContent = "Race"; };
  const restart = () => { stop(); shown = 0; draw(); };
  root.querySelector("button.go").addEventListener("click", () => {
    if (timer) return stop();
    if (shown >= 200) shown = 0;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) { shown = 200; return draw(); }
    root.querySelector("button.go").textContent = "Pause";
    timer = setInterval(() => { shown += 2; draw(); if (shown >= 200) stop(); }, 60);
  });
  root.querySelector("button.step").addEventListener("click", () => { stop(); shown = Math.min(200, shown + 1); draw(); });
  root.querySelector("button.back").addEventListener("click", restart);
  get("surface").addEventListener("change", () => { get("rate").value = Math.log10(SURFACES[get("surface").value].rate); restart(); });
  get("rate").addEventListener("input", () => { if (!timer) shown = Math.max(shown, 60); draw(); });
  for (const name of Object.keys(OPTIMIZERS)) get(name).addEventListener("change", draw);
  shown = 60;
  draw();
}

if (typeof module !== "undefined") module.exports = { race, SURFACES, OPTIMIZERS, ADAPTIVE };
