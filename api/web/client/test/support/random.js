/** Chance that can be had again: SEED in the environment is the seed that a failure printed. */

/** mulberry32, by Tommy Ettinger (public domain): small, and good enough to wander about. */
export function random(seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const whole = (below) => Math.floor(next() * below);
  return { seed, next, whole, chance: (share) => next() < share, pick: (list) => list[whole(list.length)] };
}
