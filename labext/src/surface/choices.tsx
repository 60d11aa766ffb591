/** One of several, and yes or no, with their words beside them. */

import React from 'react';

/** One of several; the options are its children. */
export function Choice(props: {
  label: string;
  value: string | number;
  testid: string;
  /** Whether it takes all the room there is. */
  wide?: boolean;
  choose: (value: string) => void;
  children: React.ReactNode;
}): React.ReactElement {
  return (
    <label className={props.wide ? 'gw-field gw-mod-wide' : 'gw-field'}>
      <span>{props.label}</span>
      <select
        className="gw-input"
        value={props.value}
        data-testid={props.testid}
        onChange={event => props.choose(event.target.value)}
      >
        {props.children}
      </select>
    </label>
  );
}

/** Yes or no; the words are its children. */
export function Check(props: {
  on: boolean;
  testid: string;
  /** Whether it means nothing now. */
  off?: boolean;
  turn: (on: boolean) => void;
  children: React.ReactNode;
}): React.ReactElement {
  return (
    <label className="gw-check">
      <input
        type="checkbox"
        checked={props.on}
        disabled={props.off}
        data-testid={props.testid}
        onChange={event => props.turn(event.target.checked)}
      />
      {props.children}
    </label>
  );
}
