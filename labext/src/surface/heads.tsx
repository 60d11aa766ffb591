/** The heads of a table. */

import React from 'react';

import { useWords } from './words';

/** The first row; an empty word is the column of buttons. */
export function Heads(props: { heads: readonly string[] }): React.ReactElement {
  const trans = useWords();
  return (
    <thead>
      <tr>
        {props.heads.map(head => (
          <th key={head} scope="col">
            {head || <span className="gw-hidden">{trans.__('Action')}</span>}
          </th>
        ))}
      </tr>
    </thead>
  );
}
