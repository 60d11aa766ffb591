/** "Clusters": those that live, newest first, then some that are over. */

import React, { useState } from 'react';

import { clusterIsOver } from '../model/clusters';
import { usePanel } from '../panel/context';
import { useFollowed } from '../surface/follow';
import { Section } from '../surface/parts';
import { ClusterRow } from './row';

/** Rows drawn at once; more on demand. */
const FIRST = 6;
const FIRST_OVER = 2;
/** With more living clusters than these, their details are folded at first. */
const FEW = 2;

export function ClusterSection(): React.ReactElement {
  const { workbench, form, trans } = usePanel();
  const clusters = useFollowed(workbench.clusters.changed, () => workbench.clusters.items);
  const [all, setAll] = useState(false);
  const alive = clusters.filter(one => !clusterIsOver(one));
  const over = clusters.filter(clusterIsOver);
  const some = [...alive, ...over.slice(0, FIRST_OVER)].slice(0, FIRST);
  const shown = all ? [...alive, ...over] : some;
  return (
    <Section title={trans.__('Clusters')} name="clusters" aside={alive.length || undefined}>
      {clusters.length === 0 && (
        <p className="gw-empty" data-testid="gw-clusters-empty">
          {trans.__('No Dask cluster runs. ')}
          <button className="gw-link" onClick={() => form.choosePurpose('cluster')}>
            {trans.__('Set one up above')}
          </button>
          {trans.__(', or in a cell: gw.cluster(workers=2).')}
        </p>
      )}
      <ul className="gw-list">
        {shown.map(cluster => (
          <ClusterRow key={cluster.id} cluster={cluster} open={alive.length <= FEW} />
        ))}
      </ul>
      {(shown.length < clusters.length || all) && clusters.length > some.length && (
        <button className="gw-link" onClick={() => setAll(!all)}>
          {all ? trans.__('Show fewer') : trans.__('Show all %1', clusters.length)}
        </button>
      )}
    </Section>
  );
}
