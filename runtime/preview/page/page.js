"use strict";

// docs/live-page.md describes the messages between the server and this page.
const PAIR = 1, SNAPSHOT = 2; // kinds of binary message
const HEADER_BYTES = 9;
const SILENT_S = 3; // a camera without a frame for so long is shown as lost
const ENDED = 1001; // close code of a server that shuts down
const RETRY_MS = 2000;
const STRENGTH_EVERY_MS = 60;
const CAMERAS_EVERY_MS = 1000; // of several, the small images and their state

const $ = (id) => document.getElementById(id);
const stage = $("stage"), divider = $("divider"), slider = $("strength");

let socket = null;
let isPaused = false;
let isRequested = false; // a pair has been requested
let splitPercent = 50;
let newest = null; // latest statistics
let camera = ""; // the name of the one that is shown; "": the first
let strengthTouched = -Infinity; // time by performance.now()

// ---- state --------------------------------------------------------------------------------------------

function showState(state, label, notice = "") {
  $("state").dataset.state = state;
  if ($("state").textContent !== label) $("state").textContent = label;
  if ($("notice").textContent !== notice) $("notice").textContent = notice;
  $("notice").hidden = !notice;
  stage.classList.toggle("stale", !["live", "paused"].includes(state));
  $("snapshot").disabled = stage.classList.contains("empty") || socket?.readyState !== WebSocket.OPEN;
}

function showStateOfStream() {
  if (!newest || socket?.readyState !== WebSocket.OPEN) return;
  const seconds = Math.floor(newest.silent_s);
  if (newest.frames === 0) {
    showState("waiting", "Starting", "Waiting for the first frame.");
  } else if (seconds >= SILENT_S) {
    showState("lost", "Camera lost", `No frame from the camera for ${seconds} s. The image returns when the camera does.`);
  } else if (isPaused) {
    showState("paused", "Paused");
  } else {
    showState("live", "Live");
  }
}

function showStatistics(statistics) {
  newest = statistics;
  const isSilent = statistics.silent_s >= SILENT_S;
  const has = statistics.frames > 0;
  const put = (id, text) => { $(id).textContent = text; };
  put("fps", has && !isSilent ? statistics.fps.toFixed(1) : "–");
  put("latency-p50", has ? milliseconds(statistics.latency_p50_ms) : "–");
  put("latency-p99", has ? milliseconds(statistics.latency_p99_ms) : "–");
  put("resolution", has ? `${statistics.width}×${statistics.height}` : "–");
  put("dropped", statistics.dropped);
  put("reconnects", statistics.reconnects);
  put("model", statistics.model || "–");
  const [before, after] = statistics.noise ?? [];
  put("noise-before", before === undefined ? "–" : before.toFixed(1));
  put("noise-after", after === undefined ? "–" : after.toFixed(1));
  const less = before > 0 ? Math.round(100 * (1 - after / before)) : 0;
  $("noise-change").hidden = less < 1;
  put("noise-change", `−${less} %`);
  if (performance.now() - strengthTouched > 1000) showStrength(Math.round(100 * statistics.strength));
  showStateOfStream();
}

function milliseconds(value) {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

// ---- images -----------------------------------------------------------------------------------------

function requestNext() {
  if (isRequested || isPaused || document.hidden || socket?.readyState !== WebSocket.OPEN) return;
  isRequested = true;
  const width = Math.ceil(stage.clientWidth * devicePixelRatio);
  socket.send(JSON.stringify({ next: Math.max(1, width) }));
}

async function showPair(before, after) {
  const images = await Promise.all([before, after].map((part) => createImageBitmap(new Blob([part]))));
  const { width, height } = images[0];
  stage.style.setProperty("--wide", width);
  stage.style.setProperty("--high", height);
  stage.classList.remove("empty");
  ["before", "after"].forEach((id, i) => {
    const canvas = $(id);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext("2d").drawImage(images[i], 0, 0);
    images[i].close();
  });
}

function saveSnapshot(number, image) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([image], { type: "image/png" }));
  link.download = `n2b-${camera && `${camera}-`}${String(number).padStart(6, "0")}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function receive(data) {
  const header = new DataView(data);
  const kind = header.getUint8(0), number = header.getUint32(1), cut = HEADER_BYTES + header.getUint32(5);
  const first = data.slice(HEADER_BYTES, cut);
  if (kind === SNAPSHOT) {
    saveSnapshot(number, first);
  } else if (kind === PAIR) {
    try {
      await showPair(first, data.slice(cut)); // also if paused meanwhile: a snapshot shows the last pair sent
    } finally {
      isRequested = false;
      requestNext();
    }
  }
}

// ---- the connection -----------------------------------------------------------------------------------

function connect() {
  const opening = new WebSocket(`ws://${location.host}/live${ofCamera(camera)}`);
  let wasOpen = false;
  opening.binaryType = "arraybuffer";
  opening.onopen = () => {
    wasOpen = true;
    socket = opening;
    isRequested = false;
    requestNext();
    showCameras();
  };
  opening.onmessage = (message) => {
    if (typeof message.data === "string") showStatistics(JSON.parse(message.data));
    else receive(message.data);
  };
  opening.onclose = async (event) => {
    if (opening.isLeft) {
      connect();
      return;
    }
    if (event.code === ENDED) {
      showState("ended", "Ended", "n2b-infer has ended. This page reconnects when it runs again.");
    } else if (wasOpen) {
      showState("waiting", "Reconnecting", "The connection is lost; reconnecting.");
    } else {
      await showRefusal();
    }
    setTimeout(connect, RETRY_MS);
  };
}

async function showRefusal() {
  // A browser does not report why a WebSocket was refused; an ordinary request does.
  try {
    const answer = await fetch(`/live${ofCamera(camera)}`);
    if (answer.status === 404) camera = ""; // the program runs again, with other cameras
    const reason = (await answer.text()).trim();
    if (answer.status === 401) showState("refused", "No access", `The token is no longer valid: ${reason}.`);
    else if (answer.status === 503) showState("waiting", "Waiting", `${capital(reason)}. Waiting for a free place.`);
    else if (answer.status !== 426) showState("refused", "No access", `${capital(reason)}.`);
  } catch {
    if (!["ended", "refused"].includes($("state").dataset.state)) {
      showState("waiting", "Reconnecting", "There is no connection to n2b-infer; reconnecting.");
    }
  }
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// ---- several cameras ------------------------------------------------------------------------------------

function ofCamera(name, more = "") {
  return name ? `?camera=${encodeURIComponent(name)}${more}` : "";
}

let camerasTimer = null;
async function showCameras() {
  clearTimeout(camerasTimer);
  if (document.hidden) return;
  let cameras;
  try {
    cameras = (await (await fetch("/status.json")).json()).cameras;
  } catch {
    return; // shown again when the connection is back
  }
  $("cameras").hidden = cameras.length < 2;
  if (cameras.length < 2) return;
  const names = cameras.map((one) => one.name);
  if (!names.includes(camera)) camera = names[0];
  if (names.join() !== [...$("cameras").children].map((button) => button.dataset.name).join()) {
    $("cameras").replaceChildren(...names.map(cameraButton));
  }
  cameras.forEach((one, i) => {
    const button = $("cameras").children[i];
    const isLost = one.silent_s >= SILENT_S;
    button.classList.toggle("lost", isLost);
    button.setAttribute("aria-current", one.name === camera);
    button.querySelector("small").textContent = isLost ? "lost" : `${one.fps.toFixed(1)} fps`;
    if (one.frames && !isLost) button.querySelector("img").src = `/snapshot.jpg${ofCamera(one.name, "&width=480")}&t=${Date.now()}`;
  });
  clearTimeout(camerasTimer);
  camerasTimer = setTimeout(showCameras, CAMERAS_EVERY_MS);
}

function cameraButton(name) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.name = name;
  const image = document.createElement("img"), label = document.createElement("span");
  image.alt = "";
  label.append(name, document.createElement("small"));
  button.append(image, label);
  button.addEventListener("click", () => showCamera(name));
  return button;
}

function showCamera(name) {
  if (name === camera || socket?.readyState !== WebSocket.OPEN) return;
  camera = name;
  newest = null;
  strengthTouched = -Infinity;
  stage.classList.add("empty");
  showState("waiting", "Connecting");
  socket.isLeft = true;
  socket.close();
}

// ---- controls -----------------------------------------------------------------------------------------

function moveDivider(percent) {
  splitPercent = Math.min(100, Math.max(0, percent));
  stage.style.setProperty("--split", `${splitPercent}%`);
  divider.setAttribute("aria-valuenow", Math.round(splitPercent));
  divider.setAttribute("aria-valuetext", `${Math.round(splitPercent)} % before`);
  const at = (splitPercent / 100) * stage.clientWidth;
  for (const tag of document.querySelectorAll(".tag")) {
    const isCovered = tag.id === "tag-before"
      ? at < tag.offsetLeft + tag.offsetWidth + 4
      : at > tag.offsetLeft - 4;
    tag.classList.toggle("covered", isCovered);
  }
}

function moveDividerTo(event) {
  const box = stage.getBoundingClientRect();
  moveDivider((100 * (event.clientX - box.left)) / box.width);
}

stage.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || event.target === $("notice")) return;
  stage.setPointerCapture(event.pointerId);
  stage.classList.add("dragging");
  divider.focus({ preventScroll: true, focusVisible: false });
  event.preventDefault();
  moveDividerTo(event);
});
stage.addEventListener("pointermove", (event) => {
  if (stage.hasPointerCapture(event.pointerId)) moveDividerTo(event);
});
stage.addEventListener("lostpointercapture", () => stage.classList.remove("dragging"));
stage.addEventListener("dblclick", () => moveDivider(50));

divider.addEventListener("keydown", (event) => {
  const step = event.shiftKey ? 10 : 1;
  const targets = {
    ArrowLeft: splitPercent - step, ArrowDown: splitPercent - step, PageDown: splitPercent - 10,
    ArrowRight: splitPercent + step, ArrowUp: splitPercent + step, PageUp: splitPercent + 10,
    Home: 0, End: 100,
  };
  if (!(event.key in targets)) return;
  event.preventDefault();
  moveDivider(targets[event.key]);
});

function showStrength(percent) {
  slider.value = percent;
  slider.style.setProperty("--filled", `${percent}%`);
  $("strength-value").textContent = `${percent} %`;
}

let strengthTimer = null;
slider.addEventListener("input", () => {
  strengthTouched = performance.now();
  showStrength(Number(slider.value));
  strengthTimer ??= setTimeout(() => {
    strengthTimer = null;
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ strength: slider.value / 100 }));
  }, STRENGTH_EVERY_MS);
});

$("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  $("pause").setAttribute("aria-pressed", isPaused);
  $("pause-label").textContent = isPaused ? "Resume" : "Pause";
  $("pause-icon").setAttribute("d", isPaused ? "M8 5v14l11-7z" : "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z");
  showStateOfStream();
  requestNext();
});

$("snapshot").addEventListener("click", () => socket.send(JSON.stringify({ snapshot: true })));
document.addEventListener("visibilitychange", () => {
  requestNext();
  if (!document.hidden) showCameras();
});
window.addEventListener("resize", () => moveDivider(splitPercent));

// The token is in a cookie now; take it out of the address bar.
if (location.search) history.replaceState(null, "", "/");
stage.classList.add("empty");
showState("waiting", "Connecting");
connect();
