"use strict";
// Convolution and pooling on a small grid: the window moves, each output is shown as it is computed.

function outputSize({ size, kernel, stride, padding, dilation }) {
  return Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}

function input(size) { // the same picture at every size: a bright cross on a dark ground
  const middle = (size - 1) / 2;
  return Array.from({ length: size * size }, (_, i) => (Math.min(Math.abs(Math.floor(i / size) - middle), Math.abs(i % size - middle)) < 1 ? 5 : (i * 7) % 3));
}

function filter(kernel) { // a vertical edge: -1 on the left, 1 on the right
  return Array.from({ length: kernel * kernel }, (_, i) => Math.sign(i % kernel - (kernel - 1) / 2));
}

function windowAt(s, row, column) { // the places under the window, with null outside of the input
  return Array.from({ length: s.kernel * s.kernel }, (_, i) => {
    const r = row * s.stride - s.padding + Math.floor(i / s.kernel) * s.dilation, c = column * s.stride - s.padding + (i % s.kernel) * s.dilation;
    return r < 0 || c < 0 || r >= s.size || c >= s.size ? null : r * s.size + c;
  });
}

function output(s, x) {
  const out = outputSize(s), w = filter(s.kernel), count = s.kernel * s.kernel;
  return Array.from({ length: Math.max(0, out) ** 2 }, (_, i) => {
    const places = windowAt(s, Math.floor(i / out), i % out);
    if (s.mode === "max") return Math.max(...places.map((p) => (p === null ? -Infinity : x[p])));
    const sum = places.reduce((total, p, k) => total + (p === null ? 0 : x[p] * (s.mode === "convolution" ? w[k] : 1)), 0);
    return s.mode === "average" ? sum / count : sum;
  });
}

function mount(root) {
  const get = (name) => root.querySelector(`[name=${name}]`), names = ["size", "kernel", "stride", "padding", "dilation"];
  let place = 0, timer = null;
  const settings = () => ({ mode: get("mode").value, ...Object.fromEntries(names.map((name) => [name, Number(get(name).value)])) });
  const grid = (holder, size, border, text, marked, label) => {
    const side = size + 2 * border;
    holder.style.gridTemplateColumns = `repeat(${side}, minmax(0, 1fr))`;
    holder.replaceChildren(...Array.from({ length: side * side }, (_, i) => {
      const r = Math.floor(i / side) - border, c = i % side - border, inside = r >= 0 && c >= 0 && r < size && c < size, cell = document.createElement("span");
      cell.textContent = inside ? text(r * size + c) : "0";
      cell.className = (inside ? "" : "zero ") + (marked(r, c) ? "on" : "");
      return cell;
    }));
    holder.setAttribute("aria-label", label);
  };
  const number = (v) => (v === -Infinity ? "−∞" : String(Math.round(10 * v) / 10).replace("-", "−"));
  const draw = () => {
    const s = settings(), x = input(s.size), out = outputSize(s), works = out >= 1, y = works ? output(s, x) : [];
    names.forEach((name) => { get(name).nextElementSibling.textContent = get(name).value; });
    place = works ? Math.min(place, out * out - 1) : 0;
    const row = Math.floor(place / Math.max(1, out)), column = place % Math.max(1, out), w = filter(s.kernel), places = works ? windowAt(s, row, column) : [];
    const under = (r, c) => works && [0, 1].every((axis) => { const d = (axis ? c - column * s.stride : r - row * s.stride) + s.padding; return d >= 0 && d <= s.dilation * (s.kernel - 1) && d % s.dilation === 0; });
    grid(root.querySelector(".input"), s.size, s.padding, (i) => x[i], under, `input of ${s.size} by ${s.size} with ${s.padding} zeros around`);
    grid(root.querySelector(".output"), Math.max(0, out), 0, (i) => (i <= place ? number(y[i]) : ""), (r, c) => r === row && c === column, `output of ${out} by ${out}`);
    root.querySelector(".formula").textContent = `⌊(${s.size} + 2·${s.padding} − ${s.dilation}·(${s.kernel} − 1) − 1) / ${s.stride}⌋ + 1 = ${out}`;
    const terms = places.map((p, k) => (s.mode === "convolution" ? (w[k] === 0 ? "" : `${w[k] < 0 ? "−" : "+"} ${p === null ? 0 : x[p]}`) : p === null ? (s.mode === "max" ? "" : "0") : String(x[p]))).filter(Boolean);
    const joined = s.mode === "convolution" ? terms.join(" ").replace(/^\+ /, "") : s.mode === "max" ? `max(${terms.join(", ")})` : `(${terms.join(" + ")}) / ${s.kernel * s.kernel}`;
    root.querySelector("output").textContent = works ? `Row ${row + 1}, column ${column + 1}: ${joined} = ${number(y[place])}` : "The window is larger than the padded input: there is no output.";
    root.querySelector(".kernel").textContent = s.mode === "convolution" ? "The filter is a vertical edge: its columns are −1 on the left, 1 on the right, 0 in the middle." : s.mode === "max" ? "Padding counts as −∞ for the maximum." : "Padding counts as zeros in the mean, as in PyTorch.";
  };
  const stop = () => { clearInterval(timer); timer = null; root.querySelector("button.go").textContent = "Play"; };
  const move = (by) => { const out = Math.max(1, outputSize(settings())); place = (place + by + out * out) % (out * out); draw(); };
  root.querySelector("button.step").addEventListener("click", () => { stop(); move(1); });
  root.querySelector("button.back").addEventListener("click", () => { stop(); move(-1); });
  root.querySelector("button.go").addEventListener("click", () => {
    if (timer) return stop();
    const out = outputSize(settings());
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) { place = out * out - 1; return draw(); }
    root.querySelector("button.go").textContent = "Pause";
    place = 0; draw();
    timer = setInterval(() => { if (place >= outputSize(settings()) ** 2 - 1) return stop(); move(1); }, 350);
  });
  for (const name of ["mode", ...names]) get(name).addEventListener("input", draw);
  draw();
}

if (typeof module !== "undefined") module.exports = { outputSize, output, input, filter };
