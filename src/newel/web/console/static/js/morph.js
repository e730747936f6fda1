// Makes one element's content like another's and keeps every node that can stay, so that
// focus, selection, open details and scroll positions are where the reader left them.

/** Make `now` like `next`: its attributes and its children. */
export function morph(now, next) {
  syncAttributes(now, next);
  if (now.matches("input, textarea, select")) return;
  morphChildren(now, next);
}

/** @param {Element} now @param {Element} next */
function morphChildren(now, next) {
  const wanted = [...next.childNodes];
  const byId = new Map([...now.children].filter((each) => each.id).map((each) => [each.id, each]));
  let place = now.firstChild;
  for (const node of wanted) {
    const match = (node.id && byId.get(node.id)) || firstAlike(place, node);
    if (!match) {
      now.insertBefore(document.importNode(node, true), place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else now.insertBefore(match, place);
    if (match.nodeType === Node.ELEMENT_NODE) morph(match, node);
    else if (match.data !== node.data) match.data = node.data;
  }
  while (place) {
    const after = place.nextSibling;
    place.remove();
    place = after;
  }
}

/** The first sibling from `place` on that is of the same kind: name, id and first class. */
function firstAlike(place, node) {
  for (let each = place; each; each = each.nextSibling) {
    if (each.nodeName !== node.nodeName || (each.id ?? "") !== (node.id ?? "")) continue;
    if (each.nodeType !== Node.ELEMENT_NODE) return each;
    if (each.classList[0] === node.classList[0]) return each;
  }
  return null;
}

/** @param {Element} now @param {Element} next */
function syncAttributes(now, next) {
  for (const { name } of [...now.attributes]) {
    const isOpenDetails = name === "open" && now.nodeName === "DETAILS";
    if (!next.hasAttribute(name) && !isOpenDetails) now.removeAttribute(name);
  }
  for (const { name, value } of [...next.attributes]) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
}
