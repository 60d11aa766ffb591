/** A long list of rows of known heights: only those in view are in the page. */

import React, { useState } from 'react';

export interface IRow {
  key: string;
  /** Pixels. */
  height: number;
  render: () => React.ReactElement;
}

/** Pixels drawn above and below the view, so that scrolling shows no gaps. */
const MARGIN = 200;

export function Windowed(props: { rows: readonly IRow[]; viewHeight: number }): React.ReactElement {
  const { rows, viewHeight } = props;
  const [top, setTop] = useState(0);
  const { first, last, before, total } = slotsInView(rows, top, viewHeight);
  return (
    <div
      className="gw-windowed"
      style={{ maxHeight: viewHeight }}
      tabIndex={0}
      onScroll={event => setTop(event.currentTarget.scrollTop)}
    >
      <div style={{ height: total, position: 'relative' }}>
        <div style={{ position: 'absolute', top: before, left: 0, right: 0 }}>
          {rows.slice(first, last).map(row => (
            <div key={row.key} style={{ height: row.height }}>
              {row.render()}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

/** Which rows [first, last) to draw for a scroll position, and the pixels before them and in all. */
export function slotsInView(
  rows: readonly { height: number }[],
  top: number,
  viewHeight: number
): { first: number; last: number; before: number; total: number } {
  let [first, last, before, total] = [-1, rows.length, 0, 0];
  rows.forEach((row, i) => {
    const bottom = total + row.height;
    if (first < 0 && bottom >= top - MARGIN) {
      first = i;
      before = total;
    }
    if (last === rows.length && total > top + viewHeight + MARGIN) {
      last = i;
    }
    total = bottom;
  });
  return { first: Math.max(0, first), last, before, total };
}
