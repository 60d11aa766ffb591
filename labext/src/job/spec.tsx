/** The tab "Spec": all that the job is, as text to read and copy. */

import React from 'react';

import { specLines } from '../model/specs';
import { Skeleton } from '../surface/parts';
import { useJob } from './context';

export function SpecTab(): React.ReactElement {
  const { model, trans } = useJob();
  const { spec } = model;
  if (!spec) {
    return <Skeleton lines={8} />;
  }
  return (
    <>
      <p className="gw-hint">
        {trans.__(
          '"Run again…" opens the form made out like this, to be changed before it starts.'
        )}
      </p>
      <pre className="gw-spec" tabIndex={0} aria-label={trans.__('Spec')} data-testid="gw-spec">
        {specLines(spec)
          .map(([name, value]) => `${name}: ${value}`)
          .join('\n')}
      </pre>
    </>
  );
}
