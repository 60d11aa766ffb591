/** A chart's cursor by keyboard, as the keys of a slider move it. No DOM. */

/** Of the points in sight so many steps make up a leap. */
const LEAPS = 10;

/**
 * The point that a key leads to from point `at` (`null`: there is no cursor) among `first` to `last`;
 * `null` takes the cursor away, `undefined` is a key that means nothing here.
 */
export function pointAfter(
  key: string,
  at: number | null,
  first: number,
  last: number
): number | null | undefined {
  const leap = Math.max(1, Math.round((last - first) / LEAPS));
  const steps: Record<string, number> = {
    ArrowLeft: -1,
    ArrowDown: -1,
    ArrowRight: 1,
    ArrowUp: 1,
    PageDown: -leap,
    PageUp: leap
  };
  const step = steps[key];
  if (key === 'Escape') {
    return null;
  }
  if (step === undefined) {
    return key === 'Home' ? first : key === 'End' ? last : undefined;
  }
  return at === null ? last : Math.min(last, Math.max(first, at + step));
}
