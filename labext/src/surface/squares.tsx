/** Ranks of a job, or runs of a sweep, as a row of small squares: one look each, and a word for it. */

import React from 'react';

/** A row has room for so many; the page has all of them. */
const IN_ROW = 16;

export interface ISquare {
  readonly number: number;
  /** Named after the states of a rank. */
  readonly look: string;
  readonly title: string;
}

export function Squares(props: {
  all: readonly ISquare[];
  children?: React.ReactNode;
}): React.ReactElement {
  const more = props.all.length - IN_ROW;
  return (
    <div className="gw-ranks">
      {props.all.slice(0, IN_ROW).map(({ number, look, title }) => (
        <span
          key={number}
          className={`gw-rank gw-mod-${look}`}
          role="img"
          aria-label={title}
          title={title}
        >
          {number}
        </span>
      ))}
      {more > 0 && <span className="gw-item-what">+{more}</span>}
      {props.children}
    </div>
  );
}
