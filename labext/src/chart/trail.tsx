/** A curve as small as a word, without axes: where it came from and where it goes. Plain SVG. */

import React from 'react';

export interface ITrailProps {
  values: readonly number[];
  /** For those who can't see it. */
  label: string;
}

const WIDTH = 100;
const HEIGHT = 20;

export function Trail(props: ITrailProps): React.ReactElement | null {
  const points = pathOf(props.values);
  return points ? (
    <svg
      className="gw-trail"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={props.label}
      data-testid="gw-trail"
      data-points={props.values.length}
    >
      <polyline points={points} vectorEffect="non-scaling-stroke" />
    </svg>
  ) : null;
}

/** As an SVG's list of points; empty where there is no line to draw. */
export function pathOf(values: readonly number[]): string {
  if (values.length < 2) {
    return '';
  }
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  const span = most - least || 1;
  return values
    .map((value, i) => {
      const x = (i / (values.length - 1)) * WIDTH;
      const y = HEIGHT - 1 - ((value - least) / span) * (HEIGHT - 2);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(' ');
}
