// Every way in which a page can make its browser reach out. Each takes `to`, a function from a path to a URL.
const html = (text) => document.body.insertAdjacentHTML("beforeend", text);
const head = (attributes, to, path) => {
  const link = document.head.appendChild(document.createElement("link"));
  Object.entries(attributes).forEach(([name, value]) => link.setAttribute(name, value));
  link.href = to(path);
};
const run = (code, type = "text/javascript") => URL.createObjectURL(new Blob([code], {type}));
const socket = (url) => url.replace(/^\s*https?:/i, "ws:");
const quoted = (url) => JSON.stringify(url);
const peer = (urls) => {
  const connection = new RTCPeerConnection({iceServers: [{urls, username: "a", credential: "b"}]});
  connection.createDataChannel("x");
  connection.createOffer().then((offer) => connection.setLocalDescription(offer));
};
const authority = (to) => new URL(to("/")).host;
const sent = (attributes, to, path) => {
  const form = Object.assign(document.createElement("form"), {...attributes, action: to(path)});
  document.body.append(form);
  form.submit();
};

const WAYS = {
  "element/img": (to, path) => { new Image().src = to(path); },
  "element/srcset": (to, path) => html(`<img srcset="${to(path)} 2x, ${to(path)} 1x">`),
  "element/picture": (to, path) => html(`<picture><source srcset="${to(path)}"><img></picture>`),
  "element/iframe": (to, path) => html(`<iframe src="${to(path)}"></iframe>`),
  "element/sandboxed-iframe": (to, path) => html(`<iframe sandbox="allow-scripts" src="${to(path)}"></iframe>`),
  "element/srcdoc": (to, path) => {
    document.body.append(Object.assign(document.createElement("iframe"), {srcdoc: `<img src="${to(path)}">`}));
  },
  "element/object": (to, path) => html(`<object data="${to(path)}"></object>`),
  "element/embed": (to, path) => html(`<embed src="${to(path)}">`),
  "element/video": (to, path) => html(`<video src="${to(path)}"></video>`),
  "element/poster": (to, path) => html(`<video poster="${to(path)}"></video>`),
  "element/audio": (to, path) => { new Audio(to(path)).load(); },
  "element/input": (to, path) => html(`<input type="image" src="${to(path)}">`),
  "element/svg": (to, path) => html(`<svg><image href="${to(path)}" width="9" height="9"/></svg>`),
  "element/script": (to, path) => {
    document.head.append(Object.assign(document.createElement("script"), {src: to(path)}));
  },
  "style/link": (to, path) => head({rel: "stylesheet"}, to, path),
  "style/import": (to, path) => html(`<style>@import url("${to(path)}");</style>`),
  "style/background": (to, path) => html(`<p style="background: url('${to(path)}')">x</p>`),
  "style/font": (to, path) => {
    const family = `f${Math.random()}`.replace(".", "");
    html(`<style>@font-face { font-family: ${family}; src: url("${to(path)}"); }</style>`);
    html(`<p style="font-family: ${family}">x</p>`);
  },
  "script/fetch": (to, path) => fetch(to(path), {mode: "no-cors"}),
  "script/cors": (to, path) => fetch(to(path), {method: "PUT", headers: {"X-Other": "1"}}),
  "script/keepalive": (to, path) => fetch(to(path), {method: "POST", mode: "no-cors", keepalive: true}),
  "script/xhr": (to, path) => { const x = new XMLHttpRequest(); x.open("GET", to(path)); x.send(); },
  "script/post": (to, path) => { const x = new XMLHttpRequest(); x.open("POST", to(path)); x.send("body"); },
  "script/beacon": (to, path) => { navigator.sendBeacon(to(path), "x"); },
  "script/eventsource": (to, path) => { new EventSource(to(path)); },
  "script/websocket": (to, path) => { new WebSocket(socket(to(path))); },
  "script/import": (to, path) => import(to(path)),
  "script/worker": (to, path) => {
    new Worker(run(`fetch(${quoted(to(path))}, {mode: "no-cors"})`));
  },
  "script/importScripts": (to, path) => { new Worker(run(`importScripts(${quoted(to(path))})`)); },
  "script/worker-websocket": (to, path) => { new Worker(run(`new WebSocket(${quoted(socket(to(path)))})`)); },
  "script/module-worker": (to, path) => { new Worker(run(`import ${quoted(to(path))}`), {type: "module"}); },
  "script/shared-worker": (to, path) => {
    new SharedWorker(run(`fetch(${quoted(to(path))}, {mode: "no-cors"})`));
  },
  "script/service-worker": (to, path) => navigator.serviceWorker.register(`/worker.js?to=${encodeURIComponent(to(path))}`),
  "script/ping": (to, path) => {
    const link = Object.assign(document.createElement("a"), {href: "#ping", ping: to(path)});
    document.body.append(link);
    link.click();
  },
  "script/blob-frame": (to, path) => html(`<iframe src="${run(`<img src="${to(path)}">`, "text/html")}"></iframe>`),
  "script/data-frame": (to, path) => {
    const page = `<img src='${to(path)}'><script>fetch('${to(path)}', {mode: 'no-cors'})</${"script"}>`;
    html(`<iframe src="data:text/html,${encodeURIComponent(page)}"></iframe>`);
  },
  "script/javascript-frame": (to, path) => html(`<iframe src="javascript:'<img src=${to(path)}>'"></iframe>`),
  "script/fresh-frame": (to, path) => {
    // A frame's own globals, before anything could be taken away from them.
    html("<iframe></iframe>");
    const inner = document.body.lastElementChild.contentWindow;
    inner.fetch(to(path), {mode: "no-cors"});
    new inner.WebSocket(socket(to(path)));
    new inner.RTCPeerConnection();
  },
  "datagram/stun": (to) => peer(`stun:${authority(to)}`),
  "datagram/turn": (to) => peer(`turn:${authority(to)}?transport=udp`),
  "datagram/turn-tcp": (to) => peer(`turn:${authority(to)}?transport=tcp`),
  "datagram/candidate": async (to) => {
    const [here, there] = [new RTCPeerConnection(), new RTCPeerConnection()];
    here.createDataChannel("x");
    await here.setLocalDescription(await here.createOffer());
    await there.setRemoteDescription(here.localDescription);
    await there.setLocalDescription(await there.createAnswer());
    await here.setRemoteDescription(there.localDescription);
    const url = new URL(to("/"));
    const line = `candidate:1 1 udp 2122260223 ${url.hostname.replace(/[[\]]/g, "")} ${url.port} typ host`;
    await here.addIceCandidate({candidate: line, sdpMid: "0", sdpMLineIndex: 0});
  },
  "datagram/stun-in-a-frame": (to) => {
    html("<iframe></iframe>");
    const {RTCPeerConnection} = document.body.lastElementChild.contentWindow;
    const connection = new RTCPeerConnection({iceServers: [{urls: `stun:${authority(to)}`}]});
    connection.createDataChannel("x");
    connection.createOffer().then((offer) => connection.setLocalDescription(offer));
  },
  "datagram/webtransport": (to, path) => { new WebTransport(to(path).replace(/^\s*http:/i, "https:")); },
  "hint/preconnect": (to, path) => head({rel: "preconnect"}, to, path),
  "hint/dns-prefetch": (to, path) => head({rel: "dns-prefetch"}, to, path),
  "hint/prefetch": (to, path) => head({rel: "prefetch"}, to, path),
  "hint/prerender": (to, path) => head({rel: "prerender"}, to, path),
  "hint/preload": (to, path) => head({rel: "preload", as: "font", crossorigin: ""}, to, path),
  "hint/modulepreload": (to, path) => head({rel: "modulepreload"}, to, path),
  "hint/icon": (to, path) => head({rel: "icon"}, to, path),
  "hint/manifest": (to, path) => head({rel: "manifest"}, to, path),
  "hint/speculation": (to, path) => {
    const rules = JSON.stringify({prefetch: [{urls: [to(path)]}], prerender: [{urls: [to(path)]}]});
    document.head.append(Object.assign(document.createElement("script"), {type: "speculationrules", text: rules}));
  },
  "move/open": (to, path) => { window.open(to(path)); },
  "move/view-source": (to, path) => { window.open(`view-source:${to(path)}`); html(`<iframe src="view-source:${to(path)}">`); },
  "move/form": (to, path) => sent({method: "post"}, to, path),
  "move/form-elsewhere": (to, path) => sent({method: "get", target: "_blank"}, to, path),
  "move/meta-refresh": (to, path) => {
    const meta = Object.assign(document.createElement("meta"), {httpEquiv: "refresh", content: `0;url=${to(path)}`});
    document.head.append(meta);
  },
  "move/link": (to, path) => {
    const link = Object.assign(document.createElement("a"), {href: to(path)});
    document.body.append(link);
    link.click();
  },
  "move/location": (to, path) => { location = to(path); },
  "move/replace": (to, path) => { location.replace(to(path)); },
};

(async () => {
  let tried = 0;
  for (const way of NAMES) {
    for (const [index, spelling] of SPELLINGS.entries()) {
      const to = (path) => spelling.replace("{port}", PORT).replace("{path}", path);
      try { Promise.resolve(WAYS[way](to, `/${way}/${index}`)).catch(() => {}); } catch {}
      tried += 1;
    }
    await new Promise((resume) => setTimeout(resume, 5));
  }
  document.title = `tried ${tried}`;
  html('<img src="/survived.jpg">');
})();
