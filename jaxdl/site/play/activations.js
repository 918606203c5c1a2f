"use strict";
// Every activation of jaxdl.activations: its value and its derivative, on a plot and at a place of your choice.

function erf(x) { // series near 0, continued fraction far away: both exact to 1e-14
  const a = Math.abs(x);
  if (a < 2.5) {
    let term = x, sum = x;
    for (let n = 1; n < 80; n++) { term *= -x * x / n; sum += term / (2 * n + 1); }
    return 2 / Math.sqrt(Math.PI) * sum;
  }
  let f = 0;
  for (let n = 120; n > 0; n--) f = n / 2 / (a + f);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + f));
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x)), softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), relu6 = (x) => Math.min(Math.max(x, 0), 6);
const ACTIVATIONS = { // name -> [function of x and the parameter, name of the parameter, its value, least, most]
  relu: [(x) => Math.max(0, x)],
  relu6: [relu6],
  squared_relu: [(x) => Math.max(0, x) ** 2],
  leaky_relu: [(x, slope) => (x > 0 ? x : slope * x), "slope", 0.01, 0, 1],
  elu: [(x, alpha) => (x > 0 ? x : alpha * Math.expm1(x)), "alpha", 1, 0, 3],
  celu: [(x, alpha) => (x > 0 ? x : alpha * Math.expm1(x / alpha)), "alpha", 1, 0.1, 3],
  selu: [(x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x))],
  sigmoid: [sigmoid],
  log_sigmoid: [(x) => -softplus(-x)],
  hard_sigmoid: [(x) => relu6(x + 3) / 6],
  tanh: [Math.tanh],
  hard_tanh: [(x) => Math.min(Math.max(x, -1), 1)],
  softsign: [(x) => x / (1 + Math.abs(x))],
  softplus: [softplus],
  swish: [(x, beta) => x * sigmoid(beta * x), "beta", 1, 0, 5],
  hard_swish: [(x) => x * relu6(x + 3) / 6],
  gelu: [(x) => 0.5 * x * (1 + erf(x / Math.SQRT2))],
  gelu_tanh: [(x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))],
  mish: [(x) => x * Math.tanh(softplus(x))],
};

function value(name, x, parameter = ACTIVATIONS[name][2]) { return ACTIVATIONS[name][0](x, parameter); }
function slope(name, x, parameter, h = 1e-5) { return (value(name, x + h, parameter) - value(name, x - h, parameter)) / (2 * h); }

function mount(root) {
  const canvas = root.querySelector("canvas"), at = root.querySelector("[name=x]"), chosen = new Map([["relu", 0], ["gelu", 1], ["swish", 2]]), values = {};
  const colour = (k) => getComputedStyle(root).getPropertyValue(`--site-${(k % 5) + 1}`).trim() || getComputedStyle(root).color;
  const parameters = root.querySelector(".parameters"), names = root.querySelector(".names"), table = root.querySelector("tbody");
  const draw = () => {
    const g = canvas.getContext("2d"), ink = getComputedStyle(root).color, x = Number(at.value);
    canvas.width = 640; canvas.height = 400;
    const place = (a, b) => [(a + 5) / 10 * 640, (4 - b) / 6 * 400];
    g.strokeStyle = ink; g.fillStyle = ink; g.font = "14px system-ui, sans-serif";
    for (let n = -5; n <= 5; n++) { g.globalAlpha = n ? 0.15 : 0.6; g.lineWidth = 1; g.beginPath(); g.moveTo(...place(n, -2)); g.lineTo(...place(n, 4)); g.moveTo(...place(-5, n)); g.lineTo(...place(5, n)); g.stroke(); g.globalAlpha = 0.9; if (n) { g.fillText(String(n), place(n, 0)[0] + 3, place(n, 0)[1] + 15); if (n < 4 && n > -2) g.fillText(String(n), place(0, n)[0] + 5, place(0, n)[1] - 4); } }
    g.globalAlpha = 0.6; g.setLineDash([3, 3]); g.beginPath(); g.moveTo(...place(x, -2)); g.lineTo(...place(x, 4)); g.stroke(); g.globalAlpha = 1;
    table.replaceChildren();
    for (const [name, k] of chosen) for (const [f, dash, width] of [[slope, [6, 5], 2], [value, [], 3]]) {
      g.strokeStyle = g.fillStyle = colour(k); g.lineWidth = width; g.setLineDash(dash); g.beginPath();
      for (let i = 0; i <= 640; i += 2) g.lineTo(...place(i / 64 - 5, f(name, i / 64 - 5, values[name])));
      g.stroke(); g.setLineDash([]);
      if (f === value) { g.beginPath(); g.arc(...place(x, value(name, x, values[name])), 5, 0, 7); g.fill(); }
    }
    for (const [name, k] of chosen) {
      const row = table.insertRow(), mark = document.createElement("i"), cell = row.insertCell();
      mark.style.borderTop = `3px solid ${colour(k)}`; cell.append(mark, name);
      row.insertCell().textContent = value(name, x, values[name]).toFixed(4);
      row.insertCell().textContent = slope(name, x, values[name]).toFixed(4);
    }
    root.querySelector(".at").textContent = x.toFixed(2);
  };
  const knobs = () => parameters.replaceChildren(...[...chosen.keys()].filter((name) => ACTIVATIONS[name][1]).map((name) => {
    const [, word, start, least, most] = ACTIVATIONS[name], label = document.createElement("label"), slider = document.createElement("input"), said = document.createElement("span");
    Object.assign(slider, { type: "range", min: least, max: most, step: 0.01, value: values[name] ?? start });
    said.textContent = slider.value;
    slider.addEventListener("input", () => { values[name] = Number(slider.value); said.textContent = slider.value; draw(); });
    label.append(`${word} of ${name} `, slider, said);
    return label;
  }));
  Object.keys(ACTIVATIONS).forEach((name) => {
    const label = document.createElement("label"), box = document.createElement("input");
    Object.assign(box, { type: "checkbox", checked: chosen.has(name), name });
    box.addEventListener("change", () => {
      const free = [0, 1, 2, 3, 4].find((k) => ![...chosen.values()].includes(k)) ?? chosen.size;
      if (box.checked) chosen.set(name, free); else chosen.delete(name);
      knobs(); draw();
    });
    label.append(box, name); names.append(label);
  });
  at.addEventListener("input", draw);
  canvas.addEventListener("pointermove", (event) => { const box = canvas.getBoundingClientRect(); at.value = 10 * (event.clientX - box.left) / box.width - 5; draw(); });
  knobs(); draw();
}

if (typeof module !== "undefined") module.exports = { ACTIVATIONS, value, slope };
