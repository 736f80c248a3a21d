// Which words two texts share. Pure: no page. Myers' O(ND) difference algorithm in linear space (E. W. Myers, Algorithmica 1986,
// section 4b), over words; where a script writes none between spaces (Chinese, Japanese, Thai …), over characters.

const WORDS =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]\p{M}*|[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:['’_\-][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*|\S/gu;
// Steps of one search; what differs more is cut where it got furthest, so that nobody waits. The longer the texts, the fewer.
const patienceFor = (words) => Math.max(64, Math.min(512, Math.round(1.2e6 / words)));

/** The words of a text: [{text, start, end}]. Spaces belong to none: that a line is broken elsewhere is no difference. */
export function words(text) {
  return Array.from(text.matchAll(WORDS), (found) => ({ text: found[0], start: found.index, end: found.index + found[0].length }));
}

/**
 * What is in one text alone: {one: [[start, end], …], other: […], pieces}. Ranges are characters of each text.
 * `pieces` is both in a row: [{kind: "same" | "one" | "other", text}].
 * `counts` {one, other}: the words that are in one text alone, signs left out.
 */
export function difference(oneText, otherText) {
  const [one, other] = [words(oneText), words(otherText)];
  const { inOne, inOther } = shared(one.map((word) => word.text), other.map((word) => word.text));
  const runs = readable(runsOf(one, inOne, other, inOther));
  const ranges = { one: [], other: [] };
  const alone = (list, kept) => list.filter(({ text }, at) => !kept[at] && /[\p{L}\p{N}]/u.test(text)).length;
  const counts = { one: alone(one, inOne), other: alone(other, inOther) };
  const pieces = [];
  const upTo = { one: 0, other: 0 };
  const cut = (name, text, list, to) => {
    // From the end of what was shown, so that the spaces between words are there too.
    const end = list[to - 1].end;
    const piece = text.slice(upTo[name], end);
    upTo[name] = end;
    return piece;
  };
  for (const { kind, one: [a, b], other: [c, d] } of runs) {
    if (kind === "same") {
      cut("one", oneText, one, b);
      pieces.push({ kind, text: cut("other", otherText, other, d) });
      continue;
    }
    if (b > a) {
      ranges.one.push([one[a].start, one[b - 1].end]);
      pieces.push({ kind: "one", text: cut("one", oneText, one, b) });
    }
    if (d > c) {
      ranges.other.push([other[c].start, other[d - 1].end]);
      pieces.push({ kind: "other", text: cut("other", otherText, other, d) });
    }
  }
  return { ...ranges, counts, pieces };
}

/** For each word of two lists: does it belong to a longest common subsequence (as far as patience goes)? */
export function shared(one, other) {
  const numbers = new Map();
  const numbered = (list) =>
    Int32Array.from(list, (word) => {
      if (!numbers.has(word)) numbers.set(word, numbers.size);
      return numbers.get(word);
    });
  const [a, b] = [numbered(one), numbered(other)];
  const inOne = new Uint8Array(a.length);
  const inOther = new Uint8Array(b.length);
  const patience = patienceFor(a.length + b.length);
  const room = Math.min(a.length + b.length, 2 * patience) + 4;
  const [forth, back] = [new Int32Array(2 * room), new Int32Array(2 * room)];
  const keep = (x, y) => (inOne[x] = inOther[y] = 1);
  const open = [[0, a.length, 0, b.length]];
  while (open.length) {
    let [a0, a1, b0, b1] = open.pop();
    for (; a0 < a1 && b0 < b1 && a[a0] === b[b0]; a0 += 1, b0 += 1) keep(a0, b0);
    for (; a0 < a1 && b0 < b1 && a[a1 - 1] === b[b1 - 1]; a1 -= 1, b1 -= 1) keep(a1 - 1, b1 - 1);
    if (a0 === a1 || b0 === b1) continue;
    const [x, y] = middle(a, a0, a1, b, b0, b1, forth, back, room, patience);
    open.push([a0, x, b0, y], [x, a1, y, b1]);
  }
  return { inOne, inOther };
}

/**
 * A point on a shortest way from (a0, b0) to (a1, b1), neither corner: two searches, one from each end, meet there.
 * `forth[room + k]` is how far along `a` the first has come on diagonal k = x - y; `back` the same from the other end.
 */
function middle(a, a0, a1, b, b0, b1, forth, back, room, patience) {
  const n = a1 - a0;
  const m = b1 - b0;
  const skew = n - m;
  const lowest = (steps) => -steps + 2 * Math.max(0, steps - m);
  const highest = (steps) => steps - 2 * Math.max(0, steps - n);
  // One step more along `a` from the diagonal below, or along `b` from the one above: whichever leads further and not out of the lists.
  const begin = (reached, k, steps) => {
    const [right, down] = [reached[room + k - 1] + 1, reached[room + k + 1]];
    if (k === -steps) return down;
    return k !== steps && (right > n || (right <= down && down - k <= m)) ? down : right;
  };
  forth[room + 1] = back[room + 1] = 0;
  for (let steps = 0; ; steps += 1) {
    if (steps > patience) return furthest(n, m, a0, b0, forth, room, steps - 1);
    const [first, last] = [lowest(steps), highest(steps)];
    const [firstBack, lastBack] = [lowest(steps - 1), highest(steps - 1)];
    for (let k = first; k <= last; k += 2) {
      let x = begin(forth, k, steps);
      for (; x < n && x - k < m && a[a0 + x] === b[b0 + x - k]; ) x += 1;
      forth[room + k] = x;
      const mirror = skew - k;
      const met = skew & 1 && mirror >= firstBack && mirror <= lastBack && x + back[room + mirror] >= n;
      if (met) return [a0 + x, b0 + x - k];
    }
    for (let k = first; k <= last; k += 2) {
      let x = begin(back, k, steps);
      for (; x < n && x - k < m && a[a1 - 1 - x] === b[b1 - 1 - x + k]; ) x += 1;
      back[room + k] = x;
      const mirror = skew - k;
      const met = !(skew & 1) && mirror >= first && mirror <= last && x + forth[room + mirror] >= n;
      if (met) return [a1 - x, b1 - x + k];
    }
  }
}

function furthest(n, m, a0, b0, forth, room, steps) {
  let best = [0, 0];
  const [first, last] = [-steps + 2 * Math.max(0, steps - m), steps - 2 * Math.max(0, steps - n)];
  for (let k = first; k <= last; k += 2) {
    const x = forth[room + k];
    const y = x - k;
    if (x + y > best[0] + best[1]) best = [x, y];
  }
  return [a0 + best[0], b0 + best[1]];
}

function runsOf(one, inOne, other, inOther) {
  const runs = [];
  for (let x = 0, y = 0; x < one.length || y < other.length; ) {
    const [fromX, fromY] = [x, y];
    if (inOne[x] && inOther[y]) {
      for (; inOne[x] && inOther[y]; x += 1) y += 1;
      runs.push({ kind: "same", one: [fromX, x], other: [fromY, y], weight: weightOf(one, fromX, x) });
    } else {
      for (; x < one.length && !inOne[x]; ) x += 1;
      for (; y < other.length && !inOther[y]; ) y += 1;
      runs.push({ kind: "changed", one: [fromX, x], other: [fromY, y], weight: Math.max(weightOf(one, fromX, x), weightOf(other, fromY, y)) });
    }
  }
  return runs;
}

function weightOf(list, from, to) {
  let weight = 0;
  for (let at = from; at < to; at += 1) weight += list[at].text.length;
  return weight;
}

/** Two texts that say quite different things still share "the" and commas. Such crumbs between larger changes only hinder the eye. */
function readable(runs) {
  const made = [];
  for (const run of runs) {
    made.push(run);
    for (;;) {
      const [before, crumb, after] = made.slice(-3);
      if (made.length < 3 || after.kind !== "changed" || crumb.kind !== "same") break;
      if (crumb.weight > 12 || crumb.weight > before.weight || crumb.weight > after.weight) break;
      const both = { kind: "changed", one: [before.one[0], after.one[1]], other: [before.other[0], after.other[1]] };
      made.splice(-3, 3, { ...both, weight: before.weight + crumb.weight + after.weight });
    }
  }
  return made;
}
