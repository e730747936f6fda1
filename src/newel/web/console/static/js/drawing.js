// The drawing by keyboard, wheel and hand. It is one tab stop: arrows walk from card to card, Home
// and End to the first and last, Enter follows the card's link. Sizes are links of the page; they
// are followed in place. Without this every card is a stop, and sizes are pages.
import { show } from "./live.js";

const KEYS = {
  ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0], Home: null, End: null,
};
let last = "";
let isBusy = false;

/** Let the drawings of the page be walked, sized and pulled. */
export function startDrawing() {
  document.addEventListener("keydown", walk);
  document.addEventListener("focusin", (event) => {
    if (cardAt(event)) settle();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".zoom a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    follow(link.href);
  });
  document.addEventListener("wheel", turn, { passive: false });
  document.addEventListener("pointerdown", pull);
  document.addEventListener("newel:shown", settle);
  settle();
}

/** Make one card of each drawing the stop: the one in focus, the last one, else the chosen one. */
function settle() {
  for (const canvas of document.querySelectorAll(".canvas")) {
    const cards = cardsOf(canvas);
    if (cards.length === 0) continue;
    const focused = cards.find((card) => card === document.activeElement);
    if (focused) last = focused.id;
    const stop = cards.find((card) => card.id === last)
      ?? cards.find((card) => card.hasAttribute("aria-current")) ?? cards[0];
    canvas.removeAttribute("tabindex"); // its cards can have the focus
    for (const card of cards) card.setAttribute("tabindex", card === stop ? "0" : "-1");
  }
}

/** @param {KeyboardEvent} event */
function walk(event) {
  const from = cardAt(event);
  if (!from || !(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const cards = cardsOf(from.closest(".canvas"));
  const to = event.key === "Home" ? cards[0] : event.key === "End" ? cards.at(-1)
    : onward(cards, from, ...KEYS[event.key]);
  to?.focus();
}

/** The nearest card that way; across, the neighbour in the row, at its end the next by source. */
function onward(cards, from, right, down) {
  const at = from.getBoundingClientRect();
  let found;
  let least = Infinity;
  for (const card of cards) {
    const to = card.getBoundingClientRect();
    const x = (to.left + to.right - at.left - at.right) / 2;
    const y = (to.top + to.bottom - at.top - at.bottom) / 2;
    const ahead = right * x + down * y;
    const aside = Math.abs(right ? y : x);
    if (ahead < at.height / 2 || (right && aside > at.height / 2)) continue;
    if (ahead + 2 * aside < least) [found, least] = [card, ahead + 2 * aside];
  }
  return found ?? (right ? cards[cards.indexOf(from) + right] : undefined);
}

/** Show the page at another size; what was in the middle of the drawing stays there. */
async function follow(href) {
  if (isBusy) return;
  isBusy = true;
  const canvas = document.querySelector(".canvas");
  const [x, y] = ["Width", "Height"].map((side, i) =>
    (canvas[i ? "scrollTop" : "scrollLeft"] + canvas[`client${side}`] / 2) / canvas[`scroll${side}`]);
  try {
    const answer = await fetch(href, { headers: { "Newel-Live": "1" }, cache: "no-store" });
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    history.replaceState(null, "", href.split("#")[0]);
    show(await answer.text());
    canvas.scrollLeft = x * canvas.scrollWidth - canvas.clientWidth / 2;
    canvas.scrollTop = y * canvas.scrollHeight - canvas.clientHeight / 2;
  } catch {
    location.assign(href);
  } finally {
    isBusy = false;
  }
}

/** The wheel with Ctrl sizes the drawing; alone it scrolls. @param {WheelEvent} event */
function turn(event) {
  const drawn = event.ctrlKey && event.target.closest(".canvas")?.closest(".drawn");
  if (!drawn) return;
  event.preventDefault();
  const link = drawn.querySelector(`[data-zoom=${event.deltaY > 0 ? "smaller" : "larger"}]`);
  if (link) follow(link.href);
}

/** Pulling the paper scrolls it, as the bars do. @param {PointerEvent} event */
function pull(event) {
  const canvas = event.target.closest(".canvas");
  if (!canvas || event.button !== 0 || event.pointerType !== "mouse" || event.target.closest("a")) return;
  const [x, y] = [canvas.scrollLeft + event.clientX, canvas.scrollTop + event.clientY];
  const move = (moved) => canvas.scrollTo(x - moved.clientX, y - moved.clientY);
  document.addEventListener("pointermove", move);
  document.addEventListener("pointerup", () => document.removeEventListener("pointermove", move), { once: true });
}

const cardsOf = (canvas) => [...canvas.querySelectorAll(".flow a.node")];
const cardAt = (event) => event.target instanceof Element && event.target.closest(".canvas .flow a.node");
