// Dragging by pointer: mouse, pen and touch alike. Knows what can be dragged and dropped on, not what it means.
//
//     [data-drag]   what can be taken, e.g. data-drag="2"
//     [data-drop]   where it can be put down; the one under the pointer has the class "over"

const START_PX = 5;
const EDGE_PX = 48;
const SCROLL_PX = 14; // a frame, at the very edge

/** Call onDrop(what, dropElement) for each completed drag and onTap(what) for a press without one, inside `root`. */
export function watchDrags(root, { onDrop, onTap, enabled = () => true }) {
  let drag = null;

  root.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest("[data-drag]");
    if (!handle || event.button !== 0 || drag || !enabled()) return;
    drag = { what: handle.dataset.drag, id: event.pointerId, x: event.clientX, y: event.clientY, handle, ghost: null };
    if (event.pointerType === "mouse") event.preventDefault(); // no text selection
  });

  root.ownerDocument.addEventListener("pointermove", (event) => {
    if (event.pointerId !== drag?.id) return;
    if (!drag.ghost && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < START_PX) return;
    if (!drag.ghost) start();
    [drag.x, drag.y] = [event.clientX, event.clientY];
    follow();
  });

  // Without this a quick drag ends as a fling, and the browser takes the next tap as the wish to stop that.
  root.addEventListener("touchmove", (event) => drag && event.preventDefault(), { passive: false });

  root.ownerDocument.addEventListener("pointerup", (event) => {
    if (event.pointerId !== drag?.id) return;
    const { what, ghost, over } = drag;
    stop();
    if (!ghost) onTap(what);
    else if (over) onDrop(what, over);
  });

  for (const end of ["pointercancel", "keydown"])
    root.ownerDocument.addEventListener(end, (event) => {
      if (drag && (event.pointerId === drag.id || event.key === "Escape")) stop();
    });

  function start() {
    const ghost = drag.handle.cloneNode(true);
    ghost.removeAttribute("data-drag");
    ghost.classList.add("ghost");
    ghost.setAttribute("aria-hidden", "true");
    root.append(ghost);
    drag.ghost = ghost;
    drag.handle.classList.add("taken");
    root.dataset.dragging = isNaN(drag.what) ? drag.what : "output";
    drag.frame = requestAnimationFrame(scrollAtEdges);
  }

  function follow() {
    drag.ghost.style.translate = `${drag.x}px ${drag.y}px`;
    const over = root.ownerDocument.elementFromPoint(drag.x, drag.y)?.closest("[data-drop]") ?? null;
    if (over === drag.over) return;
    drag.over?.classList.remove("over");
    over?.classList.add("over");
    drag.over = over;
  }

  function stop() {
    cancelAnimationFrame(drag.frame);
    drag.ghost?.remove();
    drag.over?.classList.remove("over");
    drag.handle.classList.remove("taken");
    delete root.dataset.dragging;
    drag = null;
  }

  /** While something is held near the edge of what can scroll, scroll it; also the page, on screens as low as a phone held sideways. */
  function scrollAtEdges() {
    for (const box of root.querySelectorAll("[data-scrolls]")) {
      const { top, bottom, left, right } = box.getBoundingClientRect();
      if (drag.x >= left && drag.x <= right && drag.y >= top && drag.y <= bottom) box.scrollTop += speed(top, bottom);
    }
    scrollBy(0, speed(0, innerHeight));
    follow();
    drag.frame = requestAnimationFrame(scrollAtEdges);
  }

  /** Pixels a frame, the more the nearer the pointer is to an edge of what lies between `top` and `bottom`. */
  function speed(top, bottom) {
    const room = Math.min(EDGE_PX, (bottom - top) / 3);
    if (drag.y < top + room) return -SCROLL_PX * (1 - Math.max(drag.y - top, 0) / room);
    if (drag.y > bottom - room) return SCROLL_PX * (1 - Math.max(bottom - drag.y, 0) / room);
    return 0;
  }
}
