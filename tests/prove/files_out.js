// Every way in which a page can try to read a file, here or on its own site, and carry off what stands in it.
const carry = (text) => fetch(`/carried?${encodeURIComponent(text)}`);
const frame = (source) => {
  const made = Object.assign(document.createElement("iframe"), {src: source});
  made.onload = () => { try { carry(made.contentDocument.body.textContent); } catch {} };
  document.body.append(made);
};
const READS = {
  fetch: () => fetch(FOLDER + "secret.txt").then((answer) => answer.text()).then(carry),
  xhr: () => {
    const asked = new XMLHttpRequest();
    asked.open("GET", FOLDER + "secret.txt");
    asked.onload = () => carry(asked.responseText);
    asked.send();
  },
  iframe: () => frame(FOLDER + "secret.txt"),
  "view-source": () => frame(`view-source:${FOLDER}secret.txt`),
  script: () => { document.head.append(Object.assign(document.createElement("script"), {src: FOLDER + "secret.js"})); },
  import: () => import(FOLDER + "secret.mjs").then((module) => carry(module.secret)),
  worker: () => {
    const code = `const carry = (text) => fetch("${location.origin}/carried?" + text); importScripts("${FOLDER}secret.js")`;
    new Worker(URL.createObjectURL(new Blob([code])));
  },
  blob: () => {
    const code = `fetch("${FOLDER}secret.txt").then((a) => a.text()).then((t) => fetch("${location.origin}/carried?" + t))`;
    frame(URL.createObjectURL(new Blob([`<script>${code}<\/script>`], {type: "text/html"})));
  },
  open: () => { window.open(FOLDER + "secret.txt"); },
  location: () => { location = FOLDER + "secret.txt"; },
};
(async () => {
  for (const read of Object.values(READS)) {
    try { await Promise.race([read(), new Promise((resume) => setTimeout(resume, 100))]); } catch {}
  }
  document.title = `tried ${Object.keys(READS).length}`;
})();
