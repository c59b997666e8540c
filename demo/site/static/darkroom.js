// The prints are backgrounds, so that only <noscript> names them as images.
for (const frame of document.querySelectorAll("[data-print]")) {
  frame.style.backgroundImage = `url("${frame.dataset.print}")`;
}
