/** "Waiting": my requests with position, reason and expected time; others' as a number. */

import { closeIcon } from '@jupyterlab/ui-components';
import React from 'react';

import type { Request } from '../api/types';
import { shortName } from '../model/paths';
import { expected, profileName } from '../model/words';
import { useFollowed } from '../surface/follow';
import { Failure, IconButton, Section, useAction } from '../surface/parts';
import { useNow, usePanel } from './context';

export function WaitingSection(): React.ReactElement | null {
  const { workbench, trans } = usePanel();
  const requests = useFollowed(workbench.requests.changed, () => workbench.requests.items);
  const mine = requests.filter(one => one.mine);
  const others = requests.length - mine.length;
  if (requests.length === 0) {
    return null;
  }
  return (
    <Section title={trans.__('Waiting')} name="waiting" aside={mine.length || undefined}>
      <ul className="gw-list">
        {mine.map(request => (
          <RequestRow key={request.id} request={request} />
        ))}
      </ul>
      {others > 0 && (
        <p className="gw-hint" data-testid="gw-waiting-others">
          {trans._n('%1 request of others waits too.', '%1 requests of others wait too.', others)}
        </p>
      )}
    </Section>
  );
}

function RequestRow(props: { request: Request }): React.ReactElement {
  const { request } = props;
  const { workbench, trans } = usePanel();
  const now = useNow();
  const cancel = useAction(() => workbench.cancel(request.id));
  const profile = profileName(request.profile);
  const what = request.count > 1 ? `${request.count}×${profile}` : profile;
  const name = shortName(request.name);
  return (
    <li className="gw-item" data-testid="gw-waiting-request" data-request={request.id}>
      <div className="gw-item-head">
        <span className="gw-item-name">{what}</span>
        <span className="gw-item-what" data-testid="gw-waiting-position">
          {request.position !== null && trans.__('position %1', request.position)}
        </span>
        <span className="gw-left">
          {request.expected_at !== null && expected(trans, request.expected_at, now)}
        </span>
        <IconButton
          icon={closeIcon}
          label={trans.__('Cancel the request for %1', what)}
          testid="gw-waiting-cancel"
          disabled={cancel.busy}
          onClick={cancel.go}
        />
      </div>
      <p className="gw-reason" data-testid="gw-waiting-reason" title={request.name}>
        {name && trans.__('For %1. ', name)}
        {request.reason?.sentence}
      </p>
      <Failure of={cancel} />
    </li>
  );
}
