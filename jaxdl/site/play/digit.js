"use strict";
// A drawn digit through the CNN of experiments/digits_cnn: convolution, ReLU, max-pool, twice, then a dense layer.

function unpack(text) { // base64 of 16-bit floats
  const bytes = typeof atob === "function" ? Uint8Array.from(atob(text), (c) => c.charCodeAt(0)) : Buffer.from(text, "base64");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from({ length: bytes.byteLength / 2 }, (_, i) => {
    const h = view.getUint16(2 * i, true), e = (h >> 10) & 31, m = h & 1023;
    return (h >> 15 ? -1 : 1) * (e ? 2 ** (e - 15) * (1 + m / 1024) : 2 ** -14 * (m / 1024));
  });
}

function stage(x, size, inputs, kernel, bias) { // x[row][column][channel] flat -> ReLU(convolution 3x3, padding 1), then 2x2 max
  const outputs = bias.length, half = size / 2, y = new Float64Array(half * half * outputs).fill(0);
  for (let r = 0; r < size; r++) for (let c = 0; c < size; c++) for (let o = 0; o < outputs; o++) {
    let sum = bias[o];
    for (let a = 0; a < 3; a++) for (let b = 0; b < 3; b++) {
      const row = r + a - 1, column = c + b - 1;
      if (row < 0 || column < 0 || row >= size || column >= size) continue;
      for (let i = 0; i < inputs; i++) sum += x[(row * size + column) * inputs + i] * kernel[((a * 3 + b) * inputs + i) * outputs + o];
    }
    const place = ((r >> 1) * half + (c >> 1)) * outputs + o;
    y[place] = Math.max(y[place], sum); // ReLU and maximum in one: y starts at 0
  }
  return y;
}

function forward(w, counts) { // 64 counts from 0 to 16 -> maps and probabilities
  const x = Float64Array.from(counts, (v) => v * w.slope + w.offset);
  const one = stage(x, 8, 1, w.kernel1, w.bias1), two = stage(one, 4, w.bias1.length, w.kernel2, w.bias2);
  const logits = Array.from(w.bias3, (b, k) => two.reduce((sum, v, i) => sum + v * w.kernel3[i * w.bias3.length + k], b));
  const top = Math.max(...logits), e = logits.map((v) => Math.exp(v - top)), total = e.reduce((a, b) => a + b);
  return { one, two, logits, p: e.map((v) => v / total) };
}

function reduce(bitmap) { // 32x32 bits -> 8x8 counts of 4x4 blocks, the drawing scaled to the full height, as the data were made
  const on = [...bitmap.keys()].filter((i) => bitmap[i]);
  if (!on.length) return new Array(64).fill(0);
  const rows = on.map((i) => i >> 5), columns = on.map((i) => i & 31);
  const [top, bottom, left, right] = [Math.min(...rows), Math.max(...rows) + 1, Math.min(...columns), Math.max(...columns) + 1];
  const scale = Math.max(bottom - top, right - left) / 32, middle = (left + right) / 2, centre = (top + bottom) / 2, counts = new Array(64).fill(0);
  for (let r = 0; r < 32; r++) for (let c = 0; c < 32; c++) {
    const row = Math.floor(centre + (r + 0.5 - 16) * scale), column = Math.floor(middle + (c + 0.5 - 16) * scale);
    if (row >= 0 && row < 32 && column >= 0 && column < 32 && bitmap[row * 32 + column]) counts[(r >> 2) * 8 + (c >> 2)]++;
  }
  return counts;
}

function weights(data) {
  const w = { slope: data.slope, offset: data.offset };
  for (const name of ["kernel1", "bias1", "kernel2", "bias2", "kernel3", "bias3"]) w[name] = unpack(data[name]);
  return w;
}

function mount(root, data) {
  const w = weights(data), pad = root.querySelector("canvas.pad"), status = root.querySelector("output"), bitmap = new Uint8Array(1024);
  let cursor = 16 * 32 + 16, drawing = false, keyed = false, last = null, shown = null;
  const paint = (row, column, value = 1) => { // a pen of 3x3
    for (let a = -1; a < 2; a++) for (let b = -1; b < 2; b++) {
      const r = row + a, c = column + b;
      if (r >= 0 && c >= 0 && r < 32 && c < 32) bitmap[r * 32 + c] = value;
    }
  };
  const grey = (canvas, values, width, largest) => {
    const height = values.length / width, g = canvas.getContext("2d"), image = g.createImageData(width, height);
    canvas.width = width; canvas.height = height;
    values.forEach((v, i) => { image.data.set([0, 114, 178, Math.round(255 * Math.min(1, v / largest))], 4 * i); });
    g.putImageData(image, 0, 0);
  };
  const maps = (holder, values, size, channels) => {
    const largest = Math.max(1e-9, ...values);
    while (holder.children.length < channels) holder.append(document.createElement("canvas"));
    for (let k = 0; k < channels; k++) grey(holder.children[k], Array.from({ length: size * size }, (_, i) => values[i * channels + k]), size, largest);
  };
  const show = (counts) => {
    const blank = !counts.some((v) => v), found = forward(w, counts), best = found.p.indexOf(Math.max(...found.p));
    grey(root.querySelector("canvas.small"), counts, 8, 16);
    maps(root.querySelector(".one"), found.one, 4, w.bias1.length);
    maps(root.querySelector(".two"), found.two, 2, w.bias2.length);
    root.querySelectorAll(".bars meter").forEach((bar, k) => { bar.value = blank ? 0 : found.p[k]; bar.nextElementSibling.textContent = blank ? "" : found.p[k].toFixed(3); });
    status.textContent = blank ? "Draw a digit." : `It is read as ${best}, with probability ${found.p[best].toFixed(3)}.`;
    status.dataset.digit = blank ? "" : best;
  };
  const redraw = () => {
    const g = pad.getContext("2d");
    g.clearRect(0, 0, 32, 32);
    g.fillStyle = getComputedStyle(root).color;
    bitmap.forEach((v, i) => { if (v) g.fillRect(i & 31, i >> 5, 1, 1); });
    if (keyed) { g.strokeStyle = "#D55E00"; g.lineWidth = 0.5; g.strokeRect((cursor & 31) - 1, (cursor >> 5) - 1, 3, 3); }
    show(shown || reduce(bitmap));
  };
  const clear = () => { bitmap.fill(0); shown = null; redraw(); };
  const at = (event) => { const box = pad.getBoundingClientRect(); return [Math.floor(32 * (event.clientY - box.top) / box.height), Math.floor(32 * (event.clientX - box.left) / box.width)]; };
  const stroke = (event) => {
    const now = at(event), from = last || now, steps = Math.max(1, Math.abs(now[0] - from[0]), Math.abs(now[1] - from[1]));
    for (let i = 0; i <= steps; i++) paint(Math.round(from[0] + (now[0] - from[0]) * i / steps), Math.round(from[1] + (now[1] - from[1]) * i / steps));
    last = now; redraw();
  };
  pad.addEventListener("pointerdown", (event) => { if (shown) clear(); drawing = true; keyed = false; last = null; pad.setPointerCapture(event.pointerId); stroke(event); });
  pad.addEventListener("pointermove", (event) => { if (drawing) stroke(event); });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => { drawing = false; });
  pad.addEventListener("keydown", (event) => {
    const move = { ArrowUp: -32, ArrowDown: 32, ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move === undefined && event.key !== " ") return;
    event.preventDefault();
    if (shown) clear();
    keyed = true;
    const row = cursor >> 5, column = cursor & 31, vertical = Math.abs(move) === 32;
    if (move && !(vertical ? row + move / 32 < 1 || row + move / 32 > 30 : column + move < 1 || column + move > 30)) cursor += move;
    if (event.key === " " || event.shiftKey) paint(cursor >> 5, cursor & 31);
    redraw();
  });
  root.querySelector("button.clear").addEventListener("click", clear);
  data.examples.forEach((example, k) => {
    const button = document.createElement("button"), picture = document.createElement("canvas");
    button.append(picture); button.type = "button"; button.setAttribute("aria-label", `example of a ${k}`);
    grey(picture, example, 8, 16);
    button.addEventListener("click", () => { bitmap.fill(0); shown = example; redraw(); });
    root.querySelector(".examples").append(button);
  });
  redraw();
}

if (typeof module !== "undefined") module.exports = { forward, reduce, weights };
