/** Words looked for in the logs of every rank: the lines that have them, and the way there. */

import React, { useState } from 'react';

import type { LogMatches } from '../api/types';
import { plain } from '../model/ansi';
import type { Stream } from '../model/log';
import { ActionButton, Failure, useAction } from '../surface/parts';
import { useJob } from './context';

export function SearchAll(props: {
  words: string;
  /** Show that log; the words stay. */
  go: (rank: number, stream: Stream) => void;
}): React.ReactElement {
  const { words, go } = props;
  const { model, trans } = useJob();
  const [found, setFound] = useState<{ words: string; all: LogMatches } | null>(null);
  const search = useAction(async () => {
    setFound({ words, all: await model.workbench.api.searchLogs(model.id, words) });
  });
  const shown = found && found.words === words && words ? found.all : null;
  return (
    <>
      <ActionButton action={search} testid="gw-logs-all" off={!words}>
        {trans.__('in all ranks')}
      </ActionButton>
      <Failure of={search} />
      {shown && (
        <div className="gw-logs-matches" role="status" data-testid="gw-logs-matches">
          {shown.matches.length === 0 && (
            <p className="gw-empty">{trans.__('No rank wrote these words.')}</p>
          )}
          <ul className="gw-list" tabIndex={0} aria-label={trans.__('Found in all ranks')}>
            {shown.matches.map(one => (
              <li key={`${one.rank} ${one.stream} ${one.offset}`}>
                <button className="gw-link" onClick={() => go(one.rank, one.stream)}>
                  {trans.__('rank %1', one.rank)}
                </button>{' '}
                <code>{plain(one.text)}</code>
              </li>
            ))}
          </ul>
          <div className="gw-row">
            {shown.more && (
              <span className="gw-hint">{trans.__('There are more than are shown here.')}</span>
            )}
            <button className="gw-button" onClick={() => setFound(null)}>
              {trans.__('Close')}
            </button>
          </div>
        </div>
      )}
    </>
  );
}
