"use strict";
// A small Transformer that names the language of a sentence: two blocks of self-attention over its letters.

function unpack(text) { // base64 of 16-bit floats
  const bytes = typeof atob === "function" ? Uint8Array.from(atob(text), (c) => c.charCodeAt(0)) : Buffer.from(text, "base64");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from({ length: bytes.byteLength / 2 }, (_, i) => {
    const h = view.getUint16(2 * i, true), e = (h >> 10) & 31, m = h & 1023;
    return (h >> 15 ? -1 : 1) * (e ? 2 ** (e - 15) * (1 + m / 1024) : 2 ** -14 * (m / 1024));
  });
}

const softmax = (x) => { const top = Math.max(...x), e = x.map((v) => Math.exp(v - top)), sum = e.reduce((a, b) => a + b); return e.map((v) => v / sum); };
const dense = (rows, { kernel, bias }) => rows.map((x) => Array.from(bias, (b, o) => x.reduce((sum, v, i) => sum + v * kernel[i * bias.length + o], b)));
const add = (a, b) => a.map((row, t) => row.map((v, i) => v + b[t][i]));

function norm(rows, { scale, bias }) {
  return rows.map((x) => {
    const mean = x.reduce((a, b) => a + b) / x.length, spread = Math.sqrt(x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length + 1e-5);
    return x.map((v, i) => (v - mean) / spread * scale[i] + bias[i]);
  });
}

function attend(rows, w, heads) { // -> [result, weights[head][query][key]]
  const q = dense(rows, w.query), k = dense(rows, w.key), v = dense(rows, w.value), dim = q[0].length / heads, joined = rows.map(() => []), weights = [];
  for (let h = 0; h < heads; h++) {
    const part = (x) => x.slice(h * dim, (h + 1) * dim), keys = k.map(part), values = v.map(part);
    weights.push(q.map((query) => softmax(keys.map((key) => part(query).reduce((sum, a, i) => sum + a * key[i], 0) / Math.sqrt(dim)))));
    weights[h].forEach((row, t) => joined[t].push(...values[0].map((_, i) => row.reduce((sum, a, s) => sum + a * values[s][i], 0))));
  }
  return [dense(joined, w.out), weights];
}

function forward(model, tokens) { // token numbers -> probabilities of the languages, weights[layer][head][query][key]
  const width = model.width, maps = [];
  let x = tokens.map((token, t) => Array.from({ length: width }, (_, i) => {
    const angle = t / 10000 ** (2 * Math.floor(i / 2) / width);
    return model.embedding[token * width + i] * Math.sqrt(width) + (i % 2 ? Math.cos(angle) : Math.sin(angle));
  }));
  for (const block of model.blocks) {
    const [y, weights] = attend(norm(x, block.norm_attention), block, model.heads);
    maps.push(weights);
    x = add(x, y);
    x = add(x, dense(dense(norm(x, block.norm_mlp), block.up).map((row) => row.map((v) => Math.max(0, v))), block.down));
  }
  x = norm(x, model.norm);
  const mean = Array.from({ length: width }, (_, i) => x.reduce((sum, row) => sum + row[i], 0) / x.length);
  return { p: softmax(dense([mean], model.head)[0]), maps };
}

function encode(model, text) { return [...text].slice(0, model.time).map((letter) => { const i = model.symbols.indexOf(letter); return i < 0 ? 1 : i + 2; }); }

function open(data) { // the weights of the page as arrays
  const arrays = (tree) => Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, typeof value === "string" ? unpack(value) : arrays(value)]));
  const w = arrays(data.weights);
  return { ...data, symbols: [...data.symbols], embedding: w.embedding.all, head: w.head, norm: w.norm, blocks: [w.block0, w.block1].map((b) => b) };
}

function mount(root, data) {
  const model = open(data), field = root.querySelector("[name=text]"), letters = root.querySelector(".letters"), map = root.querySelector("canvas");
  const get = (name) => Number(root.querySelector(`[name=${name}]`).value);
  let chosen = 0;
  const draw = () => {
    const text = field.value || " ", found = forward(model, encode(model, text)), shown = [...text].slice(0, model.time), head = get("head");
    const heads = found.maps[get("layer")], weights = head < 0 ? heads[0].map((row, t) => row.map((_, s) => heads.reduce((sum, h) => sum + h[t][s], 0) / heads.length)) : heads[head];
    chosen = Math.min(chosen, shown.length - 1);
    const most = Math.max(...weights[chosen]), ranked = [...found.p.keys()].sort((a, b) => found.p[b] - found.p[a]);
    while (letters.children.length > shown.length) letters.lastChild.remove();
    shown.forEach((letter, t) => {
      let button = letters.children[t];
      if (!button) {
        button = document.createElement("button"); button.type = "button";
        for (const kind of ["pointerenter", "focus"]) button.addEventListener(kind, () => { if (chosen !== t) { chosen = t; draw(); } });
        letters.append(button);
      }
      button.textContent = letter === " " ? "␣" : letter;
      button.setAttribute("aria-pressed", t === chosen);
      button.setAttribute("aria-label", `letter ${t + 1}: ${letter === " " ? "space" : letter}, weight ${weights[chosen][t].toFixed(2)}`);
      button.style.background = `color-mix(in srgb, var(--site-1) ${Math.round(45 * weights[chosen][t] / most)}%, transparent)`;
    });
    const g = map.getContext("2d"), n = shown.length, image = g.createImageData(n, n);
    map.width = map.height = n;
    weights.forEach((row, t) => row.forEach((v, s) => image.data.set([0, 114, 178, Math.round(255 * Math.min(1, v / Math.max(...row)))], 4 * (t * n + s))));
    g.putImageData(image, 0, 0);
    const looked = [...weights[chosen].keys()].sort((a, b) => weights[chosen][b] - weights[chosen][a]).slice(0, 3).map((s) => `“${shown[s]}” (${weights[chosen][s].toFixed(2)})`);
    root.querySelector(".looks").textContent = `“${shown[chosen]}”, letter ${chosen + 1}, looks most at ${looked.join(", ")}.`;
    root.querySelector("output").textContent = `Read as ${model.names[ranked[0]]}, with probability ${found.p[ranked[0]].toFixed(2)}.`;
    root.querySelectorAll(".bars meter").forEach((bar, i) => { bar.value = found.p[ranked[i]]; bar.previousElementSibling.textContent = model.names[ranked[i]]; bar.nextElementSibling.textContent = found.p[ranked[i]].toFixed(2); });
  };
  field.addEventListener("input", draw);
  for (const name of ["layer", "head"]) root.querySelector(`[name=${name}]`).addEventListener("input", draw);
  root.querySelectorAll("button.example").forEach((button) => button.addEventListener("click", () => { field.value = button.textContent; draw(); }));
  draw();
}

if (typeof module !== "undefined") module.exports = { forward, encode, open };
