// Keeps a page fresh: asks every two seconds for its content, with the tag of what is shown,
// so that nothing is sent while nothing has changed. A hidden tab asks nothing. A form with
// something typed in it is left alone. Never reloads by itself.
import { morph } from "./morph.js";

const EVERY_MS = 2000;
const LOST_AFTER = 2;

/** Start refreshing, if the page says that it wants it. */
export function startLive() {
  const content = document.getElementById("content");
  const mark = document.getElementById("livemark");
  if (!content || !mark || content.dataset.live !== "yes") return;
  const build = document.documentElement.dataset.build;
  let tag = "";
  let failed = 0;

  const say = (state, text) => {
    if (mark.textContent !== text) mark.textContent = text;
    mark.dataset.state = state;
  };

  async function ask() {
    const headers = { "Newel-Live": "1", ...(tag ? { "If-None-Match": tag } : {}) };
    const asked = location.href;
    const answer = await fetch(asked, { headers, cache: "no-store" });
    if (location.href !== asked) return true; // the reader has moved on meanwhile
    if (answer.headers.get("Newel-Build") && answer.headers.get("Newel-Build") !== build) {
      say("lost", "newel was updated. Reload.");
      return false;
    }
    if (answer.status === 200 && !isTyping(content)) {
      tag = answer.headers.get("ETag") ?? "";
      show(await answer.text());
    } else if (answer.status !== 304 && answer.status !== 200) {
      throw new Error(`answered ${answer.status}`);
    }
    return true;
  }

  async function tick() {
    if (document.hidden) {
      say("paused", "Paused");
      return;
    }
    try {
      if (!(await ask())) return;
      failed = 0;
      say("live", "Live");
    } catch {
      failed += 1;
      if (failed >= LOST_AFTER) say("lost", "Live updates lost, trying again");
    }
    window.setTimeout(tick, EVERY_MS);
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && mark.dataset.state === "paused") tick();
  });
  tick();
}

/** Make the page like what the server sent of it. @param {string} text */
export function show(text) {
  const next = new DOMParser().parseFromString(text, "text/html");
  const focused = document.activeElement;
  for (const id of ["content", "nav"]) {
    const now = document.getElementById(id);
    const then = next.getElementById(id);
    if (now && then) morph(now, then);
  }
  // An element that had to be moved has lost the focus on the way.
  if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  document.dispatchEvent(new Event("newel:shown"));
}

/** @param {Element} content */
function isTyping(content) {
  for (const field of content.querySelectorAll("textarea, input:not([type=hidden])")) {
    if (field.value !== field.defaultValue || field.checked !== field.defaultChecked) return true;
  }
  return false;
}
